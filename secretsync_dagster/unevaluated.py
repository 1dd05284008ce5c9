"""Checks that nobody evaluates in a run: what was known of them holds on.

A run of the asset plans all of its checks, and shows each that it does not come to as failed to execute, or as skipped,
in the place of what was known before: a red one would be red no more, and a green one would be red. After a run of the
job Dagster shows those as not evaluated that were evaluated before it. That is true of a green one; drift that was
found and that no run has put right has to stay red.
"""

# No deferred annotations here: Dagster reads those of its ops, and takes none that are text.

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import dagster as dg

from secretsync_core.errors import SecretSyncError
from secretsync_dagster.drift_looks import RUN
from secretsync_dagster.in_sync import by_ledger_alone
from secretsync_dagster.naming import DRIFT, IN_SYNC, LEDGER_INTACT
from secretsync_dagster.resources import Runtime
from secretsync_dagster.standing_checks import ledger_evaluation

_LOOKED_BACK = 20
_NOT_LOOKED = "this run did not look"


def guarded(context: dg.OpExecutionContext, runtime: Runtime, job: str, events: Iterator[Any]) -> Iterator[Any]:
    """What a step yields, and where it fails for good what else there is to be said of the checks."""
    try:
        yield from events
    except SecretSyncError:
        # Of one that is tried again what is said now is said anew. A run of the job has done nothing yet.
        if _is_of_asset(context, runtime, job):
            yield from unevaluated(context, runtime, job, failed=True)
        raise


def unevaluated(
    context: dg.OpExecutionContext, runtime: Runtime, job: str, *, failed: bool
) -> Iterator[dg.AssetCheckEvaluation]:
    """What holds of those checks of a SyncJob that this run has not evaluated; ``failed`` is whether the run has.

    ``in_sync`` and ``ledger_intact`` go by the ledger. Of ``drift`` it is the last word again; where there is none, a
    run that goes well leaves it so.
    """
    asset = runtime.catalog.asset_key(job)
    left = _left(context, asset, planned=_is_of_asset(context, runtime, job))
    with suppress(SecretSyncError):  # a ledger that fails has failed the step already
        if IN_SYNC in left:
            yield by_ledger_alone(runtime, job)
        if LEDGER_INTACT in left:
            yield ledger_evaluation(runtime, job)
    if DRIFT in left and (said := _last_word(context, asset)) is not None:
        yield said
    elif DRIFT in left and failed:
        yield dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=DRIFT,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{_NOT_LOOKED}, and nobody did before",
        )


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
    return said is not None and said.severity is dg.AssetCheckSeverity.ERROR


def _last_word(context: dg.OpExecutionContext, asset: dg.AssetKey) -> dg.AssetCheckEvaluation | None:
    """What was last said of drift; None where nothing was."""
    key = dg.AssetCheckKey(asset, DRIFT)
    for record in context.instance.event_log_storage.get_asset_check_execution_history(key, limit=_LOOKED_BACK):
        said = record.event.asset_check_evaluation if record.event is not None else None
        if said is not None:
            told = str(said.description or "").removeprefix(f"{_NOT_LOOKED}; before: ")
            return dg.AssetCheckEvaluation(
                asset_key=asset,
                check_name=DRIFT,
                passed=said.passed,
                severity=said.severity,
                description=f"{_NOT_LOOKED}; before: {told}" if told else _NOT_LOOKED,
                metadata={
                    **({RUN: dg.MetadataValue.dagster_run(record.run_id)} if record.run_id else {}),
                    **said.metadata,
                },
            )
    return None
