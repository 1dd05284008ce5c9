"""Compiles documents into Dagster definitions: one graph a SyncJob, with two faces. Pure; no network, no ledger.

- A plain **job** named after the SyncJob is what people press to sync now, and what schedules and sensors start.
- A partitioned **asset** of the same graph, one partition a plan item, shows the state of every item, and is what
  people backfill. The job's runs log their materializations to it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_dagster import translator
from secretsync_dagster.broken_documents import make_broken
from secretsync_dagster.checks import make_checks
from secretsync_dagster.executors import make_executor
from secretsync_dagster.freshness import with_freshness
from secretsync_dagster.notifications import make_notifications
from secretsync_dagster.ops import launchpad, make_audit, make_expand, make_transfer
from secretsync_dagster.resources import Runtime
from secretsync_dagster.run_reaper import make_run_reaper
from secretsync_dagster.schedules import make_drift_schedule, make_schedule
from secretsync_dagster.sensors import make_sensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from secretsync_core.errors import Problem
    from secretsync_core.schema.documents import Documents, JobDocument


def compile_documents(
    documents: Documents,
    problems: Sequence[Problem] = (),
    *,
    directory: Path,
    ledger_url: str = "",
    scope: str = "",
) -> dg.Definitions:
    """Make the definitions of a code location, or of one ``scope`` of several within it.

    Args:
        documents: every document that is whole.
        problems: what is wrong with the others; shown, so that one broken document does not take the rest down.
        directory: where the documents stand, and the ledger beside them.
        ledger_url: the ledger, if it is somewhere else.
        scope: tells these documents apart from others in the same code location, in names of letters and digits.
            What is the whole location's, such as the executor of asset jobs, is then left alone.
    """
    jobs: dict[str, dg.JobDefinition] = {}
    schedules, assets, checks = [], [], []
    resource = translator.resource_key(scope)
    transfers, audits = cache(make_transfer), cache(make_audit)
    runtime = Runtime(documents, directory, ledger_url)
    resources = {resource: dg.ResourceDefinition.hardcoded_resource(runtime)}
    executors = cache(lambda executor: make_executor(runtime, [executor]))
    for document in documents.jobs.values():
        first, second, third = translator.pools(document)
        expand = make_expand(document.name, list(translator.source_inputs(document)), resource, second)
        transfer = transfers(document.spec.dest[0], scope, first)
        graph = _graph(document, expand, transfer, audits(scope, third))
        job = _job(document, graph, resources, executors(document.spec.executor))
        jobs[document.name] = job
        assets.append(_asset(document, graph, scope))
        checks += make_checks(document, resource)
        if document.spec.schedule is not None:
            schedules.append(make_schedule(document, job))
        if (drift := make_drift_schedule(document)) is not None:
            schedules.append(drift)
    return dg.Definitions(
        jobs=[*jobs.values(), *make_broken(problems, scope)],
        assets=[*assets, *_stores(documents, scope)],
        asset_checks=checks,
        schedules=schedules,
        sensors=[
            *make_sensors(documents, jobs, scope),
            *make_run_reaper(documents, scope),
            *make_notifications(documents, scope),
        ],
        executor=None
        if scope
        else make_executor(runtime, {document.spec.executor for document in documents.jobs.values()}),
        resources=resources,
        metadata={"problems": dg.MetadataValue.int(sum(not problem.warning for problem in problems))},
    )


def _graph(
    document: JobDocument, expand: dg.OpDefinition, transfer: dg.OpDefinition, audit: dg.OpDefinition
) -> dg.GraphDefinition:
    def compose(**sources: Any) -> Any:
        expanded = expand.alias("expand")(**sources)
        return audit.alias("audit")(expanded.manifest, expanded.shards.map(transfer.alias("transfer")).collect())

    return dg.graph(
        name=translator.dagster_name(document.name),
        description=translator.description(document),
        ins={name: dg.GraphIn() for name in translator.source_inputs(document)},
    )(compose)


def _job(
    document: JobDocument,
    graph: dg.GraphDefinition,
    resources: dict[str, dg.ResourceDefinition],
    executor: dg.ExecutorDefinition,
) -> dg.JobDefinition:
    return graph.to_job(
        name=translator.dagster_name(document.name),
        tags=translator.tags(document),
        config=launchpad,
        # The same as that of all definitions, which Dagster would give to each of many jobs by making it anew.
        resource_defs=resources,
        executor_def=executor,
        metadata={
            "source": document.spec.source,
            "destination": ", ".join(document.spec.dest),
            "document": f"{document.where.file}:{document.where.line}",
            "state of every item": dg.MetadataValue.asset(translator.asset_key(document.name)),
        },
    )


def _asset(document: JobDocument, graph: dg.GraphDefinition, scope: str) -> dg.AssetsDefinition:
    key = translator.asset_key(document.name)
    made: dg.AssetsDefinition = dg.AssetsDefinition.from_graph(
        graph,
        keys_by_input_name={
            name: translator.store_key(store, scope) for name, store in translator.source_inputs(document).items()
        },
        keys_by_output_name={"result": key},
        partitions_def=dg.StaticPartitionsDefinition(translator.item_names(document)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=translator.GROUP,
        descriptions_by_output_name={"result": translator.description(document)},
        tags_by_output_name={"result": {translator.JOB_TAG: document.name}},
        metadata_by_output_name={"result": _about(document)},
    )
    return with_freshness(made, document)


def _about(document: JobDocument) -> dict[str, Any]:
    """What the asset's page tells of the SyncJob. Its schedules are the job's, so that Dagster shows none here."""
    spec = document.spec
    return {
        "job": translator.dagster_name(document.name),
        **({"schedule": f"{spec.schedule.text} ({spec.timezone})"} if spec.schedule else {}),
        **({"looks for drift": f"{spec.drift_check.schedule.text} ({spec.timezone})"} if spec.drift_check else {}),
    }


def _stores(documents: Documents, scope: str) -> list[dg.AssetSpec]:
    """Every store as an asset that Dagster does not make itself, so that lineage runs from store to store."""
    from_jobs: dict[str, list[dg.AssetKey]] = {}
    links = translator.links(documents)
    for job in documents.jobs.values():
        for dest in job.spec.dest:
            if job.spec.source in links.get(dest, ()):
                from_jobs.setdefault(dest, []).append(translator.asset_key(job.name))
    return [
        dg.AssetSpec(
            translator.store_key(store.name, scope),
            deps=from_jobs.get(store.name, []),
            group_name=translator.GROUP,
            description=f"SecretStore **{store.name}** ({store.provider}, {store.permissions.value}), "
            f"from `{store.where.file}:{store.where.line}`.",
            kinds={store.provider},
            metadata={
                "provider": store.provider,
                "permissions": store.permissions.value,
                "document": f"{store.where.file}:{store.where.line}",
            },
        )
        for store in documents.stores.values()
    ]
