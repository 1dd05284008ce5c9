"""One sensor that tells people how runs ended: as their documents' ``notify`` asks for, and as the CLI tells it.

It looks at runs that are over, whatever ended them: a run that was killed, or terminated, has no op left to tell.
A sensor of Dagster's kind for run statuses sees one status only; this one sees all three in one place, and its cursor
keeps what was told, so that a tick that takes too long leaves the rest to the next.
"""

# No deferred annotations here: Dagster reads those of its sensors, and takes none that are text.

import json
import os
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

import dagster as dg

from secretsync_core.audit.ledger import Ledger
from secretsync_core.cli.escape import safe
from secretsync_core.counting import plural
from secretsync_core.errors import SecretSyncError
from secretsync_core.notify import history, send
from secretsync_core.notify.ending import Ending, of_look, of_run
from secretsync_core.schema.documents import JobDocument
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.naming import DRIFT, JOB_TAG, VERDICT_TAG, scoped
from secretsync_dagster.resources import Runtime, runtime_of
from secretsync_dagster.run_config import asked_of, only_looks
from secretsync_dagster.shared_assets import is_of_another, location_of_run, location_of_tick

NAME = "secretsync_notifications"

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_INTERVAL_SECONDS = 15
_LOOK_BACK_SECONDS = 300.0
"""How far apart the clocks of those who write down how runs end may be."""
_PAGE = 200
_BUDGET_SECONDS = 15.0
"""When a tick begins no further message: Dagster gives up on a tick after a minute, and forgets what it told."""
_MESSAGES_SECONDS = 30.0
"""How long the messages about one run of one SyncJob may take in all."""


def make_notifications(catalog: Catalog) -> list[dg.SensorDefinition]:
    """The sensor, where a document asks for notifications."""
    told = {name: data.document for name, data in catalog.jobs.items() if data.document.spec.notify}
    return [_sensor(catalog, told)] if told else []


