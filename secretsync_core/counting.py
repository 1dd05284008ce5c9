"""Counts as people read them. The one place that knows plurals."""

from __future__ import annotations


def number(count: int) -> str:
    """A count with separators: ``1,204``."""
    return f"{count:,}"


def plural(count: int, one: str, many: str = "") -> str:
    """A count and what it counts: ``1 secret``, ``3 secrets``; ``many`` where that is not ``one`` and an s."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
