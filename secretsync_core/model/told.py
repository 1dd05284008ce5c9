"""How a run's requests by store are told in the ledger, beside its results, in one short text.

The ledger's tables let a name there be at most 24 lower-case letters and dashes, so ``k8s-prod=12`` cannot stand in it
as it is. It is told as ``store-kzis-prod=12``: ``z`` begins an escape (``za`` to ``zj`` are 0 to 9, ``zz`` is ``z``). A
name that is too long for one entry begins in others before it: ``part-a-long-beginning-=0 store-and-its-end=12``.
"""

from __future__ import annotations

from string import digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_COUNTS = 400
"""How many characters the ledger takes of a run's counts."""

_STORE, _PART = "store-", "part-"
_PIECE = 24 - len(_STORE)
_ESCAPED = {"z": "zz"} | {digit: "z" + letter for digit, letter in zip(digits, "abcdefghij", strict=True)}
_MEANT = {escape: char for char, escape in _ESCAPED.items()}


def with_requests(results: str, requests: Mapping[str, int]) -> str:
    """``results`` and, sorted by name, the requests by store; of the busiest stores alone where not all fit."""
    room = MAX_COUNTS - len(results)
    chosen: dict[str, str] = {}
    for store, count in sorted(requests.items(), key=lambda pair: (-pair[1], pair[0])):
        entry = _entry(store, count)
        if count and len(entry) < room:  # one more for the space before it
            chosen[store] = entry
            room -= len(entry) + 1
    return " ".join([*results.split(), *(chosen[store] for store in sorted(chosen))])


def results_of(text: str) -> dict[str, int]:
    """``created=1 failed=2`` as a mapping, without the requests."""
    return {name: number for name, number in _pairs(text) if not name.startswith((_STORE, _PART))}


def requests_of(text: str) -> dict[str, int]:
    """The requests by store; empty for a run that told none."""
    found: dict[str, int] = {}
    begun = ""
    for name, number in _pairs(text):
        if name.startswith(_PART):
            begun += name.removeprefix(_PART)
        elif name.startswith(_STORE):
            found[_meant(begun + name.removeprefix(_STORE))] = number
            begun = ""
    return found


def _pairs(text: str) -> Iterator[tuple[str, int]]:
    for pair in text.split():
        name, _, number = pair.partition("=")
        if number.isdecimal():
            yield name, int(number)


def _entry(store: str, count: int) -> str:
    escaped = "".join(_ESCAPED.get(char, char) for char in store)
    *parts, last = (escaped[at : at + _PIECE] for at in range(0, len(escaped), _PIECE))
    return " ".join([*(f"{_PART}{part}=0" for part in parts), f"{_STORE}{last}={count}"])


def _meant(escaped: str) -> str:
    found, rest = "", escaped
    while rest:
        length = 2 if rest[0] == "z" else 1
        found += _MEANT.get(rest[:length], rest[:length])
        rest = rest[length:]
    return found
