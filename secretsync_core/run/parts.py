"""A run in parts, as an orchestrator does it: each step in a process of its own if need be.

:func:`expand` looks, decides and splits, :func:`transfer` carries out one shard, and :func:`audit` looks once more,
does what no step did, and closes the run. Nothing that must last waits for the audit: every write is in the ledger
before and after it is made.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError, UsageError
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.report import Outcome, Report, Result
from secretsync_core.run.carry_out import carry_out, close, items_of, look, sum_up, tell_uncertain, without_uncertain
from secretsync_core.run.decide import ChangeSet
from secretsync_core.run.done import MOVES, Done
from secretsync_core.run.items import build_plan, check_restored
from secretsync_core.run.last_words import written_so_far
from secretsync_core.run.options import Options
from secretsync_core.run.run import open_run
from secretsync_core.run.shard_rules import (
    credit,
    is_of,
    moved_by_ledger,
    part_of,
    released_by,
    settled_by,
    standing,
    well_at_end,
)
from secretsync_core.run.shards import AT_ONCE, Manifest, Moved, Shard, look_again, look_at_lost, split
from secretsync_core.run.whole_run import plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError
    from secretsync_core.run.fingerprint import FingerprintKey
    from secretsync_core.run.lease import Claim
    from secretsync_core.run.run import Run
    from secretsync_core.schema.documents import Documents, JobDocument
    from secretsync_core.schema.job import SyncJobSpec


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a run, and what it works with.

    Attributes:
        documents: every document that is whole.
        ledger, fingerprint_key: the open ledger, and the keys that name values in it.
        environ: where ``{env: NAME}`` credentials are looked up.
        run: the run's id, which the ledger's records carry.
        claim: the run's claim to the job's lease, which all of its steps share.
        again: this step has failed in this run before: what was decided for it then is stale.
        stop: once it is set, a step that writes finishes what is in flight, and begins nothing more.
    """

    documents: Documents
    ledger: Ledger
    fingerprint_key: FingerprintKey
    environ: Mapping[str, str]
    run: str
    claim: Claim
    again: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


async def preview(
    step: Step,
    job: str,
    *,
    items: Collection[str],
    verify: bool,
    adopt: Collection[str] = (),
    restored: Collection[str] = (),
) -> tuple[Manifest, list[Change]]:
    """What a run would do. Needs no lease, and writes nothing, not even to the ledger."""
    check_restored(restored, [_document(step.documents, job)])
    planned = await plan(
        _document(step.documents, job),
        step.documents,
        step.ledger,
        environ=step.environ,
        fingerprint_key=step.fingerprint_key,
        options=Options(
            _chosen(step.documents, job, items), verify, adopt=frozenset(adopt), restored=frozenset(restored)
        ),
    )
    if planned.errors and not planned.changes:
        raise _as_error(planned.errors[0])
    told = (*planned.warnings, *(f"{error.item or 'the job'}: {error.message}" for error in planned.errors))
    return Manifest(job, tuple(items), warnings=told, verify=verify, dry_run=True), planned.changes


