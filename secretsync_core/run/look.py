"""Phase 2: what the stores hold, keys and versions, asked for as sparingly as the stores allow."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import (
    AccessDenied,
    AnswerTooLarge,
    MalformedAnswer,
    SecretFails,
    SecretNotFound,
    SecretSyncError,
    StoreError,
)
from secretsync_core.model.change import Reason
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.plan import SourceRef
from secretsync_core.run.deletes import takes_away
from secretsync_core.run.gaps import told_of_gaps
from secretsync_core.run.listings import Listing, Question, Taker, ask
from secretsync_core.run.metadata import carried, everything_on
from secretsync_core.run.opening import job_error
from secretsync_core.run.origins import Sources, read_sources
from secretsync_core.run.seen import DestSeen, SourceSeen, Whereabouts
from secretsync_core.run.targets import pinned_version
from secretsync_core.schema.keys import QueryMatcher, folder
from secretsync_core.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.report import ItemError
    from secretsync_core.model.state import Deleted, KeyState
    from secretsync_core.run.items import Item, JobPlan, Part
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder
    from secretsync_core.run.seen import Fields
    from secretsync_core.schema.job import QuerySelector
    from secretsync_core.selection import Rule


class Taking:
    """Takes what the sources say of one item, as they say it."""

    def __init__(self, item: Item, *, metadata: bool = False) -> None:
        """``metadata``: also what the item copies beside the values."""
        self.item = item
        self._carries = metadata
        self.errors: list[ItemError] = []
        self._gaps: list[Gap] = []
        self._nameless: list[Gap] = []
        self._missing: list[SourceRef] = []
        self._matched = [0] * len(item.parts)
        self._matchers = [QueryMatcher(part.query) if part.query is not None else None for part in item.parts]
        self._prefixes = [len(folder(part.query.path)) if part.query is not None else 0 for part in item.parts]
        self._below: set[int] = set()
        self._refs: list[SourceRef] = []  # of an item that combines
        self._keys: list[str] = []  # of any other
        self._versions: list[str | None] = []
        self._metadata: dict[str, Described] = {}

    def offer(self, index: int, entry: Entry) -> None:
        """Take a listed secret into part ``index`` if its query selects it."""
        matcher = self._matchers[index]
        if matcher is not None and matcher.takes(entry):
            self._take(self.item.parts[index], entry.key, entry.version, self._prefixes[index])
            self._note(entry)
            self._matched[index] += 1

    def resolve(self, index: int, entry: Entry | None) -> None:
        """Take the secret of part ``index``: what a look at it gave, None where it is absent."""
        part = self.item.parts[index]
        assert part.secret is not None  # noqa: S101  callers resolve secret parts only
        if entry is None or (entry.deleted and part.secret.version is None):
            self._missing.append(SourceRef(part.store, part.secret.key, part.name))
            return
        self._matched[index] += 1
        self._take(part, part.secret.key, pinned_version(part, entry.version), None)
        self._note(entry)

    def fail(self, error: SecretSyncError) -> None:
        """Note that a part of it was not seen."""
        self.errors.append(job_error(error)._replace(item=self.item.name))

    def rule(self, index: int) -> Rule:
        """What the query of part ``index`` says of names."""
        matcher = self._matchers[index]
        assert matcher is not None  # noqa: S101  only queries ask for listings
        return matcher.rule

    def more_below(self, index: int) -> None:
        """Note that the folder of part ``index`` has folders, which its query does not search."""
        self._below.add(index)

    def gap(self, index: int, gap: Gap) -> None:
        """Note that a listing has a hole, where something that part ``index`` selects may be in it."""
        if not Selection([self.rule(index)]).concerns(gap):
            return
        if gap.is_nameless and not (self.item.combined or self.item.split):
            self._nameless.append(gap)
        else:
            self._gaps.append(gap)

    def _take(self, part: Part, key: str, version: str | None, prefix: int | None) -> None:
        # Mostly the very version that the ledger holds of it: kept once, not twice.
        self._versions.append(None if version is None else intern(version))
        if self.item.combined:
            relative = key[prefix:] if prefix is not None else ""
            self._refs.append(SourceRef(part.store, key, part.name, relative))
        else:
            self._keys.append(key)

    def _note(self, entry: Entry) -> None:
        if not (self.item.carries and self._carries):
            return
        if entry.metadata is None:
            self._gaps.append(Gap(entry.key, AccessDenied.code, f"the metadata of {entry.key} may not be looked at"))
        elif found := carried(entry, self.item):
            self._metadata[entry.key] = found

    def seen(self) -> SourceSeen:
        """All that was said."""
        refs: list[SourceRef] | list[str] = self._refs if self.item.combined else self._keys
        errors = [*self.errors, *told_of_gaps(self.item.name, self._gaps)]
        return SourceSeen(
            self.item, refs, self._versions, self._missing, self._matched, errors,
            below=self._below, nameless=self._nameless, metadata=self._metadata,
        )  # fmt: skip


def listing_of(store: str, query: QuerySelector, *, described: bool = False) -> Listing:
    """What a query asks a store for. All that choose folders at one place are one question, and one walk.

    ``described``: metadata is wanted also where the query does not select by it.
    """
    rule, kind = QueryMatcher(query).rule, query.type or ""
    described = described or bool(query.metadata)
    if rule.is_selective:
        pattern = rule.pattern
        return Listing(store, pattern.folder, pattern.recursive, described, kind, selective=True)
    return Listing(store, folder(query.path), query.recursive, described, kind)


async def look_at_sources(plan: JobPlan, opened: OpenStores) -> list[SourceSeen]:
    """Ask every source, all at once: each listing once, however many items draw on it, and single keys together."""
    taking = [Taking(item, metadata=True) for item in plan.items]
    await fill(taking, opened, metadata=True)
    return [one.seen() for one in taking]


async def fill(
    taking: Iterable[Taking],
    opened: OpenStores,
    arrange: Callable[[Mapping[Listing, Question]], Iterable[Question]] = lambda questions: questions.values(),
    *,
    metadata: bool = False,
) -> None:
    """Ask the sources of items, which may be of several plans, and tell each item what they say.

    With ``metadata``, also for what items copy beside the values.

    ``arrange`` gives the questions to ask for all these listings: they may be fewer, where one answers others too.
    """
    questions: dict[Listing, Question] = {}
    lookups: dict[str, list[_Lookup]] = defaultdict(list)
    for one in taking:
        for index, part in enumerate(one.item.parts):
            if part.query is not None:
                query = part.query
                listing = listing_of(part.store, query, described=metadata and one.item.carries)
                question = questions.setdefault(listing, Question(listing))
                question.takers.append(Taker(one, index))
            elif part.secret is not None:
                lookups[part.store].append(_Lookup(one, index, part.secret.key))
    async with asyncio.TaskGroup() as group:
        for question in arrange(questions):
            group.create_task(ask(opened, question))
        for store, wanted in lookups.items():
            group.create_task(_look_up(opened, store, wanted, metadata=metadata))


class _Lookup(NamedTuple):
    """An item's single key that is to be looked up."""

    taking: Taking
    part: int
    key: str


