"""The kinds of requests to a store, as its gate counts them and a run's record tells them."""

from __future__ import annotations

LOOKS = frozenset({"login", "list", "stat", "read", "read-many", "tags", "kms"})
"""Those that change nothing; of any other nobody knows."""