async def expand(
    step: Step,
    job: str,
    *,
    items: Collection[str],
    verify: bool,
    adopt: Collection[str] = (),
    restored: Collection[str] = (),
) -> tuple[Manifest, list[Shard]]:
    """Look at sources and destinations, and split what is to be done.

    Raises what kept every item from being seen, PlanRefused where the plan must not run, and LeaseHeld.
    """
    check_restored(restored, [_document(step.documents, job)])
    async with _open(step, job, items, adopt=adopt, restored=restored) as run:
        started = time.time()  # it may have waited for another run until now
        await run.settle()
        swept = await run.sweep()
        found = without_uncertain(run, await look(run, verify=verify))
        await run.start()
        shards = _shards(run, job, found)
        together = min(AT_ONCE[run.plan.spec.executor], max(1, len(shards)))
        # What the shards do not delete comes last, and may say otherwise of its items.
        of_shards = {(change.dest, change.key) for shard in shards for change in shard.deletes}
        left = {change.item for change in found.deletes if (change.dest, change.key) not in of_shards}
        left.update(draft.item for draft in run.settled.left)
        shards = [
            # Of an item in parts none of them tells of the rest.
            replace(
                shard,
                run=step.run,
                verify=verify,
                together=together,
                settles=settled_by(shard, left),
                unchanged=found.unchanged.get(shard.item, 0) if shard.siblings == 1 else 0,
                adopt=tuple(adopt),
                restored=tuple(restored),
            )
            for shard in shards
        ]
        names = tuple(item.name for item in run.plan.items)
        busy = {item for shard in shards for item in shard.covers}
        settled = tuple(name for name in names if name not in busy and name not in left)
        refused = {change.item for change in found.deletes if change.action is Action.REFUSE}
        # Nothing is wrong with the job as a whole, and no delete is due of an item that is gone. What maxDelete
        # holds back is told by its items.
        whole = left <= {*names} and all(error.item or error.code == Reason.MAX_DELETE for error in found.errors)
        await run.begin_items({*names, *left} - {*settled})
        await run.note_items(out=refused, well=(*settled, "") if whole else settled)
        manifest = Manifest(
            job,
            names,
            len(shards),
            dict(found.unchanged),
            len(found.deletes),
            frozenset(of_shards),
            (*found.warnings, *found.idle, *swept),
            verify,
            run=step.run,
            shown=settled,
            requests=run.opened.requests,
            adopt=tuple(adopt),
            orphans=len(found.orphans),
            restored=tuple(restored),
            started=started,
        )
        return manifest, shards


def _shards(run: Run, job: str, found: ChangeSet) -> list[Shard]:
    """The shards of a change set, and one that looks again for each item or store that was not seen whole."""
    lost = [error for error in found.errors if not error.item and error.code != "max-delete"]
    if lost and len(lost) >= len(run.plan.spec.dest):
        raise _as_error(lost[0])
    unseen = {error.item for error in found.errors if error.item}
    changes = [change for change in found.changes if change.item not in unseen]
    # What is refused the audit tells, all together.
    deletes = [
        change
        for change in found.deletes
        if change.action is Action.DELETE and change.item not in unseen and change.item in run.plan.names
    ]
    shards = split(job, changes, deletes, run.plan.spec.limits.shards)
    shards += look_again(job, sorted(unseen))
    if lost:
        shards.append(look_at_lost(job, [item.name for item in run.plan.items]))
    return shards


async def transfer(step: Step, shard: Shard) -> Done:
    """Carry out one shard, all of it, whatever fails. A retry looks first, and leaves alone what is in place by now."""
    async with _open(
        step, shard.job, shard.covers, share=shard.together, adopt=shard.adopt, restored=shard.restored, goes_on=True,
        given=released_by(step.run, shard),
    ) as run:  # fmt: skip
        await run.start()
        done = Done(Report(step.run, shard.job, time.time()), again=step.again)
        stale = step.again or shard.run != step.run
        if stale:
            # Before it is written again: who looks later cannot tell which of the two writes was done.
            await run.settle(is_of(shard))
        if step.again:
            is_mine = is_of(shard)
            so_far = await _written_so_far(run, step)
            done.earlier = {place: one for place, one in so_far.items() if is_mine(one.change)}
        if shard.run != step.run:
            await run.begin_items(shard.covers)  # the run that decided this has said so only of itself
        if shard.look_again or stale:
            found = part_of(await look(run, verify=shard.verify), shard, run=step.run)
        else:
            unchanged = {shard.item: shard.unchanged} if shard.unchanged else {}
            found = ChangeSet(shard.changes, shard.deletes, unchanged)
        done.begin(found)
        await carry_out(run, found, done)
        done.take_over_earlier()
        sum_up(run, done.report)
        out, done.well = standing(shard, done.report)
        done.out = frozenset(run.plan.told_by_items(out))
        await run.note_items(out=done.out, well=shard.settles)
        return done


async def _written_so_far(run: Run, step: Step) -> dict[tuple[str, str], Outcome]:
    return await run.recorder.call(lambda: written_so_far(step.ledger, run.plan.job, step.run))