async def _look_up(opened: OpenStores, store: str, wanted: Sequence[_Lookup], *, metadata: bool) -> None:
    described = metadata and any(each.taking.item.carries for each in wanted)
    try:
        seen = await look_at_keys(opened, store, {each.key for each in wanted}, describe=described)
    except SecretSyncError as error:
        for each in wanted:
            each.taking.fail(error)
        return
    for each in wanted:
        # A key whose metadata is hidden may be readable all the same: the read will tell.
        each.taking.resolve(each.part, Entry(each.key) if each.key in seen.hidden else seen.entries.get(each.key))


async def look_at_key(opened: OpenStores, store: str, key: str) -> Entry | None:
    """What stands at one key now; None where it is absent.

    Raises AccessDenied where that may not be seen, and StoreError where it cannot be.
    """
    seen = await look_at_keys(opened, store, [key])
    if (gap := seen.hidden.get(key)) is not None:
        if not gap.is_fault:
            raise AccessDenied(f"{store}:{key} may not be looked at", store=store, key=key)
        kind = next((each for each in _FAULTS if each.code == gap.code), StoreError)
        raise kind(gap.message, store=store, key=key)
    return seen.entries.get(key)


_FAULTS = (SecretFails, MalformedAnswer, AnswerTooLarge)


async def look_at_keys(
    opened: OpenStores,
    store: str,
    keys: Collection[str],
    known: Mapping[str, KeyState] | None = None,
    *,
    describe: bool = False,
) -> DestSeen:
    """Look at keys of one store, without reading any value; ``known`` is what the ledger holds of them.

    ``describe``: also at what stands beside the values.
    """
    known = known or {}
    entries: dict[str, Entry] = {}
    as_left: set[str] = set()
    hidden: dict[str, Gap] = {}
    metadata: dict[str, Described] = {}
    halves = opened.get(store)
    describer = halves.describer if describe else None
    if keys:
        async with opened.in_time(store):
            found = describer.describe(keys) if describer is not None else opened.looker(store).stat(keys)
            async for seen in found:
                if describer is not None and isinstance(seen, Entry):
                    beside = everything_on(seen, halves.facts)
                    metadata |= {} if beside is None else {seen.key: beside}
                if isinstance(seen, Gap):
                    hidden.update(dict.fromkeys(_hidden_by(seen, keys), seen))
                elif (
                    seen.version is not None
                    and not seen.deleted
                    and (held := known.get(seen.key)) is not None
                    and held.dest_version == seen.version
                ):
                    as_left.add(seen.key)
                else:
                    entries[seen.key] = seen
    return DestSeen(entries, as_left, hidden, metadata)


