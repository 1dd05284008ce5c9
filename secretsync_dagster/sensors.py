"""``onChange``: one sensor a source store asks it for versions, and starts just the jobs and items that are touched."""

# No deferred annotations here: Dagster reads those of its sensors, and takes none that are text.

import contextlib
import json
import os
import time
from collections.abc import Collection, Mapping, Sequence

import dagster as dg

from secretsync_core.errors import SecretSyncError
from secretsync_core.model.report import ItemError
from secretsync_core.run.gate import RetryPolicy
from secretsync_core.run.news import Acted, news, remember
from secretsync_core.run.watch import Sight, Watch
from secretsync_core.schema.documents import JobDocument
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.document_watch import broken_since
from secretsync_dagster.event_loop import run_async
from secretsync_dagster.lease_holders import is_dead
from secretsync_dagster.naming import JOB_TAG
from secretsync_dagster.resources import Runtime, runtime_of
from secretsync_dagster.shared_assets import is_of_another, location_of_tick, sharers

_IMPATIENT = RetryPolicy(attempts=2, first_wait=0.2, longest_wait=1.0, longest_retry_after=5.0, time_limit=35.0)
"""A sensor comes again soon: a store that does not answer must not hold up the tick. Dagster gives up on a tick after
60 s, and with it on what was seen of all other stores."""

_BUSY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


_GRACE_SECONDS = 10.0
"""At most so much earlier than a job's interval says may it be asked about again."""


def make_sensors(catalog: Catalog, made: Mapping[str, dg.JobDefinition]) -> list[dg.SensorDefinition]:
    """One sensor for each source store that a job with ``onChange`` reads, shared by all of these jobs."""
    by_source: dict[str, list[JobDocument]] = {}
    for job in catalog.documents.jobs.values():
        if job.spec.on_change is not None and not job.spec.suspend:
            by_source.setdefault(job.spec.source, []).append(job)
    return [_sensor(catalog, source, jobs, [made[job.name] for job in jobs]) for source, jobs in by_source.items()]


def _sensor(
    catalog: Catalog, source: str, jobs: list[JobDocument], targets: list[dg.JobDefinition]
) -> dg.SensorDefinition:
    resource = catalog.resource
    intervals = {job.name: job.spec.on_change.interval for job in jobs if job.spec.on_change is not None}
    watch = Watch()  # what it learns of the store holds as long as this process does

    @dg.sensor(
        name=catalog.translator.get_change_sensor_name(catalog.stores[source]),
        jobs=targets,
        minimum_interval_seconds=max(1, int(min(intervals.values()))),
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={resource},
        description=f"Asks {source} for the versions of its secrets, and syncs the items of which one has changed.",
    )
    def changes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        runtime = runtime_of(context, resource)
        memory = _Memory(context.cursor, intervals)
        over = memory.due(set(intervals.values()))
        due = [job for job in jobs if intervals[job.name] in over]
        requests: list[dg.RunRequest] = []
        reasons: dict[str, list[str]] = {}
        for job, sight in _look(context, runtime, watch, due).items():
            request, reason = _run_request(catalog, job, sight, memory) if isinstance(sight, Sight) else (None, sight)
            if request is not None:
                requests.append(request)
            else:
                reasons.setdefault(reason, []).append(job)
        skipped = dg.SkipReason(_skip_text(reasons) or "no job is due yet") if not requests else None
        return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=memory.text())

    return changes


