"""When a SyncJob is synced, and when it is looked for drift, as Dagster schedules; ``suspend`` stops both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_dagster.naming import CHECK_TAG, DRIFT

if TYPE_CHECKING:
    from secretsync_core.schema.documents import JobDocument
    from secretsync_core.schema.quantities import Schedule
    from secretsync_dagster.catalog import Catalog


def make_schedule(document: JobDocument, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The schedule of a job: running from the start, unless the document suspends it."""
    assert document.spec.schedule is not None  # noqa: S101  the caller asks for jobs that have one
    return dg.ScheduleDefinition(job=job, **_when(document, job.name, document.spec.schedule))


def make_drift_schedule(catalog: Catalog, document: JobDocument) -> dg.ScheduleDefinition | None:
    """The schedule of a job that only executes the drift check; None where the document asks for none."""
    asked = document.spec.drift_check
    if asked is None:
        return None
    name = catalog.drift_job_name(document.name)
    job = dg.define_asset_job(
        name,
        dg.AssetSelection.checks(dg.AssetCheckKey(catalog.asset_key(document.name), DRIFT)),
        description=f"Looks for copies of {document.name} changed outside SecretSync. Reads destinations only.",
        tags={CHECK_TAG: catalog.job_tag(document.name)},
        executor_def=dg.in_process_executor,
    )
    return dg.ScheduleDefinition(job=job, **_when(document, name, asked.schedule))


def _when(document: JobDocument, job: str, schedule: Schedule) -> dict[str, Any]:
    """A schedule's name and times: running from the start, unless the document suspends it."""
    suspended = document.spec.suspend
    # A state that was set in the UI outlives the document's change, so that the status alone would not do.
    kept = {"execution_fn": _suspended} if suspended else {}
    return {
        "name": f"{job}_schedule",
        "cron_schedule": schedule.cron,
        "execution_timezone": document.spec.timezone,
        "default_status": dg.DefaultScheduleStatus.STOPPED if suspended else dg.DefaultScheduleStatus.RUNNING,
        "description": f"{schedule.text} in {document.spec.timezone}, as the document of {document.name} has it"
        + (". The document suspends it." if suspended else "."),
        **kept,
    }


def _suspended(_: dg.ScheduleEvaluationContext) -> dg.SkipReason:
    return dg.SkipReason("the document says suspend: true")