async def look_at_destination(
    opened: OpenStores,
    dest: str,
    keys: Collection[str],
    known: Mapping[str, KeyState] | None = None,
    *,
    describe: bool = False,
) -> DestSeen | SecretSyncError:
    """The same, giving an error instead of raising it; nothing is seen where we may only write."""
    if not opened.looks(dest):
        return DestSeen()
    try:
        return await look_at_keys(opened, dest, keys, known, describe=describe)
    except SecretSyncError as error:
        return error


def _hidden_by(gap: Gap, keys: Iterable[str]) -> Iterator[str]:
    """Those of some keys that a gap hides."""
    if gap.is_key:
        return (key for key in keys if key == gap.prefix)
    below = gap.prefix if not gap.prefix or gap.prefix.endswith("/") else f"{gap.prefix}/"
    return (key for key in keys if key == gap.prefix or key.startswith(below))


# -- Before a delete --------------------------------------------------------------------------------------------------
#
# A listing that does not show a key proves nothing: a policy may filter listings, a proxy may cut them, a server may be
# behind. Only a source that is asked for a secret and says that there is no such secret proves that it is gone. It
# costs one look for each secret that would be deleted.

_GONE, _NOT_SELECTED = Whereabouts(Reason.SOURCE_GONE), Whereabouts(Reason.NOT_SELECTED)


async def find_whereabouts(
    plan: JobPlan, sources: Sequence[SourceSeen], opened: OpenStores, recorder: Recorder, fields: Mapping[str, Fields],
    deletes: Iterable[Change], gone: Mapping[str, Mapping[str, Deleted]],
) -> dict[tuple[str, str], Whereabouts]:  # fmt: skip
    """What became of the sources of what would be deleted, by destination and key, of items that are in the document.

    ``fields`` are those of the secrets that an item splits, by item; ``gone`` is what the ledger knows of keys that
    were deleted before.
    """
    items = {one.item.name: one for one in sources}
    wanted: dict[str, dict[str, SourceSeen]] = defaultdict(dict)
    for change in deletes:
        if takes_away(change) and change.item in items:
            wanted[change.dest][change.key] = items[change.item]
    search = _Search(opened, fields)
    found: dict[tuple[str, str], Whereabouts] = {}

    async def worker(rows: Iterable[tuple[str, str, SourceSeen, str]]) -> None:
        for dest, key, seen, origin in rows:
            item = seen.item
            made_of = read_sources(origin, combined=item.combined, split=item.split)
            found[dest, key] = await search.find(seen, made_of)

    for dest, keys in wanted.items():
        origins = await recorder.origins_of(dest, keys.keys())
        texts = {key: told.source_key for key, told in gone.get(dest, {}).items()}
        texts |= {key: origin.source_key for key, origin in origins.items()}
        rows = iter([(dest, key, seen, texts.get(key, "")) for key, seen in keys.items()])
        async with asyncio.TaskGroup() as group:
            for _ in range(min(len(keys), plan.spec.limits.concurrency)):
                group.create_task(worker(rows))
    return found


