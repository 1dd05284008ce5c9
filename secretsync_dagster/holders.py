"""Who holds a SyncJob's lease, and whose run worker is no more, as far as this Dagster instance can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.engine.lease import died_here, name_of_this_process
from secretsync_dagster.translator import JOB_TAG, asset_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dagster as dg

    from secretsync_core.schema.documents import JobDocument

_PREFIX = "dagster/"

_WORKER_TAG = "secretsync/worker"


def holder_of(run_id: str) -> str:
    """The name under which the steps of a run hold the lease."""
    return f"{_PREFIX}{run_id}"


def run_of(holder: str) -> str | None:
    """The run whose steps hold the lease under this name; None where it is no run of Dagster's."""
    return holder.removeprefix(_PREFIX) if holder.startswith(_PREFIX) else None


def is_dead(instance: dg.DagsterInstance, holder: str) -> bool:
    """Whether a holder is known to be gone: a run that is over, or a process of this machine that is no more.

    A run that this instance does not know may be going on in another one: its lease has to end by itself.
    """
    run_id = run_of(holder)
    if run_id is None:
        return died_here(holder)
    run = instance.get_run_by_id(run_id)
    return run is not None and run.is_finished


def is_going_on(instance: dg.DagsterInstance, holder: str) -> bool:
    """Whether a holder is a run of this instance that has not ended."""
    run_id = run_of(holder)
    run = instance.get_run_by_id(run_id) if run_id is not None else None
    return run is not None and not run.is_finished


def sign_as_worker(instance: dg.DagsterInstance, run_id: str) -> None:
    """Note at a run that this process is its worker. Tags go on to re-executions, so the run's id is part of it."""
    instance.add_run_tags(run_id, {_WORKER_TAG: name_of_this_process(run_id)})


def has_worker(run: dg.DagsterRun) -> bool:
    """Whether a worker has signed for the run."""
    return run.tags.get(_WORKER_TAG, "").endswith(f"/{run.run_id}")


def lost_its_worker(run: dg.DagsterRun) -> bool:
    """Whether the worker that signed for the run was a process of this machine that is no more."""
    return has_worker(run) and died_here(run.tags[_WORKER_TAG])


def jobs_of(run: dg.DagsterRun, jobs: Mapping[str, JobDocument]) -> list[JobDocument]:
    """The SyncJobs among ``jobs`` that a run is of: one for a run of a job, any number for one of assets."""
    if JOB_TAG in run.tags:
        return [jobs[run.tags[JOB_TAG]]] if run.tags[JOB_TAG] in jobs else []
    chosen = run.asset_selection or frozenset()
    return [job for name, job in sorted(jobs.items()) if asset_key(name) in chosen] if chosen else []
