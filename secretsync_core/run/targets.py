"""Phase 3, pure: from what the sources hold to what the destinations are to hold, key by key."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.errors import SecretSyncError, TransformFailed
from secretsync_core.model.plan import SourceRef, Target
from secretsync_core.model.versions import kept_version
from secretsync_core.run.origins import split_version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, KeysView, Mapping, Sequence

    from secretsync_core.run.items import Item, Part
    from secretsync_core.run.seen import Fields, SourceSeen


SHOWN = 20
"""How many clashes an error names."""

AMBIGUOUS = "ambiguous"
"""The code of a source secret that shares its destination key with another one."""


class Impossible(NamedTuple):
    """A source secret that cannot become a target: its key transform failed, its fields are not known, or it is
    not the only one that claims its key.

    The rest of the item goes on.
    """

    item: str
    sources: tuple[SourceRef, ...]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Targets:
    """What a plan wants, from all of its items.

    Attributes:
        by_key: the targets that have to be decided, by destination key.
        claimed: every key that some item claims.
        standing: by item, how many targets stand in every destination; nothing else is kept of them.
        impossible: what cannot become a target.
    """

    by_key: Mapping[str, Target]
    claimed: KeysView[str]
    standing: Mapping[str, int]
    impossible: Sequence[Impossible]


def make_targets(seen: Sequence[SourceSeen], fields: Mapping[str, Fields], stands: Callable[[Target], bool]) -> Targets:
    """What all items together want. ``fields`` are by item; ``stands`` tells what needs no decision.

    Where several claim one key none of them is a target, for nobody can say which one is meant; the rest go on.
    """
    claims = Claims()
    standing: dict[str, int] = {}
    impossible: list[Impossible] = []
    for one in seen:
        name = one.item.name
        for made in targets_of(one, fields.get(name)):
            if not isinstance(made, Target):
                impossible.append(made)
            elif stands(made):
                claims.claim(made, keep=False)
                standing[name] = standing.get(name, 0) + 1
            else:
                claims.claim(made, keep=True)
    if claims.clashing:
        impossible += _ambiguous(seen, fields, claims.clashing)
        for name in claims.standing_in_clashes():
            standing[name] -= 1
    return Targets(claims.kept, claims.keys, standing, impossible)


def _ambiguous(
    seen: Sequence[SourceSeen], fields: Mapping[str, Fields], clashing: Collection[str]
) -> Iterator[Impossible]:
    """Everything that claims one of these keys."""
    rivals: dict[str, list[Target]] = {key: [] for key in clashing}
    for one in seen:
        for made in targets_of(one, fields.get(one.item.name)):
            if isinstance(made, Target) and made.key in rivals:
                rivals[made.key].append(made)
    for key, targets in rivals.items():
        told = ", and by ".join(map(_origin, targets[:SHOWN]))
        more = f", and {len(targets) - SHOWN} more" if len(targets) > SHOWN else ""
        for target in targets:
            yield Impossible(target.item, target.sources, AMBIGUOUS, f"{key} is claimed by {told}{more}")


def targets_of(
    seen: SourceSeen, fields: Mapping[str, tuple[str, ...] | SecretSyncError] | None = None
) -> Iterator[Target | Impossible]:
    """What an item makes of what was seen of its sources, in the order of the keys.

    ``fields`` are those of its source secrets, where it splits them.
    """
    item = seen.item
    if item.combined:
        found = sorted((ref, version) for ref, version in zip(seen.refs, seen.versions, strict=True)
                       if isinstance(ref, SourceRef))  # fmt: skip
        if found and not seen.missing and not seen.errors:
            yield Target(item.name, item.key, tuple(ref for ref, _ in found), joint_version(found))
        return
    store = item.parts[0].store
    for key, version in _in_order(seen):
        ref = SourceRef(store, key)
        if item.split:
            yield from _split(item, ref, version, (fields or {}).get(key, ()))
        else:
            yield _target(item, ref, key, version)


def nameless_claims(seen: Iterable[SourceSeen]) -> set[str]:
    """The destination keys that would be made of what has a name and no key, as far as a transform gives one."""
    found: set[str] = set()
    for one in seen:
        for gap in one.nameless:
            with suppress(TransformFailed):
                found.add(one.item.keys.map(gap.prefix))
    return found


def _in_order(seen: SourceSeen) -> Iterator[tuple[str, str | None]]:
    keys = [ref if isinstance(ref, str) else ref.key for ref in seen.refs]
    if any(one > other for one, other in pairwise(keys)):  # a SCAN's answer is in order
        for at in sorted(range(len(keys)), key=keys.__getitem__):
            yield keys[at], seen.versions[at]
    else:
        yield from zip(keys, seen.versions, strict=True)


def _target(item: Item, ref: SourceRef, key: str, version: str | None) -> Target | Impossible:
    try:
        mapped = item.keys.map(key)
    except TransformFailed as error:
        return Impossible(item.name, (ref,), error.code, error.message)
    return Target(item.name, mapped, (ref,), version)


def _split(
    item: Item, ref: SourceRef, version: str | None, names: tuple[str, ...] | SecretSyncError
) -> Iterator[Target | Impossible]:
    if isinstance(names, SecretSyncError):
        yield Impossible(item.name, (ref,), names.code, names.message)
        return
    joint = split_version(version, len(names))
    for name in names:
        yield _target(item, ref._replace(field=name), f"{ref.key}/{name}", joint)


def pinned_version(part: Part, current: str | None) -> str | None:
    """The version token of a part that was read or seen at ``current``: a pin stays what it is."""
    if part.secret is not None and part.secret.version is not None:
        return kept_version(f"pin:{part.secret.version}")
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
    """Which item claims which destination key. Two that claim one are a clash."""

    def __init__(self) -> None:
        self._claimed: dict[str, str | Target] = {}
        self.clashing: dict[str, None] = {}
        """The keys that are claimed more than once, in order."""
        self.clashes: list[str] = []
        """What is ambiguous, one sentence each."""
        self._standing: list[str] = []  # the items of those that came second, or later, and were not to be kept

    def claim(self, target: Target, *, keep: bool) -> None:
        """Note a target; only its item's name is remembered of one that is not to be kept."""
        if (other := self._claimed.get(target.key)) is not None:
            self.clashing[target.key] = None
            self.clashes.append(f"{target.key}: claimed by {_origin(other)} and by {_origin(target)}")
            if not keep:
                self._standing.append(target.item)
        else:
            self._claimed[target.key] = target if keep else target.item

    @property
    def keys(self) -> KeysView[str]:
        """Every key that is claimed."""
        return self._claimed.keys()

    @property
    def kept(self) -> dict[str, Target]:
        """The targets that were kept, by key."""
        return {
            key: target
            for key, target in self._claimed.items()
            if isinstance(target, Target) and key not in self.clashing
        }

    def standing_in_clashes(self) -> Iterator[str]:
        """The item of each target that was not to be kept, and clashes; which of them came first does not matter."""
        yield from self._standing
        for key in self.clashing:
            if isinstance(claimed := self._claimed[key], str):
                yield claimed


def shortened(clashes: Sequence[object]) -> list[str]:
    """The first of many clashes, one sentence each, and how many more there are."""
    more = len(clashes) - SHOWN
    return [*map(str, clashes[:SHOWN]), *([f"and {more} more"] if more > 0 else [])]


def _origin(target: Target | str) -> str:
    if isinstance(target, str):
        return f"item {target}"
    sources = ", ".join(f"{ref.store}:{ref.key}" for ref in target.sources[:3])
    more = f" and {len(target.sources) - 3} more" if len(target.sources) > 3 else ""
    return f"item {target.item} ({sources}{more})"