class _Search:
    """Looks for source keys, each once."""

    def __init__(self, opened: OpenStores, fields: Mapping[str, Fields]) -> None:
        self._opened = opened
        self._fields = fields
        self._looks: dict[tuple[str, str], asyncio.Task[SecretSyncError | None]] = {}
        self._taken: dict[str, frozenset[str]] = {}

    async def find(self, seen: SourceSeen, made_of: Sources | None) -> Whereabouts:
        item = seen.item
        if made_of is None:
            return Whereabouts(
                Reason.CANNOT_SEE,
                SecretSyncError(
                    "the ledger does not say what it was made of, so there is no telling whether that is gone",
                    hint="delete it by hand if nobody needs it",
                ),
            )
        if item.name not in self._taken:
            self._taken[item.name] = frozenset(key for key, _ in seen.sources())
        verdict = _GONE
        for key in made_of.keys:
            if key in self._taken[item.name]:
                # It is there, and is called otherwise now, or has lost the field.
                names = self._fields.get(item.name, {}).get(key)
                if made_of.field is None or (isinstance(names, tuple) and made_of.field in names):
                    verdict = _NOT_SELECTED
                continue
            found = await self._find_key(item, key)
            if found.reason is Reason.CANNOT_SEE:
                return found
            if found.reason is Reason.NOT_SELECTED:
                verdict = found
        return verdict

    async def _find_key(self, item: Item, key: str) -> Whereabouts:
        store = item.parts[0].store  # all parts of an item draw on one store
        error = await self._look(store, key)
        if isinstance(error, SecretNotFound):
            return _GONE
        if error is not None:
            return Whereabouts(Reason.CANNOT_SEE, error)
        try:
            selected = [part for part in item.parts if await self._selects(part, key)]
        except SecretSyncError as caught:
            return Whereabouts(Reason.CANNOT_SEE, caught)
        if not selected:
            return _NOT_SELECTED
        return Whereabouts(
            Reason.CANNOT_SEE,
            SecretSyncError(
                f"{store} has the secret {key} but did not list it",
                hint="check what the token may list there; until then nothing of this item is deleted",
            ),
        )

    async def _look(self, store: str, key: str) -> SecretSyncError | None:
        """None where the store has such a secret, SecretNotFound where it says that it has none."""
        if (store, key) not in self._looks:
            self._looks[store, key] = asyncio.ensure_future(self._read(store, key))
        return await self._looks[store, key]

    async def _read(self, store: str, key: str) -> SecretSyncError | None:
        try:
            # Read, and not only looked at in the metadata: that is where a store says for sure that it has none.
            await self._opened.reader(store).read(key)
        except SecretSyncError as error:
            return error
        return None

    async def _selects(self, part: Part, key: str) -> bool:
        """Whether a part of an item asks for a secret that is there."""
        if part.query is None:
            return part.secret is not None and part.secret.key == key
        matcher = QueryMatcher(part.query)
        if not matcher.reaches(key):
            return False
        kind = part.query.type or ""
        if not part.query.metadata and not kind:
            return True
        entry = await self._listed(part.store, key, kind)
        if entry is not None:
            return matcher.takes(entry)
        # Not shown there either; but shown among all, it is of another kind.
        return not kind or await self._listed(part.store, key, "") is None

    async def _listed(self, store: str, key: str, kind: str) -> Entry | None:
        """What a listing of its folder shows of a key."""
        above = key[: key.rfind("/") + 1]
        async for entry in self._opened.listed(store, above, recursive=False, metadata=True, kind=kind):
            if isinstance(entry, Entry) and entry.key == key:
                return entry
        return None