async def audit(step: Step, manifest: Manifest, moved: Collection[Moved]) -> Done:
    """Look at what the run was about once more: sync what no step did, delete, and record the end.

    A run that was killed and executed again from where it failed leaves out the steps that had never begun; here
    they are found and done.
    """
    async with _open(
        step, manifest.job, manifest.items, adopt=manifest.adopt, restored=manifest.restored, goes_on=True
    ) as run:
        done = Done(Report(step.run, manifest.job, time.time()))
        busy: Collection[str] = ()
        mine = [one for one in moved if one.run == step.run]
        again = step.again or any(one.again for one in mine)
        await run.settle()
        await run.start()
        if again:
            done.earlier = await _written_so_far(run, step)
        if manifest.shards or manifest.deletes:
            found = await look(run, verify=False, deleted=manifest.going)
            done.begin(found)
            await run.begin_items(items_of(found))
            await carry_out(run, found, done)
            done.healed = done.report.total(Result.CREATED, Result.UPDATED)
            busy = done.report.items_with(*MOVES)
        else:
            done.begin(ChangeSet(unchanged=manifest.unchanged, warnings=manifest.warnings))
            done.report.orphans = manifest.orphans
            tell_uncertain(run, ChangeSet(), done)
        of_steps_before = [moved_by_ledger(step.run, done.earlier, mine)] if again else mine
        credit(done.report, of_steps_before)
        for one in of_steps_before:
            done.drifted_of.update(one.drifted_of)
        of_steps = [manifest.requests] if manifest.run == step.run else []
        begun = [one.started for one in mine] + ([manifest.started] if manifest.run == step.run else [])
        done.report.started = min([done.began, *filter(None, begun)])
        await close(run, done.report, [*of_steps, *(one.requests for one in mine)])
        done.out = frozenset(run.plan.told_by_items(done.report.out_of_sync))
        told = {one.shown for one in mine} | set(manifest.shown if manifest.run == step.run else ())
        done.well = well_at_end(manifest.items, told, busy, done.out, whole=not done.report.failed_whole)
        return done


@asynccontextmanager
async def _open(
    step: Step,
    job: str,
    items: Collection[str],
    *,
    share: int = 1,
    adopt: Collection[str] = (),
    restored: Collection[str] = (),
    goes_on: bool = False,
    given: frozenset[tuple[str, str]] = frozenset(),
) -> AsyncIterator[Run]:
    job_plan = build_plan(
        _document(step.documents, job), _chosen(step.documents, job, items), adopt=adopt, restored=restored
    )
    job_plan = replace(job_plan, given=given)
    if share > 1:
        job_plan = replace(job_plan, spec=_with_a_share(job_plan.spec, share))
    async with open_run(
        job_plan,
        step.documents,
        step.ledger,
        environ=step.environ,
        fingerprint_key=step.fingerprint_key,
        name=step.run,
        stop=step.stop,
        claim=step.claim,
        goes_on=goes_on,
    ) as run:
        yield run


def _with_a_share(spec: SyncJobSpec, share: int) -> SyncJobSpec:
    """The spec with its part of the limits, where so many steps work on the same stores at a time."""
    limits = spec.limits
    mine = {
        "concurrency": max(1, limits.concurrency // share),
        "rate": limits.rate / share if limits.rate is not None else None,
    }
    return spec.model_copy(update={"limits": limits.model_copy(update=mine)})


def _document(documents: Documents, job: str) -> JobDocument:
    if job not in documents.jobs:
        raise UsageError(
            f"there is no SyncJob {job} in the documents any more", hint="reload the code location, and start a new run"
        )
    return documents.jobs[job]


def _chosen(documents: Documents, job: str, items: Collection[str]) -> frozenset[str]:
    """The chosen items; none where they are all of them, which is a whole run."""
    known = {item.name for item in _document(documents, job).spec.plan}
    return frozenset() if set(items) == known else frozenset(items)


def _as_error(error: ItemError) -> StoreError:
    """An error that a look gave, to be raised again: whether it may be retried is in its code."""
    raised = StoreError(error.message, hint=error.hint)
    if error.code in ("unavailable", "malformed-answer", "secret-fails", "rate-limited", "lost"):
        raised.retryable = True
    return raised
