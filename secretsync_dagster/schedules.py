"""``schedule``, ``timezone`` and ``suspend`` of a SyncJob as a Dagster schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from secretsync_core.schema.documents import JobDocument


def make_schedule(document: JobDocument, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The schedule of a job: running from the start, unless the document suspends it."""
    spec = document.spec
    assert spec.schedule is not None  # noqa: S101  the caller asks for jobs that have one
    suspended = spec.suspend
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=spec.schedule.cron,
        execution_timezone=spec.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED if suspended else dg.DefaultScheduleStatus.RUNNING,
        description=f"`{spec.schedule.text}`, as {document.where.file} has it"
        + (". The document suspends it." if suspended else "."),
    )
