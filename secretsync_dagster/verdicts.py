"""What is shown of a SyncJob whose run ended without saying how its items are: what the ledger says of them.

A run that was terminated, killed or cancelled has no step left to tell. The ledger knows what it had begun and not
finished. So whoever notices the end, the run itself or the sensor of :mod:`secretsync_dagster.run_reaper`, has the
check ``in_sync`` and the items say the same. So they do of whatever else is out of sync by the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.counting import plural
from secretsync_core.run.findings import out_of_sync
from secretsync_dagster.colours import is_red
from secretsync_dagster.in_sync import described, in_sync_by_ledger
from secretsync_dagster.metadata import MOST_PAGES
from secretsync_dagster.naming import IN_SYNC, JOB_TAG, VERDICT_TAG, is_run_of_dagster
from secretsync_dagster.planned_partitions import plan_items
from secretsync_dagster.run_config import asked_of
from secretsync_dagster.shared_assets import sharers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_dagster.catalog import Catalog
    from secretsync_dagster.resources import Runtime

_WHAT_TO_DO = "run the job again, or Materialize the items that are failed and missing"


def give(
    instance: dg.DagsterInstance, runtime: Runtime, ledger: Ledger, job: str, location: str, *, ended: str = ""
) -> list[str]:
    """Turn red what is shown as well of a SyncJob, of which no run is going on, and is not; gives what was wrong.

    Args:
        instance: keeps what is shown.
        runtime: the documents.
        ledger: says how the items are.
        job: the SyncJob.
        location: of whoever notices, as ``repository@location``.
        ended: the run that is just about to end; items that it was at work on need not wait until it has.
    """
    catalog = runtime.catalog
    passed, shown = in_sync_by_ledger(runtime, ledger, job)
    if passed or sharers(instance, catalog, location, [job]):
        return []  # a shared asset is red for another reason, which its own check tells
    out = {each.item: each.run for each in out_of_sync(runtime.documents.jobs[job], ledger)}
    told = []
    if not _is_shown_as_red(instance, catalog.asset_key(job)):
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=catalog.asset_key(job),
                check_name=IN_SYNC,
                passed=False,
                description=f"{described(out or ('',), len(catalog.partition_keys(job)))}; {_left_by(out)}",
                metadata={**shown, "what to do": _WHAT_TO_DO},
            )
        )
        told.append(f"{IN_SYNC} of {job} is red: {_left_by(out)}")
    green = _shown_otherwise(instance, catalog, job, [item for item in out if item], at_work=not ended)
    if green:
        _show_as_failed(instance, catalog, job, green, ended or out[green[0]])
        told.append(f"{plural(len(green), 'item')} of {job} {'is' if len(green) == 1 else 'are'} red")
    return told


def _left_by(out: Mapping[str, str]) -> str:
    runs = sorted(set(out.values()))
    if not runs:
        return "the last run was cut off"
    more = f" and {plural(len(runs) - 1, 'other')}" if len(runs) > 1 else ""
    return f"left so by run {runs[0]}{more}"


def items_asked(catalog: Catalog, job: str, run: dg.DagsterRun) -> list[str]:
    """The items that a run was asked to bring in sync; none where it only looked, or undid another run."""
    asked = asked_of(run, catalog.job_name(job))
    undo = asked.get("undo") or {}
    if asked.get("dryRun") or any(undo.values()):
        return []
    partitions = catalog.partition_keys(job)
    names = list(partitions)
    first = run.tags.get("dagster/asset_partition_range_start") or run.tags.get("dagster/partition")
    last = run.tags.get("dagster/asset_partition_range_end") or first
    if first is not None:
        places = {partition: at for at, partition in enumerate(partitions.values())}
        known = first in places and last in places
        return names[places[first] : places[str(last)] + 1] if known else []
    chosen = asked.get("items") or names
    return [name for name in chosen if name in partitions]


def _is_shown_as_red(instance: dg.DagsterInstance, asset: dg.AssetKey) -> bool:
    """Whether the check is red by its own word: of a run that planned it and was cancelled there is none."""
    key = dg.AssetCheckKey(asset, IN_SYNC)
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).get(key)
    said = record.event.asset_check_evaluation if record is not None and record.event is not None else None
    return said is not None and is_red(said)


def _shown_otherwise(
    instance: dg.DagsterInstance, catalog: Catalog, job: str, items: Sequence[str], *, at_work: bool
) -> list[str]:
    """Those of the items that are not red; nor ``at_work``, where that is left to the run which is going on."""
    if not items:
        return []
    partitions = catalog.partition_keys(job)
    found: Mapping[str, Any] = (
        instance.get_status_by_partition(
            catalog.asset_key(job),
            [partitions[item] for item in items],
            dg.StaticPartitionsDefinition(list(partitions.values())),
        )
        or {}
    )
    states = {item: found.get(partitions[item]) for item in items}
    left = {"FAILED", "IN_PROGRESS"} if at_work else {"FAILED"}
    return [item for item, state in states.items() if state is None or state.value not in left]


def _show_as_failed(instance: dg.DagsterInstance, catalog: Catalog, job: str, items: Sequence[str], ended: str) -> None:
    """Show items as failed: by an entry among the runs, as Dagster shows an item so only where a failed run planned it.

    A run that was terminated has not failed, and one that was killed early has planned nothing. Nothing is run: nobody
    hears of this entry as of a run that fails, and nothing is tried again for it.
    """
    of = instance.get_run_by_id(ended) if is_run_of_dagster(ended) else None
    entry = dg.DagsterRun(
        job_name=of.job_name if of is not None else catalog.job_name(job),
        status=dg.DagsterRunStatus.FAILURE,
        tags=dict(_tags(catalog, job, ended)),
        job_snapshot_id=of.job_snapshot_id if of is not None else None,
        execution_plan_snapshot_id=of.execution_plan_snapshot_id if of is not None else None,
        remote_job_origin=of.remote_job_origin if of is not None else None,
        job_code_origin=of.job_code_origin if of is not None else None,
        asset_selection=of.asset_selection if of is not None else None,
    )
    instance.add_run(entry)
    instance.report_engine_event(
        f"This is no run. Run {ended} left {plural(len(items), 'item')} of {job} out of sync, and Dagster shows that"
        f" only of a run that failed: this entry stands for it. What to do: {_WHAT_TO_DO}.",
        entry,
    )
    plan_items(instance, entry.run_id, entry.job_name, catalog, job, items)
    left_by = dg.MetadataValue.dagster_run(ended) if of is not None else dg.MetadataValue.text(ended)
    for item in items[:MOST_PAGES]:  # the page of one that was never green has nothing else to say
        instance.report_runless_asset_event(
            dg.AssetObservation(
                catalog.asset_key(job),
                partition=catalog.partition_keys(job)[item],
                description="this item is out of sync",
                metadata={"left so by": left_by, "what to do": _WHAT_TO_DO},
            )
        )


def _tags(catalog: Catalog, job: str, ended: str) -> Iterator[tuple[str, str]]:
    yield VERDICT_TAG, ended
    yield JOB_TAG, catalog.job_tag(job)
    yield "dagster/max_retries", "0"
