"""What a look at the stores gave: keys and versions, frozen once seen, and no value."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.expression.glob import is_glob, parts_of
from secretsync_core.model.access import Access, Act
from secretsync_core.model.change import Action, Drift, Failure, Reason
from secretsync_core.model.inventory import Entry
from secretsync_core.schema.keys import folder
from secretsync_core.selection import names_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from secretsync_core.errors import SecretSyncError
    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.change import Change
    from secretsync_core.model.inventory import Gap
    from secretsync_core.model.metadata import Described
    from secretsync_core.model.plan import SourceRef
    from secretsync_core.model.report import ItemError
    from secretsync_core.model.state import KeyState
    from secretsync_core.run.items import Item, Part
    from secretsync_core.schema.job import QuerySelector

State = dict[str, dict[str, "KeyState"]]
"""What the ledger knows: by destination, by key."""

Fields = dict[str, "tuple[str, ...] | SecretSyncError"]
"""With ``split``: the field names of each source secret, or why they are not known."""


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """What the sources say of one item.

    Attributes:
        item: the item.
        refs, versions: the secrets that it takes, side by side: keys of its one source where it does not combine (and
            there may be very many), else references.
        missing: single secrets that the store says do not exist.
        matched: how many secrets each part takes.
        below: the parts whose folder has folders in it that their query does not search.
        errors: what could not be seen. Where there is any, absence proves nothing.
        nameless: what it selects by a name that is no key. Nothing can be made of it, and nothing else depends on it.
        metadata: what the item copies beside the values, by source key.
    """

    item: Item
    refs: Sequence[str | SourceRef]
    versions: Sequence[str | None]
    missing: Sequence[SourceRef] = ()
    matched: Sequence[int] = ()
    errors: Sequence[ItemError] = ()
    below: AbstractSet[int] = frozenset()
    nameless: Sequence[Gap] = ()
    metadata: Mapping[str, Described] = field(default_factory=dict)

    def sources(self) -> Iterator[tuple[str, str | None]]:
        """Key and version of every secret that the item takes."""
        for ref, version in zip(self.refs, self.versions, strict=True):
            yield (ref if isinstance(ref, str) else ref.key), version

    def blind(self, error: ItemError) -> SourceSeen:
        """The same item, of which nothing that was said counts."""
        item = self.item
        return SourceSeen(item, (), (), matched=(0,) * len(item.parts), errors=[*self.errors, error])

    @property
    def empty_queries(self) -> list[str]:
        """A warning for each query that selected nothing."""
        return [
            f"item {self.item.name}: the query for {_asked(part.query)} in {part.store} matches nothing"
            f"{_other_reading(part.query, has_folders=index in self.below)}"
            for index, (part, count) in enumerate(zip(self.item.parts, self.matched, strict=True))
            if part.query is not None and not count and not self.nameless
        ]


def _asked(query: QuerySelector) -> str:
    """A query's path in a sentence, as it is written where it is a glob, and the type that it asks for."""
    path = query.path if any(sign in query.path for sign in "*?") else folder(query.path) or "all keys"
    return path if query.type is None else f"{path} of type {query.type}"


def _other_reading(query: QuerySelector, *, has_folders: bool) -> str:
    """What somebody may have meant who found none: with a folder all that is below it, with a glob for keys folders."""
    if not names_keys(query.path):
        return ": there are folders below, which recursive: true searches too" if has_folders else ""
    return "; its path names keys: end it with / for what is in such folders, or with /** for all that is below them"


@dataclass(frozen=True, slots=True)
class DestSeen:
    """What one destination holds of the keys that matter; ``hidden`` are those that could not be looked at, and why.

    Most stand as we left them. Of those only the key is kept (``as_left``): their versions are in the ledger's state.
    ``metadata`` is what stands beside the values, where anything is wanted there.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    as_left: AbstractSet[str] = frozenset()
    hidden: Mapping[str, Gap] = field(default_factory=dict)
    metadata: Mapping[str, Described] = field(default_factory=dict)

    def entry(self, key: str, held: KeyState | None) -> Entry | None:
        """What stands at a key, of which the ledger knows ``held``; None where it is absent."""
        if held is not None and key in self.as_left:
            return Entry(key, held.dest_version)
        return self.entries.get(key)

    def and_then(self, rest: DestSeen) -> DestSeen:
        """Together with what a second look, at other keys, gave."""
        return DestSeen(
            {**self.entries, **rest.entries},
            self.as_left,
            {**self.hidden, **rest.hidden},
            {**self.metadata, **rest.metadata} if rest.metadata else self.metadata,
        )


def cannot_be_seen(change: Change, gap: Gap) -> Change:
    """Refuse what its destination fails to show: nothing is concluded from that, whatever a read of it would say."""
    return change._replace(
        action=Action.REFUSE,
        reason=Reason.CANNOT_SEE,
        detail=f"{gap.code}: {gap.message}",
        drift=Drift.UNKNOWN,
        failure=Failure(gap.code, gap.message),
    )


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination that was seen.

    Attributes:
        name: its SecretStore's name.
        facts: what it can hold.
        readable: whether we may read its values.
        seen: what it holds.
        known: what the ledger knows of its keys.
        tells: whether writing what is absent fails where it exists after all.
        versions_only: whether we may look at it, and not read it.
        marks: whether its secrets may carry our mark.
    """

    name: str
    facts: StoreFacts
    readable: bool
    seen: DestSeen
    known: Mapping[str, KeyState]
    tells: bool = True
    versions_only: bool = False
    marks: bool = False

    @property
    def blind(self) -> bool:
        """Whether we may only write there: nothing is ``seen``, and the ledger alone knows."""
        return not (self.readable or self.versions_only)

    def fault_at(self, key: str) -> Gap | None:
        """What is broken at a key, so that nothing of it is seen; None where nothing is, or where nobody may look."""
        gap = self.seen.hidden.get(key)
        return gap if gap is not None and gap.is_fault and not self.blind else None


class Whereabouts(NamedTuple):
    """What became of the sources of a key that no target claims.

    Attributes:
        reason: SOURCE_GONE, NOT_SELECTED (there, and the item asks for it no more), or CANNOT_SEE.
        error: with CANNOT_SEE, why.
    """

    reason: Reason
    error: SecretSyncError | None = None


class Unversioned(NamedTuple):
    """Secrets of one source whose versions it does not show: how many, and what would show them."""

    store: str
    secrets: int
    looks: Sequence[Access]


def _looked_at(part: Part, seen: SourceSeen) -> str:
    """Where the versions of what a part takes are looked at; with globs that is where the first without one is."""
    if part.query is None:
        return part.secret.key if part.secret is not None else ""
    if not is_glob(parts_of(part.query.path)):
        return folder(part.query.path)
    key = next(key for key, version in seen.sources() if version is None)
    return key[: key.rfind("/") + 1]


def find_unversioned(seen: Iterable[SourceSeen], facts: Mapping[str, StoreFacts]) -> list[Unversioned]:
    """The sources that have versions and do not show some of them, so that every run has to read those values."""
    counts: dict[str, int] = defaultdict(int)
    looks: dict[str, dict[Access, None]] = defaultdict(dict)
    for one in seen:
        store = one.item.parts[0].store  # the parts of an item are of one store
        hidden = sum(version is None for version in one.versions)
        if hidden and store in facts and facts[store].versioned:
            counts[store] += hidden
            for part in one.item.parts:
                looks[store][Access(Act.LOOK, _looked_at(part, one))] = None
    return [Unversioned(store, counts[store], list(looks[store])) for store in looks]
