"""Opening the stores of a job, each behind its own gate, and giving them back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from secretsync_core.endurance import GOODBYE_SECONDS, STOP_SECONDS
from secretsync_core.errors import SecretSyncError, StoreError
from secretsync_core.model.report import ItemError
from secretsync_core.policy.flows import Flows, rules_of
from secretsync_core.policy.reading import read_policies
from secretsync_core.run.gate import Gate
from secretsync_core.stores.base import (
    AccessChecker,
    ConditionalDeleter,
    ConditionalWriter,
    Creator,
    DeleteForeseer,
    Deleter,
    Describer,
    Foreseer,
    Lister,
    Looker,
    Marker,
    MetadataWriter,
    Positioned,
    Reader,
    Recreator,
    SelectiveLister,
    ShowsFolders,
    StoreContext,
    Sweeper,
    ToldOfLeftovers,
    Undeleter,
    Writer,
    abilities_of,
)
from secretsync_core.stores.registry import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from secretsync_core.model.capabilities import Ability, StoreFacts
    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.model.position import Position
    from secretsync_core.run.gate import RetryPolicy
    from secretsync_core.run.items import JobPlan
    from secretsync_core.schema.documents import Documents
    from secretsync_core.schema.job import Limits
    from secretsync_core.stores.base import KindLister, Store


def job_error(error: SecretSyncError) -> ItemError:
    """A store's error as something that happened to the job as a whole."""
    store = error.store if isinstance(error, StoreError) else ""
    message = error.message if store in error.message else f"{store}: {error.message}"
    return ItemError("", error.code, message, error.hint, error.exit_code)


class Halves:
    """An open store by what it can do; ``None`` where it cannot, or where its permissions do not let us.

    Found out once: asking a protocol whether an object implements it is too slow to do for every secret.
    """

    __slots__ = (
        "checker",
        "conditional",
        "conditional_deleter",
        "creator",
        "delete_foreseer",
        "deleter",
        "describer",
        "facts",
        "folders",
        "foreseer",
        "leavings",
        "lister",
        "looker",
        "marker",
        "metadata_writer",
        "positioned",
        "reader",
        "recreator",
        "selecting",
        "store",
        "sweeper",
        "undeleter",
        "writer",
    )

    def __init__(self, store: Store) -> None:
        self.store = store
        self.facts = store.facts
        self.reader = store if isinstance(store, Reader) else None
        self.looker = store if isinstance(store, Looker) else None
        self.lister = store if isinstance(store, Lister) else None
        self.selecting = store if isinstance(store, SelectiveLister) else None
        self.writer = store if isinstance(store, Writer) else None
        self.conditional = store if isinstance(store, ConditionalWriter) else None
        self.recreator = store if isinstance(store, Recreator) else None
        self.creator = store if isinstance(store, Creator) else None
        self.deleter = store if isinstance(store, Deleter) else None
        self.conditional_deleter = store if isinstance(store, ConditionalDeleter) else None
        self.delete_foreseer = store if isinstance(store, DeleteForeseer) else None
        self.marker = store if isinstance(store, Marker) else None
        self.undeleter = store if isinstance(store, Undeleter) else None
        self.describer = store if isinstance(store, Describer) else None
        self.metadata_writer = store if isinstance(store, MetadataWriter) else None
        self.checker = store if isinstance(store, AccessChecker) else None
        self.foreseer = store if isinstance(store, Foreseer) else None
        self.folders = store if isinstance(store, ShowsFolders) else None
        self.positioned = store if isinstance(store, Positioned) else None
        self.leavings = store if isinstance(store, ToldOfLeftovers) else None
        self.sweeper = store if isinstance(store, Sweeper) else None


