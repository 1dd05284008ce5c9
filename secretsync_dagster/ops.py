"""The three ops of every SyncJob's graph: expand, transfer, audit. They run the steps and show what came of them."""

# No deferred annotations here: Dagster reads those of its ops, and takes none that are text.

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import dagster as dg

from secretsync_core.cli.escape import safe
from secretsync_core.cli.wording import held_back
from secretsync_core.counting import plural
from secretsync_core.errors import LeaseHeld, SecretSyncError, UsageError
from secretsync_core.model.report import NOT_DONE, Result
from secretsync_core.run import steps
from secretsync_core.run.lease import Claim
from secretsync_core.run.shards import Manifest, Moved, Shard
from secretsync_core.run.suspended import why_suspended
from secretsync_dagster import metadata, plans
from secretsync_dagster.broken_jobs import red_for_errors
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.drift_looks import found_by_sync, look_before_sync, put_right_by_sync
from secretsync_dagster.error_boundary import error_boundary
from secretsync_dagster.event_loop import run_async
from secretsync_dagster.held_keys import held_keys
from secretsync_dagster.in_sync import in_sync_events
from secretsync_dagster.lease_holders import holder_of, is_dead, is_going_on, run_of
from secretsync_dagster.loaded_documents import Loaded, loaded_for
from secretsync_dagster.naming import CHECK_FIRST_TAG, IO_MANAGER_KEY, JOB_TAG
from secretsync_dagster.op_factory import NOTHING, make_op
from secretsync_dagster.planned_partitions import report_planned
from secretsync_dagster.resources import Runtime, runtime_of
from secretsync_dagster.run_config import RUN_SUSPENDED, Asked, asked_of, only_looks
from secretsync_dagster.shared_assets import red, why_refused
from secretsync_dagster.standing_checks import ledger_evaluation
from secretsync_dagster.translator import OpData
from secretsync_dagster.undoing import apply, check_undo, failure_of, moved, show_done, show_plan
from secretsync_dagster.unevaluated import guarded, unevaluated

_RETRY = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


_EXPANDED = {
    "shards": dg.DynamicOut(
        Shard, io_manager_key=IO_MANAGER_KEY, description="What is to be done, one plan item each."
    ),
    "manifest": dg.Out(Manifest, io_manager_key=IO_MANAGER_KEY, description="What this run is about, for the audit."),
}


def make_expand(
    catalog: Catalog, job: str, schema: dg.Field, pool: str | None = None, tags: Mapping[str, str] | None = None
) -> dg.OpDefinition:
    """The op that looks at the stores and gives one shard a plan item; ``schema`` is that of its config."""
    resource = catalog.resource

    def expand(context: dg.OpExecutionContext) -> Iterator[Any]:
        with error_boundary(context, retry=_RETRY):
            loaded = loaded_for(context, resource, job)
            together = _together(context, runtime_of(context, resource).catalog, loaded.runtime.catalog)
            yield from guarded(context, loaded.runtime, job, _expand(context, loaded, job, together), begun=False)

    return make_op(
        expand,
        name=catalog.op_name(OpData("expand", catalog.scope, job=catalog.jobs[job])),
        resource=resource,
        description="Looks at sources and destinations, decides what is to be done, and splits it by plan item.",
        ins=dict.fromkeys(catalog.inputs(job), NOTHING),
        outs=_EXPANDED,
        config_schema=schema,
        retry_policy=_RETRY,
        pool=pool,
        tags=tags,
    )


