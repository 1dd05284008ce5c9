"""Checks that people reported as passed, put right by the ledger.

Whoever may launch runs may also report what a check found, without any run, and Dagster shows it as if the check had
said so. Nothing here goes by that: what is synced, and what the checks themselves say, is decided by the ledger and the
stores. But a forged green would stand until the next evaluation, so it is compared with the ledger at the next tick.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.audit.database import LedgerMissing
from secretsync_dagster.broken_jobs import red_for_errors
from secretsync_dagster.colours import is_red
from secretsync_dagster.document_watch import broken_now
from secretsync_dagster.drift_history import last_word
from secretsync_dagster.in_sync import by_ledger
from secretsync_dagster.naming import DRIFT, IN_SYNC
from secretsync_dagster.shared_assets import red, sharers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
        for name in sorted(name for name, said in names.items() if name in found and _is_worse(found[name], said)):
            instance.report_runless_asset_event(found[name])
            forged.append(f"{name} of {job} {_FORGED}")
    return forged


def _is_worse(found: dg.AssetCheckEvaluation, said: dg.AssetCheckEvaluation) -> bool:
    """Whether a check that is not red is to be; or yellow, where it is green."""
    return said.passed or is_red(found)


def _reported_as_passed(
    instance: dg.DagsterInstance, runtime: Runtime
) -> Mapping[str, Mapping[str, dg.AssetCheckEvaluation]]:
    """The checks of each SyncJob whose newest evaluation is of no run, and not red."""
    catalog = runtime.catalog
    jobs = {dg.AssetCheckKey(catalog.asset_key(job), name): job for job in catalog.jobs for name in (IN_SYNC, DRIFT)}
    found: dict[str, dict[str, dg.AssetCheckEvaluation]] = {}
    for key, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(list(jobs)).items():
        said = record.event.asset_check_evaluation if record.event is not None else None
        if key in jobs and said is not None and not is_red(said) and not record.run_id:
            found.setdefault(jobs[key], {})[key.name] = said
    return found


def _failed(
    instance: dg.DagsterInstance, runtime: Runtime, location: str, job: str
) -> Mapping[str, dg.AssetCheckEvaluation]:
    """What the checks of a SyncJob say that have not passed, by their names."""
    key = runtime.catalog.asset_key(job)
    refused = sharers(instance, runtime.catalog, location, [job]).get(job)
    if broken := broken_now(runtime).get(job):
        in_sync = red_for_errors(key, broken)
    elif refused is not None:
        in_sync = red(runtime.catalog, job, refused)
    else:
        in_sync = _forged(by_ledger(runtime, job))
    drift = last_word(instance, key) or _last_look(runtime, job)
    found = {IN_SYNC: in_sync, **({DRIFT: _forged(drift)} if drift is not None else {})}
    return {name: said for name, said in found.items() if not said.passed}


def _forged(said: dg.AssetCheckEvaluation) -> dg.AssetCheckEvaluation:
    """The same, as what is said in the place of a report."""
    return dg.AssetCheckEvaluation(
        asset_key=said.asset_key,
        check_name=said.check_name,
        passed=said.passed,
        severity=said.severity,
        description=f"{said.check_name} {_FORGED}",
        metadata=said.metadata,
    )


def _last_look(runtime: Runtime, job: str) -> dg.AssetCheckEvaluation | None:
    """What the last look for drift found, by the ledger, where Dagster knows of none; None where it found nothing."""
    look = None
    with suppress(LedgerMissing), runtime.ledger(write=False) as opened:
        look = opened.ledger.drift.last_look(job)
    if look is None or not look.count:
        return None
    return dg.AssetCheckEvaluation(
        asset_key=runtime.catalog.asset_key(job),
        check_name=DRIFT,
        passed=False,
        metadata={"drifted": look.count, "found by run": look.run, "what to do": "execute this check"},
    )
