"""What the check ``drift`` shows: looks of its own, and what syncs found on their way and put right.

Dagster keeps one evaluation of a check for each run, and a later one takes its place. What a sync finds first is to
stand in the history beside what it says at its end, so it is also noted without a run, and names its run. Where the run
has an entry from its beginning, as a run of the asset has, that would stand below such a note: there the last word is
all that is kept, and it names what was put right.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.counting import plural
from secretsync_core.run.steps import check
from secretsync_dagster import metadata
from secretsync_dagster.drift_history import RUN, found_in, has_entry, words
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
    problems = [metadata.sentence(error) for error in report.errors]
    problems += [f"{pairs.key_of(outcome.change)} could not be read: {outcome.message}" for outcome in report.unseen]
    summary = f"{report.drifted_count} of {report.total()} secrets were changed or removed outside SecretSync"
    keys: dict[str, dg.MetadataValue] = {}
    if report.drifted:
        keys[_KEYS] = metadata.drift_table(report.drifted, pairs, report.drifted_count)
        keys["what to do"] = dg.MetadataValue.text(_WHAT_TO_DO)
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


def look_before_sync(context: dg.OpExecutionContext, runtime: Runtime, job: str) -> None:
    """Look for drift before a sync puts it right, and note in the check's history what was found."""
    _note(context, look(runtime, job, context.run_id))


def found_by_sync(
    context: dg.OpExecutionContext, catalog: Catalog, job: str, done: Done
) -> Iterator[dg.AssetCheckEvaluation]:
    """What a transfer found to have drifted: red in the check's history, also where it is put right by now."""
    report = done.report
    # What an earlier attempt met, that one has said.
    if count := report.drifted_count - done.drifted_before:
        yield _first_noted(context, _found(catalog, job, report.drifted[:count], count))


def _first_noted(context: dg.OpExecutionContext, said: dg.AssetCheckEvaluation) -> dg.AssetCheckEvaluation:
    """What a run says of the check so far: this finding, noted before it, or together with what it has said already."""
    if not has_entry(context.instance, said.asset_key, context.run_id):
        _note(context, said)
        return said
    for record, before in words(context.instance, said.asset_key):
        if record.run_id == context.run_id:
            # What is of another run names it: that was only said again.
            return _together(before, said) if _FOUND_BY in before.metadata and RUN not in before.metadata else said
    return said


def _note(context: dg.OpExecutionContext, said: dg.AssetCheckEvaluation) -> None:
    """Keep an evaluation in the check's history, whatever the run says of the check later."""
    link = dg.MetadataValue.dagster_run(context.run_id)
    context.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=said.asset_key,
            check_name=said.check_name,
            passed=said.passed,
            description=said.description,
            metadata={**said.metadata, RUN: link},
        )
    )


def _together(before: dg.AssetCheckEvaluation, said: dg.AssetCheckEvaluation) -> dg.AssetCheckEvaluation:
    """Two findings of one run as one: a step that is tried again finds some of the same keys once more."""
    keys, again = metadata.joined(before.metadata[_KEYS], said.metadata[_KEYS])
    first, second = _count(before), _count(said)
    # Of more keys than a table shows, those of a second attempt are the same ones.
    all_again = again == min(second, metadata.ROWS)
    count = max(first, second) if all_again else first + second - again
    return _evaluation(said.asset_key, count, metadata.drift_rows(keys, count))


def put_right_by_sync(
    context: dg.OpExecutionContext, catalog: Catalog, job: str, done: Done, *, whole: bool
) -> Iterator[dg.AssetCheckEvaluation]:
    """What the last step of a sync met itself and put right; and green, where no drift that is known of is left.

    ``whole`` is whether the run was of all items: only such a one can speak of what earlier runs met.
    """
    report = done.report
    if done.mended:
        yield _first_noted(context, _found(catalog, job, done.mended, done.mended_of.total()))
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


_FOUND_BY, _KEYS = "found by", "drifted keys"
_WHAT_TO_DO = "run the job: it puts back what its plan wants there; with dryRun it shows what it would do"


def _red_since(
    instance: dg.DagsterInstance, catalog: Catalog, job: str
) -> Iterator[tuple[str, dg.AssetCheckEvaluation]]:
    """What the check said since it was green last, the newest first, and in which runs."""
    for record, said in words(instance, catalog.asset_key(job)):
        if said.passed:
            return
        yield found_in(record, said), said


def _count(said: dg.AssetCheckEvaluation) -> int:
    """How many secrets had drifted, as the check said; more than there can be where it did not say."""
    told = said.metadata.get("drifted")
    return told.value or 0 if isinstance(told, dg.IntMetadataValue) else sys.maxsize


def _found(catalog: Catalog, job: str, drifted: Sequence[Change], count: int) -> dg.AssetCheckEvaluation:
    keys = metadata.drift_table(drifted, catalog.pairs(job), count)
    return _evaluation(catalog.asset_key(job), count, keys)


def _evaluation(asset: dg.AssetKey, count: int, keys: dg.TableMetadataValue) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=DRIFT,
        passed=False,
        description=f"{plural(count, 'secret')} had been changed or removed outside SecretSync, a sync found",
        metadata={"drifted": count, _KEYS: keys, _FOUND_BY: "a sync"},
    )
