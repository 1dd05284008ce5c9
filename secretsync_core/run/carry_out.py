"""What whole runs and runs in parts are made of: look and decide, carry out, close."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.run.deletes import Doubts, undone_items, withhold
from secretsync_core.run.reconcile import decide_changes
from secretsync_core.run.settling import spare, still_uncertain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from collections.abc import Set as AbstractSet

    from secretsync_core.model.report import Report
    from secretsync_core.run.decide import ChangeSet
    from secretsync_core.run.done import Done
    from secretsync_core.run.pinning import PinCheck
    from secretsync_core.run.run import Run


async def look(run: Run, *, verify: bool, deleted: Collection[tuple[str, str]] = ()) -> ChangeSet:
    """Look at the stores and decide; keeps how far their servers had got."""
    found = await decide_changes(run.plan, run.opened, run.comparer, run.recorder, verify=verify, deleted=deleted)
    await run.keep_positions()
    return found


def without_uncertain(run: Run, found: ChangeSet) -> ChangeSet:
    """What may be written now: nothing where an earlier write is uncertain, or nobody could tell the two apart."""
    places = run.settled.places
    if not places:
        return found
    return replace(found, changes=spare(found.changes, places), deletes=spare(found.deletes, places))


def tell_uncertain(run: Run, found: ChangeSet, done: Done) -> None:
    """Tell what earlier runs announced and nobody can see yet: it stays so, whatever else this run does."""
    changes = {(change.dest, change.key): change for change in (*found.changes, *found.deletes)}
    selected = {item.name for item in run.plan.items}
    last = {(draft.dest, draft.key): draft for draft in run.settled.left}
    for place, draft in last.items():
        if place in changes or not run.plan.partial or draft.item in selected:
            done.settled(still_uncertain(draft, changes.get(place)))
    done.report.warnings += run.settled.warnings


async def carry_out(
    run: Run, found: ChangeSet, done: Done, pinned: PinCheck | None = None, besides: AbstractSet[str] = frozenset()
) -> None:
    """The copies, and then the deletes of items of which every copy is in place.

    Under a saved plan as ``pinned``; ``besides`` are the items that have something to copy which it does not name.
    """
    tell_uncertain(run, found, done)
    found = without_uncertain(run, found)
    transfer = run.transfer(done.settled)
    transfer.pinned = pinned
    done.observer.phase("transferring")
    done.observer.planned(len(found.changes))
    await transfer.copy(found.changes)
    if found.deletes:
        undone = undone_items(done.report, found.changes) | besides
        if pinned is not None:
            undone |= {change.item for change in pinned.beyond}
        done.observer.phase("deleting")
        done.observer.planned(len(found.deletes))
        await transfer.delete(withhold(found.deletes, Doubts(undone, bool(undone)), run.plan.names))


def items_of(found: ChangeSet) -> set[str]:
    """The items of which anything is to be changed."""
    return {change.item for change in (*found.changes, *found.deletes)}


async def close(run: Run, report: Report, of_steps: Collection[Mapping[str, Mapping[str, int]]] = ()) -> None:
    """Sum up, with the requests of the other steps of this run, and record the end."""
    sum_up(run, report)
    for requests in of_steps:
        for store, kinds in requests.items():
            counts = report.requests.setdefault(store, {})
            for kind, count in kinds.items():
                counts[kind] = counts.get(kind, 0) + count
    await run.keep_positions()
    await run.finish(report)


def sum_up(run: Run, report: Report) -> None:
    report.errors += run.opened.losses(report.errors)
    report.requests = run.opened.requests
    report.stopped = run.stop.is_set()
    report.finished = time.time()