def _sensor(catalog: Catalog, jobs: dict[str, JobDocument]) -> dg.SensorDefinition:
    resource = catalog.resource
    by_asset = {catalog.asset_key(name): job for name, job in jobs.items()}

    @dg.sensor(
        name=scoped(NAME, catalog.scope),
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={resource},
        description=f"Sends messages on how runs ended, as notify in the documents of {_listed(jobs)} says.",
    )
    def notifications(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        runtime = runtime_of(context, resource)
        memory = _Memory(context.cursor)
        began = time.monotonic()
        warnings: list[str] = []
        looked = 0
        for record in _ended_runs(context, memory.since):
            run = record.dagster_run
            if run.run_id in memory.told or is_of_another(run, location_of_tick(context)):
                continue
            if not memory.first:
                for job, found in _jobs_of(context, runtime, run, jobs, by_asset):
                    if _is_no_sync(run, catalog.job_name(job.name)) or memory.knows(run.run_id, job.name):
                        continue
                    if time.monotonic() - began > _BUDGET_SECONDS:
                        return _tick_result(context, warnings, looked, memory)
                    looked += 1
                    warnings += _notify(context.instance, runtime, job, record, found)
                    memory.note(run.run_id, job.name)
            memory.add(run.run_id, record.update_timestamp.timestamp())
        return _tick_result(context, warnings, looked, memory)

    return notifications


def _listed(jobs: Iterable[str]) -> str:
    """The first of the names, and how many more there are."""
    first, more = sorted(jobs)[:_NAMED], sorted(jobs)[_NAMED:]
    return ", ".join(first) + (f" and {plural(len(more), 'other')}" if more else "")


_NAMED = 5


def _notify(
    instance: dg.DagsterInstance, runtime: Runtime, job: JobDocument, record: dg.RunRecord, found: Ending | None
) -> list[str]:
    """Tell how a run ended for one SyncJob; gives what went wrong with that."""
    try:
        if found is not None:
            return send.notify(job, found, None, os.environ, within=_MESSAGES_SECONDS)
        return _notify_of_run(instance, runtime, job, record)
    except SecretSyncError as error:
        return [f"{job.name}: {error.message}"]
    except Exception as error:  # noqa: BLE001  its text may hold anything
        return [f"{job.name}: an unexpected {type(error).__name__}"]


def _tick_result(
    context: dg.SensorEvaluationContext, warnings: list[str], looked: int, memory: "_Memory"
) -> dg.SensorResult:
    for warning in warnings:
        context.log.warning(safe(warning))
    reason = f"{looked} ended runs were looked at" if looked else "no run has ended since"
    return dg.SensorResult(skip_reason="; ".join([reason, *warnings])[:2000], cursor=memory.text())


def _ended_runs(context: dg.SensorEvaluationContext, since: float) -> Iterator[dg.RunRecord]:
    after = datetime.fromtimestamp(since - _LOOK_BACK_SECONDS, tz=timezone.utc)  # noqa: UP017  Dagster's own form
    while True:
        wanted = dg.RunsFilter(statuses=_ENDED, updated_after=after)
        found = context.instance.get_run_records(wanted, limit=_PAGE, order_by="update_timestamp", ascending=True)
        yield from found
        if len(found) < _PAGE:
            return
        after = found[-1].update_timestamp


def _jobs_of(
    context: dg.SensorEvaluationContext,
    runtime: Runtime,
    run: dg.DagsterRun,
    jobs: dict[str, JobDocument],
    by_asset: dict[dg.AssetKey, JobDocument],
) -> list[tuple[JobDocument, Ending | None]]:
    """The SyncJobs that a run is of: one for a run of a job, any number for one that materializes assets.

    A run that synced nothing may have looked for drift: then what it found comes with the job.
    """
    if JOB_TAG in run.tags or run.asset_selection:
        return [(job, None) for job in runtime.catalog.jobs_of(run) if job.name in jobs]
    return list(_drift_endings(context, runtime, run, by_asset))


def _drift_endings(
    context: dg.SensorEvaluationContext,
    runtime: Runtime,
    run: dg.DagsterRun,
    by_asset: dict[dg.AssetKey, JobDocument],
) -> Iterator[tuple[JobDocument, Ending]]:
    """What a run's drift checks found, where they found any."""
    for entry in context.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.dagster_event.asset_check_evaluation_data if entry.dagster_event is not None else None
        if check is None or check.check_name != DRIFT or check.passed or check.asset_key not in by_asset:
            continue
        job = by_asset[check.asset_key]
        try:
            with runtime.ledger(write=False) as opened:
                look = opened.ledger.drift.last_look(job.name)
                if look is None and opened.ledger.outdated:
                    context.log.warning("%s: what drifted is not known: %s", job.name, opened.ledger.outdated)
        except SecretSyncError as error:  # also of a ledger that fails people want to hear
            yield job, Ending(job.name, run.run_id, ok=False, errors=(error.message,))
        else:
            # A later look has found what was there in its turn, and is told of by its own run.
            if look is not None and look.count and look.run == run.run_id:
                yield job, of_look(job.name, look)


def _is_no_sync(run: dg.DagsterRun, job: str) -> bool:
    """Whether there is nothing to tell of a run: whoever asked it only to look looks at it, and an entry for what
    another one left is no run. ``job`` is what Dagster calls the job."""
    return VERDICT_TAG in run.tags or only_looks(asked_of(run, job))


def _notify_of_run(instance: dg.DagsterInstance, runtime: Runtime, job: JobDocument, record: dg.RunRecord) -> list[str]:
    run = record.dagster_run
    ok = run.status is dg.DagsterRunStatus.SUCCESS
    errors = [] if ok else _errors(instance, run)
    previous: bool | None = None
    try:
        with runtime.ledger() as opened:
            ending = of_run(opened.ledger, job.name, run.run_id, ok=ok, errors=errors)
            previous = _previous_was_ok(instance, opened.ledger, runtime.catalog, job.name, record)
    except SecretSyncError as error:  # also of a ledger that fails people want to hear
        ending = Ending(job.name, run.run_id, ok, errors=(*errors, error.message))
    return send.notify(job, ending, previous, os.environ, within=_MESSAGES_SECONDS)


def _errors(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """Why a run failed, in words of ours: what else Dagster keeps of an exception may hold anything."""
    if run.status is dg.DagsterRunStatus.CANCELED:
        return ["the run was terminated"]
    told: list[str] = []
    failed = False
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        failed = True
        ours = event.step_failure_data.user_failure_data if event is not None else None
        if ours is not None and ours.description:
            told.append(f"{event.step_key if event else 'a step'}: {ours.description}")
    if told:
        return told
    if failed:
        return ["a step failed"]
    return [_UNKNOWN if _was_not_loaded(instance, run) else _LOST]


_LOST = "the run ended without a step that failed: its process was killed or lost"
_UNKNOWN = (
    "the run's process found no such job in the documents, which have changed since the code location was loaded:"
    " `secretsync validate` says what is wrong with them; then reload the code location"
)


def _was_not_loaded(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the process of a run ended because it could not load the job, as Dagster says in its own words."""
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    said = (entry.dagster_event.message or "" for entry in events if entry.dagster_event is not None)
    return any(text.startswith("Could not load job definition") for text in said)


def _previous_was_ok(
    instance: dg.DagsterInstance, ledger: Ledger, catalog: Catalog, job: str, record: dg.RunRecord
) -> bool | None:
    """Whether the run before went well: as the ledger has it, or Dagster, where that one is the later."""
    known = history.before(ledger, job, record.dagster_run.run_id)
    found = history.later(known, _run_before(instance, catalog, job, record))
    return found.ok if found is not None else None


def _run_before(
    instance: dg.DagsterInstance, catalog: Catalog, job: str, record: dg.RunRecord
) -> history.Before | None:
    """The run before as Dagster has it, dry runs and those of other code locations left out."""
    location = location_of_run(record.dagster_run)
    wanted = dg.RunsFilter(
        tags={JOB_TAG: catalog.job_tag(job)}, statuses=_ENDED, created_before=record.create_timestamp
    )
    for other in instance.get_run_records(wanted, limit=20):
        if other.dagster_run.run_id == record.dagster_run.run_id or _is_no_sync(
            other.dagster_run, catalog.job_name(job)
        ):
            continue
        if is_of_another(other.dagster_run, location):
            continue
        ok = other.dagster_run.status is dg.DagsterRunStatus.SUCCESS
        return history.Before(ok, other.create_timestamp.timestamp())
    return None


class _Memory:
    """What was told, kept in the cursor: the time of the last run, the runs shortly before, and parts of one."""

    def __init__(self, cursor: str | None) -> None:
        try:
            held = json.loads(cursor or "")
        except ValueError:
            held = None
        self.first = not isinstance(held, dict)
        """The first tick of all: what has ended before is not told any more."""
        held = held if isinstance(held, dict) else {}
        self.since: float = held.get("since", time.time())
        self.told: dict[str, float] = held.get("told", {})
        self._partly: dict[str, list[str]] = held.get("partly", {})

    def knows(self, run: str, job: str) -> bool:
        """Whether it was told how a run ended for this SyncJob, though not yet for all that the run was of."""
        return job in self._partly.get(run, ())

    def note(self, run: str, job: str) -> None:
        """Remember that this much of a run is told now."""
        self._partly.setdefault(run, []).append(job)

    def add(self, run: str, ended: float) -> None:
        """Remember a run that is told now, all of it."""
        self._partly.pop(run, None)
        self.told[run] = ended
        self.since = max(self.since, ended)

    def text(self) -> str:
        """The cursor for the next tick."""
        kept = {run: ended for run, ended in self.told.items() if ended >= self.since - 2 * _LOOK_BACK_SECONDS}
        return json.dumps({"since": self.since, "told": kept, "partly": self._partly})
