"""A run worker as a process of its own, so that it can be killed: started by the tests, executes one run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.schema.loader import examine
from secretsync_dagster import watchdog
from secretsync_dagster.compile import compile_documents

if TYPE_CHECKING:
    from collections.abc import Mapping

QUIET = {
    "telemetry": {"enabled": False},
    # As our dagster.yaml has it. By default each run starts two `tail -F` and a program for each that watches over it:
    # they write to what the tests' worker prints to, and outlive one that is killed together with the watchers.
    "compute_logs": {
        "module": "dagster.core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    },
}
"""What a test's own Dagster instance is set to: it tells nobody, and starts nothing beside its runs."""


def job_of(config: str, name: str = "job") -> dg.JobDefinition:
    """A job of the documents in a directory."""
    documents, problems = examine([Path(config)])
    return compile_documents(documents, problems, directory=Path(config)).resolve_job_def(name)


def execute(
    instance: dg.DagsterInstance,
    config: str,
    options: dg.ReexecutionOptions | None,
    name: str = "job",
    run_config: Mapping[str, Any] | None = None,
) -> dg.JobExecutionResult:
    """Execute it as a run worker does, with outputs kept on disk."""
    # Dagster keeps what it made of one call; the arguments tell the tests' jobs apart. Its type has room for one.
    arguments: Any = (config, name)
    job = dg.build_reconstructable_job(
        "dagster_jobs.worker",
        "job_of",
        reconstructable_args=arguments,
        reconstructor_working_directory=str(Path(__file__).parents[1]),
    )
    return dg.execute_job(job, instance=instance, reexecution_options=options, run_config=run_config)


def work(config: str, home: str, parent: str, how: str) -> None:
    """Execute the job in the instance at ``home``: afresh, or after ``parent``, from its failure or all of it."""
    watchdog.STILL_SECONDS = 20.0
    with dg.DagsterInstance.local_temp(home, overrides=QUIET) as instance:
        options = None
        if parent and how == "from failure":
            options = dg.ReexecutionOptions.from_failure(parent, instance)
        elif parent:
            options = dg.ReexecutionOptions(parent_run_id=parent)
        result = execute(instance, config, options)
        os._exit(0 if result.success else 1)
