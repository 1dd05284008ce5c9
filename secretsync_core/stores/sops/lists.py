"""Which items of two lists are the same, so that what stays can stay where it is. Pure."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_COMPARED = 1_000_000
"""Pairs of items that are compared to find those that moved; in longer lists, only what is at both ends stays."""


def pairs_of(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Each item of the old list with what takes its place, in order: by their numbers, None where there is none."""
    before, after = ([json.dumps(each, sort_keys=True) for each in values] for values in (old, new))
    most, first, last = min(len(before), len(after)), 0, 0
    while first < most and before[first] == after[first]:
        first += 1
    while last < most - first and before[-1 - last] == after[-1 - last]:
        last += 1
    yield from ((at, at) for at in range(first))
    to_old, to_new = len(before) - last, len(after) - last
    if (to_old - first) * (to_new - first) > MOST_COMPARED:
        yield from _side_by_side(first, to_old, first, to_new)
    else:
        matcher = SequenceMatcher(None, before[first:to_old], after[first:to_new], autojunk=False)
        for _, low_old, high_old, low_new, high_new in matcher.get_opcodes():
            yield from _side_by_side(first + low_old, first + high_old, first + low_new, first + high_new)
    yield from ((to_old + at, to_new + at) for at in range(last))


def _side_by_side(low_old: int, high_old: int, low_new: int, high_new: int) -> Iterator[tuple[int | None, int | None]]:
    for at in range(max(high_old - low_old, high_new - low_new)):
        old, new = low_old + at, low_new + at
        yield (old if old < high_old else None), (new if new < high_new else None)
