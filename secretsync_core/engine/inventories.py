"""What the sources hold and what the destinations hold: keys and versions, asked for as sparingly as stores allow."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.engine.gate import unexpected
from secretsync_core.engine.listings import Listing, Question, Taker, ask
from secretsync_core.engine.opening import job_error
from secretsync_core.errors import SecretSyncError
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.plan.keys import folder
from secretsync_core.plan.targets import ItemTargets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from secretsync_core.engine.opening import OpenStores
    from secretsync_core.model.report import ItemError
    from secretsync_core.model.state import KeyState
    from secretsync_core.plan.items import Item, JobPlan


@dataclass(slots=True)
class SourceView:
    """What the sources said, item by item, and what they could not say."""

    items: list[ItemTargets]
    errors: list[ItemError] = field(default_factory=list)

    @classmethod
    def of(cls, plan: JobPlan) -> SourceView:
        """The view of a plan's items before anything was asked."""
        return cls([ItemTargets(item) for item in plan.items])

    def fail(self, item: ItemTargets, error: SecretSyncError) -> None:
        """Note that an item was not seen whole; absence of its secrets proves nothing now."""
        item.incomplete = True
        self.errors.append(job_error(error)._replace(item=item.item.name))


@dataclass(slots=True)
class DestView:
    """What one destination holds of the keys that matter; ``hidden`` keys could not be looked at.

    Most stand as we left them. Of those only the key is kept: their versions are in the ledger's state.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    as_left: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)

    def entry(self, key: str, held: KeyState | None) -> Entry | None:
        """What stands at a key, of which the ledger knows ``held``; None where it is absent."""
        if held is not None and key in self.as_left:
            return Entry(key, held.dest_version)
        return self.entries.get(key)


async def view_sources(plan: JobPlan, opened: OpenStores) -> SourceView:
    """Ask every source, all at once: each listing once, however many items draw on it, and single keys together."""
    view = SourceView.of(plan)
    await fill([view], opened)
    return view


async def fill(
    views: Sequence[SourceView],
    opened: OpenStores,
    arrange: Callable[[Mapping[Listing, Question]], Iterable[Question]] = lambda questions: questions.values(),
) -> None:
    """Ask the sources of several plans at once, and put what they say into the plans' views.

    ``arrange`` gives the questions to ask for all these listings: they may be fewer, where one answers others too.
    """
    questions: dict[Listing, Question] = {}
    lookups: dict[str, list[_Lookup]] = defaultdict(list)
    for view in views:
        for collected in view.items:
            for index, part in enumerate(collected.item.parts):
                if part.query is not None:
                    query = part.query
                    listing = Listing(part.store, folder(query.path), query.recursive, bool(query.metadata))
                    question = questions.setdefault(listing, Question(listing))
                    question.takers.append(Taker(view, collected, index))
                elif part.secret is not None:
                    lookups[part.store].append(_Lookup(view, collected, index, part.secret.key))
    async with asyncio.TaskGroup() as group:
        for question in arrange(questions):
            group.create_task(ask(opened, question))
        for store, wanted in lookups.items():
            group.create_task(_look_up(opened, store, wanted))


class _Lookup(NamedTuple):
    """An item's single key that is to be looked up."""

    view: SourceView
    item: ItemTargets
    part: int
    key: str


async def _look_up(opened: OpenStores, store: str, wanted: Sequence[_Lookup]) -> None:
    try:
        seen = await look(opened, store, {each.key for each in wanted})
    except SecretSyncError as error:
        for each in wanted:
            each.view.fail(each.item, error)
        return
    for each in wanted:
        # A key whose metadata is hidden may be readable all the same: the read will tell.
        each.item.resolve(each.part, Entry(each.key) if each.key in seen.hidden else seen.entries.get(each.key))


async def look(
    opened: OpenStores, store: str, keys: Collection[str], known: Mapping[str, KeyState] | None = None
) -> DestView:
    """Look at keys of one store, without reading any value; ``known`` is what the ledger holds of them."""
    known = known or {}
    view = DestView()
    if not keys:
        return view
    try:
        async with opened.in_time(store):
            async for seen in opened.reader(store).stat(keys):
                if isinstance(seen, Gap):
                    view.hidden.update(key for key in keys if key == seen.prefix or key.startswith(_below(seen.prefix)))
                elif (
                    seen.version is not None
                    and not seen.deleted
                    and (held := known.get(seen.key)) is not None
                    and held.dest_version == seen.version
                ):
                    view.as_left.add(seen.key)
                else:
                    view.entries[seen.key] = seen
    except Exception as error:  # noqa: BLE001  a third party's store may raise anything
        failure = unexpected(error, store)
    else:
        return view
    raise failure


def _below(prefix: str) -> str:
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def zero_matches(item: Item, matched: Sequence[int]) -> list[str]:
    """A warning for each query of an item that selected nothing."""
    return [
        f"item {item.name}: the query for {folder(part.query.path) or 'all keys'} in {part.store} matches nothing"
        for part, count in zip(item.parts, matched, strict=True)
        if part.query is not None and not count
    ]
