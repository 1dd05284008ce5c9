"""Which process works on a run, as a tag of the run has it, and whether that process is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.engine.lease import died_here, name_of_this_process

if TYPE_CHECKING:
    import dagster as dg

_WORKER_TAG = "secretsync/worker"


def sign_as_worker(instance: dg.DagsterInstance, run_id: str) -> None:
    """Note at a run that this process is its worker. Tags go on to re-executions, so the run's id is part of it."""
    instance.add_run_tags(run_id, {_WORKER_TAG: name_of_this_process(run_id)})


def has_worker(run: dg.DagsterRun) -> bool:
    """Whether a worker has signed for the run."""
    return run.tags.get(_WORKER_TAG, "").endswith(f"/{run.run_id}")


def lost_its_worker(run: dg.DagsterRun) -> bool:
    """Whether the worker that signed for the run was a process of this machine that is no more."""
    return has_worker(run) and died_here(run.tags[_WORKER_TAG])
