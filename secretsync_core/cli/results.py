"""The exit code of what a plan, a sync or a check found, and the frame of their JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.cli import exits
from secretsync_core.cli.json_output import error_object, problem_object
from secretsync_core.errors import SecretSyncError
from secretsync_core.model.change import Action
from secretsync_core.model.report import TOLD, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.model.report import Report
    from secretsync_core.run.done import Planned
    from secretsync_core.schema.documents import Documents, JobDocument


_STILL = (Action.UNCHANGED, Action.SKIP)


def job_error(error: Exception) -> SecretSyncError:
    """The error of ours that ended a job, so that the others can go on. Raises what is none."""
    if isinstance(error, SecretSyncError):
        return error
    if isinstance(error, ExceptionGroup):
        known = [job_error(part) for part in error.exceptions]
        return max(known, key=lambda part: part.exit_code)
    raise error


def of_plan(planned: Planned, *, detailed: bool) -> int:
    """The exit code of one job's plan."""
    codes = [error.exit_code for error in planned.errors]
    actions = {change.action for change in planned.changes}
    if Action.REFUSE in actions:
        codes.append(exits.FAILED)
    if detailed and actions.difference(_STILL, (Action.REFUSE,)):
        codes.append(exits.DIFFERENT)
    return exits.gravest(codes)


def of_sync(report: Report) -> int:
    """The exit code of one job's sync."""
    codes = [error.exit_code for error in report.errors]
    if not report.ok and not codes:
        codes.append(exits.FAILED)
    if report.total(*TOLD):
        codes.append(exits.FAILED)
    return exits.gravest(codes)


def of_check(report: Report) -> int:
    """The exit code of one job's check, where drifted keys count as failed ones too."""
    codes = [error.exit_code for error in report.errors]
    if report.drifted_count:
        codes.append(exits.DIFFERENT)
    if report.total(Result.FAILED, Result.REFUSED) > report.drifted_count:
        codes.append(exits.FAILED)
    return exits.gravest(codes)


def failed_job(job: JobDocument, error: SecretSyncError) -> dict[str, Any]:
    """What JSON says of a job that ended with an error."""
    return {"job": job.name, "source": job.spec.source, "dest": list(job.spec.dest), "error": error_object(error)}


def frame(jobs: Sequence[dict[str, Any]], documents: Documents, code: int) -> dict[str, Any]:
    """The JSON of a command over several jobs."""
    return {"jobs": jobs, "warnings": [problem_object(problem) for problem in documents.warnings], "exitCode": code}