def _expand(context: dg.OpExecutionContext, loaded: Loaded, job: str, together: Mapping[str, str]) -> Iterator[Any]:
    """See :func:`make_expand`; ``together`` are all SyncJobs of the run, and what Dagster calls their jobs."""
    asked = Asked.of(context.op_config)
    runtime, ours = loaded.runtime, loaded.runtime.catalog
    partitions = list(context.partition_keys) if _partitioned(context) else None
    items = list(asked.items) if partitions is None else ours.items_of(job, partitions)
    shards: list[Shard] = []
    _tag(context, ours, job, together)
    every = items or list(ours.partition_keys(job))
    if loaded.broken is not None:
        _report_planned(context, ours, job, every)
        yield from _not_begun(ours, job, every, loaded.broken)
        yield red_for_errors(ours.asset_key(job), loaded.broken)
        raise loaded.broken
    if loaded.newer:
        context.log.warning(safe(loaded.newer))
    dry = asked.dry_run or (asked.undo.is_asked and not asked.undo.apply)
    others = [name for other, name in together.items() if other != job]
    plans.mark(context, job, dry=dry, all_dry=dry and all(only_looks(asked_of(context.run, name)) for name in others))
    if asked.undo.is_asked:
        yield from _undo(context, runtime, job, asked)
        return
    suspended = why_suspended(
        ours.jobs[job].document, on_purpose=asked.run_suspended or asked.dry_run, hint=RUN_SUSPENDED
    )
    if suspended is not None:
        if partitions is not None:  # these Dagster shows as failed whatever we say
            yield from _not_begun(ours, job, every, suspended, "this item was not synced")
        raise suspended  # which says nothing of any item
    refused = why_refused(context, ours, job)
    if refused is not None and not asked.dry_run:
        _report_planned(context, ours, job, every)
        yield from _not_begun(ours, job, every, refused)
        yield red(ours, job, refused)
        raise refused
    if asked.dry_run:
        if refused is not None:
            context.log.warning("%s; %s", safe(refused.message), safe(refused.hint))
        with _step_of(context, runtime) as step:
            manifest, changes = run_async(
                steps.preview(step, job, items=items, verify=asked.verify, adopt=asked.adopt, restored=asked.restored)
            )
        plans.show(
            context,
            runtime.documents.jobs[job],
            changes,
            manifest.warnings,
            command=f"secretsync plan {job}",
        )
    else:
        _look_first(context, runtime, job)
        try:
            with _step_of(context, runtime, waits=True) as step:
                manifest, shards = run_async(
                    steps.expand(
                        step,
                        job,
                        items=items,
                        verify=asked.verify,
                        adopt=asked.adopt,
                        restored=asked.restored,
                    )
                )
        except (LeaseHeld, UsageError):
            raise  # the other run will tell; and a call that is wrong says nothing of any item
        except SecretSyncError as error:
            if not error.retryable or _is_last(context):
                _report_planned(context, ours, job, every)
                yield from _not_begun(ours, job, every, error)
                yield from in_sync_events(context, runtime, job, {}, failed={""})
                yield ledger_evaluation(runtime, job)
            raise
        _report_planned(context, ours, job, manifest.items)
        held = held_keys(context, runtime, job, manifest.shown)
        for item in manifest.shown:
            counts = {Result.UNCHANGED: manifest.unchanged.get(item, 0)}
            yield _materialized(ours, job, item, {**held.get(item, {}), **metadata.numbers(counts)})
        context.add_output_metadata(
            {
                "to do": sum(len(shard.changes) for shard in shards),
                "unchanged": sum(manifest.unchanged.values()),
                "requests": sum(sum(kinds.values()) for kinds in manifest.requests.values()),
                **metadata.warnings(manifest.warnings),
            },
            output_name="manifest",
        )
    # Made all of them first: Dagster may refuse one, and then none of them begins.
    outputs = _outputs(ours, job, shards)
    yield dg.Output(manifest, "manifest")
    yield from outputs


def _together(context: dg.OpExecutionContext, *catalogs: Catalog) -> dict[str, str]:
    """The SyncJobs of a run, and what Dagster calls their jobs: several where people launch the assets of several."""
    return {one.name: catalog.job_name(one.name) for catalog in catalogs for one in catalog.jobs_of(context.run)}


def _tag(context: dg.OpExecutionContext, catalog: Catalog, job: str, together: Collection[str]) -> None:
    """Name the SyncJobs of a run in its tags where Dagster does not: a backfill's runs carry no tags of ours.

    From then on runs of a job wait in the queue for a run of it alone, and filters find it.
    """
    if JOB_TAG not in context.run.tags and job in together:
        context.instance.add_run_tags(context.run_id, {JOB_TAG: catalog.tag_of_several(together)})


def _look_first(context: dg.OpExecutionContext, runtime: Runtime, job: str) -> None:
    """Look for drift before it is put right, where a drift check is due in the same second as this sync."""
    if context.run.tags.get(CHECK_FIRST_TAG) == "true" and not context.retry_number:
        try:
            look_before_sync(context, runtime, job)
        except SecretSyncError as error:
            context.log.warning("the drift check that was due first failed: %s", safe(error.message))


