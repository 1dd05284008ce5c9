"""Whether a SyncJob is in sync, item by item: red as soon as a run leaves one out, green once all of these are well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_dagster.naming import IN_SYNC

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from secretsync_dagster.resources import Runtime

_OUT_OF_SYNC = "out of sync"
_ONE_OF_SEVERAL = "one step of several"
_PAGE = 100


def in_sync_events(
    context: dg.OpExecutionContext,
    runtime: Runtime,
    job: str,
    numbers: Mapping[str, dg.MetadataValue],
    *,
    failed: Collection[str],
    well: Collection[str] = (),
    of_a_shard: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[dg.AssetCheckEvaluation | dg.AssetObservation]:
    """What to yield of a job after a step: ``failed`` items are out of sync now, and ``well`` ones in sync otherwise.

    What an earlier run left out stays out until a run has put it right, also if the runs between had other items.
    An empty name among ``failed`` stands for the job as a whole. The check is for people, and its plots show
    ``numbers``, which say what the step did, from run to run; the observation, which takes ``metadata`` besides, is
    what the next step reads: an evaluation is hidden as soon as another is planned.
    """
    key = runtime.catalog.asset_key(job)
    known = {*runtime.catalog.partition_keys(job), ""}
    before = out_of_sync(context.instance, key)
    if well:
        before -= {*well, ""}
    out = (before | set(failed)) & known
    held = out_of_sync_metadata(out)
    yield dg.AssetObservation(
        key,
        description="what this run did" if metadata else "what this step left undone",
        metadata={**(metadata or {}), **held, **({_ONE_OF_SEVERAL: True} if of_a_shard else {})},
    )
    yield dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=IN_SYNC,
        passed=not out,
        description=_description(out, len(known) - 1),
        metadata={**numbers, "items": len(known) - 1, **held},
    )


def _description(out: Collection[str], count: int) -> str:
    items = "the one item is" if count == 1 else f"all {count} items are"
    if not out:
        return f"{items} in sync"
    named = sorted(item or "the job as a whole" for item in out)
    return f"out of sync: {', '.join(named[:10])}" + (f" and {len(named) - 10} more" if len(named) > 10 else "")


def out_of_sync_metadata(items: Collection[str]) -> dict[str, dg.MetadataValue]:
    """The metadata that says which items are out of sync."""
    return {_OUT_OF_SYNC: dg.MetadataValue.json(sorted(items))}


def out_of_sync(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[str]:
    """The items that the last run of the job whose asset this is left out of sync, or one before it.

    Steps of one run that fail at the same time in processes of their own do not know of each other: what they say
    counts together.
    """
    out: set[str] = set()
    of_run = ""
    for record in _observations(instance, key):
        observation = record.asset_observation
        held = observation.metadata.get(_OUT_OF_SYNC) if observation is not None else None
        if observation is None or not isinstance(held, dg.JsonMetadataValue):
            continue
        shard = _ONE_OF_SEVERAL in observation.metadata
        if of_run and not (shard and record.run_id == of_run):
            break
        named: Any = held.value
        out.update(named)
        if not shard:
            break
        of_run = record.run_id
    return out


def _observations(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
    """What was observed of an asset, the last first."""
    cursor = None
    while True:
        page = instance.fetch_observations(key, limit=_PAGE, cursor=cursor)
        yield from page.records
        if not page.has_more:
            return
        cursor = page.cursor
