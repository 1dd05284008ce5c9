"""Two code locations with one asset: found out before anything is done, and said wherever people look.

Dagster knows an asset by its key alone, so that each of them would show its own state as the other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.errors import UsageError
from secretsync_dagster.location_signs import HOLDS_SECONDS, assets_by_location, mark_of, renew_sign
from secretsync_dagster.naming import IN_SYNC

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from secretsync_dagster.catalog import Catalog


def location_of_run(run: dg.DagsterRun) -> str:
    """The code location of a run, as ``repository@location``; empty where it was started without one."""
    origin = run.remote_job_origin
    return origin.repository_origin.get_label() if origin is not None else ""


def location_of_tick(context: dg.SensorEvaluationContext) -> str:
    """The code location of a sensor, as ``repository@location``; empty where the tick is not the daemon's."""
    origin = context.code_location_origin
    return f"{context.repository_name}@{origin.location_name}" if origin is not None else ""


def is_of_another(run: dg.DagsterRun, location: str) -> bool:
    """Whether a run is known to be of another code location than ``location``, if that is known itself."""
    theirs = location_of_run(run)
    return bool(theirs and location) and theirs != location


def sharers(
    instance: dg.DagsterInstance, catalog: Catalog, location: str, jobs: Iterable[str]
) -> dict[str, UsageError]:
    """Why those of the jobs may not be synced from Dagster whose asset another code location has too.

    Nobody can tell which of two a run without a code location belongs to; where one has the asset, it is that one's.
    """
    theirs = {other: marks for other, marks in assets_by_location(instance).items() if other != location}
    found = {}
    for job in jobs:
        mark = mark_of(catalog.asset_key(job))
        others = [other for other, marks in theirs.items() if mark in marks]
        if others and (location or len(others) > 1):
            found[job] = _refusal(catalog, job, {*others, location} - {""})
    return found


def _refusal(catalog: Catalog, job: str, locations: Collection[str]) -> UsageError:
    names = {name.rpartition("@")[2] for name in locations}
    *most, last = sorted(names if len(names) == len(locations) else locations)
    return UsageError(
        f"SyncJob {job} is not synced from Dagster while the code locations {', '.join(most)} and {last} share its "
        f"asset {catalog.asset_key(job).to_user_string()}: each would show its state as the other's",
        hint="give one of them a prefix of its own (SECRETSYNC_PREFIX, or `prefix` in defs.yaml) and reload it; "
        f"one that is gone is forgotten within {HOLDS_SECONDS // 60} minutes",
    )


def why_refused(context: dg.OpExecutionContext, catalog: Catalog, job: str) -> UsageError | None:
    """Why a step may not touch a SyncJob, for it has errors, or its asset is another code location's too; else None."""
    if (broken := catalog.why_broken(job)) is not None:
        return broken
    location = location_of_run(context.run)
    if location and not _is_known(context.instance, catalog, location, job):
        try:
            renew_sign(context.instance, location, catalog.scope, _keys(catalog), newest=False)
        except Exception as error:  # noqa: BLE001  its text may hold anything
            # Another process has renewed it at the same moment, or this instance keeps none.
            context.log.debug("the sign of the code location was not renewed: %s", type(error).__name__)
    return sharers(context.instance, catalog, location, [job]).get(job)


def _is_known(instance: dg.DagsterInstance, catalog: Catalog, location: str, job: str) -> bool:
    """Whether there is nothing to renew: who knows one SyncJob alone cannot tell what others the location has."""
    key = catalog.asset_key(job)
    return catalog.alone and mark_of(key) in assets_by_location(instance).get(location, ())


def red(catalog: Catalog, job: str, error: UsageError) -> dg.AssetCheckEvaluation:
    """What ``in_sync`` says of a SyncJob that is not synced."""
    return dg.AssetCheckEvaluation(
        asset_key=catalog.asset_key(job),
        check_name=IN_SYNC,
        passed=False,
        description=error.message,
        metadata={"what to do": error.hint},
    )


def watch_shared(context: dg.SensorEvaluationContext, catalog: Catalog, known: str) -> tuple[list[str], str]:
    """Renew the code location's sign, and turn ``in_sync`` red for every asset that is shared from now on.

    Args:
        context: of the tick.
        catalog: the documents.
        known: what the last tick gave.

    Returns what to say, and what the next tick is to be given.
    """
    location = location_of_tick(context)
    if not location:
        return [], known
    renew_sign(context.instance, location, catalog.scope, _keys(catalog), newest=True)
    found = sharers(context.instance, catalog, location, catalog.jobs)
    told = set(known.split())
    for job, error in found.items():
        if mark_of(catalog.asset_key(job)) not in told:
            context.instance.report_runless_asset_event(red(catalog, job, error))
    marks = sorted(mark_of(catalog.asset_key(job)) for job in found)
    # Dagster keeps the last cursor where it is given an empty one.
    return [f"{error.message}; {error.hint}" for error in found.values()], " ".join(marks) or "none"


def _keys(catalog: Catalog) -> list[dg.AssetKey]:
    return [catalog.asset_key(job) for job in catalog.jobs]