def _undo(context: dg.OpExecutionContext, runtime: Runtime, job: str, asked: Asked) -> Iterator[Any]:
    """Undo what another run wrote, or show what that would do: then nothing is left for the other steps."""
    undo = asked.undo
    with runtime.ledger(write=False) as opened:
        check_undo(opened.ledger, job, undo, others=asked.of_a_sync, partitioned=_partitioned(context))
    if asked.dry_run or not undo.apply:
        with _step_of(context, runtime) as step:
            manifest = show_plan(context, step, job, undo)
    else:
        with _step_of(context, runtime, waits=True, last=True) as step:
            done = apply(step, job, undo)
        done.out = out = moved(done) & frozenset(runtime.catalog.partition_keys(job))
        yield from _out_of_sync_observations(runtime.catalog, job, done)
        if out:
            yield from in_sync_events(
                context, runtime, job, _numbers(done), failed=out, metadata={"undid run": undo.run}
            )
        if not done.report.ok:
            raise failure_of(runtime.documents.jobs[job], done, undo, last=_is_last(context))
        manifest = show_done(context, runtime.documents.jobs[job], done, undo)
    yield dg.Output(manifest, "manifest")


def _report_planned(context: dg.OpExecutionContext, catalog: Catalog, job: str, items: Iterable[str]) -> None:
    """Say which items this run is to bring in sync, where Dagster does not say it itself."""
    if not _partitioned(context):
        report_planned(context, catalog, job, items)


def _outputs(catalog: Catalog, job: str, shards: list[Shard]) -> list[dg.DynamicOutput[Shard]]:
    """The outputs that start one transfer step each.

    Raises UsageError where a step's name is not one, or is another's too.
    """
    outputs = []
    told: dict[str, Any]
    for shard, key in zip(shards, catalog.mapping_keys(job, shards), strict=True):
        told = {
            "item": shard.item or f"{len(shard.items)} items",
            "secrets": len(shard.changes) + len(shard.deletes),
            "unchanged": shard.unchanged,
        }
        try:
            outputs.append(dg.DynamicOutput(shard, output_name="shards", mapping_key=key, metadata=told))
        except dg.DagsterInvalidDefinitionError:
            raise UsageError(
                "Dagster does not take what a step would be called",
                hint="let get_mapping_key of the translator give letters, digits and underscores",
            ) from None
    return outputs


def make_transfer(catalog: Catalog, dest: str, pool: str) -> dg.OpDefinition:
    """The op that carries out one shard. One definition a destination, since that decides its pool."""
    resource = catalog.resource

    @dg.op(
        name=catalog.op_name(OpData("transfer", catalog.scope, dest=catalog.stores[dest])),
        description="Reads, transforms and writes the secrets of one item; fails at its end if one of them failed.",
        retry_policy=_RETRY,
        pool=pool,
        out=dg.Out(Moved, io_manager_key=IO_MANAGER_KEY),
        required_resource_keys={resource},
    )
    def transfer(context: dg.OpExecutionContext, shard: Shard) -> Iterator[Any]:
        with error_boundary(context, retry=_RETRY):
            runtime = loaded_for(context, resource, shard.job).runtime
            yield from guarded(context, runtime, shard.job, _transfer(context, runtime, shard))

    return transfer


def _transfer(context: dg.OpExecutionContext, runtime: Runtime, shard: Shard) -> Iterator[Any]:
    """See :func:`secretsync_core.run.steps.transfer`."""
    if (refused := why_refused(context, runtime.catalog, shard.job)) is not None:
        raise refused
    with _step_of(context, runtime) as step:
        done = run_async(steps.transfer(step, shard), step.stop)
    yield from found_by_sync(context, runtime.catalog, shard.job, done)
    if not done.report.ok:
        failure = _failure(runtime.catalog, shard.job, _described(shard), done, last=_is_last(context))
        if not failure.allow_retries:
            # Yielded, for what is only logged before a failure gets lost.
            yield from _out_of_sync_observations(runtime.catalog, shard.job, done)
            yield from in_sync_events(context, runtime, shard.job, _numbers(done), failed=done.out)
            yield ledger_evaluation(runtime, shard.job)
            yield from unevaluated(context, runtime, shard.job, failed=True)
        raise failure
    held = held_keys(context, runtime, shard.job, done.well)
    for item in done.well:
        yield _materialization(runtime.catalog, shard.job, item, done, held)
    yield dg.Output(
        done.moved,
        metadata={
            "secrets": metadata.outcome_table(
                done.outcomes, runtime.catalog.pairs(shard.job), done.outcomes_of.total()
            ),
            **_numbers(done),
        },
    )


