"""Ending orphans on purpose: forgotten by the ledger, or deleted where they are provably the job's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.counting import plural
from secretsync_core.errors import SecretSyncError
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.report import ItemError, Report
from secretsync_core.run.compare import find_fields
from secretsync_core.run.deletes import decide_delete, judge_absences, spare_others, takes_away
from secretsync_core.run.done import Done
from secretsync_core.run.holders import possible_holdings
from secretsync_core.run.items import build_plan
from secretsync_core.run.look import find_whereabouts, look_at_keys, look_at_sources
from secretsync_core.run.marks import look_at_marks
from secretsync_core.run.opening import job_error, open_named
from secretsync_core.run.options import Silent
from secretsync_core.run.orphans import Why
from secretsync_core.run.reconcile import decide_changes
from secretsync_core.run.run import new_run_id, open_run
from secretsync_core.run.seen import DestSeen
from secretsync_core.run.targets import make_targets

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.model.change import Change
    from secretsync_core.model.place import Place
    from secretsync_core.model.state import KeyState
    from secretsync_core.run.fingerprint import FingerprintKey
    from secretsync_core.run.gate import RetryPolicy
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.options import Observer
    from secretsync_core.run.orphans import Orphan
    from secretsync_core.run.run import Run
    from secretsync_core.run.seen import State
    from secretsync_core.schema.documents import Documents, JobDocument


async def end_orphans(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    orphans: Sequence[Orphan],
    *,
    delete: bool,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey,
    retry: RetryPolicy | None = None,
    observer: Observer | None = None,
    stop: asyncio.Event | None = None,
) -> Ended:
    """Let the ledger forget these copies, or ``delete`` them, as a run of its own that holds the job's lease.

    What was listed may be old by now: only what is an orphan still is ended, and nothing where not all of the job's
    stores can be seen. A copy is deleted if it is still as the job left it, carries nobody else's mark, and no job
    keeps it under another name. Of an item that is in the document the source is asked: a listing that hides a secret
    makes no orphan. ``maxDelete`` does not hold here: they were named on purpose. Raises LeaseHeld and LedgerError
    before anything is ended; what becomes of single copies is in the report.
    """
    observer, stop = observer or Silent(), stop or asyncio.Event()
    done = Done(Report(new_run_id(), job.name, time.time()), observer)
    report, forgotten = done.report, 0
    plan = build_plan(job)
    dests = {orphan.dest for orphan in orphans}
    stores, twins = (
        await _stores_of(plan, documents, ledger, dests, environ=environ, retry=retry) if delete else ({}, {})
    )
    async with open_run(
        plan, documents, ledger, environ=environ, fingerprint_key=fingerprint_key, name=report.run, retry=retry,
        stop=stop, also=tuple(stores.values()),
    ) as run:  # fmt: skip
        await run.settle()
        report.warnings += await run.sweep() if delete else []
        found = await decide_changes(plan, run.opened, run.comparer, run.recorder, verify=False)
        run.opened.looked.update(store for store in stores.values() if store in run.opened.stores)
        await run.start(aside=True)
        report.errors = list(found.errors)
        if not found.errors:
            still = {(orphan.dest, orphan.key): orphan for orphan in found.orphans}
            now = [(stores.get(orphan.dest, run.name_now(orphan.dest)), orphan.key) for orphan in orphans]
            chosen = [still[place] for place in now if place in still]
            if len(chosen) < len(orphans):
                gone = plural(len(orphans) - len(chosen), "copy", "copies")
                report.warnings.append(f"{gone} of those listed are no longer orphans")
            observer.phase("deleting")
            if delete:
                reached = set(stores.values())
                known = ledger.places.of(job.name)
                report.errors += [_kept(one, twins[one.dest]) for one in chosen if one.dest in twins]
                lost = sorted(dests - stores.keys() - twins.keys() - {*plan.spec.dest})
                report.errors += [_out_of_reach(dest, known.get(dest)) for dest in lost]
                await _delete(run, [one for one in chosen if one.dest in reached | {*plan.spec.dest}], done)
            else:
                for dest in sorted({orphan.dest for orphan in chosen}):
                    forgotten += await run.forget(dest, [orphan.key for orphan in chosen if orphan.dest == dest])
        report.errors += run.opened.losses(report.errors)
        report.requests = run.opened.requests
        report.stopped = stop.is_set()
        report.finished = time.time()
        await run.finish_aside(report)
    return Ended(done, forgotten)


class Ended(NamedTuple):
    """What became of orphans: the run that ended them, and how many the ledger has forgotten."""

    done: Done
    forgotten: int


async def _stores_of(
    plan: JobPlan,
    documents: Documents,
    ledger: Ledger,
    dests: Collection[str],
    *,
    environ: Mapping[str, str],
    retry: RetryPolicy | None,
) -> tuple[dict[str, str], dict[str, str]]:
    """By what the ledger calls a destination that the job has no longer, a SecretStore that may write to its place.

    And the destination that the job has at that very place: a ledger that knew no places when a SecretStore was renamed
    has its secrets twice.
    """
    wanted = set(dests) - set(plan.spec.dest)
    known = {name: place for name, place in ledger.places.of(plan.job).items() if name in wanted}
    services = {place.service for place in known.values()}
    writable = {name: store for name, store in documents.stores.items() if store.permissions.may_write}
    others = [name for name, store in writable.items() if store.provider in services and name not in plan.spec.dest]
    same_name = [name for name in wanted if name in writable]
    async with open_named(
        dict.fromkeys([*plan.spec.dest, *same_name, *others]), plan.spec.limits, documents, environ=environ, retry=retry
    ) as opened:
        places = {name: halves.facts.place for name, halves in opened.stores.items()}
    found: dict[str, str] = {}
    twins: dict[str, str] = {}
    for name in sorted(wanted):
        there = known.get(name) or places.get(name)
        twin = next((dest for dest in plan.spec.dest if there is not None and _is_at(places.get(dest), there)), None)
        if twin is not None:
            twins[name] = twin
            continue
        # By its own name where nothing says that it is elsewhere now: a store that has no place is known by it alone.
        if name in places and (name not in known or _is_at(places[name], known[name])):
            found[name] = name
        elif (now := next((store for store in others if _is_at(places.get(store), known.get(name))), None)) is not None:
            found[name] = now
    return found, twins


def _is_at(place: Place | None, known: Place | None) -> bool:
    return place is not None and known is not None and place.is_same(known)


def _out_of_reach(dest: str, place: Place | None) -> ItemError:
    where = f", {place}" if place is not None else ""
    return ItemError(
        "",
        "out-of-reach",
        f"no SecretStore in these documents may write to what the ledger calls {dest}{where}",
        "write a SecretStore that does, or --forget what is there",
        2,
    )


def _kept(orphan: Orphan, dest: str) -> ItemError:
    return ItemError(
        orphan.item,
        "held",
        f"{orphan.key} in {orphan.dest} is the same secret as {orphan.key} in {dest}, which this job keeps: it is not"
        " deleted",
        f"`secretsync orphans --forget --key {orphan.dest}:{orphan.key}` ends the orphan; the secret stays",
        1,
    )


async def _delete(run: Run, orphans: Sequence[Orphan], done: Done) -> None:
    """Delete what may go, and tell of the rest why not."""
    changes, errors = await _decide(run, orphans)
    done.report.errors += errors
    done.observer.planned(len(changes))
    await run.transfer(done.settled).delete(changes)


async def _decide(run: Run, orphans: Sequence[Orphan]) -> tuple[list[Change], list[ItemError]]:
    """What is to be done with each: deleted, or refused with why."""
    state = await run.recorder.state()
    changes: list[Change] = []
    errors: list[ItemError] = []
    for dest in sorted({orphan.dest for orphan in orphans}):
        known: dict[str, KeyState] = {
            orphan.key: state[dest][orphan.key]
            for orphan in orphans
            if orphan.dest == dest and orphan.key in state.get(dest, {})
        }
        try:
            halves = run.opened.get(dest)
            seen = (
                await look_at_keys(run.opened, dest, known.keys(), known) if halves.looker is not None else DestSeen()
            )
        except SecretSyncError as error:
            errors.append(job_error(error))
            continue
        # Where nothing shows what there is, nobody can see whose it is.
        hidden = seen.hidden if halves.looker is not None else known.keys()
        changes += [
            decide_delete(
                key, held, dest, plan=run.plan, entry=seen.entry(key, held), hidden=key in hidden, looks=True,
                reads=halves.reader is not None, facts=halves.facts,
            )
            for key, held in sorted(known.items())
        ]  # fmt: skip
    changes = await _spare_kept(run, state, changes)
    changes, unproven = await _prove(run, orphans, changes)
    marks = await look_at_marks(run.opened, changes)
    return spare_others(changes, marks, {run.opened.mark, *run.opened.former_marks}), [*errors, *unproven]


async def _spare_kept(run: Run, state: State, changes: list[Change]) -> list[Change]:
    """Refuse what this job keeps under another name, or another job holds: both lead to the same secret."""
    places = {dest: facts.place for dest, facts in run.opened.facts.items() if facts.place is not None}
    keys = {dest: [change.key for change in changes if change.dest == dest] for dest in places}
    asked = possible_holdings(places, keys, await run.recorder.bindings_of_others())
    held = {asked[holding]: holding for holding in sorted(await run.recorder.holders(asked))}
    spared = []
    for change in changes:
        holding, place = held.get((change.dest, change.key)), places.get(change.dest)
        mine = [
            (dest, key)
            for dest in run.plan.spec.dest
            if place is not None and dest in places and (key := places[dest].key_at(place, change.key)) is not None
            and (dest, key) != (change.dest, change.key) and key in state.get(dest, {})
        ]  # fmt: skip
        if holding is not None or mine:
            who = f"job {holding.job} holds it" if holding is not None else f"it is {mine[0][1]} in {mine[0][0]}"
            detail = f"{who}: --forget ends the orphan, and the secret stays"
            change = change._replace(action=Action.REFUSE, reason=Reason.HELD, detail=detail)
        spared.append(change)
    return spared


async def _prove(run: Run, orphans: Sequence[Orphan], changes: list[Change]) -> tuple[list[Change], list[ItemError]]:
    """Ask the sources of what their items seem to want no more; refused is what is wanted, or cannot be seen."""
    asked = {(orphan.dest, orphan.key) for orphan in orphans if orphan.why is Why.NOT_WANTED}
    of_items = [change for change in changes if (change.dest, change.key) in asked]
    if not of_items:
        return changes, []
    sources = await look_at_sources(run.plan, run.opened)
    fields = await find_fields(run.plan, sources, run.comparer, run.recorder)
    wanted = make_targets(sources, fields, lambda _: False).claimed
    whereabouts = await find_whereabouts(run.plan, sources, run.opened, run.recorder, fields, of_items, {})
    judged, errors = judge_absences(changes, whereabouts)
    unseen = {error.item for one in sources for error in one.errors}
    return [
        change._replace(action=Action.REFUSE, reason=Reason.CANNOT_SEE)
        if (change.dest, change.key) in asked
        and takes_away(change)
        and (change.key in wanted or change.item in unseen or change.reason is Reason.CANNOT_SEE)
        else change
        for change in judged
    ], [*(error for one in sources for error in one.errors), *errors]
