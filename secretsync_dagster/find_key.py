"""The job that finds a key: whose it is, what it is a copy of, and which run wrote it or failed at it.

Dagster's search knows assets, jobs and runs, and nothing within them. A table on a page shows the first keys of many.
So what finds any of a million keys is a job: it reads the ledger, and no store.
"""

# No deferred annotations here: Dagster reads those of its ops, and takes none that are text.

from collections.abc import Iterator
from typing import Any

import dagster as dg

from secretsync_core.audit.database import LedgerMissing
from secretsync_core.audit.held import Found
from secretsync_core.counting import number, plural
from secretsync_core.errors import UsageError
from secretsync_dagster import metadata
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.error_boundary import error_boundary
from secretsync_dagster.executor_wrappers import one_step_executor
from secretsync_dagster.naming import IO_MANAGER_KEY, scoped
from secretsync_dagster.op_factory import make_op
from secretsync_dagster.resources import runtime_of
from secretsync_dagster.run_config import IO_MANAGER

_FIELDS = {
    "key": dg.Field(
        dg.String,
        description="A part of a key's name, at the destination or the source; * stands for anything. Never a value: "
        "Dagster keeps what is typed here.",
    ),
    "syncJob": dg.Field(
        dg.String, is_required=False, default_value="", description="Only of this SyncJob, as its document calls it."
    ),
}
_OUT = {"found": dg.Out(dg.Nothing, io_manager_key=IO_MANAGER_KEY)}


def find_key_name(scope: str = "") -> str:
    """What the job is called. It has capitals, which no SyncJob's name has."""
    return scoped("FIND_key", scope)


def make_find_key(catalog: Catalog, resources: dict[str, dg.ResourceDefinition]) -> list[dg.JobDefinition]:
    """The job, where there is anything to find."""
    if not catalog.documents.jobs:
        return []
    resource = catalog.resource

    def find(context: dg.OpExecutionContext) -> Iterator[Any]:
        with error_boundary(context):
            runtime = runtime_of(context, resource)
            text, only = context.op_config["key"].strip(), context.op_config["syncJob"].strip()
            jobs = [name for name in runtime.documents.jobs if not only or name == only]
            if not text:
                raise UsageError("`key` is empty", hint="write a part of the key's name")
            if not jobs:
                raise UsageError("`syncJob` names no SyncJob of this code location", hint="leave it out to search all")
            found = Found([], 0, [])
            try:
                with runtime.ledger(write=False) as opened:
                    found = opened.ledger.held.find(jobs, text, metadata.ROWS)
            except LedgerMissing:
                pass  # nothing was ever synced
            told = f"{plural(found.total, 'key')} held"
            if found.failed:
                told += f"; the last run of its job failed at {number(len(found.failed))}"
            context.log.info(told)
            table = {"keys": metadata.found_table(found)} if found.held or found.failed else {}
            numbers = {"held": found.total, "failed": len(found.failed)}
            yield dg.Output(None, "found", metadata={**table, **numbers})

    op = make_op(
        find,
        name=scoped("FIND", catalog.scope),
        resource=resource,
        description="Searches what the ledger knows of this code location's SyncJobs. Reads no store.",
        ins={},
        outs=_OUT,
        config_schema=_FIELDS,
    )
    graph = dg.GraphDefinition(
        name=find_key_name(catalog.scope),
        description="Finds a key by a part of its name: its job and item, source, versions, and the last run with it.",
        node_defs=[op],
    )
    made = graph.to_job(
        config=dg.ConfigMapping(
            config_fn=lambda config: {"ops": {op.name: {"config": dict(config)}}}, config_schema=_FIELDS
        ),
        resource_defs={**resources, IO_MANAGER_KEY: IO_MANAGER},
        executor_def=one_step_executor,
    )
    return [made]
