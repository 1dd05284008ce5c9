"""Who holds a SyncJob's lease, as far as this Dagster instance can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.engine.lease import died_here

if TYPE_CHECKING:
    import dagster as dg

_PREFIX = "dagster/"


def holder_of(run_id: str) -> str:
    """The name under which the steps of a run hold the lease."""
    return f"{_PREFIX}{run_id}"


def is_dead(instance: dg.DagsterInstance, holder: str) -> bool:
    """Whether a holder is known to be gone: a run that is over, or a process of this machine that is no more.

    A run that this instance does not know may be going on in another one: its lease has to end by itself.
    """
    if not holder.startswith(_PREFIX):
        return died_here(holder)
    run = instance.get_run_by_id(holder.removeprefix(_PREFIX))
    return run is not None and run.is_finished
