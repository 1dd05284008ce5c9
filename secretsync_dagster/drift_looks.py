"""What the check ``drift`` shows: looks of its own, and what syncs found on their way and put right."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.counting import plural
from secretsync_core.run.steps import check
from secretsync_dagster import metadata
from secretsync_dagster.event_loop import run_async
from secretsync_dagster.naming import DRIFT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.run.steps import Done
    from secretsync_dagster.catalog import Catalog
    from secretsync_dagster.resources import Runtime


def look(runtime: Runtime, job: str, run_id: str) -> dg.AssetCheckEvaluation:
    """Look for drift now, and keep in the ledger what was found."""
    with runtime.ledger() as opened:
        report = run_async(
            check(
                runtime.documents.jobs[job],
                runtime.documents,
                opened.ledger,
                environ=os.environ,
                fingerprint_key=opened.fingerprint_key,
            )
        )
        opened.ledger.drift.keep(job, run_id, report.drifted, report.drifted_count)
    pairs = runtime.catalog.pairs(job)
    problems = [f"{error.message}. {error.hint}".strip() for error in report.errors]
    problems += [f"{pairs.key_of(outcome.change)} could not be read: {outcome.message}" for outcome in report.unseen]
    summary = f"{report.drifted_count} of {report.total()} secrets were changed or removed outside SecretSync"
    keys = {"drifted keys": metadata.drift_table(report.drifted, pairs, report.drifted_count)} if report.drifted else {}
    return dg.AssetCheckEvaluation(
        asset_key=runtime.catalog.asset_key(job),
        check_name=DRIFT,
        passed=report.ok,
        description=summary if report.drifted_count or not problems else plural(len(problems), "error"),
        metadata={
            "drifted": report.drifted_count,
            "secrets looked at": report.total(),
            "may not be read": report.drift_unknown,
            **keys,
            **metadata.warnings(report.warnings),
            **{f"error {number}": metadata.text(problem) for number, problem in enumerate(problems[:5], 1)},
        },
    )


def found_by_sync(catalog: Catalog, job: str, done: Done) -> Iterator[dg.AssetCheckEvaluation]:
    """What a transfer found to have drifted: red in the check's history, also where it is put right by now."""
    report = done.report
    if report.drifted_count:
        yield _found(catalog, job, report.drifted, report.drifted_count)


def put_right_by_sync(
    context: dg.OpExecutionContext, catalog: Catalog, job: str, done: Done, *, whole: bool
) -> Iterator[dg.AssetCheckEvaluation]:
    """What the last step of a sync met itself and put right; and green, where no drift that is known of is left.

    ``whole`` is whether the run was of all items: only such a one can speak of what earlier runs met.
    """
    report = done.report
    if done.mended:
        yield _found(catalog, job, done.mended, done.mended_of.total())
    if not report.ok or report.drift_left:
        return
    red = list(_red_since(context.instance, catalog, job))
    met_before = any(_FOUND_BY in said.metadata for _, said in red)
    known = all(_FOUND_BY in said.metadata or _count(said) <= report.drifted_count for _, said in red)
    mine = whole or all(run == context.run_id for run, _ in red)
    if (report.drifted_count or met_before) and known and mine:
        pairs = catalog.pairs(job)
        put_right = metadata.drift_table(report.drifted, pairs, report.drifted_count) if report.drifted else None
        yield dg.AssetCheckEvaluation(
            asset_key=catalog.asset_key(job),
            check_name=DRIFT,
            passed=True,
            description=f"{plural(report.drifted_count, 'secret')} had drifted: this sync has put that right"
            if put_right
            else "what earlier syncs found to have drifted is as it should be",
            metadata={"drifted": 0, **({"put right": put_right} if put_right else {})},
        )


_FOUND_BY = "found by"
_LOOKED_BACK = 20


def _red_since(
    instance: dg.DagsterInstance, catalog: Catalog, job: str
) -> Iterator[tuple[str, dg.AssetCheckEvaluation]]:
    """What the check said since it was green last, the newest first, and in which runs."""
    key = dg.AssetCheckKey(catalog.asset_key(job), DRIFT)
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=_LOOKED_BACK):
        said = record.event.asset_check_evaluation if record.event is not None else None
        if said is not None and said.passed:
            return
        if said is not None:
            yield record.run_id, said


def _count(said: dg.AssetCheckEvaluation) -> int:
    """How many secrets had drifted, as the check said; more than there can be where it did not say."""
    told = said.metadata.get("drifted")
    return told.value or 0 if isinstance(told, dg.IntMetadataValue) else sys.maxsize


def _found(catalog: Catalog, job: str, drifted: Sequence[Change], count: int) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=catalog.asset_key(job),
        check_name=DRIFT,
        passed=False,
        description=f"{plural(count, 'secret')} had been changed or removed outside SecretSync, a sync found",
        metadata={
            "drifted": count,
            "drifted keys": metadata.drift_table(drifted, catalog.pairs(job), count),
            _FOUND_BY: "a sync",
        },
    )
