"""What the three ops do, without Dagster: each opens a session of its own under the run's id and lease.

expand surveys and splits; transfer carries out one shard; audit looks again, does what no step did, deletes, and
records the end. Nothing that must last waits for audit: every write is in the ledger before and after it is made.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from secretsync_core.engine.foresight import foresee
from secretsync_core.engine.session import open_session, still_to_do
from secretsync_core.errors import StoreError, UsageError
from secretsync_core.model.change import Action
from secretsync_core.model.report import Outcome, Report, Result
from secretsync_core.plan.items import build_plan
from secretsync_dagster.shards import Manifest, Shard, split
from secretsync_dagster.translator import mapping_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from secretsync_core.engine.lease import Claim
    from secretsync_core.engine.session import Session
    from secretsync_core.engine.survey import ChangeSet
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError
    from secretsync_dagster.resources import Runtime

KEPT_OUTCOMES = 1000
"""How many outcomes a step keeps to show; the counts are of all."""


@dataclass(frozen=True, slots=True)
class Step:
    """Which run a step belongs to: its id, which the ledger's records carry, and its claim to the job's lease."""

    runtime: Runtime
    run: str
    claim: Claim


@dataclass(slots=True)
class Done:
    """What a step did."""

    report: Report
    outcomes: list[Outcome] = field(default_factory=list)
    healed: int = 0

    def settled(self, outcome: Outcome) -> None:
        """Take one outcome."""
        self.report.add(outcome)
        if len(self.outcomes) < KEPT_OUTCOMES or outcome.result in (Result.FAILED, Result.REFUSED):
            self.outcomes.append(outcome)

    @property
    def bad_items(self) -> set[str]:
        """The items of which something failed or was left undone."""
        return {
            item
            for item, counts in self.report.counts.items()
            if any(counts.get(result) for result in (Result.FAILED, Result.REFUSED, Result.NOT_REACHED))
        }


async def expand(
    step: Step, job: str, *, items: Collection[str], verify: bool, dry_run: bool
) -> tuple[Manifest, list[Shard], list[Change]]:
    """Look at sources and destinations, and split what is to be done; the third part is a dry run's plan.

    Raises what kept every item from being seen, PlanRefused where the plan must not run, and LeaseHeld.
    """
    async with _session(step, job, items) as session:
        await session.settle_dead_runs()
        found = await session.survey(verify=verify, keep_unchanged=dry_run)
        names = tuple(item.name for item in session.plan.items)
        if dry_run:
            changes = await foresee(session.plan, found.changes, session.comparer, _Nobody(), render_all=verify)
            changes = sorted([*changes, *found.deletes], key=lambda change: (change.item, change.key, change.dest))
            manifest = Manifest(job, names, warnings=_told(found), verify=verify, dry_run=True)
            return manifest, [], changes
        await session.start()
        shards = _shards(session, job, found)
        manifest = Manifest(
            job,
            names,
            tuple(shard.name for shard in shards),
            dict(found.unchanged),
            len(found.deletes),
            tuple(found.warnings),
            verify,
        )
        return manifest, shards, []


def _shards(session: Session, job: str, found: ChangeSet) -> list[Shard]:
    """The shards of a change set, and one that looks again for each item or store that was not seen whole."""
    lost = [error for error in found.errors if not error.item and error.code != "max-delete"]
    if lost and len(lost) >= len(session.plan.spec.dest):
        raise _as_error(lost[0])
    names = [item.name for item in session.plan.items]
    unseen = {error.item for error in found.errors if error.item}
    changes = [change for change in found.changes if change.item not in unseen]
    shards = split(job, changes, session.plan.spec.limits.shards)
    shards += [Shard(job, item, mapping_key(item, 0, 1), look_again=True) for item in sorted(unseen)]
    if lost:
        shards.append(Shard(job, "", "lost_destinations", look_again=True, items=tuple(names)))
    return shards


async def transfer(step: Step, shard: Shard) -> Done:
    """Carry out one shard, all of it, whatever fails. What a former attempt of the run put in place is left alone."""
    async with _session(step, shard.job, [shard.item] if shard.item else shard.items) as session:
        await session.start()
        done = Done(Report(step.run, shard.job, time.time()))
        changes: Collection[Change] = shard.changes
        if shard.look_again:
            found = await session.survey(verify=False)
            done.report.begin(found.unchanged, found.warnings, found.errors, found.unknown_drift)
            changes = found.changes
        else:
            state = await session.recorder.state()
            changes = still_to_do(changes, state)
            left_alone = len(shard.changes) - len(changes)
            if left_alone:
                done.report.begin({shard.item: left_alone}, [], [], 0)
        await session.transfer(done.settled).copy(list(changes))
        _close(done, session)
        return done


async def audit(step: Step, manifest: Manifest) -> Done:
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
        _close(done, session)
        await session.finish(done.report)
        return done


def _close(done: Done, session: Session) -> None:
    done.report.errors += session.opened.losses
    done.report.requests = session.opened.requests
    done.report.stopped = session.stop.is_set()
    done.report.finished = time.time()


@asynccontextmanager
async def _session(step: Step, job: str, items: Collection[str]) -> AsyncIterator[Session]:
    documents = step.runtime.documents
    if job not in documents.jobs:
        raise UsageError(
            f"there is no SyncJob {job} in the documents any more", hint="reload the code location, and start a new run"
        )
    document = documents.jobs[job]
    known = {item.name for item in document.spec.plan}
    plan = build_plan(document, [] if set(items) == known else items)
    with step.runtime.ledger() as opened:
        async with open_session(
            plan,
            documents,
            opened.ledger,
            environ=step.runtime.environ,
            fingerprint_key=opened.fingerprint_key,
            run=step.run,
            claim=step.claim,
        ) as session:
            yield session


def _told(found: ChangeSet) -> tuple[str, ...]:
    return (*found.warnings, *(f"{error.item or 'the job'}: {error.message}" for error in found.errors))


def _as_error(error: ItemError) -> StoreError:
    """An error that a survey caught, to be raised again: whether it may be retried is in its code."""
    raised = StoreError(error.message, hint=error.hint)
    if error.code in ("unavailable", "rate-limited", "lost"):
        raised.retryable = True
    return raised


class _Nobody:
    """The observer of a step: Dagster watches it in other ways."""

    def phase(self, name: str) -> None:
        pass

    def planned(self, total: int) -> None:
        pass

    def outcome(self, outcome: Outcome) -> None:
        pass


def counted(changes: Collection[Change]) -> dict[str, int]:
    """How many changes there are of each action."""
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.action.value] = counts.get(change.action.value, 0) + 1
    return {action.value: counts[action.value] for action in Action if action.value in counts}
