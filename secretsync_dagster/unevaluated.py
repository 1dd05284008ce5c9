"""Checks that nobody evaluates in a run: what was known of them holds on.

A run of the asset plans all of its checks, and shows each that it does not come to as failed to execute, or as skipped,
in the place of what was known before: a red one would be red no more, and a green one would be red. After a run of the
job Dagster shows those as not evaluated that were evaluated before it. That is true of a green one; drift that was
found and that no run has put right has to stay red.

A run that is killed or terminated says nothing any more, as it has to end at once. Of `in_sync` whoever notices its end
then tells (:mod:`secretsync_dagster.verdicts`). The other two stay as Dagster shows what a run planned and never came
to, as failed to execute, until the daemon's schedule, another run or a press executes them.
"""

# No deferred annotations here: Dagster reads those of its ops, and takes none that are text.

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import dagster as dg

from secretsync_core.errors import SecretSyncError
from secretsync_dagster.broken_jobs import red_for_errors
from secretsync_dagster.colours import is_red
from secretsync_dagster.drift_history import NOT_LOOKED, last_word
from secretsync_dagster.in_sync import by_ledger
from secretsync_dagster.naming import DRIFT, IN_SYNC, LEDGER_INTACT
from secretsync_dagster.resources import Runtime
from secretsync_dagster.shared_assets import red, why_refused
from secretsync_dagster.standing_checks import ledger_evaluation


def guarded(
    context: dg.OpExecutionContext, runtime: Runtime, job: str, events: Iterator[Any], *, begun: bool = True
) -> Iterator[Any]:
    """What a step yields, and where it fails what else there is to be said of the checks.

    ``begun`` is whether the run may have done something before this step; a run of the job that has not leaves the
    checks as they are. A failure of the step's own, or its wish to be tried again, comes after it has said all.
    """
    try:
        yield from events
    except (dg.Failure, dg.RetryRequested):
        raise
    except Exception:
        said: list[dg.AssetCheckEvaluation] = []
        if begun or _is_of_asset(context, runtime, job):
            with suppress(Exception):  # the step is to fail by what it failed with
                said += unevaluated(context, runtime, job, failed=True)
        # Of a step that is tried again what is said now is said anew.
        yield from said
        raise


def unevaluated(
    context: dg.OpExecutionContext, runtime: Runtime, job: str, *, failed: bool
) -> Iterator[dg.AssetCheckEvaluation]:
    """What holds of those checks of a SyncJob that this run has not evaluated; ``failed`` is whether the run has.

    ``in_sync`` and ``ledger_intact`` go by the ledger, which knows nothing of why a SyncJob is refused. Of ``drift`` it
    is the last word again; where there is none, a run that goes well leaves it so.
    """
    asset = runtime.catalog.asset_key(job)
    left = _left(context, asset, planned=_is_of_asset(context, runtime, job))
    with suppress(SecretSyncError):  # a ledger that fails has failed the step already
        if IN_SYNC in left:
            yield _refused(context, runtime, job) or by_ledger(runtime, job, context.run_id)
        if LEDGER_INTACT in left:
            yield ledger_evaluation(runtime, job)
    if DRIFT in left and (said := last_word(context.instance, asset)) is not None:
        yield said
    elif DRIFT in left and failed:
        yield dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=DRIFT,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{NOT_LOOKED}, and nobody did before",
        )


def _refused(context: dg.OpExecutionContext, runtime: Runtime, job: str) -> dg.AssetCheckEvaluation | None:
    """What ``in_sync`` says of a SyncJob that may not be synced; None where it may."""
    if (broken := runtime.catalog.why_broken(job)) is not None:
        return red_for_errors(runtime.catalog.asset_key(job), broken)
    refused = why_refused(context, runtime.catalog, job)
    return red(runtime.catalog, job, refused) if refused is not None else None


def _is_of_asset(context: dg.OpExecutionContext, runtime: Runtime, job: str) -> bool:
    """Whether a run may have planned checks, as one of the job has not."""
    return context.run.job_name != runtime.catalog.job_name(job)


def _left(context: dg.OpExecutionContext, asset: dg.AssetKey, *, planned: bool) -> set[str]:
    """The checks of which something is to be said: those that are ``planned``; else drift that was found before."""
    names = (IN_SYNC, DRIFT, LEDGER_INTACT) if planned else (DRIFT,)
    keys = [dg.AssetCheckKey(asset, name) for name in names]
    newest = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    if planned:
        return {
            key.name
            for key, record in newest.items()
            if record.run_id == context.run_id and record.status.value == "PLANNED"
        }
    return {
        key.name
        for key, record in newest.items()
        if record.run_id != context.run_id and record.status.value == "FAILED" and _is_red(record)
    }


def _is_red(record: Any) -> bool:
    said = record.event.asset_check_evaluation if record.event is not None else None
    return said is not None and is_red(said)
