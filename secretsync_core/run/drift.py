"""Looking for drift: are the destinations still as this job last left them? Nothing is read from any source."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, SecretNotFound, SecretSyncError
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.report import Outcome, Report, Result
from secretsync_core.model.versions import is_older
from secretsync_core.run.by_version import NOT_COMPARED
from secretsync_core.run.copy_returned import find_returned
from secretsync_core.run.look import look_at_keys
from secretsync_core.run.older_versions import trust_own_writes
from secretsync_core.run.opening import job_error
from secretsync_core.run.positions import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from secretsync_core.model.state import KeyState
    from secretsync_core.run.copy_returned import Gone, Returned
    from secretsync_core.run.fingerprint import Fingerprinter
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder
    from secretsync_core.run.seen import DestSeen, State


async def look_for_drift(
    plan: JobPlan,
    opened: OpenStores,
    state: State,
    recorder: Recorder,
    fingerprinter: Fingerprinter | None,
    report: Report,
    settled: Callable[[Outcome], None],
    *,
    since: int,
    verify: bool,
    gone: Gone,
) -> None:
    """Look at every key that the ledger knows, and read those that versions cannot clear; and at those that are gone.

    What stands as it was is only counted in the report; the rest goes to ``settled``. ``since`` is the recorder's
    position before ``state`` was read: what a sync writes from then on only looks like drift, and is left out.
    Without a ``fingerprinter`` nobody knows of a value whether it is the one that was left: what versions do not clear
    is unknown.
    """
    suspected: list[Outcome] = []
    for dest in plan.spec.dest:
        known = state.get(dest, {})
        if dest in opened.failed:
            report.errors.append(job_error(opened.failed[dest]))
        elif not opened.looks(dest):
            report.drift_unknown += len(known)
        else:
            await _look_at(dest, known, plan, opened, recorder, fingerprinter, report, suspected, verify=verify)
            if fingerprinter is not None and (back := gone.get(dest)):
                suspected += [_back(dest, one) for one in await find_returned(plan, opened, fingerprinter, dest, back)]
    moving = await recorder.moving(since) if suspected else set()
    for outcome in suspected:
        if (outcome.change.dest, outcome.change.key) not in moving:
            settled(outcome)
    left_out = sum((outcome.change.dest, outcome.change.key) in moving for outcome in suspected)
    if left_out:
        report.warnings.append(
            f"a sync was writing {left_out} of the keys meanwhile, or left them uncertain: they are left out"
        )


async def _look_at(
    dest: str,
    known: Mapping[str, KeyState],
    plan: JobPlan,
    opened: OpenStores,
    recorder: Recorder,
    fingerprinter: Fingerprinter | None,
    report: Report,
    suspected: list[Outcome],
    *,
    verify: bool,
) -> None:
    try:
        view = await look_at_keys(opened, dest, known.keys())
    except SecretSyncError as error:
        report.errors.append(job_error(error))
        return

    if (fault := await fault_of(dest, plan, opened)) is not None:
        report.errors.append(job_error(fault))
        return
    facts = opened.stores[dest].facts
    view = await trust_own_writes(dest, view, known, recorder, lags=facts.lags)
    doubtful: list[str] = []
    for key, held in known.items():
        if key in view.as_left:  # it shows what our own write has replaced a moment ago, so a read would too
            _count_unchanged(report, held.item)
            continue
        if (gap := view.hidden.get(key)) is not None and gap.is_fault:
            change = _change(dest, key, held, Reason.CANNOT_SEE, Drift.UNKNOWN, None)
            suspected.append(Outcome(change, Result.FAILED, gap.code, gap.message))
            continue
        entry = view.entries.get(key)
        if entry is not None and is_older(entry.version, held.dest_version, facts.version_order):
            suspected.append(_behind(dest, key, held, entry.version))
            continue
        if key not in view.hidden and (entry is None or entry.deleted):
            suspected.append(_drifted(dest, key, held, Drift.REMOVED, entry.version if entry else None))
        elif verify or entry is None or entry.version is None or entry.version != held.dest_version:
            doubtful.append(key)
        else:
            _count_unchanged(report, held.item)

    if opened.stores[dest].reader is None:
        if verify:
            report.warnings.append(f"{dest} shows no values: only versions were compared there")
        for key in doubtful:
            _judge_unread(dest, key, known[key], view, report, suspected)
        return
    if fingerprinter is None:
        report.drift_unknown += len(doubtful)
        return
    fingerprints = await recorder.fingerprints(dest, doubtful)
    keys = iter(doubtful)

    async def worker(keys: Iterator[str]) -> None:
        for key in keys:
            held = known[key]
            try:
                found = await opened.reader(dest).read(key)
            except SecretNotFound:
                suspected.append(_drifted(dest, key, held, Drift.REMOVED, None))
            except SecretSyncError as error:
                change = _change(dest, key, held, Reason.CANNOT_SEE, Drift.UNKNOWN, None)
                suspected.append(Outcome(change, Result.FAILED, error.code, error.message, error.hint))
            else:
                fingerprint, ours = fingerprints.get(key, ("", ""))
                if fingerprinter.is_value(fingerprint, dest, key, found.value, ours):
                    _count_unchanged(report, held.item)
                else:
                    suspected.append(_drifted(dest, key, held, Drift.CHANGED, found.version))

    async with asyncio.TaskGroup() as group:
        for _ in range(plan.spec.limits.concurrency):
            group.create_task(worker(keys))


def _judge_unread(
    dest: str, key: str, held: KeyState, view: DestSeen, report: Report, suspected: list[Outcome]
) -> None:
    """Say of a key whose value nobody can read what its version says."""
    entry = view.entries.get(key)
    if entry is None:
        change = _change(dest, key, held, Reason.CANNOT_SEE, Drift.UNKNOWN, None)
        message = f"{key} in {dest} may not be looked at"
        suspected.append(
            Outcome(change, Result.FAILED, AccessDenied.code, message, "grant it to the job's credentials")
        )
    elif entry.version is None:
        report.drift_unknown += 1
    elif entry.version == held.dest_version:
        _count_unchanged(report, held.item)  # asked to be compared, which its value cannot be
    else:
        suspected.append(_drifted(dest, key, held, Drift.CHANGED, entry.version, f"it was written, and {NOT_COMPARED}"))


def _count_unchanged(report: Report, item: str) -> None:
    counts = report.counts.setdefault(item, {})
    counts[Result.UNCHANGED] = counts.get(Result.UNCHANGED, 0) + 1


def _drifted(
    dest: str, key: str, held: KeyState, drift: Drift, version: str | None, how: str = "it holds another value"
) -> Outcome:
    reason = Reason.REMOVED_OUTSIDE if drift is Drift.REMOVED else Reason.DRIFTED
    message = "it is gone" if drift is Drift.REMOVED else how
    change = _change(dest, key, held, reason, drift, version)
    return Outcome(change, Result.FAILED, reason, message, "a sync fixes it", version)


def _back(dest: str, found: Returned) -> Outcome:
    change = Change(found.deleted.item, dest, found.key, Action.COMPARE, Reason.BACK_AGAIN, dest_version=found.version,
                    definition=found.deleted.definition, owned=True, drift=Drift.CHANGED)  # fmt: skip
    message = "it is there again, and this job had deleted it"
    hint = "with deletionPolicy Delete a sync deletes it again, where it is proven to be this job's"
    return Outcome(change, Result.FAILED, Reason.BACK_AGAIN, message, hint, found.version)


def _behind(dest: str, key: str, held: KeyState, version: str | None) -> Outcome:
    """No drift: what was asked does not know yet what this job has written, or a snapshot of it was restored."""
    change = _change(dest, key, held, Reason.OLDER_VERSION, Drift.UNKNOWN, version)
    message = f"{dest} shows a version older than the one that this job wrote"
    return Outcome(
        change, Result.FAILED, Reason.OLDER_VERSION, message, "was it restored, or is it a standby?", version
    )


def _change(dest: str, key: str, held: KeyState, reason: Reason, drift: Drift, version: str | None) -> Change:
    return Change(held.item, dest, key, Action.COMPARE, reason, source_version=held.source_version,
                  dest_version=version, definition=held.definition, owned=held.owned, drift=drift)  # fmt: skip