@dataclass(slots=True)
class OpenStores:
    """The stores of one run: those that are open, and the errors of those that would not open.

    ``mark`` is the job's own: what it created carries it, where the store can carry one. ``former_marks`` are those
    that it had before the ledger's key was changed. ``aside`` are open stores that nothing is done with. ``looked``
    names the destinations that answered, so that they may be bound to their places. ``reached`` is how far the servers
    had got, by the text of a place, when the run began; ``distrusted`` are older. ``flows`` says what may not go where.
    ``notes`` are what people are to be told of stores.
    """

    stores: dict[str, Halves] = field(default_factory=dict)
    failed: dict[str, SecretSyncError] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    aside: list[Store] = field(default_factory=list)
    looked: set[str] = field(default_factory=set)
    reached: dict[str, Position] = field(default_factory=dict)
    distrusted: set[str] = field(default_factory=set)
    mark: str = ""
    former_marks: tuple[str, ...] = ()
    flows: Flows = field(default_factory=Flows)
    notes: list[str] = field(default_factory=list)

    def set_aside(self, name: str, why: SecretSyncError) -> None:
        """Count a store that is open as one that would not open: nothing is done with it any more."""
        self.failed[name] = why
        if (halves := self.stores.pop(name, None)) is not None:
            self.aside.append(halves.store)

    def get(self, name: str) -> Halves:
        """An open store. Raises what kept it from opening."""
        if name in self.failed:
            raise self.failed[name]
        return self.stores[name]

    def reader(self, name: str) -> Reader:
        """The reading half of an open store."""
        reader = self.get(name).reader
        if reader is None:
            raise StoreError(f"store {name} may not be read", store=name)
        return reader

    def looker(self, name: str) -> Looker:
        """The half of an open store that shows versions."""
        looker = self.get(name).looker
        if looker is None:
            raise StoreError(f"store {name} may not be looked at", store=name)
        return looker

    def lister(self, name: str) -> Lister:
        """The listing half of an open store."""
        lister = self.get(name).lister
        if lister is None:
            raise StoreError(f"store {name} may not be listed", store=name)
        return lister

    def listed(
        self, name: str, prefix: str, *, recursive: bool, metadata: bool, kind: str
    ) -> AsyncIterator[Entry | Gap]:
        """What an open store lists, of one ``kind`` or (empty) of all: see :class:`KindLister`."""
        lister = self.lister(name)
        if not kind:
            return lister.list(prefix, recursive=recursive, metadata=metadata)
        return cast("KindLister", lister).list(prefix, recursive=recursive, metadata=metadata, kind=kind)

    def in_time(self, name: str) -> AbstractAsyncContextManager[None]:
        """Raise StoreUnavailable where the block takes longer than the store's requests may take in all."""
        return self.gates[name].in_time() if name in self.gates else nullcontext()

    def readable(self, name: str) -> bool:
        """Whether an open store may be read."""
        return self.stores[name].reader is not None

    def looks(self, name: str) -> bool:
        """Whether an open store shows what there is, with its values or without."""
        return self.stores[name].looker is not None

    @property
    def facts(self) -> dict[str, StoreFacts]:
        """The facts of every open store."""
        return {name: halves.facts for name, halves in self.stores.items()}

    @property
    def describing(self) -> dict[str, StoreFacts]:
        """The facts of those that tell and set what stands beside their secrets."""
        return {
            name: halves.facts
            for name, halves in self.stores.items()
            if halves.describer is not None and halves.metadata_writer is not None
        }

    @property
    def abilities(self) -> dict[str, frozenset[Ability]]:
        """The abilities of every open store, as its permissions leave them."""
        return {name: abilities_of(halves.store) for name, halves in self.stores.items()}

    def losses(self, told: Iterable[ItemError]) -> list[ItemError]:
        """The stores that were lost on the way, as errors of the job as a whole, unless ``told`` says the same."""
        said = {error.message for error in told}
        return [
            job_error(gate.lost)
            for gate in self.gates.values()
            if gate.lost is not None and not (gate.refused is not None and job_error(gate.refused).message in said)
        ]

    @property
    def requests(self) -> dict[str, dict[str, int]]:
        """Requests so far, by store and kind."""
        return {name: dict(gate.requests) for name, gate in self.gates.items() if gate.requests}


