"""Undoing a run, from its id to the report: planned by :func:`plan_undo`, carried out by :func:`undo`.

The second looks and decides anew under the job's lease: the plan may be old by the time somebody has said yes to it. It
can be told to do no more than what that plan showed.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from secretsync_core.counting import plural
from secretsync_core.errors import UsageError
from secretsync_core.known import of_that_name
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.report import Report
from secretsync_core.run.binding import find_binding, marks_of
from secretsync_core.run.done import Done, Planned
from secretsync_core.run.fingerprint import Fingerprinter
from secretsync_core.run.items import build_plan
from secretsync_core.run.last_words import written_so_far
from secretsync_core.run.opening import open_stores
from secretsync_core.run.options import Silent
from secretsync_core.run.record import Recorder
from secretsync_core.run.run import new_run_id, open_run
from secretsync_core.run.undo import spare_uncertain, warn_of_next_sync
from secretsync_core.run.undoing import look_and_decide
from secretsync_core.run.written import find_written, jobs_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.model.change import Change
    from secretsync_core.run.fingerprint import FingerprintKey
    from secretsync_core.run.gate import RetryPolicy
    from secretsync_core.run.lease import Claim
    from secretsync_core.run.options import Observer
    from secretsync_core.run.written import Written
    from secretsync_core.schema.documents import Documents, JobDocument

Place = tuple[str, str]
"""A destination's name and a key there."""


def find_jobs(ledger: Ledger, run: str, keys: Collection[str] = ()) -> list[str]:
    """The SyncJobs that a run was of, and wrote one of ``keys`` for, where any are given.

    Raises UsageError where the ledger has no such run, or the run wrote one of the keys nowhere.
    """
    jobs = jobs_of(ledger, run)
    if not jobs:
        raise UsageError(
            "the ledger has no run with that id", hint="`secretsync audit log --event run-started` lists the runs"
        )
    if not keys:
        return jobs
    wrote = {job: {one.announced.key for one in find_written(ledger, job, run)} for job in jobs}
    unknown = {key for key in keys if not any(key in found for found in wrote.values())}
    if unknown:
        raise UsageError(
            f"run {run} wrote no key {of_that_name(len(unknown))}",
            hint=f"`secretsync audit log --run {run}` lists what it wrote; give keys of the destination",
        )
    return [job for job, found in wrote.items() if found & set(keys)]


async def plan_undo(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    run: str,
    *,
    keys: Collection[str] = (),
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey,
    retry: RetryPolicy | None = None,
    observer: Observer | None = None,
) -> Planned:
    """Say what undoing ``run`` would do, in all of its keys or in ``keys``. Needs no lease, and writes nothing."""
    observer = observer or Silent()
    plan = build_plan(job)
    recorder = Recorder(ledger, job.name)
    try:
        async with open_stores(
            plan,
            documents,
            environ=environ,
            retry=retry,
            sources=False,
            marks=await marks_of(job.name, ledger, recorder, fingerprint_key),
        ) as opened:
            observer.phase("comparing")
            binding = await find_binding(job.name, plan.spec.dest, ledger, recorder, opened)
            found = await recorder.call(lambda: find_written(ledger, job.name, run, binding.name_now))
            waiting = await recorder.call(lambda: ledger.runs.unsettled(job.name))
            changes, errors = await look_and_decide(
                _chosen(found, keys), opened, Fingerprinter(fingerprint_key, binding.names)
            )
            places = {(binding.name_now(record.draft.dest), record.draft.key) for record in waiting}
            changes = spare_uncertain(changes, places)
            return Planned(job.name, changes, warn_of_next_sync(job.name, changes), errors, opened.requests)
    finally:
        await recorder.aclose()


def to_do(planned: Planned) -> frozenset[Place]:
    """The keys that :func:`undo` may touch after this plan was shown: those of which it has not been said that it will
    not. What a killed run left open is looked at once more under the lease."""
    return frozenset(
        (change.dest, change.key)
        for change in planned.changes
        if change.action is not Action.REFUSE or change.reason is Reason.INTERRUPTED
    )


async def undo(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    run: str,
    *,
    keys: Collection[str] = (),
    only: Collection[Place] | None = None,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey,
    name: str = "",
    claim: Claim | None = None,
    retry: RetryPolicy | None = None,
    observer: Observer | None = None,
    stop: asyncio.Event | None = None,
) -> Done:
    """Undo what ``run`` wrote, as a run of its own.

    Args:
        job, documents, ledger: what the run was of.
        run: the run to undo.
        keys: only these destination keys; empty for all.
        only: of these, only what was shown before; the others stay as they are.
        environ: where ``{env: NAME}`` credentials are looked up.
        fingerprint_key: the ledger's, for values.
        name: the id of the run that undoes; empty for a new one.
        claim: to the job's lease; that of this process if left out.
        retry: how often and how patiently failing requests are repeated.
        observer: told what goes on.
        stop: once it is set, what is in flight is finished and nothing more is begun.

    Raises LeaseHeld and LedgerError before anything is written; what becomes of single secrets is in the report.
    """
    observer, stop = observer or Silent(), stop or asyncio.Event()
    done = Done(Report(name or new_run_id(), job.name, time.time()), observer)
    async with open_run(
        build_plan(job), documents, ledger,
        environ=environ, fingerprint_key=fingerprint_key, name=done.report.run, retry=retry, stop=stop, claim=claim,
        sources=False,
    ) as held:  # fmt: skip
        await held.settle()
        done.report.warnings += await held.sweep()
        observer.phase("comparing")
        found = await held.recorder.call(lambda: find_written(ledger, job.name, run, held.name_now))
        written = _chosen(found, keys)
        changes, errors = await held.look_and_decide(written)
        changes = spare_uncertain(changes, held.settled.places)
        if await held.recorder.call(lambda: ledger.runs.began(job.name, done.report.run)):
            done.earlier = await held.recorder.call(lambda: written_so_far(ledger, job.name, done.report.run))
        await held.start(undoes=run)
        shown = [change for change in changes if _may(change, only)]
        late = len(changes) - len(shown)
        if late:
            done.report.warnings.append(
                f"{plural(late, 'secret')} that the plan refused can be undone now: run undo again"
            )
        done.report.errors = errors
        observer.phase("transferring")
        observer.planned(len(shown))
        await held.begin_items({change.item for change in shown if change.action is not Action.REFUSE})
        await held.undoing(done.settled).undo(shown, written)
        done.take_over_earlier()
        done.report.errors += held.opened.losses(done.report.errors)
        done.report.requests = held.opened.requests
        done.report.stopped = stop.is_set()
        done.report.finished = time.time()
        await held.finish_undo(done.report)
    return done


def _chosen(written: Sequence[Written], keys: Collection[str]) -> list[Written]:
    return [one for one in written if not keys or one.announced.key in keys]


def _may(change: Change, only: Collection[Place] | None) -> bool:
    """Whether a change touches nothing but what was shown."""
    return only is None or change.action is Action.REFUSE or (change.dest, change.key) in only