def make_audit(catalog: Catalog, pool: str | None = None) -> dg.OpDefinition:
    """The op that looks once more. One definition a scope, since that decides where its documents are, and a pool."""
    resource = catalog.resource

    @dg.op(
        name=catalog.op_name(OpData("audit", catalog.scope, pool=pool)),
        pool=pool,
        description="Looks once more, does what no step did, deletes what is due, and closes the run in the ledger.",
        out=dg.Out(dg.Nothing, is_required=False, io_manager_key=IO_MANAGER_KEY),
        retry_policy=_RETRY,
        required_resource_keys={resource},
    )
    def audit(context: dg.OpExecutionContext, manifest: Manifest, results: list[Moved]) -> Iterator[Any]:
        runtime = loaded_for(context, resource, manifest.job).runtime
        with error_boundary(context, retry=_RETRY):
            yield from guarded(context, runtime, manifest.job, _audit(context, runtime, manifest, results))

    return audit


def _audit(context: dg.OpExecutionContext, runtime: Runtime, manifest: Manifest, results: list[Moved]) -> Iterator[Any]:
    """See :func:`secretsync_core.run.steps.audit`. Yields no output: what it shows are events."""
    if manifest.dry_run:
        yield from unevaluated(context, runtime, manifest.job, failed=False)
        return
    if (refused := why_refused(context, runtime.catalog, manifest.job)) is not None:
        yield red(runtime.catalog, manifest.job, refused)
        raise refused
    with _step_of(context, runtime, last=True) as step:
        done = run_async(steps.audit(step, manifest, results), step.stop)
    whole = len(manifest.items) == len(runtime.documents.jobs[manifest.job].spec.plan)
    yield from put_right_by_sync(context, runtime.catalog, manifest.job, done, whole=whole)
    # Each once a run, or every second point of a plot would be a zero.
    held = held_keys(context, runtime, manifest.job, done.well)
    for item in done.well:
        yield _materialization(runtime.catalog, manifest.job, item, done, held)
    yield from _out_of_sync_observations(runtime.catalog, manifest.job, done)
    yield from in_sync_events(
        context,
        runtime,
        manifest.job,
        _numbers(done),
        failed=done.out,
        metadata={
            **metadata.of_whole_run(_numbers(done)),
            **metadata.summary(done.report, done.healed),
            **(
                {
                    "secrets": metadata.outcome_table(
                        done.outcomes, runtime.catalog.pairs(manifest.job), done.outcomes_of.total()
                    )
                }
                if done.outcomes
                else {}
            ),
            "ledger": f"secretsync audit log --run {done.report.run}",
        },
    )
    yield ledger_evaluation(runtime, manifest.job)
    yield from unevaluated(context, runtime, manifest.job, failed=not done.report.ok)
    if not done.report.ok:
        raise _failure(runtime.catalog, manifest.job, "the job", done, last=_is_last(context))


def _materialized(catalog: Catalog, job: str, item: str, shown: dict[str, dg.MetadataValue]) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(catalog.asset_key(job), partition=catalog.partition_keys(job)[item], metadata=shown)


def _materialization(
    catalog: Catalog, job: str, item: str, done: steps.Done, held: Mapping[str, dict[str, dg.MetadataValue]]
) -> dg.AssetMaterialization:
    """An item is in sync, and what it took."""
    return _materialized(
        catalog,
        job,
        item,
        {
            **held.get(item, {}),
            **metadata.numbers(done.report.counts.get(item, {}), drifted=done.drifted_of[item], seconds=_seconds(done)),
            **_of_item(catalog, job, item, done),
            "ledger": dg.MetadataValue.text(f"secretsync audit log --run {done.report.run}"),
        },
    )


def _of_item(catalog: Catalog, job: str, item: str, done: steps.Done) -> dict[str, dg.MetadataValue]:
    """What a step did to the keys of one item, and what of it failed; nothing where it did nothing."""
    pairs = catalog.pairs(job)
    outcomes = [one for one in done.outcomes if one.change.item == item]
    bad = [one for one in outcomes if one.result in NOT_DONE]
    errors = [error for error in done.report.errors if error.item in (item, "")]
    told: dict[str, dg.MetadataValue] = {}
    if bad:
        count = sum(done.report.counts.get(item, {}).get(result, 0) for result in NOT_DONE)
        told["failed secrets"] = metadata.outcome_table(bad, pairs, count)
    elif outcomes:
        told["secrets"] = metadata.outcome_table(outcomes, pairs, done.outcomes_of[item])
    return {**told, **metadata.what_to_do(bad, errors), **metadata.errors(errors[:5])}