@asynccontextmanager
async def open_stores(
    plan: JobPlan,
    documents: Documents,
    *,
    environ: Mapping[str, str],
    retry: RetryPolicy | None,
    stop: asyncio.Event | None = None,
    sources: bool = True,
    dests: bool = True,
    also: Iterable[str] = (),
    marks: tuple[str, ...] = (),
) -> AsyncIterator[OpenStores]:
    """Open every store that the plan needs, all at once, or only those it reads from or those it writes to.

    ``also`` are others. A store that does not open is in ``failed``: what does not need it goes on. ``marks`` are the
    job's own: the first is put on what destinations create, as far as the document wants it, and the former ones are
    known.
    """
    names = [*(plan.sources if sources else ()), *(plan.spec.dest if dests else ()), *also]
    limits = plan.spec.limits
    mark, former = (marks[0], marks[1:]) if marks else ("", ())
    wanted = plan.spec.ownership.mark
    async with open_named(
        names, limits, documents, environ=environ, retry=retry, stop=stop,
        mark=mark if wanted is not False else "", mark_at_a_cost=wanted is True,
    ) as opened:  # fmt: skip
        opened.mark, opened.former_marks = mark, former
        yield opened


@asynccontextmanager
async def open_named(
    names: Iterable[str],
    limits: Limits,
    documents: Documents,
    *,
    environ: Mapping[str, str],
    retry: RetryPolicy | None,
    stop: asyncio.Event | None = None,
    mark: str = "",
    mark_at_a_cost: bool = False,
) -> AsyncIterator[OpenStores]:
    """As :func:`open_stores`, of the stores with these names."""
    opened = OpenStores(flows=Flows(rules_of(read_policies(environ).found), documents.stores))

    for name in dict.fromkeys(names):
        opened.gates[name] = Gate(
            name,
            concurrency=limits.concurrency,
            rate=limits.rate,
            policy=retry,
            stop=stop,
            endurance=documents.stores[name].endurance,
        )

    async def open_one(name: str, gate: Gate) -> None:
        try:
            context = StoreContext(
                name, gate, environ, limits.concurrency, mark, mark_at_a_cost, documents.state, notes=opened.notes
            )
            async with gate.in_time():
                halves = Halves(await open_store(documents.stores[name], context))
        except SecretSyncError as error:
            opened.failed[name] = error
            return
        opened.stores[name] = halves
        if halves.lister is not None:
            gate.ask = partial(_list_something, halves.lister)

    async def close_one(store: Store) -> None:
        # What was done stays done, and must be told, even if saying goodbye fails.
        with suppress(Exception):
            async with asyncio.timeout(GOODBYE_SECONDS if retry and retry.time_limit else None):
                await store.aclose()

    watching = None if stop is None else asyncio.create_task(_cut_when_stopped(stop, opened.gates))
    try:
        await asyncio.gather(*(open_one(name, gate) for name, gate in opened.gates.items()))
        yield opened
    finally:
        # At once: one after the other, many that hang would take their limit each.
        stores = [*(halves.store for halves in opened.stores.values()), *opened.aside]
        await asyncio.gather(*map(close_one, stores))
        if watching is not None:
            watching.cancel()


async def _list_something(lister: Lister) -> None:
    """Make the first request of a listing. A store that answers it is there, whatever it answers."""
    found = lister.list("", recursive=False, metadata=False)
    try:
        await anext(found, None)
    finally:
        if isinstance(found, AsyncGenerator):
            await found.aclose()  # or its answer would be read on


async def _cut_when_stopped(stop: asyncio.Event, gates: Mapping[str, Gate]) -> None:
    """Let no request hold a run for long that was asked to stop: each then ends as one that got no answer."""
    await stop.wait()
    for gate in gates.values():
        gate.cut_off(STOP_SECONDS)
