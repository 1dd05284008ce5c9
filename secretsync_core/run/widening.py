"""Asks for one folder in the place of many below it, as long as that is less work for the store.

A store may answer for a whole tree at once, or only key by key; its folders may be most of what it holds, or a small
part of it; and we may not be allowed to list what is above them. None of this is known before it was tried once, so
it is tried, given up before it costs much, and remembered.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from secretsync_core.run.listings import Listing, Question, nested

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from secretsync_core.run.opening import OpenStores

_MANY = 8
"""From so many listings of one store on, the folder that holds them all is asked for in their place."""

_WASTE, _SPARE = 4, 1000
"""That folder may hold so many times as many secrets as the listings are about, and so many more."""

_SPARE_REQUESTS = 100
"""It may take so many requests more than there are listings before it is given up."""

_APART_SECONDS = 86400.0
"""How long the listings are asked for one by one after their folder was no good."""


class Widening:
    """What is known of stores from one time to the next."""

    def __init__(self) -> None:
        self._apart_until: dict[tuple[str, str], float] = {}  # by store and folder

    def arrange(self, questions: Mapping[Listing, Question], opened: OpenStores) -> list[Question]:
        """The questions to ask so that all of these are answered, the fewest that seem good."""
        by_store: dict[tuple[str, str], list[Question]] = {}
        for question in nested(questions):
            by_store.setdefault((question.listing.store, question.listing.kind), []).append(question)
        arranged: list[Question] = []
        for (store, kind), members in by_store.items():
            folder = common_folder(question.listing.prefix for question in members)
            if len(members) < _MANY or time.monotonic() < self._apart_until.get((store, folder), 0.0):
                arranged += members
            else:
                arranged.append(_widened(store, folder, kind, members, opened))
        return arranged

    def learn(self, asked: Iterable[Question]) -> None:
        """Remember which of these questions were more work for the store than those in whose place they stood."""
        for question in asked:
            if question.bounds is None:
                continue
            failed = question.failure is not None and any(each.failure is None for each in question.inner)
            if failed or question.entries > _WASTE * question.useful + _SPARE:
                place = question.listing.store, question.listing.prefix
                self._apart_until[place] = time.monotonic() + _APART_SECONDS


def _widened(store: str, folder: str, kind: str, members: list[Question], opened: OpenStores) -> Question:
    every = [each for question in members for each in (question, *question.inner)]
    for question in members:
        question.inner = []
    metadata = any(each.listing.metadata for each in every)
    requests = opened.gates[store].requests
    most = sum(requests.values()) + len(members) + _SPARE_REQUESTS
    return Question(
        Listing(store, folder, recursive=True, metadata=metadata, kind=kind),
        inner=every,
        bounds=lambda: sum(requests.values()) <= most,
    )


def common_folder(prefixes: Iterable[str]) -> str:
    """The deepest folder that holds all of these folders."""
    known = sorted(prefixes)
    low, high = known[0], known[-1]
    length = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[: low.rfind("/", 0, length) + 1]
