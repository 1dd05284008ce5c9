"""``onChange``: one sensor a source store asks it for versions, and starts just the jobs and items that are touched."""

# No deferred annotations here: Dagster reads those of its sensors, and takes none that are text.

import contextlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any

import dagster as dg

from secretsync_core.engine.gate import RetryPolicy
from secretsync_core.engine.watch import touched_items
from secretsync_core.errors import SecretSyncError
from secretsync_core.schema.documents import Documents, JobDocument
from secretsync_dagster.holders import is_dead
from secretsync_dagster.loop import run_async
from secretsync_dagster.resources import Runtime
from secretsync_dagster.translator import JOB_TAG, dagster_name

_IMPATIENT = RetryPolicy(attempts=2, first_wait=0.2, longest_wait=1.0, longest_retry_after=5.0)
"""A sensor comes again soon: a store that does not answer must not hold up the tick."""

_BUSY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


_AGAIN_SECONDS = 600.0
"""What was acted on and is still not in place is tried again after so long, and not at every tick."""


def make_sensors(documents: Documents, made: Mapping[str, dg.JobDefinition]) -> list[dg.SensorDefinition]:
    """One sensor for each source store that a job with ``onChange`` reads, shared by all of these jobs."""
    by_source: dict[str, list[JobDocument]] = {}
    for job in documents.jobs.values():
        if job.spec.on_change is not None and not job.spec.suspend:
            by_source.setdefault(job.spec.source, []).append(job)
    return [_sensor(source, jobs, [made[job.name] for job in jobs]) for source, jobs in by_source.items()]


def _sensor(source: str, jobs: list[JobDocument], targets: list[dg.JobDefinition]) -> dg.SensorDefinition:
    intervals = {job.name: job.spec.on_change.interval for job in jobs if job.spec.on_change is not None}

    @dg.sensor(
        name=f"{dagster_name(source)}_changes",
        jobs=targets,
        minimum_interval_seconds=max(1, int(min(intervals.values()))),
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"secretsync"},
        description=f"Asks **{source}** for versions, and starts the jobs whose items are touched.",
    )
    def changes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        runtime: Runtime = context.resources.secretsync
        memory = _Memory(context.cursor)
        requests: list[dg.RunRequest] = []
        reasons: list[str] = []
        for job in jobs:
            if not memory.due(job.name, intervals[job.name]):
                continue
            # One store or one job that fails must not keep the others from being looked at.
            try:
                request, reason = _look(context.instance, runtime, job, memory)
            except SecretSyncError as error:
                request, reason = None, error.message
            except Exception as error:  # noqa: BLE001  its text may hold anything
                request, reason = None, f"an unexpected {type(error).__name__}"
            if request is not None:
                requests.append(request)
            else:
                reasons.append(f"{job.name}: {reason}")
        skipped = dg.SkipReason("; ".join(reasons)[:2000] or "no job is due yet") if not requests else None
        return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=memory.text())

    return changes


def _look(
    instance: dg.DagsterInstance, runtime: Runtime, job: JobDocument, memory: "_Memory"
) -> tuple[dg.RunRequest | None, str]:
    """A request for a run of the job's touched items; or None, and why."""
    going_on = dg.RunsFilter(tags={JOB_TAG: job.name}, statuses=_BUSY)
    if instance.get_run_records(going_on, limit=1):
        return None, "a run is going on"
    with runtime.ledger() as opened:
        # Neither runs of the asset nor the command line carry the tag.
        lease = opened.ledger.lease(job.name)
        if lease is not None and not is_dead(instance, lease.holder):
            return None, "a run is going on"
        touched, errors = run_async(
            touched_items(job, runtime.documents, opened.ledger, environ=os.environ, retry=_IMPATIENT)
        )
    fresh = sorted(item for item, digest in touched.items() if memory.is_news(job.name, item, digest))
    if fresh:
        for item in fresh:
            memory.act(job.name, item, touched[item])
        return (
            dg.RunRequest(
                job_name=dagster_name(job.name),
                run_config={"items": fresh},
                tags={JOB_TAG: job.name, "secretsync/trigger": "change"},
            ),
            "",
        )
    if errors:
        return None, errors[0].message
    return None, "tried already, and not in place yet" if touched else "nothing changed"


class _Memory:
    """What the sensor knows from its last tick, kept in its cursor: when it asked, and what it acted on."""

    def __init__(self, cursor: str | None) -> None:
        self._asked: dict[str, float] = {}
        self._acted: dict[str, list[Any]] = {}
        # People may put anything into a cursor; what is not ours is begun anew.
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            held = json.loads(cursor or "{}")
            asked = {str(job): float(at) for job, at in held["asked"].items()} if held else {}
            acted = {str(item): [digest, float(at)] for item, (digest, at) in held["acted"].items()} if held else {}
            self._asked, self._acted = asked, acted
        self._now = time.time()

    def due(self, job: str, interval: float) -> bool:
        """Whether the job's own interval is over; if so, it counts as asked now."""
        # Half a second of grace, or a tick that comes a moment early would leave the job out until the next.
        if self._now - self._asked.get(job, 0.0) < interval - 0.5:
            return False
        self._asked[job] = self._now
        return True

    def is_news(self, job: str, item: str, digest: str | None) -> bool:
        """Whether this sight of an item was not acted on, or long enough ago."""
        acted = self._acted.get(f"{job}/{item}")
        return digest is None or acted is None or acted[0] != digest or self._now - acted[1] > _AGAIN_SECONDS

    def act(self, job: str, item: str, digest: str | None) -> None:
        """Remember that this sight of an item is acted on."""
        self._acted[f"{job}/{item}"] = [digest, self._now]

    def text(self) -> str:
        """The cursor for the next tick."""
        return json.dumps({"asked": self._asked, "acted": self._acted})
