"""The three ways to run a SyncJob, each reading top to bottom: plan, sync and check."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from secretsync_core.engine.canonical import Fingerprinter
from secretsync_core.engine.compare import Comparer
from secretsync_core.engine.drift import look_for_drift
from secretsync_core.engine.foresight import foresee
from secretsync_core.engine.gate import RetryPolicy
from secretsync_core.engine.opening import open_stores
from secretsync_core.engine.ownership import owner_marks
from secretsync_core.engine.recorder import Recorder
from secretsync_core.engine.session import open_session
from secretsync_core.engine.survey import ChangeSet, State, survey
from secretsync_core.model.report import UNDONE, ItemError, Outcome, Report
from secretsync_core.plan.items import build_plan

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.engine.canonical import FingerprintKey
    from secretsync_core.model.change import Change
    from secretsync_core.schema.documents import Documents, JobDocument

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """What may be asked of one run.

    Attributes:
        items: only these plan items; empty for all.
        verify: compare values even where versions match.
        retry: how often and how patiently failing requests are repeated.
    """

    items: frozenset[str] = frozenset()
    verify: bool = False
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Observer(Protocol):
    """Told what goes on, as it goes on. Called on the event loop; must not block."""

    def phase(self, name: str) -> None:
        """A phase begins: ``listing``, ``comparing``, ``transferring`` or ``deleting``."""

    def planned(self, total: int) -> None:
        """How many outcomes will follow in this phase."""

    def outcome(self, outcome: Outcome) -> None:
        """One destination secret is settled.

        Those that are unchanged by their versions alone are only counted in the report.
        """


@dataclass(slots=True)
class Planned:
    """What a sync would do: every change (unchanged ones too), in the order of item and key."""

    job: str
    changes: list[Change]
    warnings: list[str]
    errors: list[ItemError]
    requests: dict[str, dict[str, int]]


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

    ``ledger`` may be None where there is none yet. Raises PlanRefused where the plan as a whole must not run.
    """
    options, observer = options or Options(), observer or _Silent()
    job_plan = build_plan(job, options.items)
    recorder = Recorder(ledger, job.name) if ledger is not None else None
    try:
        marks = owner_marks(job.name, fingerprint_key) if fingerprint_key is not None else ()
        async with open_stores(job_plan, documents, environ=environ, retry=options.retry, marks=marks) as opened:
            observer.phase("listing")
            state = await _state(recorder)
            fingerprinter = Fingerprinter(fingerprint_key) if fingerprint_key is not None else None
            comparer = Comparer(job_plan, opened, fingerprinter, recorder)
            found = await survey(
                job_plan, opened, state, comparer, recorder, verify=options.verify, keep_unchanged=True
            )
            observer.phase("comparing")
            picky = {dest for dest, facts in opened.facts.items() if options.verify or facts.is_particular}
            changes = await foresee(job_plan, found.changes, comparer, observer, render=picky)
            changes += found.deletes
            changes.sort(key=lambda change: (change.item, change.key, change.dest))
            return Planned(job.name, changes, found.warnings, found.errors, opened.requests)
    finally:
        if recorder is not None:
            await recorder.aclose()


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

    Raises PlanRefused, LeaseHeld and LedgerError before anything is written; what happens to single items or
    secrets is in the report. A ledger that fails in the middle raises LedgerError: what it could not record was not
    written, and the next sync finds out what became of the rest.
    """
    options, observer, stop = options or Options(), observer or _Silent(), stop or asyncio.Event()
    job_plan = build_plan(job, options.items)
    report = Report(new_run_id(), job.name, time.time())
    async with open_session(
        job_plan, documents, ledger, environ=environ, fingerprint_key=fingerprint_key, run=report.run,
        retry=options.retry, stop=stop,
    ) as session:  # fmt: skip
        await session.settle_dead_runs()
        observer.phase("listing")
        # So far it only looks: asked to stop, it does not wait for a store that takes long to tell what it holds.
        found = await _unless_stopped(session.survey(verify=options.verify), stop) or ChangeSet()
        report.begin(found.unchanged, found.warnings, found.errors, found.unknown_drift)
        await session.start()

        spared: set[str] = set()

        def settled(outcome: Outcome) -> None:
            report.add(outcome)
            if outcome.result in UNDONE:
                spared.add(outcome.change.item)
            observer.outcome(outcome)

        transfer = session.transfer(settled)
        observer.phase("transferring")
        observer.planned(len(found.changes))
        await transfer.copy(found.changes)
        if found.deletes:
            observer.phase("deleting")
            observer.planned(len(found.deletes))
            await transfer.delete(found.deletes, spared)
        report.errors += session.opened.losses
        report.requests = session.opened.requests
        report.stopped = stop.is_set()
        report.finished = time.time()
        await session.finish(report)
    return report


async def check(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    *,
    environ: Mapping[str, str],
    fingerprint_key: FingerprintKey,
    options: Options | None = None,
    observer: Observer | None = None,
) -> Report:
    """Look for drift: destination secrets that are not what this job last left there. Reads only destinations.

    It needs no lease, and may look while a sync goes on: what that one writes is no drift, and is left out.

    Every key that the ledger knows is counted UNCHANGED, or is in ``drifted`` (and counted FAILED with reason
    ``drifted`` or ``removed-outside``); where we may not read, ``drift_unknown`` counts it.
    """
    options, observer = options or Options(), observer or _Silent()
    job_plan = build_plan(job, options.items)
    report = Report(new_run_id(), job.name, time.time())
    recorder = Recorder(ledger, job.name)
    try:
        async with open_stores(job_plan, documents, environ=environ, retry=options.retry, sources=False) as opened:
            observer.phase("comparing")
            mark = await recorder.mark()
            state = await recorder.state()
            selected = {item.name for item in job_plan.items}
            if job_plan.partial:
                state = {
                    dest: {key: held for key, held in keys.items() if held.item in selected}
                    for dest, keys in state.items()
                }

            def settled(outcome: Outcome) -> None:
                report.add(outcome)
                observer.outcome(outcome)

            await look_for_drift(
                job_plan, opened, state, recorder, Fingerprinter(fingerprint_key), report, settled,
                mark=mark, verify=options.verify,
            )  # fmt: skip
            report.requests = opened.requests
            report.finished = time.time()
    finally:
        await recorder.aclose()
    return report


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


def new_run_id() -> str:
    """A run's id: when it began, in UTC, and a few random digits, so that ids sort by time and never meet."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


async def _state(recorder: Recorder | None) -> State:
    return await recorder.state() if recorder is not None else {}


class _Silent:
    """The observer of a run that nobody watches."""

    def phase(self, name: str) -> None:
        pass

    def planned(self, total: int) -> None:
        pass

    def outcome(self, outcome: Outcome) -> None:
        pass
