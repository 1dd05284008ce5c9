"""Who holds a SyncJob's lease, and whether that run or process is still going on, as far as Dagster can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.engine.lease import died_here

if TYPE_CHECKING:
    import dagster as dg

_PREFIX = "dagster/"


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
