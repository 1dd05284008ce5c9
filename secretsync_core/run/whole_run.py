"""A whole run, as the command line does it: what a sync would do, the sync, and the look for drift."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

from secretsync_core.model.change import Action
from secretsync_core.model.report import Report
from secretsync_core.run.access import ask_before
from secretsync_core.run.adopting import told_of_refused
from secretsync_core.run.beside import Beside
from secretsync_core.run.binding import find_binding, marks_of
from secretsync_core.run.carry_out import carry_out, close, items_of, look
from secretsync_core.run.compare import Comparer
from secretsync_core.run.copy_returned import gone_keys
from secretsync_core.run.decide import ChangeSet
from secretsync_core.run.deletes import Doubts, refused_items, withheld_by_rights, withhold
from secretsync_core.run.deleting import LastLook
from secretsync_core.run.done import Done, Planned
from secretsync_core.run.drift import look_for_drift
from secretsync_core.run.fingerprint import Fingerprinter
from secretsync_core.run.foresee import NOT_RENDERED, foresee, foresee_deletes
from secretsync_core.run.items import build_plan
from secretsync_core.run.leftovers import told_of_leftovers
from secretsync_core.run.opening import open_stores
from secretsync_core.run.options import Options, Silent
from secretsync_core.run.pinning import PinCheck, name_deletes, name_values
from secretsync_core.run.pins import hold, told_of_beyond, unversioned_deletes
from secretsync_core.run.positions import known_positions
from secretsync_core.run.reconcile import decide_changes
from secretsync_core.run.record import Recorder
from secretsync_core.run.run import new_run_id, open_run
from secretsync_core.run.settling import uncertain_writes

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.model.change import Change
    from secretsync_core.run.fingerprint import FingerprintKey
    from secretsync_core.run.options import Observer
    from secretsync_core.run.pins import Named, Place
    from secretsync_core.schema.documents import Documents, JobDocument

T = TypeVar("T")


async def plan(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger | None,
    *,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey | None = None,
    options: Options | None = None,
    observer: Observer | None = None,
) -> Planned:
    """Say what a sync would do, without writing anything to any store or to the ledger.

    Every change is rendered as the sync would, and what would fail is refused, unless ``options.render`` is off.
    ``ledger`` may be None where there is none yet. Raises PlanRefused where the plan as a whole must not run.
    """
    options, observer = options or Options(), observer or Silent()
    job_plan = build_plan(
        job, options.items, max_delete=options.max_delete, adopt=options.adopt, restored=options.restored
    )
    recorder = Recorder(ledger, job.name) if ledger is not None else None
    try:
        reached = await known_positions(ledger, recorder) if ledger is not None and recorder is not None else {}
        marks = await marks_of(job.name, ledger, recorder, fingerprint_key) if fingerprint_key is not None else ()
        async with open_stores(job_plan, documents, environ=environ, retry=options.retry, marks=marks) as opened:
            observer.phase("listing")
            opened.reached = reached
            names: dict[str, tuple[str, ...]] = {}
            if ledger is not None and recorder is not None:
                names = (await find_binding(job.name, job_plan.spec.dest, ledger, recorder, opened)).names
            fingerprinter = Fingerprinter(fingerprint_key, names) if fingerprint_key is not None else None
            comparer = Comparer(job_plan, opened, fingerprinter, recorder)
            found = await decide_changes(
                job_plan, opened, comparer, recorder, verify=options.verify, keep_unchanged=True
            )
            told = list(found.warnings)
            if (
                ledger is not None
                and recorder is not None
                and (waiting := await recorder.call(lambda: ledger.runs.unsettled(job.name)))
            ):
                told.append(uncertain_writes(len(waiting)))
            observer.phase("comparing")
            changes = list(found.changes)
            if options.render:
                changes = await foresee(job_plan, opened, changes, comparer, observer)
            else:
                told.append(NOT_RENDERED)
            changes = await Beside(job_plan, opened).foresee(changes)
            refused = told_of_refused(job.name, changes, job_plan.spec.dest)
            # As the sync will: where a copy is refused, nothing of its item goes.
            undone = refused_items(changes)
            deletes = withhold(found.deletes, Doubts(undone, bool(undone)), job_plan.names)
            if options.render and recorder is not None and fingerprinter is not None:
                last_look = LastLook(opened, recorder, fingerprinter, comparer)
                deletes = await foresee_deletes(job_plan, opened, deletes, last_look)
            changes += deletes
            merged = await _merged(changes, recorder) if recorder is not None else set()
            asked = await ask_before(changes, found.unversioned, merged, opened)
            changes = withheld_by_rights(changes, asked.changes, job_plan.names)
            changes.sort(key=lambda change: (change.item, change.key, change.dest))
            told += [*found.idle, *refused, *asked.warnings]
            named: dict[Place, Named] = {}
            if options.pin_key is not None:
                at_once = job_plan.spec.limits.concurrency
                named = await name_values(changes, comparer, opened, options.pin_key, at_once)
                if recorder is not None:
                    named |= await name_deletes(unversioned_deletes(changes), recorder, options.pin_key)
            errors = [*found.errors, *asked.errors]
            errors += opened.losses(errors)
            return Planned(job.name, changes, told, errors, opened.requests, list(found.orphans), named)
    finally:
        if recorder is not None:
            await recorder.aclose()


async def _merged(changes: Collection[Change], recorder: Recorder) -> set[tuple[str, str]]:
    """The deletes, by destination and key, that leave others' fields in place, as the ledger knows."""
    keys: dict[str, list[str]] = {}
    for change in changes:
        if change.action is Action.DELETE:
            keys.setdefault(change.dest, []).append(change.key)
    known = {dest: await recorder.fingerprints(dest, of_dest) for dest, of_dest in keys.items()}
    return {(dest, key) for dest, found in known.items() for key, (_, ours) in found.items() if ours}


