"""What the three ops do, without Dagster: each opens a session of its own under the run's id and lease.

expand surveys and splits; transfer carries out one shard; audit looks again, does what no step did, deletes, and
records the end. Nothing that must last waits for audit: every write is in the ledger before and after it is made.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from secretsync_core.engine.run import Options, plan
from secretsync_core.engine.session import open_session
from secretsync_core.errors import StoreError, UsageError
from secretsync_core.model.change import Action
from secretsync_core.model.report import UNDONE, Outcome, Report, Result
from secretsync_core.plan.items import build_plan
from secretsync_dagster.shards import AT_ONCE, Manifest, Moved, Shard, look_again, split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from secretsync_core.audit.record import Draft
    from secretsync_core.engine.lease import Claim
    from secretsync_core.engine.session import Session
    from secretsync_core.engine.survey import ChangeSet
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError
    from secretsync_core.schema.documents import JobDocument
    from secretsync_core.schema.job import SyncJobSpec
    from secretsync_dagster.resources import Runtime

KEPT_OUTCOMES = 1000
"""How many outcomes a step keeps to show; the counts are of all."""


@dataclass(frozen=True, slots=True)
class Step:
    """Which run a step belongs to: its id, which the ledger's records carry, and its claim to the job's lease.

    ``again`` is for a step that has failed in this run before: what was decided for it then is stale. Once ``stop`` is
    set, a step that writes finishes what is in flight, and begins nothing more.
    """

    runtime: Runtime
    run: str
    claim: Claim
    again: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Done:
    """What a step did."""

    report: Report
    outcomes: list[Outcome] = field(default_factory=list)
    healed: int = 0
    busy: frozenset[str] = frozenset()
    """The items of which the audit itself moved something."""
    outcomes_of: Counter[str] = field(default_factory=Counter)
    """How many outcomes there were of each item, those that were not kept included."""

    def settled(self, outcome: Outcome) -> None:
        """Take one outcome."""
        self.report.add(outcome)
        self.outcomes_of[outcome.change.item] += 1
        if len(self.outcomes) < KEPT_OUTCOMES or outcome.result in (Result.FAILED, Result.REFUSED):
            self.outcomes.append(outcome)

    @property
    def bad_items(self) -> set[str]:
        """The items of which something failed or was left undone."""
        return {item for item, counts in self.report.counts.items() if any(counts.get(result) for result in UNDONE)}


async def foresee(runtime: Runtime, job: str, *, items: Collection[str], verify: bool) -> tuple[Manifest, list[Change]]:
    """What a run would do. Needs no lease, and writes nothing, not even to the ledger."""
    with runtime.ledger() as opened:
        planned = await plan(
            _document(runtime, job),
            runtime.documents,
            opened.ledger,
            environ=runtime.environ,
            fingerprint_key=opened.fingerprint_key,
            options=Options(_chosen(runtime, job, items), verify),
        )
    if planned.errors and not planned.changes:
        raise _as_error(planned.errors[0])
    told = _told(planned.warnings, planned.errors)
    return Manifest(job, tuple(items), warnings=told, verify=verify, dry_run=True), planned.changes


async def expand(step: Step, job: str, *, items: Collection[str], verify: bool) -> tuple[Manifest, list[Shard]]:
    """Look at sources and destinations, and split what is to be done.

    Raises what kept every item from being seen, PlanRefused where the plan must not run, and LeaseHeld.
    """
    async with _session(step, job, items) as session:
        await session.settle_dead_runs()
        found = await session.survey(verify=verify)
        names = tuple(item.name for item in session.plan.items)
        await session.start()
        shards = _shards(session, job, found)
        together = min(AT_ONCE[session.plan.spec.executor], max(1, len(shards)))
        shards = [
            # Of an item in parts none of them tells of the rest.
            replace(
                shard,
                run=step.run,
                verify=verify,
                together=together,
                unchanged=found.unchanged.get(shard.item, 0) if shard.siblings == 1 else 0,
            )
            for shard in shards
        ]
        busy = {item for shard in shards for item in shard.covers}
        # Deletes come last, and may say otherwise of any item; so may a destination that was not seen.
        settled = () if found.deletes else tuple(name for name in names if name not in busy)
        manifest = Manifest(
            job,
            names,
            tuple(shard.name for shard in shards),
            dict(found.unchanged),
            len(found.deletes),
            tuple(found.warnings),
            verify,
            run=step.run,
            shown=settled,
            requests=session.opened.requests,
        )
        return manifest, shards


def _shards(session: Session, job: str, found: ChangeSet) -> list[Shard]:
    """The shards of a change set, and one that looks again for each item or store that was not seen whole."""
    lost = [error for error in found.errors if not error.item and error.code != "max-delete"]
    if lost and len(lost) >= len(session.plan.spec.dest):
        raise _as_error(lost[0])
    names = [item.name for item in session.plan.items]
    unseen = {error.item for error in found.errors if error.item}
    changes = [change for change in found.changes if change.item not in unseen]
    shards = split(job, changes, session.plan.spec.limits.shards)
    shards += look_again(job, sorted(unseen))
    if lost:
        shards.append(Shard(job, "", "LOST_destinations", look_again=True, items=tuple(names), shared=True))
    return shards


async def transfer(step: Step, shard: Shard) -> Done:
    """Carry out one shard, all of it, whatever fails. A retry looks first, and leaves alone what is in place by now."""
    async with _session(step, shard.job, shard.covers, share=shard.together) as session:
        await session.start()
        done = Done(Report(step.run, shard.job, time.time()))
        changes: Collection[Change] = shard.changes
        done.report.begin({shard.item: shard.unchanged} if shard.unchanged else {}, [], [], 0)
        if step.again or shard.run != step.run:
            # Before it is written again: who looks later cannot tell which of the two writes was done.
            await session.settle_writes(_mine(shard))
        if shard.look_again or step.again or shard.run != step.run:
            found = await session.survey(verify=shard.verify)
            # Deletes are the audit's.
            errors = [error for error in found.errors if error.code != "max-delete"]
            unchanged, changes = found.unchanged, found.changes
            if not shard.look_again:
                mine = {(change.dest, change.key) for change in shard.changes}
                changes = [change for change in changes if (change.dest, change.key) in mine]
                left = Counter(change.item for change in changes)
                had = Counter(change.item for change in shard.changes)
                unchanged = {item: shard.unchanged + count - left[item] for item, count in had.items()}
            done.report.begin(unchanged, found.warnings, errors, found.unknown_drift)
        await session.transfer(done.settled).copy(list(changes))
        _close(done, session)
        return done


def _mine(shard: Shard) -> Callable[[Draft], bool]:
    """Tells the writes that are of this shard alone."""
    if shard.look_again:
        return lambda draft: draft.item in shard.covers and not shard.shared
    keys = {(change.dest, change.key) for change in shard.changes}
    return lambda draft: (draft.dest, draft.key) in keys


async def audit(step: Step, manifest: Manifest, moved: Collection[Moved]) -> Done:
    """Look at what the run was about once more: sync what no step did, delete, and record the end.

    A run that was killed and executed again from where it failed leaves out the steps that had never begun; here
    they are found and done.
    """
    async with _session(step, manifest.job, manifest.items) as session:
        done = Done(Report(step.run, manifest.job, time.time()))
        await session.settle_dead_runs()
        await session.start()
        if not (manifest.shards or manifest.deletes):
            done.report.begin(manifest.unchanged, list(manifest.warnings), [], 0)
        else:
            found = await session.survey(verify=False)
            done.report.begin(found.unchanged, found.warnings, found.errors, found.unknown_drift)
            transfer = session.transfer(done.settled)
            await transfer.copy(found.changes)
            done.healed = done.report.total(Result.CREATED, Result.UPDATED)
            await transfer.delete(found.deletes, done.bad_items)
            done.busy = frozenset(
                item for item, counts in done.report.counts.items() if any(counts.get(result) for result in _MOVES)
            )
        mine = [one for one in moved if one.run == step.run]
        _credit(done.report, mine)
        _close(done, session)
        if manifest.run == step.run:
            _add(done.report.requests, manifest.requests)
        for one in mine:
            _add(done.report.requests, one.requests)
        await session.finish(done.report)
        return done


_COPIES = (Result.CREATED, Result.UPDATED)
_MOVES = (*_COPIES, Result.DELETED)


def _credit(report: Report, moved: Collection[Moved]) -> None:
    """Count what the transfer steps of this run copied as copied: the audit finds it in place."""
    for one in moved:
        for item, results in one.counts.items():
            counts = report.counts.setdefault(item, {})
            for result in _COPIES:
                copied = results.get(result, 0)
                counts[result] = counts.get(result, 0) + copied
                counts[Result.UNCHANGED] = max(0, counts.get(Result.UNCHANGED, 0) - copied)


def _add(requests: dict[str, dict[str, int]], more: Mapping[str, Mapping[str, int]]) -> None:
    """Count the requests of another step of this run too."""
    for store, kinds in more.items():
        counts = requests.setdefault(store, {})
        for kind, count in kinds.items():
            counts[kind] = counts.get(kind, 0) + count


def _close(done: Done, session: Session) -> None:
    done.report.errors += session.opened.losses
    done.report.requests = session.opened.requests
    done.report.stopped = session.stop.is_set()
    done.report.finished = time.time()


@asynccontextmanager
async def _session(step: Step, job: str, items: Collection[str], *, share: int = 1) -> AsyncIterator[Session]:
    documents = step.runtime.documents
    job_plan = build_plan(_document(step.runtime, job), _chosen(step.runtime, job, items))
    if share > 1:
        job_plan = replace(job_plan, spec=_with_a_share(job_plan.spec, share))
    with step.runtime.ledger() as opened:
        async with open_session(
            job_plan,
            documents,
            opened.ledger,
            environ=step.runtime.environ,
            fingerprint_key=opened.fingerprint_key,
            run=step.run,
            stop=step.stop,
            claim=step.claim,
        ) as session:
            yield session


def _with_a_share(spec: SyncJobSpec, share: int) -> SyncJobSpec:
    """The spec with its part of the limits, where so many steps work on the same stores at a time."""
    limits = spec.limits
    mine = {
        "concurrency": max(1, limits.concurrency // share),
        "rate": limits.rate / share if limits.rate is not None else None,
    }
    return spec.model_copy(update={"limits": limits.model_copy(update=mine)})


def _document(runtime: Runtime, job: str) -> JobDocument:
    if job not in runtime.documents.jobs:
        raise UsageError(
            f"there is no SyncJob {job} in the documents any more", hint="reload the code location, and start a new run"
        )
    return runtime.documents.jobs[job]


def _chosen(runtime: Runtime, job: str, items: Collection[str]) -> frozenset[str]:
    """The chosen items; none where they are all of them, which is a whole run."""
    known = {item.name for item in _document(runtime, job).spec.plan}
    return frozenset() if set(items) == known else frozenset(items)


def _told(warnings: Collection[str], errors: Collection[ItemError]) -> tuple[str, ...]:
    return (*warnings, *(f"{error.item or 'the job'}: {error.message}" for error in errors))


def _as_error(error: ItemError) -> StoreError:
    """An error that a survey caught, to be raised again: whether it may be retried is in its code."""
    raised = StoreError(error.message, hint=error.hint)
    if error.code in ("unavailable", "rate-limited", "lost"):
        raised.retryable = True
    return raised


def counted(changes: Collection[Change]) -> dict[str, int]:
    """How many changes there are of each action."""
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.action.value] = counts.get(change.action.value, 0) + 1
    return {action.value: counts[action.value] for action in Action if action.value in counts}
