"""What is told of the holes in a listing: once for each item and kind, however many they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied
from secretsync_core.model.report import ItemError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsync_core.model.inventory import Gap

SHOWN = 3
"""How many further holes of one kind are named."""

_HINTS = {
    AccessDenied.code: "let the SecretStore's credentials list it, or leave it out of the query: globs in path say"
    " where to look, and exclude says where not to (delete what was copied from there first)"
}


def told_of_gaps(item: str, gaps: Iterable[Gap]) -> list[ItemError]:
    """One error for all holes of one kind that concern an item: the first in its own words, the others by name."""
    kinds: dict[str, dict[str, Gap]] = {}
    for gap in gaps:
        kinds.setdefault(gap.code, {}).setdefault(gap.prefix, gap)
    return [_told(item, sorted(found.values())) for found in kinds.values()]


def _told(item: str, gaps: list[Gap]) -> ItemError:
    first, *others = gaps
    message = first.message
    if others:
        names = ", ".join(gap.prefix for gap in others[:SHOWN])
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        message = f"{message}; the same of {names}{more}"
    return ItemError(item, first.code, message, _HINTS.get(first.code, ""), 1)
