"""The sequence of a run, whole or in parts.

::

    look -> targets -> decide -> (render, compare) -> transfer -> deletes -> close

The command line does all of it: :func:`plan`, :func:`sync` and :func:`check`. An orchestrator does it in parts, each in
a process of its own if need be: :func:`expand` looks, decides and splits, :func:`transfer` carries out one shard, and
:func:`audit` looks once more, does what no step did, and closes the run. Nothing that must last waits for the
audit: every write is in the ledger before and after it is made.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from secretsync_core.errors import StoreError, UsageError
from secretsync_core.model.change import Action, Drift, Reason
from secretsync_core.model.report import KEPT, NOT_DONE, PUT_RIGHT, Outcome, Report, Result, may_heal
from secretsync_core.run.access import ask_before
from secretsync_core.run.adopting import told_of_refused
from secretsync_core.run.beside import Beside
from secretsync_core.run.binding import find_binding, marks_of
from secretsync_core.run.compare import Comparer
from secretsync_core.run.decide import ChangeSet
from secretsync_core.run.deletes import (
    Doubts,
    refused_items,
    undone_items,
    withheld_by_rights,
    withhold,
)
from secretsync_core.run.deleting import LastLook
from secretsync_core.run.drift import look_for_drift
from secretsync_core.run.fingerprint import Fingerprinter
from secretsync_core.run.foresee import NOT_RENDERED, foresee, foresee_deletes
from secretsync_core.run.items import build_plan, check_restored
from secretsync_core.run.leftovers import told_of_leftovers
from secretsync_core.run.opening import open_stores
from secretsync_core.run.options import Options, Silent
from secretsync_core.run.pinning import PinCheck, name_deletes, name_values
from secretsync_core.run.pins import hold, told_of_beyond, unversioned_deletes
from secretsync_core.run.positions import known_positions
from secretsync_core.run.reconcile import decide_changes
from secretsync_core.run.record import Recorder
from secretsync_core.run.returned import gone_keys
from secretsync_core.run.run import new_run_id, open_run
from secretsync_core.run.settling import spare, still_uncertain, uncertain_writes
from secretsync_core.run.shards import AT_ONCE, Manifest, Moved, Part, Shard, look_again, look_at_lost, split
from secretsync_core.run.whole import written_so_far

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Draft
    from secretsync_core.model.change import Change
    from secretsync_core.model.report import ItemError
    from secretsync_core.run.fingerprint import FingerprintKey
    from secretsync_core.run.lease import Claim
    from secretsync_core.run.options import Observer
    from secretsync_core.run.orphans import Orphan
    from secretsync_core.run.pins import Named, Place
    from secretsync_core.run.run import Run
    from secretsync_core.schema.documents import Documents, JobDocument
    from secretsync_core.schema.job import SyncJobSpec

T = TypeVar("T")


# -- Whole: the command line ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Planned:
    """What a sync would do: every change (unchanged ones too), in the order of item and key."""

    job: str
    changes: list[Change]
    warnings: list[str]
    errors: list[ItemError]
    requests: dict[str, dict[str, int]]
    orphans: list[Orphan] = field(default_factory=list)
    named: dict[Place, Named] = field(default_factory=dict)
    """Of a plan that is to be saved: the names of values where versions are missing."""


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
        looked = await _unless_stopped(_look(run, verify=options.verify), stop)
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
        await run.begin_items(_items_of(found))
        await _carry_out(run, found, done, pinned, undone)
        if pinned is not None:
            beyond = [*beyond, *pinned.beyond]
            done.report.beyond = frozenset(change.item for change in beyond)
            done.report.warnings += told_of_beyond(job.name, beyond)
        await _close(run, done.report)
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


# -- In parts: an orchestrator ----------------------------------------------------------------------------------------


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


KEPT_OUTCOMES = 1000
"""How many outcomes a step keeps to show; the counts are of all."""


_DRIFTED = 100
"""How many drifted keys a step tells the audit."""


@dataclass(slots=True)
class Done:
    """What a run, or a step of it, did."""

    report: Report
    observer: Observer = field(default_factory=Silent)
    outcomes: list[Outcome] = field(default_factory=list)
    healed: int = 0
    """How many secrets the audit copied, which a step of its own should have."""
    out: frozenset[str] = frozenset()
    """The items that a step left out of sync; an empty name stands for the job as a whole."""
    well: tuple[str, ...] = ()
    """The items that a step found or made well, which no earlier step of this run said of them."""
    outcomes_of: Counter[str] = field(default_factory=Counter)
    """How many outcomes there were of each item, those that were not kept included."""
    drifted_of: Counter[str] = field(default_factory=Counter)
    """How many secrets of each item had drifted; at the end of a run also those that earlier steps put right."""
    mended: list[Change] = field(default_factory=list)
    """The first of those that this step put right, and ``mended_of`` how many of each item."""
    mended_of: Counter[str] = field(default_factory=Counter)
    again: bool = False
    """The step was tried before in this run."""
    earlier: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    """What this run wrote before this attempt, by (destination, key), as far as this one has no other word on it."""
    drifted_before: int = 0
    """How many of the last of those that had drifted earlier attempts met."""
    began: float = field(default_factory=time.time)
    """When this step began, in seconds since the epoch; of a whole run the report says that."""

    def begin(self, found: ChangeSet) -> None:
        """Take over what was decided before anything is transferred."""
        self.report.begin(found.unchanged, list(found.warnings), list(found.errors), found.unknown_drift)
        self.report.orphans = len(found.orphans)

    def settled(self, outcome: Outcome) -> None:
        """Take one outcome."""
        self.observer.outcome(outcome)
        if self.earlier:
            place = (outcome.change.dest, outcome.change.key)
            if place in self.earlier and outcome.result in _AS_IT_WAS:
                # It stays what the run did with it, and is counted as that once all is done: till then as any copy
                # that is in place.
                if self.earlier[place].result in _COPIES:
                    counts = self.report.counts.setdefault(outcome.change.item, {})
                    counts[Result.UNCHANGED] = counts.get(Result.UNCHANGED, 0) + 1
                return
            self.earlier.pop(place, None)
        self._take(outcome)

    def take_over_earlier(self) -> None:
        """Tell what earlier attempts wrote, and this one found in place or gone, as done by this one."""
        before = self.report.drifted_count
        for outcome in self.earlier.values():
            self._take(outcome)
            counts = self.report.counts[outcome.change.item]
            if outcome.result in _COPIES and (left := counts.pop(Result.UNCHANGED, 0)) > 1:
                counts[Result.UNCHANGED] = left - 1
        self.drifted_before = self.report.drifted_count - before
        self.earlier = {}

    def _take(self, outcome: Outcome) -> None:
        self.report.add(outcome)
        self.outcomes_of[outcome.change.item] += 1
        if outcome.change.drift in (Drift.CHANGED, Drift.REMOVED):
            self.drifted_of[outcome.change.item] += 1
            if outcome.result in PUT_RIGHT:
                self.mended_of[outcome.change.item] += 1
                if len(self.mended) < _DRIFTED:
                    self.mended.append(outcome.change)
        if len(self.outcomes) < KEPT_OUTCOMES or outcome.result in (Result.FAILED, Result.REFUSED):
            self.outcomes.append(outcome)

    @property
    def may_heal(self) -> bool:
        """Whether anything failed that may go well by itself: only then is the same step worth another attempt."""
        bad = [outcome.code for outcome in self.outcomes if outcome.result in NOT_DONE]
        return any(may_heal(code) for code in [*bad, *(error.code for error in self.report.errors)])

    @property
    def moved(self) -> Moved:
        """What the audit has to know of a transfer step."""
        return Moved(
            self.report.run,
            self.report.counts,
            next(iter(self.well), ""),
            self.report.requests,
            self.began,
            tuple(self.mended),
            dict(self.mended_of),
            self.again,
        )


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
        found = _without_uncertain(run, await _look(run, verify=verify))
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
                settles=_settles(shard, left),
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


def _settles(shard: Shard, left: Collection[str]) -> tuple[str, ...]:
    """The items that are in sync once a shard is done: those that it has all of; ``left`` have deletes elsewhere."""
    whole = shard.siblings == 1 if shard.part is Part.ITEM else not shard.shared
    return tuple(item for item in shard.covers if item not in left) if whole else ()


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
        given=_given(step, shard),
    ) as run:  # fmt: skip
        await run.start()
        done = Done(Report(step.run, shard.job, time.time()), again=step.again)
        stale = step.again or shard.run != step.run
        if stale:
            # Before it is written again: who looks later cannot tell which of the two writes was done.
            await run.settle(_only(shard))
        if step.again:
            is_mine = _only(shard)
            so_far = await _written_so_far(run, step)
            done.earlier = {place: one for place, one in so_far.items() if is_mine(one.change)}
        if shard.run != step.run:
            await run.begin_items(shard.covers)  # the run that decided this has said so only of itself
        if shard.look_again or stale:
            found = _part(await _look(run, verify=shard.verify), shard, run=step.run)
        else:
            unchanged = {shard.item: shard.unchanged} if shard.unchanged else {}
            found = ChangeSet(shard.changes, shard.deletes, unchanged)
        done.begin(found)
        await _carry_out(run, found, done)
        done.take_over_earlier()
        _sum_up(run, done.report)
        out, done.well = _standing(shard, done.report)
        done.out = frozenset(run.plan.told_by_items(out))
        await run.note_items(out=done.out, well=shard.settles)
        return done


def _given(step: Step, shard: Shard) -> frozenset[tuple[str, str]]:
    """The keys of a shard that this run's look at all of its items has released; of an older run's nothing counts."""
    if shard.run != step.run:
        return frozenset()
    released = (change for change in (*shard.changes, *shard.deletes) if change.action is not Action.REFUSE)
    return frozenset((change.dest, change.key) for change in released)


def _standing(shard: Shard, report: Report) -> tuple[frozenset[str], tuple[str, ...]]:
    """The items that a shard left out of sync, and the one that it alone brought in sync.

    A shard that is not ok leaves its item out, whatever failed: it may have been stopped. Of items that share a step
    the audit tells, all together.
    """
    out = frozenset(report.out_of_sync)
    if not report.ok:
        return (out | {shard.item} if shard.item else out), ()
    return out, (shard.settles if shard.item else ())


def _part(found: ChangeSet, shard: Shard, *, run: str) -> ChangeSet:
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


def _only(shard: Shard) -> Callable[[Draft | Change], bool]:
    """Tells the writes that are of this shard alone."""
    if shard.look_again:
        return lambda write: write.item in shard.covers and not shard.shared
    keys = {(change.dest, change.key) for change in (*shard.changes, *shard.deletes)}
    return lambda write: (write.dest, write.key) in keys


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
            found = await _look(run, verify=False, deleted=manifest.going)
            done.begin(found)
            await run.begin_items(_items_of(found))
            await _carry_out(run, found, done)
            done.healed = done.report.total(Result.CREATED, Result.UPDATED)
            busy = done.report.items_with(*_MOVES)
        else:
            done.begin(ChangeSet(unchanged=manifest.unchanged, warnings=manifest.warnings))
            done.report.orphans = manifest.orphans
            _tell_uncertain(run, ChangeSet(), done)
        of_steps_before = [_by_ledger(step.run, done.earlier, mine)] if again else mine
        _credit(done.report, of_steps_before)
        for one in of_steps_before:
            done.drifted_of.update(one.drifted_of)
        of_steps = [manifest.requests] if manifest.run == step.run else []
        begun = [one.started for one in mine] + ([manifest.started] if manifest.run == step.run else [])
        done.report.started = min([done.began, *filter(None, begun)])
        await _close(run, done.report, [*of_steps, *(one.requests for one in mine)])
        done.out = frozenset(run.plan.told_by_items(done.report.out_of_sync))
        told = {one.shown for one in mine} | set(manifest.shown if manifest.run == step.run else ())
        done.well = _well(manifest.items, told, busy, done.out, whole=not done.report.failed_whole)
        return done


def _well(
    items: Collection[str], told: Collection[str], busy: Collection[str], out: Collection[str], *, whole: bool = True
) -> tuple[str, ...]:
    """The items to call well at the end of a run: once, unless the audit itself moved something of them.

    ``told`` are those of which an earlier step said so. None is well where the job as a ``whole`` is not.
    """
    if not whole:
        return ()
    return tuple(item for item in items if item not in out and (item in busy or item not in told))


_AS_IT_WAS = (Result.UNCHANGED, Result.SKIPPED)
_COPIES = (Result.CREATED, Result.UPDATED)
_MOVES = (*_COPIES, Result.DELETED)


def _items_of(found: ChangeSet) -> set[str]:
    """The items of which anything is to be changed."""
    return {change.item for change in (*found.changes, *found.deletes)}


def _by_ledger(run: str, earlier: Mapping[tuple[str, str], Outcome], moved: Collection[Moved]) -> Moved:
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


def _credit(report: Report, moved: Collection[Moved]) -> None:
    """Count what the transfer steps of this run copied and deleted: the audit finds it in place, and gone.

    And the drift that they put right.
    """
    for one in moved:
        report.drifted += one.drifted[: KEPT - len(report.drifted)]
        report.drifted_count += sum(one.drifted_of.values())
        for item, results in one.counts.items():
            counts = report.counts.setdefault(item, {})
            for result in _COPIES:
                copied = results.get(result, 0)
                counts[result] = counts.get(result, 0) + copied
                counts[Result.UNCHANGED] = max(0, counts.get(Result.UNCHANGED, 0) - copied)
            counts[Result.DELETED] = counts.get(Result.DELETED, 0) + results.get(Result.DELETED, 0)


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


# -- What both are made of --------------------------------------------------------------------------------------------


async def _look(run: Run, *, verify: bool, deleted: Collection[tuple[str, str]] = ()) -> ChangeSet:
    found = await decide_changes(run.plan, run.opened, run.comparer, run.recorder, verify=verify, deleted=deleted)
    await run.keep_positions()
    return found


def _without_uncertain(run: Run, found: ChangeSet) -> ChangeSet:
    """What may be written now: nothing where an earlier write is uncertain, or nobody could tell the two apart."""
    places = run.settled.places
    if not places:
        return found
    return replace(found, changes=spare(found.changes, places), deletes=spare(found.deletes, places))


def _tell_uncertain(run: Run, found: ChangeSet, done: Done) -> None:
    """Tell what earlier runs announced and nobody can see yet: it stays so, whatever else this run does."""
    changes = {(change.dest, change.key): change for change in (*found.changes, *found.deletes)}
    selected = {item.name for item in run.plan.items}
    last = {(draft.dest, draft.key): draft for draft in run.settled.left}
    for place, draft in last.items():
        if place in changes or not run.plan.partial or draft.item in selected:
            done.settled(still_uncertain(draft, changes.get(place)))
    done.report.warnings += run.settled.warnings


async def _carry_out(
    run: Run, found: ChangeSet, done: Done, pinned: PinCheck | None = None, besides: AbstractSet[str] = frozenset()
) -> None:
    """The copies, and then the deletes of items of which every copy is in place.

    Under a saved plan as ``pinned``; ``besides`` are the items that have something to copy which it does not name.
    """
    _tell_uncertain(run, found, done)
    found = _without_uncertain(run, found)
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


async def _close(run: Run, report: Report, of_steps: Collection[Mapping[str, Mapping[str, int]]] = ()) -> None:
    """Sum up, with the requests of the other steps of this run, and record the end."""
    _sum_up(run, report)
    for requests in of_steps:
        for store, kinds in requests.items():
            counts = report.requests.setdefault(store, {})
            for kind, count in kinds.items():
                counts[kind] = counts.get(kind, 0) + count
    await run.keep_positions()
    await run.finish(report)


def _sum_up(run: Run, report: Report) -> None:
    report.errors += run.opened.losses(report.errors)
    report.requests = run.opened.requests
    report.stopped = run.stop.is_set()
    report.finished = time.time()


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
