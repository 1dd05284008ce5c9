"""Which run was the one before: by the ledger, and by whoever orchestrates runs."""

from __future__ import annotations

import pytest

from secretsync_core.notify.history import Before, later

EARLY, LATE = Before(ok=True, started=1.0), Before(ok=False, started=2.0)


@pytest.mark.parametrize(
    ("known", "other", "found"),
    [
        (None, None, None),
        (EARLY, None, EARLY),
        (None, EARLY, EARLY),
        (EARLY, LATE, LATE),
        (LATE, EARLY, LATE),
        (EARLY, Before(ok=False, started=1.0), EARLY),
    ],
)
def test_the_later_one_is_the_run_before(known: Before | None, other: Before | None, found: Before | None) -> None:
    """A run that failed before it wrote anything is known to the orchestrator alone; of one run the ledger tells."""
    assert later(known, other) == found
