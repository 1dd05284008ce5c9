"""Pure: what of a run is a shard's, and how what shards did counts at the end of the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.model.change import Action, Drift, Reason
from secretsync_core.model.report import KEPT, Outcome, Report, Result
from secretsync_core.run.done import COPIES
from secretsync_core.run.shards import Moved, Part, Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from secretsync_core.audit.record import Draft
    from secretsync_core.model.change import Change
    from secretsync_core.run.decide import ChangeSet


def settled_by(shard: Shard, left: Collection[str]) -> tuple[str, ...]:
    """The items that are in sync once a shard is done: those that it has all of; ``left`` have deletes elsewhere."""
    whole = shard.siblings == 1 if shard.part is Part.ITEM else not shard.shared
    return tuple(item for item in shard.covers if item not in left) if whole else ()


def released_by(run: str, shard: Shard) -> frozenset[tuple[str, str]]:
    """The keys of a shard that this run's look at all of its items has released; of an older run's nothing counts."""
    if shard.run != run:
        return frozenset()
    released = (change for change in (*shard.changes, *shard.deletes) if change.action is not Action.REFUSE)
    return frozenset((change.dest, change.key) for change in released)


def standing(shard: Shard, report: Report) -> tuple[frozenset[str], tuple[str, ...]]:
    """The items that a shard left out of sync, and the one that it alone brought in sync.

    A shard that is not ok leaves its item out, whatever failed: it may have been stopped. Of items that share a step
    the audit tells, all together.
    """
    out = frozenset(report.out_of_sync)
    if not report.ok:
        return (out | {shard.item} if shard.item else out), ()
    return out, (shard.settles if shard.item else ())


def part_of(found: ChangeSet, shard: Shard, *, run: str) -> ChangeSet:
    """What a second look found of a shard: no other deletes than those that the first one released, all together.

    What the first one saw to be ambiguous stays refused: this look does not see who else claims it.
    """
    errors = [error for error in found.errors if error.code != "max-delete"]
    if shard.look_again:
        return replace(found, deletes=(), errors=errors)
    released = {(change.dest, change.key) for change in shard.deletes}
    deletes = [change for change in found.deletes if (change.dest, change.key) in released]
    before = "" if shard.run == run else "; so an earlier run saw it: a new run looks at all items again"
    ambiguous = [
        change._replace(detail=f"{change.detail}{before}")
        for change in shard.changes
        if change.reason is Reason.AMBIGUOUS
    ]
    refused = {(change.item, change.dest, change.sources) for change in ambiguous}
    mine = {(change.dest, change.key) for change in shard.changes if change.reason is not Reason.AMBIGUOUS}
    changes = ambiguous + [
        change
        for change in found.changes
        if (change.dest, change.key) in mine and (change.item, change.dest, change.sources) not in refused
    ]
    left = Counter(change.item for change in changes)
    had = Counter(change.item for change in shard.changes)
    unchanged = {item: shard.unchanged + count - left[item] for item, count in had.items()}
    return replace(found, changes=changes, deletes=deletes, unchanged=unchanged, errors=errors)


def is_of(shard: Shard) -> Callable[[Draft | Change], bool]:
    """Tells the writes that are of this shard alone."""
    if shard.look_again:
        return lambda write: write.item in shard.covers and not shard.shared
    keys = {(change.dest, change.key) for change in (*shard.changes, *shard.deletes)}
    return lambda write: (write.dest, write.key) in keys


def well_at_end(
    items: Collection[str], told: Collection[str], busy: Collection[str], out: Collection[str], *, whole: bool = True
) -> tuple[str, ...]:
    """The items to call well at the end of a run: once, unless the audit itself moved something of them.

    ``told`` are those of which an earlier step said so. None is well where the job as a ``whole`` is not.
    """
    if not whole:
        return ()
    return tuple(item for item in items if item not in out and (item in busy or item not in told))


def moved_by_ledger(run: str, earlier: Mapping[tuple[str, str], Outcome], moved: Collection[Moved]) -> Moved:
    """What a run did before this attempt of its audit, where a step was tried again and cannot tell all of it itself.

    Of drift the ledger knows what was put right by a write, and the steps also what somebody else had put right.
    """
    counts: dict[str, dict[Result, int]] = {}
    drifted = {(change.dest, change.key): change for one in moved for change in one.drifted}
    of_ledger: Counter[str] = Counter()
    of_steps: Counter[str] = Counter()
    for one in moved:
        of_steps.update(one.drifted_of)
    for place, outcome in earlier.items():
        item = counts.setdefault(outcome.change.item, {})
        item[outcome.result] = item.get(outcome.result, 0) + 1
        if outcome.change.drift in (Drift.CHANGED, Drift.REMOVED):
            of_ledger[outcome.change.item] += 1
            drifted.setdefault(place, outcome.change)
    return Moved(run, counts, drifted=tuple(drifted.values()), drifted_of=dict(of_ledger | of_steps))


def credit(report: Report, moved: Collection[Moved]) -> None:
    """Count what the transfer steps of this run copied and deleted: the audit finds it in place, and gone.

    And the drift that they put right.
    """
    for one in moved:
        report.drifted += one.drifted[: KEPT - len(report.drifted)]
        report.drifted_count += sum(one.drifted_of.values())
        for item, results in one.counts.items():
            counts = report.counts.setdefault(item, {})
            for result in COPIES:
                copied = results.get(result, 0)
                counts[result] = counts.get(result, 0) + copied
                counts[Result.UNCHANGED] = max(0, counts.get(Result.UNCHANGED, 0) - copied)
            counts[Result.DELETED] = counts.get(Result.DELETED, 0) + results.get(Result.DELETED, 0)
