"""What the ``counts`` of a ``run-finished`` say: ``created=1 failed=2``.

Until tables had a place for them (version 3), the requests by store stood among the results, as ``store-kzis-prod=12``
for ``k8s-prod``: ``z`` begins an escape (``za`` to ``zj`` are 0 to 9, ``zz`` is ``z``), and a name that is too long for
one entry begins in others before it: ``part-a-long-beginning-=0 store-and-its-end=12``. Such records stay as they are,
so they are still read here; nothing writes them any more.
"""

from __future__ import annotations

from string import digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.audit.record import Draft

_STORE, _PART = "store-", "part-"
_MEANT = {"zz": "z"} | {f"z{letter}": digit for digit, letter in zip(digits, "abcdefghij", strict=True)}


def results_of(counts: str) -> dict[str, int]:
    """``created=1 failed=2`` as a mapping."""
    return {name: number for name, number in _pairs(counts) if not name.startswith((_STORE, _PART))}


def leaves_open(counts: str) -> bool:
    """Whether a run ended with announced writes of which nobody knows yet what became of them."""
    return "uncertain" in counts and results_of(counts).get("uncertain", 0) > 0


def requests_of(draft: Draft) -> dict[str, int]:
    """The requests of a run by store, of all kinds together; empty where it tells of none."""
    found: dict[str, int] = {}
    for store, _, count in draft.requests:
        found[store] = found.get(store, 0) + count
    return found or _told_before(draft.counts)


def _told_before(counts: str) -> dict[str, int]:
    found: dict[str, int] = {}
    begun = ""
    for name, number in _pairs(counts):
        if name.startswith(_PART):
            begun += name.removeprefix(_PART)
        elif name.startswith(_STORE):
            found[_meant(begun + name.removeprefix(_STORE))] = number
            begun = ""
    return found


def _pairs(counts: str) -> Iterator[tuple[str, int]]:
    for pair in counts.split():
        name, _, number = pair.partition("=")
        if number.isdecimal():
            yield name, int(number)


def _meant(escaped: str) -> str:
    found, rest = "", escaped
    while rest:
        length = 2 if rest[0] == "z" else 1
        found += _MEANT.get(rest[:length], rest[:length])
        rest = rest[length:]
    return found
