"""One sensor that ends what a killed run worker could not: the run in Dagster, and its books in the ledger.

A worker that is killed alone is missed by the code server that started it. One that dies together with the code
server is missed by nobody: Dagster's run monitoring does not ask after workers that a code server starts. Its run
would go on for ever, and with it every later run of the job would wait in the queue.

Since it runs in every code location that has SyncJobs, it also renews the location's sign, says if another one has the
same assets (see :mod:`secretsync_dagster.shared_assets`), puts right what people reported of our checks (see
:mod:`secretsync_dagster.reported`), and turns red what runs left undone (see :mod:`secretsync_dagster.verdicts`).
"""

# No deferred annotations here: Dagster reads those of its sensors, and takes none that are text.

import time
from collections.abc import Collection, Sequence
from contextlib import suppress

import dagster as dg

from secretsync_core.audit.database import LedgerMissing
from secretsync_core.audit.ledger import Lease
from secretsync_core.errors import SecretSyncError
from secretsync_core.run.lease import is_forgotten
from secretsync_core.run.record import close_run
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.document_watch import DocumentWatch
from secretsync_dagster.lease_holders import is_dead, run_of
from secretsync_dagster.naming import scoped
from secretsync_dagster.reported import put_right
from secretsync_dagster.resources import Runtime, runtime_of
from secretsync_dagster.run_workers import has_worker, lost_its_worker
from secretsync_dagster.shared_assets import location_of_tick, watch_shared
from secretsync_dagster.verdicts import give, items_asked

NAME = "secretsync_run_reaper"

_INTERVAL_SECONDS = 15
_REASONS = {dg.DagsterRunStatus.CANCELED: "stopped", dg.DagsterRunStatus.FAILURE: "failed"}


def make_run_reaper(catalog: Catalog) -> list[dg.SensorDefinition]:
    """The sensor, where there is anything to sync."""
    return [_sensor(catalog)] if catalog.jobs else []


def _sensor(catalog: Catalog) -> dg.SensorDefinition:
    resource = catalog.resource
    documents = DocumentWatch()  # which holds as long as this process does

    @dg.sensor(
        name=scoped(NAME, catalog.scope),
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={resource},
        description="Keeps the pages true; leave it on. Ends runs whose worker was killed, turns red what a run left "
        "undone or somebody wrongly reported as passed, and notices documents that broke and shared assets.",
    )
    def run_reaper(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        runtime = runtime_of(context, resource)
        messages: list[str] = []
        cursor = context.cursor or ""
        try:
            messages, cursor = watch_shared(context, runtime.catalog, cursor)
        except Exception as error:  # noqa: BLE001  its text may hold anything
            messages.append(f"whether another code location has these assets is not known: {type(error).__name__}")
        leases: list[Lease] = []
        try:
            with runtime.ledger(write=False) as opened:
                leases = opened.ledger.leases.held()
        except LedgerMissing:
            pass
        except SecretSyncError as error:
            messages.append(error.message)
        # A ledger that fails must not keep lost runs from being found.
        try:
            messages += [f"run {run} was lost" for run in _fail_lost_runs(context.instance, leases)]
            closed = _close_books(context.instance, runtime, leases)
            messages += [f"the books of run {run} were closed" for run in closed]
            going_on = {lease.job for lease in leases if not is_dead(context.instance, lease.holder)}
            messages += documents.look(context.instance, runtime)
            messages += put_right(context.instance, runtime, location_of_tick(context), going_on=going_on)
            messages += _give_verdicts(context, runtime, {*closed.values()}, going_on)
        except SecretSyncError as error:
            messages.append(error.message)
        except Exception as error:  # noqa: BLE001  its text may hold anything
            messages.append(f"an unexpected {type(error).__name__}")
        return dg.SensorResult(
            skip_reason="; ".join(messages)[:2000] or "every run has ended by itself, or goes on", cursor=cursor
        )

    return run_reaper


def _fail_lost_runs(instance: dg.DagsterInstance, leases: Sequence[Lease]) -> list[str]:
    """Note as failed what has no worker any more; gives the ids of those runs."""
    now = time.time()
    forgotten = {run_of(lease.holder) for lease in leases if is_forgotten(lease, now)}
    found = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        run = record.dagster_run
        if lost_its_worker(run) or (has_worker(run) and run.run_id in forgotten):
            # A worker notes the end of its run before its own: what is still going on now never will.
            current = instance.get_run_by_id(run.run_id)
            if current is not None and current.status is dg.DagsterRunStatus.STARTED:
                instance.report_run_failed(
                    current, "The run worker is gone: it was killed, or its machine was. What it did is in the ledger."
                )
                found.append(run.run_id)
    return found


def _close_books(instance: dg.DagsterInstance, runtime: Runtime, leases: Sequence[Lease]) -> dict[str, str]:
    """Close the books of runs that are over and still hold a lease; gives the ids of those that thereby ended, with
    their SyncJobs."""
    closed = {}
    for lease in leases:
        run_id = run_of(lease.holder)
        run = instance.get_run_by_id(run_id) if run_id is not None and lease.job in runtime.catalog.jobs else None
        if run is not None and run.is_finished:
            with runtime.ledger() as opened:
                reason = _REASONS.get(run.status, "")
                items = items_asked(runtime.catalog, lease.job, run)
                if close_run(opened.ledger, lease.job, run.run_id, lease.holder, reason=reason, items=items):
                    closed[run.run_id] = lease.job
    return closed


def _give_verdicts(
    context: dg.SensorEvaluationContext, runtime: Runtime, closed: Collection[str], going_on: Collection[str]
) -> list[str]:
    """Show what is out of sync by the ledger, and what runs left whose books were ``closed`` now; gives what it was."""
    told: list[str] = []
    with suppress(LedgerMissing), runtime.ledger(write=False) as opened:
        jobs = (opened.ledger.items.jobs_out_of_sync() | {*closed}) & runtime.documents.jobs.keys()
        for job in sorted(jobs - {*going_on}):
            told += give(context.instance, runtime, opened.ledger, job, location_of_tick(context))
    return told
