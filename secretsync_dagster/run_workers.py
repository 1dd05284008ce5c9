"""Which process works on a run, as a tag of the run has it, and whether that process is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.run.lease import died_here, name_of_this_process

if TYPE_CHECKING:
    import dagster as dg

_WORKER_TAG = ".dagster/secretsync/worker"
"""Dagster shows no tag that begins so: it is nobody's business but ours, and would stand in every row of *Runs*."""

_WORKER_TAG_BEFORE = "secretsync/worker"
"""What runs have that a version before 0.2 began."""


def sign_as_worker(instance: dg.DagsterInstance, run_id: str) -> None:
    """Note at a run that this process is its worker. Tags go on to re-executions, so the run's id is part of it."""
    instance.add_run_tags(run_id, {_WORKER_TAG: name_of_this_process(run_id)})


def has_worker(run: dg.DagsterRun) -> bool:
    """Whether a worker has signed for the run."""
    return bool(_worker_of(run))


def lost_its_worker(run: dg.DagsterRun) -> bool:
    """Whether the worker that signed for the run was a process of this machine that is no more."""
    worker = _worker_of(run)
    return bool(worker) and died_here(worker)


def _worker_of(run: dg.DagsterRun) -> str:
    """The process that signed for the run; empty where none did."""
    told = (run.tags.get(tag, "") for tag in (_WORKER_TAG, _WORKER_TAG_BEFORE))
    return next((worker for worker in told if worker.endswith(f"/{run.run_id}")), "")
