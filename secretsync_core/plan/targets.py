"""From what the sources hold to what the destinations should hold."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import TransformFailed
from secretsync_core.model.plan import SourceRef, Target
from secretsync_core.plan.keys import QueryMatcher, folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from secretsync_core.model.inventory import Entry
    from secretsync_core.plan.items import Item, Part


class Impossible(NamedTuple):
    """A source secret that cannot become a target: its key transform failed. The rest of the item goes on."""

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
        self.missing: list[SourceRef] = []  # secret parts that the store says do not exist
        self._matchers = [QueryMatcher(part.query) if part.query is not None else None for part in item.parts]
        self._prefixes = [len(folder(part.query.path)) if part.query is not None else 0 for part in item.parts]
        self._found: list[tuple[SourceRef, str | None]] = []

    def offer(self, index: int, entry: Entry) -> None:
        """Take a listed secret into part ``index`` if its query selects it."""
        matcher = self._matchers[index]
        if matcher is not None and matcher.takes(entry):
            part = self.item.parts[index]
            relative = entry.key[self._prefixes[index] :] if self.item.combined else ""
            self._found.append((SourceRef(part.store, entry.key, part.name, relative), entry.version))
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
        self._found.append((ref, pinned_version(part, entry.version)))

    def targets(self) -> Iterator[Target | Impossible]:
        """What this item makes of what was found, in the order of the keys."""
        item = self.item
        if item.combined:
            if not self.missing and self._found and not self.incomplete:
                found = sorted(self._found)
                yield Target(item.name, item.key, tuple(ref for ref, _ in found), joint_version(found))
            return
        self._found.sort()
        for ref, version in self._found:
            try:
                key = item.keys.map(ref.key)
            except TransformFailed as error:
                yield Impossible(item.name, (ref,), error.code, error.message)
            else:
                yield Target(item.name, key if key != ref.key else ref.key, (ref,), version)


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


def find_ambiguities(targets: Iterable[Target], dests: Sequence[str]) -> tuple[dict[str, Target], list[str]]:
    """Index the targets by key; and say, one sentence each, which keys two sources claim.

    A key that is both a source and a destination in one store is ambiguous too: the next sync would copy its copy.
    """
    by_key: dict[str, Target] = {}
    clashes: list[str] = []
    for target in targets:
        other = by_key.setdefault(target.key, target)
        if other is not target:
            clashes.append(
                f"{target.key}: claimed by {_origin(other)} and by {_origin(target)}",
            )
    clashes += [
        f"{ref.key}: both a source and a destination in store {ref.store}"
        for target in by_key.values()
        for ref in target.sources
        if ref.store in dests and ref.key in by_key
    ]
    return by_key, clashes


def _origin(target: Target) -> str:
    sources = ", ".join(f"{ref.store}:{ref.key}" for ref in target.sources[:3])
    more = f" and {len(target.sources) - 3} more" if len(target.sources) > 3 else ""
    return f"item {target.item} ({sources}{more})"
