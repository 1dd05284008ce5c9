"""Checks that people reported as passed, put right by the ledger.

Whoever may launch runs may also report what a check found, without any run, and Dagster shows it as if the check had
said so. Nothing here goes by that: what is synced, and what the checks themselves say, is decided by the ledger and the
stores. But a forged green would stand until the next evaluation, so it is compared with the ledger at the next tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.audit.database import LedgerMissing
from secretsync_dagster.broken_jobs import red_for_errors
from secretsync_dagster.document_watch import broken_now
from secretsync_dagster.in_sync import in_sync_by_ledger
from secretsync_dagster.naming import DRIFT, IN_SYNC
from secretsync_dagster.shared_assets import red, sharers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from secretsync_core.audit.ledger import Ledger
    from secretsync_dagster.resources import Runtime

_FORGED = "was reported as passed by somebody; by the ledger it has not"


def put_right(instance: dg.DagsterInstance, runtime: Runtime, location: str, *, going_on: Collection[str]) -> list[str]:
    """Report as failed, again, what is reported as passed and has not; gives what was wrong.

    Args:
        instance: keeps what checks said.
        runtime: the documents and the ledger.
        location: of the tick, as ``repository@location``.
        going_on: SyncJobs of which a run is going on, which will say how they are.
    """
    forged: list[str] = []
    for job, names in _reported_as_passed(instance, runtime).items():
        if job in going_on:
            continue
        found = _failed(instance, runtime, location, job)
        for name in sorted(names & found.keys()):
            instance.report_runless_asset_event(found[name])
            forged.append(f"{name} of {job} {_FORGED}")
    return forged


def _reported_as_passed(instance: dg.DagsterInstance, runtime: Runtime) -> Mapping[str, set[str]]:
    """The checks of each SyncJob whose newest evaluation is of no run, and says that all is well."""
    catalog = runtime.catalog
    jobs = {dg.AssetCheckKey(catalog.asset_key(job), name): job for job in catalog.jobs for name in (IN_SYNC, DRIFT)}
    found: dict[str, set[str]] = {}
    for key, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(list(jobs)).items():
        said = record.event.asset_check_evaluation if record.event is not None else None
        if key in jobs and said is not None and said.passed and not record.run_id:
            found.setdefault(jobs[key], set()).add(key.name)
    return found


def _failed(
    instance: dg.DagsterInstance, runtime: Runtime, location: str, job: str
) -> Mapping[str, dg.AssetCheckEvaluation]:
    """What the checks of a SyncJob say that have not passed, by their names."""
    if broken := broken_now(runtime).get(job):
        return {IN_SYNC: red_for_errors(runtime.catalog.asset_key(job), broken)}
    refused = sharers(instance, runtime.catalog, location, [job]).get(job)
    if refused is not None:
        return {IN_SYNC: red(runtime.catalog, job, refused)}
    try:
        with runtime.ledger(write=False) as opened:
            found = {IN_SYNC: in_sync_by_ledger(runtime, opened.ledger, job), DRIFT: _last_drift(opened.ledger, job)}
    except LedgerMissing:
        found = {IN_SYNC: (False, {"last run": "there was none"})}
    key = runtime.catalog.asset_key(job)
    return {
        name: dg.AssetCheckEvaluation(
            asset_key=key, check_name=name, passed=False, description=f"{name} {_FORGED}", metadata=shown
        )
        for name, (passed, shown) in found.items()
        if not passed
    }


def _last_drift(ledger: Ledger, job: str) -> tuple[bool, dict[str, Any]]:
    """Whether the last look for drift found none, and what it found."""
    look = ledger.drift.last_look(job)
    if look is None or not look.count:
        return True, {}
    return False, {
        "drifted": look.count,
        "found by run": look.run,
        "what to do": "evaluate the check: it lists the keys",
    }
