"""A run worker as a process of its own, so that it can be killed: started by the tests, executes one run."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from secretsync_core.schema.loader import examine
from secretsync_dagster.compile import compile_documents

CONFIG = "SECRETSYNC_CONFIG"
QUIET = {"telemetry": {"enabled": False}}


def the_job() -> dg.JobDefinition:
    """The job ``job`` of the documents under SECRETSYNC_CONFIG."""
    directory = Path(os.environ[CONFIG])
    documents, problems = examine([directory])
    return compile_documents(documents, problems, directory=directory).resolve_job_def("job")


def work(config: str, home: str, parent: str, how: str) -> None:
    """Execute the job in the instance at ``home``: afresh, or after ``parent``, from its failure or all of it."""
    os.environ[CONFIG] = config
    with dg.DagsterInstance.local_temp(home, overrides=QUIET) as instance:
        options = None
        if parent and how == "from failure":
            options = dg.ReexecutionOptions.from_failure(parent, instance)
        elif parent:
            options = dg.ReexecutionOptions(parent_run_id=parent)
        result = dg.execute_job(dg.reconstructable(the_job), instance=instance, reexecution_options=options)
        os._exit(0 if result.success else 1)