def _out_of_sync_observations(catalog: Catalog, job: str, done: steps.Done) -> Iterator[dg.AssetObservation]:
    """The items that are out of sync now, with the same numbers as those that are well, so that plots have both."""
    for item in sorted(done.out - {""}):
        counts = done.report.counts.get(item, {})
        yield dg.AssetObservation(
            catalog.asset_key(job),
            partition=catalog.partition_keys(job).get(item, item),
            description="this item is out of sync",
            metadata={
                **_of_item(catalog, job, item, done),
                **metadata.numbers(counts, drifted=done.drifted_of[item], seconds=_seconds(done)),
                "ledger": f"secretsync audit log --run {done.report.run}",
            },
        )


def _not_begun(
    catalog: Catalog, job: str, items: Sequence[str], error: SecretSyncError, said: str = "this item is out of sync"
) -> Iterator[dg.AssetObservation]:
    """Why nothing was done, for the pages of the items that should have been; of many, for the first of them."""
    for item in items[: metadata.MOST_PAGES]:
        yield dg.AssetObservation(
            catalog.asset_key(job),
            partition=catalog.partition_keys(job).get(item, item),
            description=said,
            metadata={
                "error 1": metadata.text(error.message),
                **({"what to do": metadata.text(error.hint)} if error.hint else {}),
            },
        )


def _numbers(done: steps.Done) -> dict[str, dg.MetadataValue]:
    """What a step did in all, in numbers; the last one tells of all steps of the run."""
    report = done.report
    requests = sum(count for _, _, count in report.asked)
    seconds = report.finished - report.started
    return metadata.numbers(report.totals, drifted=report.drifted_count, seconds=seconds, requests=requests)


def _described(shard: Shard) -> str:
    """Whose secrets a shard has, for people."""
    return f"item {shard.item}" if shard.item else f"{len(shard.items)} items"


def _failure(catalog: Catalog, job: str, whose: str, done: steps.Done, *, last: bool) -> dg.Failure:
    """What fails a step, with a table of what failed and why; the ``last`` attempt asks for no other."""
    bad = [one for one in done.outcomes if one.result in NOT_DONE]
    errors = done.report.errors
    count = done.report.total(*NOT_DONE)
    held = held_back(done.report)
    told = f"the sync of {whose} was stopped"
    if count:
        told = f"{count} of {plural(done.report.total(), 'secret')} of {whose} failed"
        if uncertain := done.report.total(Result.UNCERTAIN):
            told += f", {metadata.uncertain_words(uncertain)}"
        told += metadata.first_reasons(bad, catalog.pairs(job), count)
    elif errors:
        told = metadata.first_errors(errors)
    return dg.Failure(
        f"{held}. {told}" if held else told,
        metadata={
            **({"failed secrets": metadata.outcome_table(bad, catalog.pairs(job), count)} if bad else {}),
            **metadata.what_to_do(bad, errors),
            **metadata.errors(errors[:5]),
            **_numbers(done),
            "ledger": f"secretsync audit log --run {done.report.run}",
        },
        allow_retries=not last and done.may_heal,
    )


def _is_last(context: dg.OpExecutionContext) -> bool:
    """Whether this is a step's last attempt."""
    return context.retry_number >= _RETRY.max_retries


def _partitioned(context: dg.OpExecutionContext) -> bool:
    return context.has_partition_key or context.has_partition_key_range


@contextmanager
def _step_of(
    context: dg.OpExecutionContext, runtime: Runtime, *, waits: bool = False, last: bool = False
) -> Iterator[steps.Step]:
    """This step's run, and its claim to the lease, which all steps of the run share.

    Runs of assets do not pass the queue that holds two runs of one SyncJob apart, and a backfill may be several of
    them: one waits for the other in its first step. A later one that finds the lease with another run has lost it,
    and what was decided for it is stale.
    """
    told: set[str] = set()

    def is_worth_waiting_for(holder: str) -> bool:
        if not waits or not is_going_on(context.instance, holder):
            return False
        if holder not in told:
            told.add(holder)
            context.log.info("waiting for run %s, which syncs the same job", run_of(holder))
        return True

    claim = Claim(
        holder_of(context.run_id),
        partial(is_dead, context.instance),
        keep=not last,
        is_worth_waiting_for=is_worth_waiting_for,
    )
    with runtime.ledger() as opened:
        yield steps.Step(
            runtime.documents,
            opened.ledger,
            opened.fingerprint_key,
            runtime.environ,
            context.run_id,
            claim,
            again=context.retry_number > 0,
        )


def _seconds(done: steps.Done) -> float:
    """How long the step took."""
    return done.report.finished - done.began
