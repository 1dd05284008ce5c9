"""Which items a run is about to bring in sync, said in the event log as Dagster says it of runs of assets.

A partition is red where a run that planned it has failed, and being worked on while that run goes on. Of a run of an
asset Dagster plans all partitions itself; of a job's run, which people press and schedules start, it plans none, and an
item that was green once would stay green whatever such a run left undone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsync_dagster.catalog import Catalog


def report_planned(context: dg.OpExecutionContext, catalog: Catalog, job: str, items: Iterable[str]) -> None:
    """Say that the run of this step, which is of no asset, is to materialize these items."""
    plan_items(context.instance, context.run_id, context.job_name, catalog, job, items)


def plan_items(
    instance: dg.DagsterInstance, run_id: str, job_name: str, catalog: Catalog, job: str, items: Iterable[str]
) -> None:
    """Say that a run is to materialize these items; ``job_name`` is Dagster's of the run."""
    key, partitions = catalog.asset_key(job), catalog.partition_keys(job)
    for item in items:
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
            job_name=job_name,
            message=f"{job_name} intends to bring {item} in sync",
            event_specific_data=_planned_data(key, partitions[item]),
            step_key="audit",
        )
        instance.report_dagster_event(event, run_id)


def _planned_data(key: dg.AssetKey, partition: str) -> Any:
    """What such an event holds, made from the form in which event logs keep it: its class has no public name."""
    kept = {
        "__class__": "AssetMaterializationPlannedData",
        "asset_key": {"__class__": "AssetKey", "path": list(key.path)},
        "partition": partition,
        "partitions_subset": None,
    }
    return dg.deserialize_value(json.dumps(kept))
