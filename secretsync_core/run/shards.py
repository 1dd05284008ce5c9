"""A run in parts: what flows between its steps. References and versions, never a value; all of it may be pickled."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from secretsync_core.schema.job import Executor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.model.report import Result

PART_SIZE = 200
"""An item of fewer changes than this is not split, whatever ``limits.shards`` says: a step costs more than that."""

STEPS = 50
"""Of more plan items than this that have something to do, small ones share steps: a thousand static keys are a
thousand items, and to start a step for each takes longer than to copy them all."""

AT_ONCE = {
    Executor.IN_PROCESS: 1,
    Executor.MULTIPROCESS: min(4, max(2, os.cpu_count() or 1)),
    Executor.KUBERNETES: 8,
}
"""How many steps of a run work at a time."""


class Part(StrEnum):
    """What a shard is a part of."""

    ITEM = "item"  # one plan item, or a part of its changes
    ITEMS = "items"  # several small items
    UNSEEN = "unseen"  # several items that could not be seen whole
    LOST = "lost"  # what the run does in destinations that were lost


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a run: what one transfer step carries out.

    Attributes:
        job: the SyncJob.
        item: the plan item; empty where it is of several ``items``.
        part: what it is a part of.
        number, siblings: it is the ``number``-th (from 1) of so many of its kind, or of its item.
        changes: what is to be copied, or cannot be.
        deletes: what is to be deleted of its items once that is done: where a shard has all of an item. Other deletes
            are the audit's.
        look_again: the items could not be seen whole, so the step begins by looking, and fails if that fails. A retry
            of that step is then a retry of what failed.
        items: the plan items, where they are several.
        shared: other shards have changes of the same items: this one is for a destination that was lost.
        run: the run that decided about the changes. In another one they are stale.
        verify: values are compared even where versions match.
        together: how many steps of the run may work at a time, and share the job's limits.
        settles: the items that are in sync once it is done.
        unchanged: how many secrets of the item need nothing; they are in no change.
        adopt: the destination keys that the run takes over.
        restored: the stores that the run takes as they are.
    """

    job: str
    item: str
    part: Part = Part.ITEM
    number: int = 1
    siblings: int = 1
    changes: tuple[Change, ...] = ()
    deletes: tuple[Change, ...] = ()
    look_again: bool = False
    items: tuple[str, ...] = ()
    shared: bool = False
    run: str = ""
    verify: bool = False
    together: int = 1
    settles: tuple[str, ...] = ()
    unchanged: int = 0
    adopt: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()

    @property
    def covers(self) -> tuple[str, ...]:
        """The plan items that it is of."""
        return (self.item,) if self.item else self.items


@dataclass(frozen=True, slots=True)
class Moved:
    """What a transfer step did.

    Attributes:
        run: the run that it was a step of; a later one that is executed from failure takes its word over.
        counts: results by item, as a report has them.
        shown: the item that it brought in sync, and that is shown so already; empty where others have to do with it.
        requests: requests by store and kind.
        started: when it began, in seconds since the epoch.
        drifted: the first changes whose destination had moved without us, of those that it put right; ``drifted_of``
            counts all of these, by item.
        again: it was tried before in this run.
    """

    run: str
    counts: dict[str, dict[Result, int]]
    shown: str = ""
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    started: float = 0.0
    drifted: tuple[Change, ...] = ()
    drifted_of: dict[str, int] = field(default_factory=dict)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """What expand decided: every shard, so that audit can see which of them never ran, and what comes after them.

    Attributes:
        job: the SyncJob.
        items: the plan items of this run.
        shards: how many shards there are.
        unchanged: secrets that versions alone show to be right, by item.
        deletes: how many secrets are to be deleted, or were kept from it.
        going: those of them that shards delete, by destination and key.
        warnings: sentences for people.
        verify: whether values are compared even where versions match.
        dry_run: whether this run only looked.
        run: the run that made it.
        shown: the items that needed nothing, and whose state was shown already.
        requests: requests by store and kind, to find out all this.
        adopt: the destination keys that the run takes over.
        orphans: how many copies nothing asks for.
        restored: the stores that the run takes as they are.
        started: when the run began to look, in seconds since the epoch.
    """

    job: str
    items: tuple[str, ...]
    shards: int = 0
    unchanged: dict[str, int] = field(default_factory=dict)
    deletes: int = 0
    going: frozenset[tuple[str, str]] = frozenset()
    warnings: tuple[str, ...] = ()
    verify: bool = False
    dry_run: bool = False
    run: str = ""
    shown: tuple[str, ...] = ()
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    adopt: tuple[str, ...] = ()
    orphans: int = 0
    restored: tuple[str, ...] = ()
    started: float = 0.0


