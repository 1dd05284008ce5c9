"""From what the sources hold to what the destinations should hold."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import SecretSyncError, TransformFailed
from secretsync_core.model.plan import SourceRef, Target
from secretsync_core.plan.keys import QueryMatcher, folder
from secretsync_core.plan.splitting import split_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, KeysView, Sequence

    from secretsync_core.model.inventory import Entry
    from secretsync_core.plan.items import Item, Part


class Impossible(NamedTuple):
    """A source secret that cannot become a target: its key transform failed, or its fields are not known.

    The rest of the item goes on.
    """

    item: str
    sources: tuple[SourceRef, ...]
    code: str
    message: str


class ItemTargets:
    """Collects what the listings say about one item, and gives its targets.

    ``offer`` is called once for each entry of a query part's listing; ``resolve`` once for each secret part.
    """

    def __init__(self, item: Item) -> None:
        self.item = item
        self.incomplete = False  # part of a listing was not seen, so absence proves nothing
        self.matched = [0] * len(item.parts)
        # With split: the field names of each source secret, or why they are not known.
        self.fields: dict[str, tuple[str, ...] | SecretSyncError] = {}
        self.missing: list[SourceRef] = []  # secret parts that the store says do not exist
        self._matchers = [QueryMatcher(part.query) if part.query is not None else None for part in item.parts]
        self._prefixes = [len(folder(part.query.path)) if part.query is not None else 0 for part in item.parts]
        self._found: list[tuple[SourceRef, str | None]] = []  # of an item that combines
        # Of any other, and there may be very many: key and version, and nothing around them.
        self._keys: list[str] = []
        self._versions: list[str | None] = []

    def offer(self, index: int, entry: Entry) -> None:
        """Take a listed secret into part ``index`` if its query selects it."""
        matcher = self._matchers[index]
        if matcher is not None and matcher.takes(entry):
            self._take(self.item.parts[index], entry.key, entry.version, self._prefixes[index])
            self.matched[index] += 1

    def resolve(self, index: int, entry: Entry | None) -> None:
        """Take the secret of part ``index``: what a look at it gave, None where it is absent."""
        part = self.item.parts[index]
        assert part.secret is not None  # noqa: S101  callers resolve secret parts only
        ref = SourceRef(part.store, part.secret.key, part.name)
        if entry is None or (entry.deleted and part.secret.version is None):
            self.missing.append(ref)
            return
        self.matched[index] += 1
        self._take(part, part.secret.key, pinned_version(part, entry.version), None)

    def _take(self, part: Part, key: str, version: str | None, prefix: int | None) -> None:
        if self.item.combined:
            relative = key[prefix:] if prefix is not None else ""
            self._found.append((SourceRef(part.store, key, part.name, relative), version))
        else:
            self._keys.append(key)
            self._versions.append(version)

    def sources(self) -> list[tuple[str, str | None]]:
        """Key and version of every secret that was taken."""
        if self.item.combined:
            return [(ref.key, version) for ref, version in self._found]
        return list(zip(self._keys, self._versions, strict=True))

    def targets(self) -> Iterator[Target | Impossible]:
        """What this item makes of what was found, in the order of the keys."""
        item = self.item
        if item.combined:
            if not self.missing and self._found and not self.incomplete:
                found = sorted(self._found)
                yield Target(item.name, item.key, tuple(ref for ref, _ in found), joint_version(found))
            return
        keys, versions = self._keys, self._versions
        if any(one > other for one, other in pairwise(keys)):  # a SCAN's answer is in order
            order = sorted(range(len(keys)), key=keys.__getitem__)
            keys, versions = [keys[at] for at in order], [versions[at] for at in order]
        store = item.parts[0].store
        for key, version in zip(keys, versions, strict=True):
            ref = SourceRef(store, key)
            if item.split:
                yield from self._split(ref, version)
            else:
                yield self._target(ref, ref.key, version)

    def _target(self, ref: SourceRef, key: str, version: str | None) -> Target | Impossible:
        try:
            mapped = self.item.keys.map(key)
        except TransformFailed as error:
            return Impossible(self.item.name, (ref,), error.code, error.message)
        return Target(self.item.name, mapped, (ref,), version)

    def _split(self, ref: SourceRef, version: str | None) -> Iterator[Target | Impossible]:
        names = self.fields.get(ref.key, ())
        if isinstance(names, SecretSyncError):
            yield Impossible(self.item.name, (ref,), names.code, names.message)
            return
        joint = split_version(version, len(names))
        for name in names:
            yield self._target(ref._replace(field=name), f"{ref.key}/{name}", joint)


def pinned_version(part: Part, current: str | None) -> str | None:
    """The version token of a part that was read or seen at ``current``: a pin stays what it is."""
    if part.secret is not None and part.secret.version is not None:
        return f"pin:{part.secret.version}"
    return current


def joint_version(found: Sequence[tuple[SourceRef, str | None]]) -> str | None:
    """One version token for several sources: it changes whenever one of them does, or comes or goes.

    None where any source has none.
    """
    if any(version is None for _, version in found):
        return None
    digest = hashlib.sha256()
    for ref, version in sorted(found):
        for text in (ref.store, ref.key, ref.part, version or ""):
            digest.update(text.encode() + b"\0")
    return "all:" + digest.hexdigest()[:32]


class Claims:
    """Which item claims which destination key. Two that claim one, and a key that is its own source, are clashes.

    A key that is both a source and a destination in one store is ambiguous too: the next sync would copy its copy.
    """

    def __init__(self, dests: Sequence[str]) -> None:
        self._dests = frozenset(dests)
        self._claimed: dict[str, str | Target] = {}
        self._sources: list[SourceRef] = []  # those in a store that is a destination too
        self._clashes: list[str] = []

    def claim(self, target: Target, *, keep: bool) -> None:
        """Note a target; only its item's name is remembered of one that is not to be kept."""
        if (other := self._claimed.get(target.key)) is not None:
            self._clashes.append(f"{target.key}: claimed by {_origin(other)} and by {_origin(target)}")
        else:
            self._claimed[target.key] = target if keep else target.item
        self._sources += [ref for ref in target.sources if ref.store in self._dests]

    @property
    def keys(self) -> KeysView[str]:
        """Every key that is claimed."""
        return self._claimed.keys()

    @property
    def kept(self) -> dict[str, Target]:
        """The targets that were kept, by key."""
        return {key: target for key, target in self._claimed.items() if isinstance(target, Target)}

    @property
    def clashes(self) -> list[str]:
        """What is ambiguous, one sentence each."""
        return [
            *self._clashes,
            *(
                f"{ref.key}: both a source and a destination in store {ref.store}"
                for ref in self._sources
                if ref.key in self._claimed
            ),
        ]


def find_ambiguities(targets: Iterable[Target], dests: Sequence[str]) -> tuple[dict[str, Target], list[str]]:
    """Index the targets by key; and say, one sentence each, which keys two sources claim."""
    claims = Claims(dests)
    for target in targets:
        claims.claim(target, keep=True)
    return claims.kept, claims.clashes


def _origin(target: Target | str) -> str:
    if isinstance(target, str):
        return f"item {target}"
    sources = ", ".join(f"{ref.store}:{ref.key}" for ref in target.sources[:3])
    more = f" and {len(target.sources) - 3} more" if len(target.sources) > 3 else ""
    return f"item {target.item} ({sources}{more})"
