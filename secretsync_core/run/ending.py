"""Ending orphans on purpose: forgotten by the ledger, or deleted where they are provably the job's."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.errors import SecretSyncError
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.report import ItemError, Report
from secretsync_core.run.compare import find_fields
from secretsync_core.run.deletes import decide_delete, judge_absences, spare_others, takes_away
from secretsync_core.run.items import build_plan
from secretsync_core.run.lease import claim_of_this_process, hold_lease
from secretsync_core.run.look import find_whereabouts, look_at_keys, look_at_marks, look_at_sources
from secretsync_core.run.opening import job_error, open_named
from secretsync_core.run.options import Silent
from secretsync_core.run.orphans import Why
from secretsync_core.run.record import Recorder
from secretsync_core.run.run import new_run_id, open_run
from secretsync_core.run.steps import Done
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
    from secretsync_core.schema.documents import Documents, JobDocument


async def forget_orphans(job: str, ledger: Ledger, orphans: Collection[Orphan]) -> int:
    """Let the ledger know these copies no longer. They stay where they are; gives how many there were.

    Raises LeaseHeld where a run of the job is going on.
    """
    claim, stop, run = claim_of_this_process(), asyncio.Event(), new_run_id()
    recorder = Recorder(ledger, job, claim.holder)
    try:
        async with hold_lease(job, ledger, recorder, stop, claim):
            count = 0
            for dest in sorted({orphan.dest for orphan in orphans}):
                keys = [orphan.key for orphan in orphans if orphan.dest == dest]
                count += await recorder.call(lambda dest=dest, keys=keys: ledger.state.forget(job, run, dest, keys))  # type: ignore[misc]
            return count
    finally:
        await recorder.aclose()


async def delete_orphans(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    orphans: Sequence[Orphan],
    *,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey,
    retry: RetryPolicy | None = None,
    observer: Observer | None = None,
    stop: asyncio.Event | None = None,
) -> Done:
    """Delete these copies, as a run of its own: each that is still as the job left it and carries nobody else's mark.

    Of an item that is still in the document the sources are asked once more: a listing that hides a secret makes no
    orphan. ``maxDelete`` does not hold here: they were named on purpose. Raises LeaseHeld and LedgerError before
    anything is deleted; what becomes of single copies is in the report.
    """
    observer, stop = observer or Silent(), stop or asyncio.Event()
    done = Done(Report(new_run_id(), job.name, time.time()), observer)
    plan = build_plan(job)
    known = ledger.places.of(plan.job)
    reached, live = await _stores_of(plan, documents, ledger, known, orphans, environ=environ, retry=retry)
    for dest in sorted({orphan.dest for orphan in orphans} - reached.keys()):
        done.report.errors.append(_out_of_reach(dest, known.get(dest)))
    done.report.errors += [_held(orphan, dest, key) for orphan, (dest, key) in sorted(live.items())]
    dests = tuple(dict.fromkeys(reached.values()))
    aside = replace(plan, spec=plan.spec.model_copy(update={"dest": dests}))
    async with open_run(
        aside, documents, ledger,
        environ=environ, fingerprint_key=fingerprint_key, name=done.report.run, retry=retry, stop=stop,
        sources=any(orphan.why is Why.NOT_WANTED for orphan in orphans),
    ) as held:  # fmt: skip
        await held.settle()
        await held.start()
        ours = [orphan for orphan in orphans if orphan.dest in reached and orphan not in live]
        mine = [orphan._replace(dest=reached[orphan.dest]) for orphan in ours]
        changes, errors = await _decide(held, mine)
        done.report.errors += errors
        observer.phase("deleting")
        observer.planned(len(changes))
        await held.transfer(done.settled).delete(changes)
        done.report.errors += held.opened.losses
        done.report.requests = held.opened.requests
        done.report.stopped = stop.is_set()
        done.report.finished = time.time()
        await held.finish_aside(done.report)
    return done


async def _stores_of(
    plan: JobPlan,
    documents: Documents,
    ledger: Ledger,
    known: Mapping[str, Place],
    orphans: Sequence[Orphan],
    *,
    environ: Mapping[str, str],
    retry: RetryPolicy | None,
) -> tuple[dict[str, str], dict[Orphan, tuple[str, str]]]:
    """By what the ledger calls a destination, the SecretStore that leads to its place; and the orphans that are none.

    The second are secrets that the job holds under another name, of a destination that it has: such as those that
    the ledger knew before it knew of places, when the SecretStore was renamed.
    """
    names = {orphan.dest for orphan in orphans}
    found = {name: name for name in names if name in documents.stores}
    services = {place.service for name, place in known.items() if name in names - found.keys()}
    candidates = [name for name, store in documents.stores.items() if store.provider in services]
    wanted = dict.fromkeys([*plan.spec.dest, *found.values(), *candidates])
    async with open_named(wanted, plan.spec.limits, documents, environ=environ, retry=retry) as opened:
        told = {store: halves.facts.place for store, halves in opened.stores.items()}
    # Of a destination that cannot be opened now, the ledger may know where it is.
    places = {name: place for name, place in {**known, **told}.items() if place is not None}
    for name in names - found.keys():
        now = next((store for store in candidates if _is_at(places.get(store), known.get(name))), None)
        if now is not None:
            found[name] = now
    kept = {where for where, _ in ledger.state.keys(plan.job)}
    live: dict[Orphan, tuple[str, str]] = {}
    for orphan in orphans:
        there = places.get(found.get(orphan.dest, ""))
        for dest in plan.spec.dest:
            key = places[dest].key_at(there, orphan.key) if there is not None and dest in places else None
            if key is not None and (dest, key) != (orphan.dest, orphan.key) and (dest, key) in kept:
                live[orphan] = (dest, key)
    return found, live


def _is_at(place: Place | None, known: Place | None) -> bool:
    return place is not None and known is not None and place.is_same(known)


def _out_of_reach(dest: str, place: Place | None) -> ItemError:
    where = f", {place}" if place is not None else ""
    return ItemError(
        "",
        "out-of-reach",
        f"no SecretStore of these documents leads to what the ledger calls {dest}{where}",
        "write a SecretStore that does, or --forget what is there",
        2,
    )


def _held(orphan: Orphan, dest: str, key: str) -> ItemError:
    return ItemError(
        orphan.item,
        "held",
        f"{orphan.key} in {orphan.dest} is the same secret as {key} in {dest}, which this job keeps: it is not deleted",
        f"`secretsync orphans --forget --key {orphan.dest}:{orphan.key}` ends the orphan; the secret stays",
        1,
    )


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
            readable = run.opened.get(dest).reader is not None
            seen = await look_at_keys(run.opened, dest, known.keys(), known) if readable else None
        except SecretSyncError as error:
            errors.append(job_error(error))
            continue
        changes += [
            decide_delete(
                key, held, dest, plan=run.plan, entry=seen.entry(key, held) if seen else None,
                hidden=seen is not None and key in seen.hidden, readable=readable,
            )
            for key, held in sorted(known.items())
        ]  # fmt: skip
    changes, unproven = await _prove(run, orphans, changes)
    marks = await look_at_marks(run.opened, changes)
    return spare_others(changes, marks, {run.opened.mark, *run.opened.former_marks}), [*errors, *unproven]


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