def split(job: str, changes: Sequence[Change], deletes: Sequence[Change], shards: int) -> list[Shard]:
    """Shards of one item each; an item of many changes in at most ``shards`` parts, many items of few changes together.

    All changes of one destination key stay together: its sources are read once. ``deletes`` are of items that are in
    the document; those of an item in several parts are left out.
    """
    by_item: dict[str, list[Change]] = {}
    for change in changes:
        by_item.setdefault(change.item, []).append(change)
    going: dict[str, list[Change]] = {}
    for change in deletes:
        going.setdefault(change.item, []).append(change)
        by_item.setdefault(change.item, [])
    small: list[tuple[str, list[Change]]] = []
    made: list[Shard] = []
    for item, members in by_item.items():
        members.sort(key=lambda change: change.key)
        if len(by_item) > STEPS and len(members) < PART_SIZE:
            small.append((item, members))
            continue
        parts = max(1, min(shards, len(members) // PART_SIZE))
        made += [
            Shard(job, item, Part.ITEM, number, parts, part, tuple(going.get(item, ())) if parts == 1 else ())
            for number, part in enumerate(_parts(members, parts), 1)
        ]
    groups = _groups(small)
    return made + [
        Shard(
            job,
            "",
            Part.ITEMS,
            number,
            len(groups),
            changes=tuple(change for _, members in group for change in members),
            deletes=tuple(change for item, _ in group for change in going.get(item, ())),
            items=tuple(item for item, _ in group),
        )
        for number, group in enumerate(groups, 1)
    ]


def look_again(job: str, items: Sequence[str]) -> list[Shard]:
    """Shards for items that could not be seen whole, as :func:`split` makes them for the others."""
    if len(items) <= STEPS:
        return [Shard(job, item, look_again=True) for item in items]
    size = -(-len(items) // STEPS)
    groups = [tuple(items[start : start + size]) for start in range(0, len(items), size)]
    return [
        Shard(job, "", Part.UNSEEN, number, len(groups), look_again=True, items=group)
        for number, group in enumerate(groups, 1)
    ]


def look_at_lost(job: str, items: Sequence[str]) -> Shard:
    """The shard that looks again where a destination was lost, at all of the run's items."""
    return Shard(job, "", Part.LOST, look_again=True, items=tuple(items), shared=True)


def _groups(small: Sequence[tuple[str, list[Change]]]) -> list[list[tuple[str, list[Change]]]]:
    """Items with their changes, in groups of about as many changes each."""
    size = max(PART_SIZE, -(-sum(len(members) for _, members in small) // STEPS))
    groups: list[list[tuple[str, list[Change]]]] = []
    room = 0
    for item, members in small:
        if not groups or room < len(members):
            groups.append([])
            room = size
        groups[-1].append((item, members))
        room -= len(members)
    return groups


def _parts(changes: list[Change], count: int) -> list[tuple[Change, ...]]:
    size = -(-len(changes) // count)
    parts: list[list[Change]] = [[]]
    for change in changes:
        if len(parts[-1]) >= size and len(parts) < count and change.key != parts[-1][-1].key:
            parts.append([])
        parts[-1].append(change)
    return [tuple(part) for part in parts]
