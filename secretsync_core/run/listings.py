"""Asks stores for listings, each once, and tells every plan item that draws on one what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from secretsync_core.errors import RateLimited, SecretSyncError, StoreError
from secretsync_core.model.inventory import Entry, Gap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from secretsync_core.run.opening import OpenStores


class Taking(Protocol):
    """An item that takes what a listing says."""

    def offer(self, part: int, entry: Entry, /) -> None:
        """A secret is there."""

    def more_below(self, part: int, /) -> None:
        """The folder that was listed has folders in it, which were not."""

    def gap(self, gap: Gap, /) -> None:
        """A part could not be seen."""

    def fail(self, error: SecretSyncError, /) -> None:
        """There is no answer."""


class Listing(NamedTuple):
    """What a store is asked for."""

    store: str
    prefix: str
    recursive: bool
    metadata: bool
    kind: str = ""
    """The one kind of secrets that is asked for; empty: all."""

    def holds(self, key: str) -> bool:
        """Whether the key of a secret is among what is asked for."""
        return key.startswith(self.prefix) and (self.recursive or "/" not in key[len(self.prefix) :])

    def covers(self, other: Listing) -> bool:
        """Whether the answer to this one holds that to another one."""
        return (
            self.store == other.store
            and self.kind == other.kind  # an answer does not tell the kinds of what it holds
            and self.recursive
            and other.prefix.startswith(self.prefix)
            and (self.metadata or not other.metadata)
        )


class Taker(NamedTuple):
    """An item's query that wants to be told of what a listing says."""

    item: Taking
    part: int


@dataclass(slots=True, eq=False)
class Question:
    """A listing to ask for, who wants to be told, and which other questions its answer answers too."""

    listing: Listing
    takers: list[Taker] = field(default_factory=list)
    inner: list[Question] = field(default_factory=list)
    bounds: Callable[[], bool] | None = None
    """Whether to go on: a question may be given up for its inner ones, where these turn out to be less work."""
    entries: int = 0
    """How many secrets the answer told of, once there is one."""
    useful: int = 0
    """How many of them an inner question is about."""
    failure: SecretSyncError | None = None
    """Why there is no answer."""

    def tell(self, seen: Entry | Gap) -> None:
        """Pass on what the store says."""
        if isinstance(seen, Gap):
            for item, _ in self.takers:
                item.gap(seen)
        else:
            for item, part in self.takers:
                item.offer(part, seen)

    def fail(self, error: SecretSyncError) -> None:
        """Tell that the store did not say."""
        self.failure = error
        for item, _ in self.takers:
            item.fail(error)

    def fail_inner(self, error: SecretSyncError) -> None:
        """Tell the same to those who asked for a part of it."""
        for inner in self.inner:
            inner.fail(error)


async def ask(opened: OpenStores, question: Question) -> None:
    """Ask, and tell everybody. Does not raise: what fails is told.

    What the answer does not surely tell of an inner question is asked by itself, as if there were no outer one; where
    the store did not answer at all, first one of them, and the others only if it has an answer to that.
    """
    answers = _Answers(question.inner)
    try:
        async with opened.in_time(question.listing.store):
            await _listen(opened, question, answers)
    except SecretSyncError as error:
        question.fail(error)
    if isinstance(question.failure, RateLimited):
        question.fail_inner(question.failure)
        return
    others = nested({each.listing: each for each in answers.tell(complete=question.failure is None)})
    if others and question.failure is not None and question.failure.retryable:
        first = others.pop()
        await ask(opened, first)
        if first.failure is not None and first.failure.retryable:
            for other in others:
                other.fail(first.failure)
                other.fail_inner(first.failure)
            return
    await asyncio.gather(*(ask(opened, other) for other in others))


async def _listen(opened: OpenStores, question: Question, answers: _Answers) -> None:
    store, prefix, recursive, metadata, kind = question.listing
    said = opened.listed(store, prefix, recursive=recursive, metadata=metadata, kind=kind)
    async for seen in said:
        question.tell(seen)
        question.useful += answers.take(seen)
        question.entries += 1
        if question.bounds is not None and not question.bounds():
            if isinstance(said, AsyncGenerator):
                await said.aclose()
            raise StoreError("to ask it for this is more work than to ask it for the parts", store=store)
    folders = opened.get(store).folders
    if not recursive and folders is not None and await folders.shows_folders(prefix):
        for item, part in question.takers:
            item.more_below(part)


class _Answers:
    """What the answer to one question says of its inner ones, held back until it is known to be whole."""

    def __init__(self, inner: Iterable[Question]) -> None:
        self._inner = {question: list[Entry]() for question in inner}
        self._by_prefix: dict[str, list[Question]] = {}
        for question in self._inner:
            self._by_prefix.setdefault(question.listing.prefix, []).append(question)
        self._gaps: list[Gap] = []

    def take(self, seen: Entry | Gap) -> bool:
        """Take what the store says; whether a question is about it."""
        if isinstance(seen, Gap):
            self._gaps.append(seen)
            return False
        wanted = False
        for prefix in _folders(seen.key) if self._inner else ():
            for question in self._by_prefix.get(prefix, ()):
                if question.listing.holds(seen.key):
                    self._inner[question].append(seen)
                    wanted = True
        return wanted

    def tell(self, *, complete: bool) -> list[Question]:
        """Answer the questions whose answer is whole; gives the others."""
        others = []
        for question, entries in self._inner.items():
            if not complete or any(_touch(gap.prefix, question.listing.prefix) for gap in self._gaps):
                others.append(question)
                continue
            try:
                for entry in entries:
                    question.tell(entry)
            except SecretSyncError as error:  # the others have to be told too
                question.fail(error)
            question.entries = len(entries)
        return others


def _folders(key: str) -> Iterator[str]:
    """Every folder that a key is in, from the top: ``""``, ``a/``, ``a/b/``."""
    yield ""
    at = key.find("/")
    while at >= 0:
        yield key[: at + 1]
        at = key.find("/", at + 1)


def _touch(gap: str, prefix: str) -> bool:
    """Whether what a gap hides may be below a prefix."""
    folder = gap if not gap or gap.endswith("/") else f"{gap}/"
    return gap.startswith(prefix) or prefix.startswith(folder)


def nested(questions: Mapping[Listing, Question]) -> list[Question]:
    """The questions that are to be asked, with those as inner ones that others answer too."""
    outer = []
    for listing, question in questions.items():
        wider = _wider(listing, questions)
        if wider is None:
            outer.append(question)
        else:
            wider.inner.append(question)
    return outer


def _wider(listing: Listing, questions: Mapping[Listing, Question]) -> Question | None:
    """The question about the most, of those whose answers hold that to ``listing``."""
    for prefix in _folders(listing.prefix):
        for metadata in (True, False):
            other = Listing(listing.store, prefix, True, metadata, listing.kind)
            if other != listing and other in questions and other.covers(listing):
                return questions[other]
    return None
