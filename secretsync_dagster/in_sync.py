"""Whether a SyncJob is in sync, item by item: red as soon as a run leaves one out, green once all of these are well."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.audit.database import LedgerMissing
from secretsync_core.errors import SecretSyncError
from secretsync_core.run.findings import is_in_sync, names_of, out_of_sync
from secretsync_dagster.lease_holders import holder_of
from secretsync_dagster.metadata import uncertain_words
from secretsync_dagster.naming import IN_SYNC, is_run_of_dagster

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from secretsync_core.audit.ledger import Ledger
    from secretsync_dagster.resources import Runtime

_OUT_OF_SYNC = "out of sync"
_BY_OTHERS = ", as the last run of the command line left it, by the documents that it had"
"""The ledger does not tell of which documents a run was, and they may be others than those that are shown."""


def in_sync_events(
    context: dg.OpExecutionContext,
    runtime: Runtime,
    job: str,
    numbers: Mapping[str, dg.MetadataValue],
    *,
    failed: Collection[str],
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[dg.AssetCheckEvaluation | dg.AssetObservation]:
    """What to yield of a job after a step: ``failed`` items are out of sync now.

    What an earlier run left out stays out until a run has put it right, also if the runs between had other items; the
    ledger knows. An empty name among ``failed`` stands for the job as a whole. The check is for people, and its plots
    show ``numbers``, which say what the step did, from run to run; the observation takes ``metadata`` besides.
    """
    key = runtime.catalog.asset_key(job)
    document = runtime.documents.jobs[job]
    known = names_of(document)
    out = set(failed) & known
    # A ledger that fails now has failed the step already, and is no reason to say less.
    with contextlib.suppress(SecretSyncError), runtime.ledger() as opened:
        opened.ledger.items.note(job, context.run_id, out=out, holder=holder_of(context.run_id))
        out |= {each.item for each in out_of_sync(document, opened.ledger)}
    out &= known
    uncertain = numbers.get("uncertain")
    count = uncertain.value if isinstance(uncertain, dg.IntMetadataValue) else 0
    held = out_of_sync_metadata(out)
    yield dg.AssetObservation(
        key,
        description="what this run did" if metadata else "what this step left undone",
        metadata={**(metadata or {}), **held},
    )
    yield dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=IN_SYNC,
        passed=not out,
        description=described(out, len(known) - 1) + (f"; {uncertain_words(count)}" if count else ""),
        metadata={**numbers, "items": len(known) - 1, **held},
    )


def in_sync_by_ledger(runtime: Runtime, ledger: Ledger, job: str) -> tuple[bool, dict[str, Any]]:
    """Whether a SyncJob is in sync by the ledger, and what is shown beside it."""
    summary = ledger.runs.summary(job)
    # The last run may have had other items than one that an earlier run left out of sync.
    out = {each.item for each in out_of_sync(runtime.catalog.jobs[job].document, ledger)}
    last = summary.last_run
    return is_in_sync(last, out), {
        **out_of_sync_metadata(out),
        "last run": _shown_run(last.run) if last is not None else "there was none",
        "secrets held": summary.live_keys,
        "failed": summary.failed_keys,
    }


def _shown_run(run: str) -> dg.MetadataValue:
    """A run, with a link where it is Dagster's."""
    return dg.MetadataValue.dagster_run(run) if is_run_of_dagster(run) else dg.MetadataValue.text(run)


def by_ledger(runtime: Runtime, job: str, run: str = "") -> dg.AssetCheckEvaluation:
    """What the ledger says of a SyncJob where no run does; yellow where it knows nothing. Raises SecretSyncError.

    ``run`` is the run that asks, if one does: what is under way by another one is not wrong yet.
    """
    known, passed, said = False, False, "nothing was synced yet"
    shown: dict[str, Any] = {"last run": "there was none"}
    with contextlib.suppress(LedgerMissing), runtime.ledger(write=False) as opened:
        last = opened.ledger.runs.summary(job).last_run
        known = last is not None
        passed, shown = in_sync_by_ledger(runtime, opened.ledger, job)
        out = {each.item for each in out_of_sync(runtime.catalog.jobs[job].document, opened.ledger)}
        known |= bool(out)
        if not passed and not out and _others_are_at_it(opened.ledger, job, run):
            known, said = False, "another run is under way: execute this check once it has ended"
        elif known:
            said = described(out if passed else out or {""}, len(runtime.catalog.partition_keys(job)))
            if passed and last is not None and not is_run_of_dagster(last.run):
                said += _BY_OTHERS
    return dg.AssetCheckEvaluation(
        asset_key=runtime.catalog.asset_key(job),
        check_name=IN_SYNC,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if known else dg.AssetCheckSeverity.WARN,
        description=said,
        metadata=shown,
    )


def _others_are_at_it(ledger: Ledger, job: str, run: str) -> bool:
    """Whether somebody else than this run holds a SyncJob's lease."""
    lease = ledger.leases.find(job)
    return lease is not None and lease.holder != holder_of(run)


def described(out: Collection[str], count: int) -> str:
    """Which items are out of sync, of so many."""
    items = "the one item is" if count == 1 else f"all {count} items are"
    if not out:
        return f"{items} in sync"
    named = sorted(item or "the job as a whole" for item in out)
    return f"out of sync: {', '.join(named[:10])}" + (f" and {len(named) - 10} more" if len(named) > 10 else "")


def out_of_sync_metadata(items: Collection[str]) -> dict[str, dg.MetadataValue]:
    """The metadata that says which items are out of sync."""
    return {_OUT_OF_SYNC: dg.MetadataValue.json(sorted(items))}