def _look(
    context: dg.SensorEvaluationContext, runtime: Runtime, watch: Watch, jobs: Sequence[JobDocument]
) -> dict[str, Sight | str]:
    """What is seen of each of these jobs, all of them looked at together; or why it was not looked at."""
    if not jobs:
        return {}
    found: dict[str, Sight | str] = {}
    instance, location, ours = context.instance, location_of_tick(context), runtime.catalog
    try:
        busy = instance.get_runs(dg.RunsFilter(statuses=_BUSY))
        going_on = {job for run in busy if not is_of_another(run, location) for job in ours.jobs_of_tag(run)}
        shared = sharers(instance, ours, location, [job.name for job in jobs])
        # One with errors is left until it is mended, and started then, for nothing was acted on.
        shared |= broken_since(runtime, [job.name for job in jobs])
        found |= {job: _told(error) for job, error in shared.items()}
        with runtime.ledger() as opened:
            # Neither runs of the asset nor the command line carry the tag.
            going_on |= {lease.job for lease in opened.ledger.leases.live() if not is_dead(instance, lease.holder)}
            found |= {job.name: "a run is going on" for job in jobs if job.name in going_on - shared.keys()}
            idle = [job for job in jobs if job.name not in going_on | shared.keys()]
            found |= run_async(watch.look(idle, runtime.documents, opened.ledger, environ=os.environ, retry=_IMPATIENT))
    except SecretSyncError as error:
        return {job.name: _told(error) for job in jobs}
    except Exception as error:  # noqa: BLE001  its text may hold anything
        return {job.name: f"an unexpected {type(error).__name__}" for job in jobs}
    return found


def _run_request(catalog: Catalog, job: str, sight: Sight, memory: "_Memory") -> tuple[dg.RunRequest | None, str]:
    """A request for a run of the job's touched items; or None, and why."""
    fresh = memory.take(job, sight)
    if fresh:
        return (
            dg.RunRequest(
                job_name=catalog.job_name(job),
                run_config={"items": fresh},
                tags={JOB_TAG: catalog.job_tag(job), "secretsync/trigger": "change"},
            ),
            "",
        )
    if sight.errors:
        return None, _told(sight.errors[0])
    return None, "tried already, and not in place yet" if sight.touched else _SETTLED


def _told(error: SecretSyncError | ItemError) -> str:
    """What is wrong and what to do, as the command line says it."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


_SETTLED = "nothing changed"


def _skip_text(reasons: Mapping[str, Sequence[str]]) -> str:
    """Why nothing is started, what concerns the fewest jobs first: among a thousand that are well it would be lost."""
    lines = []
    for reason, jobs in sorted(reasons.items(), key=lambda one: (one[0] == _SETTLED, len(one[1]))):
        listed = ", ".join(sorted(jobs)[:_NAMED]) + (f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else "")
        lines.append(f"{listed}: {reason}")
    return "; ".join(lines)[:2000]


_NAMED = 5
"""How many jobs a skipped tick names for each reason."""


class _Memory:
    """What the sensor knows from its last tick, kept in its cursor: when it asked, and what it acted on."""

    def __init__(self, cursor: str | None, jobs: Collection[str]) -> None:
        self._asked: dict[str, float] = {}  # by interval: jobs of one interval are asked about together
        self._acted: dict[str, dict[str, Acted]] = {}  # by job and item
        # People may put anything into a cursor; what is not ours is begun anew.
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            held = json.loads(cursor or "{}")
            asked = {str(interval): float(at) for interval, at in held["asked"].items()} if held else {}
            acted = {
                job: {str(item): Acted(digest, float(at)) for item, (digest, at) in items.items()}
                for job, items in (held["acted"].items() if held else ())
                if job in jobs
            }
            self._asked, self._acted = asked, acted
        self._now = time.time()

    def due(self, intervals: Collection[float]) -> set[float]:
        """Those of the intervals that are over; they begin again now."""
        # The ticks come on time, but each is evaluated a little later, and the last one may have been later than this
        # one: without some grace its jobs would be left out until the next.
        grace = {each: min(each / 4, _GRACE_SECONDS) for each in intervals}
        over = {each for each in intervals if self._now - self._asked.get(str(each), 0.0) >= each - grace[each]}
        self._asked = {str(each): self._now if each in over else self._asked[str(each)] for each in intervals}
        return over

    def take(self, job: str, sight: Sight) -> list[str]:
        """The items of a job that are to be synced now; remembers that they are."""
        acted = self._acted.pop(job, {})
        fresh = news(sight, acted, self._now)
        # As little as can be: Dagster keeps a copy of the cursor with every tick.
        if kept := remember(sight, acted, fresh, self._now):
            self._acted[job] = kept
        return fresh

    def text(self) -> str:
        """The cursor for the next tick."""
        return json.dumps({"asked": self._asked, "acted": self._acted})
