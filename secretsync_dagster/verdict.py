"""Whether a SyncJob is in sync, item by item: red as soon as a run leaves one out, green once all of these are well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_dagster.translator import IN_SYNC, asset_key, item_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from secretsync_dagster.resources import Runtime

_OUT = "out of sync"


def verdict(
    context: dg.OpExecutionContext,
    runtime: Runtime,
    job: str,
    numbers: Mapping[str, dg.MetadataValue],
    *,
    failed: Collection[str],
    well: Collection[str] = (),
) -> dg.AssetCheckEvaluation:
    """The check of a job after a step: ``failed`` items are out of sync now, and ``well`` ones in sync otherwise.

    What an earlier run left out stays out until a run has put it right, also if the runs between had other items.
    An empty name among ``failed`` stands for the job as a whole. ``numbers`` say what the step did: the check's plots
    show them from run to run.
    """
    known = {*item_names(runtime.documents.jobs[job]), ""}
    before = _before(context.instance, dg.AssetCheckKey(asset_key(job), IN_SYNC))
    if well:
        before -= {*well, ""}
    out = (before | set(failed)) & known
    return dg.AssetCheckEvaluation(
        asset_key=asset_key(job),
        check_name=IN_SYNC,
        passed=not out,
        description=_told(out, len(known) - 1),
        metadata={**numbers, "items": len(known) - 1, _OUT: dg.MetadataValue.json(sorted(out))},
    )


def _told(out: Collection[str], count: int) -> str:
    items = "the one item is" if count == 1 else f"all {count} items are"
    if not out:
        return f"{items} in sync"
    named = sorted(item or "the job as a whole" for item in out)
    return f"out of sync: {', '.join(named[:10])}" + (f" and {len(named) - 10} more" if len(named) > 10 else "")


def _before(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> set[str]:
    """The items that the last evaluation had out of sync."""
    record = instance.get_latest_asset_check_evaluation_record(key)
    event = record.event.dagster_event if record is not None and record.event is not None else None
    if event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return set()
    held = event.asset_check_evaluation_data.metadata.get(_OUT)
    named: Any = held.value if isinstance(held, dg.JsonMetadataValue) else []
    return set(named)