async def sync(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    *,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey,
    options: Options | None = None,
    observer: Observer | None = None,
    stop: asyncio.Event | None = None,
) -> Report:
    """Do it. One failed secret does not stop the others; setting ``stop`` finishes what is in flight and returns.

    With ``options.pins`` it does what that saved plan names, as far as it is as the plan saw it, and nothing else.

    Raises PlanRefused, LeaseHeld and LedgerError before anything is written; what happens to single items or
    secrets is in the report. A ledger that fails in the middle raises LedgerError: what it could not record was not
    written, and the next sync finds out what became of the rest.
    """
    options, observer, stop = options or Options(), observer or Silent(), stop or asyncio.Event()
    done = Done(Report(new_run_id(), job.name, time.time()), observer)
    job_plan = build_plan(
        job, options.items, max_delete=options.max_delete, adopt=options.adopt, restored=options.restored
    )
    async with open_run(
        job_plan, documents, ledger,
        environ=environ, fingerprint_key=fingerprint_key, name=done.report.run, retry=options.retry, stop=stop,
    ) as run:  # fmt: skip
        await run.settle()
        observer.phase("listing")
        # So far it only looks: asked to stop, it does not wait for a store that takes long to tell what it holds.
        swept = await _unless_stopped(run.sweep(), stop) or []
        looked = await _unless_stopped(look(run, verify=options.verify), stop)
        found = looked or ChangeSet()
        beyond: Sequence[Change] = ()
        undone: AbstractSet[str] = frozenset()
        pinned: PinCheck | None = None
        if options.pins is not None:
            done.report.plan = options.pins.digest
            if looked is not None:
                goes = unversioned_deletes(looked.deletes)
                values = await name_deletes(goes, run.recorder, options.pins.key)
                found, beyond, undone = hold(looked, options.pins, await run.recorder.state(), values)
            pinned = PinCheck(options.pins, run.opened)
        await run.start(plan=done.report.plan)
        done.begin(found)
        done.report.warnings += [*found.idle, *swept]
        await run.begin_items(items_of(found))
        await carry_out(run, found, done, pinned, undone)
        if pinned is not None:
            beyond = [*beyond, *pinned.beyond]
            done.report.beyond = frozenset(change.item for change in beyond)
            done.report.warnings += told_of_beyond(job.name, beyond)
        await close(run, done.report)
    return done.report


async def check(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    *,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey | None,
    options: Options | None = None,
    observer: Observer | None = None,
) -> Report:
    """Look for drift: destination secrets that are not what this job last left there. Reads only destinations.

    It needs no lease, and may look while a sync goes on: what that one writes is no drift, and is left out.

    Every key that the ledger knows is counted UNCHANGED, or is in ``drifted`` (and counted FAILED with reason
    ``drifted`` or ``removed-outside``). ``drift_unknown`` counts those where we may not read; and, where the ledger's
    key is lost and there is no ``fingerprint_key``, what versions alone cannot clear.
    """
    options, observer = options or Options(), observer or Silent()
    job_plan = build_plan(job, options.items)
    done = Done(Report(new_run_id(), job.name, time.time()), observer)
    recorder = Recorder(ledger, job.name)
    try:
        reached = await known_positions(ledger, recorder)
        marks = await marks_of(job.name, ledger, recorder, fingerprint_key) if fingerprint_key is not None else ()
        async with open_stores(
            job_plan, documents, environ=environ, retry=options.retry, sources=False, marks=marks
        ) as opened:
            observer.phase("comparing")
            opened.reached = reached
            names = (await find_binding(job.name, job_plan.spec.dest, ledger, recorder, opened)).names
            since = await recorder.position()
            state = await recorder.state()
            gone = gone_keys(job_plan, await recorder.deleted(), state)
            selected = {item.name for item in job_plan.items}
            if job_plan.partial:
                state = {
                    dest: {key: held for key, held in keys.items() if held.item in selected}
                    for dest, keys in state.items()
                }
            fingerprinter = Fingerprinter(fingerprint_key, names) if fingerprint_key is not None else None
            await look_for_drift(
                job_plan, opened, state, recorder, fingerprinter, done.report, done.settled,
                since=since, verify=options.verify, gone=gone,
            )  # fmt: skip
            done.report.warnings += await told_of_leftovers(job_plan.spec.dest, opened)
            done.report.errors += opened.losses(done.report.errors)
            done.report.requests = opened.requests
            done.report.finished = time.time()
    finally:
        await recorder.aclose()
    return done.report


async def _unless_stopped(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """What ``work`` gives; ``None`` where ``stop`` is set first, and then it is given up."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
