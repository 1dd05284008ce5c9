"""When a SyncJob is synced, and when it is looked for drift, as Dagster schedules; ``suspend`` stops both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.cli.due import is_due
from secretsync_dagster.executor_wrappers import one_step_executor
from secretsync_dagster.naming import CHECK_FIRST_TAG, CHECK_TAG, DRIFT

if TYPE_CHECKING:
    from secretsync_core.schema.documents import JobDocument
    from secretsync_core.schema.quantities import Schedule
    from secretsync_dagster.catalog import Catalog


def make_schedule(document: JobDocument, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The schedule of a job: running from the start, unless the document suspends it."""
    assert document.spec.schedule is not None  # noqa: S101  the caller asks for jobs that have one
    drift = document.spec.drift_check

    def sync(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        both = drift is not None and _is_due(drift.schedule, document, context)
        return dg.RunRequest(tags={CHECK_FIRST_TAG: "true"} if both else {})

    how = {"execution_fn": sync} if drift is not None else {}
    return dg.ScheduleDefinition(job=job, **{**how, **_when(document, job.name, document.spec.schedule)})


def make_drift_schedule(catalog: Catalog, document: JobDocument) -> dg.ScheduleDefinition | None:
    """The schedule of a job that only executes the drift check; None where the document asks for none."""
    asked = document.spec.drift_check
    if asked is None:
        return None
    name = catalog.drift_job_name(document.name)
    synced = document.spec.schedule
    its_name = _name(catalog.job_name(document.name))

    def check(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if synced is not None and _is_due(synced, document, context) and _is_on(context.instance, its_name):
            return dg.SkipReason(f"{its_name} is due in the same second: that sync looks for drift before it writes")
        return dg.RunRequest()

    how = {"execution_fn": check} if synced is not None else {}
    job = dg.define_asset_job(
        name,
        dg.AssetSelection.checks(dg.AssetCheckKey(catalog.asset_key(document.name), DRIFT)),
        description=f"Looks for copies of {document.name} changed outside SecretSync. Reads destinations only.",
        tags={CHECK_TAG: catalog.job_tag(document.name)},
        executor_def=one_step_executor,
    )
    return dg.ScheduleDefinition(job=job, **{**how, **_when(document, name, asked.schedule)})


def _is_due(schedule: Schedule, document: JobDocument, context: dg.ScheduleEvaluationContext) -> bool:
    """Whether a schedule of a document is due in the second of a tick."""
    return is_due(schedule.cron, document.spec.timezone, context.scheduled_execution_time)


def _is_on(instance: dg.DagsterInstance, schedule: str) -> bool:
    """Whether nobody has switched a schedule off: what is on from the start has no state until somebody does.

    Where several code locations have one of that name, all of them have to be on.
    """
    states = [state for state in instance.all_instigator_state() if state.instigator_name == schedule]
    return all(state.status.value != "STOPPED" for state in states)


def _name(job: str) -> str:
    return f"{job}_schedule"


def _when(document: JobDocument, job: str, schedule: Schedule) -> dict[str, Any]:
    """A schedule's name and times: running from the start, unless the document suspends it."""
    suspended = document.spec.suspend
    # A state that was set in the UI outlives the document's change, so that the status alone would not do.
    kept = {"execution_fn": _suspended} if suspended else {}
    return {
        "name": _name(job),
        "cron_schedule": schedule.cron,
        "execution_timezone": document.spec.timezone,
        "default_status": dg.DefaultScheduleStatus.STOPPED if suspended else dg.DefaultScheduleStatus.RUNNING,
        "description": f"{schedule.text} in {document.spec.timezone}, as the document of {document.name} has it"
        + (". The document suspends it." if suspended else "."),
        **kept,
    }


def _suspended(_: dg.ScheduleEvaluationContext) -> dg.SkipReason:
    return dg.SkipReason("the document says suspend: true")
