"""Compiles documents into Dagster definitions: one graph a SyncJob, with two faces. Pure; no network, no ledger.

- A plain **job** named after the SyncJob is what people press to sync now, and what schedules and sensors start.
- A partitioned **asset** of the same graph, one partition a plan item, shows the state of every item, and is what
  people backfill. The job's runs log their materializations to it.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import dagster as dg

from secretsync_dagster.appearance import document_shown
from secretsync_dagster.automation import make_eager_sensor
from secretsync_dagster.backfills import backfill_policies
from secretsync_dagster.broken_documents import make_broken
from secretsync_dagster.broken_jobs import without_namesakes
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.checks import make_checks
from secretsync_dagster.executors import make_executor
from secretsync_dagster.find_key import make_find_key
from secretsync_dagster.loaded_documents import tags_of
from secretsync_dagster.naming import IO_MANAGER_KEY, JOB_TAG, check_prefix
from secretsync_dagster.notifications import make_notifications
from secretsync_dagster.ops import make_audit, make_expand, make_transfer
from secretsync_dagster.resources import Runtime, make_resource
from secretsync_dagster.run_config import IO_MANAGER, config_schema, launchpad
from secretsync_dagster.run_reaper import make_run_reaper
from secretsync_dagster.schedules import make_drift_schedule, make_schedule
from secretsync_dagster.sensors import make_sensors
from secretsync_dagster.standing_checks import make_standing_checks, make_standing_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.errors import Problem
    from secretsync_core.schema.documents import Documents, JobDocument, Where
    from secretsync_dagster.catalog import Translation
    from secretsync_dagster.on_disk import OnDisk
    from secretsync_dagster.translator import SecretSyncTranslator


def compile_documents(
    documents: Documents,
    problems: Sequence[Problem] = (),
    *,
    directory: Path,
    ledger_url: str = "",
    scope: str = "",
    translator: SecretSyncTranslator | None = None,
    translation: Translation | None = None,
    prefix: str = "",
    home: Path | None = None,
    on_disk: OnDisk | None = None,
    alone: bool = False,
) -> dg.Definitions:
    """Make the definitions of a code location, or of one ``scope`` of several within it.

    Args:
        documents: every document that is whole.
        problems: what is wrong with the others; shown, so that one broken document does not take the rest down.
        directory: where the documents stand, and the ledger beside them.
        ledger_url: the ledger, if it is somewhere else.
        scope: tells these documents apart from others in the same code location, in names of letters and digits.
            What is the whole location's, such as the executor of asset jobs, is then left alone.
        translator: says what the documents are called and show in Dagster; the default one where it is left out.
        translation: changes each asset that the translator gives; it also gets what the translator was told.
        prefix: tells this code location apart from others of the same instance that have SyncJobs or stores of the
            same names: letters, digits, dashes and underscores. Asset keys begin with it, and so do pools and the tag
            that the queue goes by.
        home: the directory of the ledger and its key; the default is ``.secretsync`` in ``directory``.
        on_disk: the documents' files, as they may have become since.
        alone: whether these are the documents of one SyncJob out of several.

    Raises UsageError where ``prefix`` is no such name.
    """
    check_prefix(prefix)
    if scope:
        documents = without_namesakes(documents, scope)
    catalog = Catalog(documents, translator, scope, translation, prefix, alone=alone)
    jobs: dict[str, dg.JobDefinition] = {}
    schedules, assets, checks = [], [], []
    policies = backfill_policies(catalog)
    transfers, audits = cache(partial(make_transfer, catalog)), cache(partial(make_audit, catalog))
    runtime = Runtime(catalog, directory, ledger_url, home, on_disk)
    # The same as that of all definitions, which Dagster would give to each of many jobs by making it anew.
    resources = {catalog.resource: make_resource(runtime), IO_MANAGER_KEY: IO_MANAGER}
    executors = cache(lambda executor: make_executor(runtime, [executor]))
    for data in catalog.jobs.values():
        document = data.document
        first, second, third = catalog.pools(document.name)
        # The items of a broken one may be others: what is asked of it is refused by what is wrong with it.
        items = list(catalog.partition_keys(document.name)) if document.name in documents.jobs else None
        schema = config_schema(catalog.job_name(document.name), items)
        expand = make_expand(catalog, document.name, schema, second, tags_of(runtime, document.name))
        graph = _graph(catalog, document, expand, transfers(document.spec.dest[0], first), audits(third))
        place = _within(directory, document.where)
        job = _job(catalog, document, place, graph, schema, resources, executors(document.spec.executor))
        jobs[document.name] = job
        assets.append(_asset(catalog, document, graph, policies[document.name]))
        checks += make_checks(catalog, document.name)
        if document.spec.schedule is not None:
            schedules.append(make_schedule(document, job))
        if (drift := make_drift_schedule(catalog, document)) is not None:
            schedules.append(drift)
    checks += make_standing_checks(catalog)
    schedules += make_standing_schedule(catalog)
    return dg.Definitions(
        jobs=[*jobs.values(), *make_find_key(catalog, resources), *make_broken(problems, scope)],
        assets=[*assets, *catalog.store_assets.values()],
        asset_checks=checks,
        schedules=schedules,
        sensors=[
            *make_sensors(catalog, jobs),
            *make_run_reaper(catalog),
            *make_notifications(catalog),
            *make_eager_sensor(documents.jobs, catalog.asset_key, scope),
        ],
        executor=None
        if scope
        else make_executor(runtime, {data.document.spec.executor for data in catalog.jobs.values()}),
        resources=resources,
        metadata={"problems": dg.MetadataValue.int(sum(not problem.warning for problem in problems))},
    )


def _graph(
    catalog: Catalog,
    document: JobDocument,
    expand: dg.OpDefinition,
    transfer: dg.OpDefinition,
    audit: dg.OpDefinition,
) -> dg.GraphDefinition:
    def compose(**sources: Any) -> Any:
        expanded = expand.alias("expand")(**sources)
        return audit.alias("audit")(expanded.manifest, expanded.shards.map(transfer.alias("transfer")).collect())

    return dg.graph(
        name=catalog.job_name(document.name),
        description=catalog.description(document.name),
        ins={name: dg.GraphIn() for name in catalog.inputs(document.name)},
    )(compose)


def _within(directory: Path, where: Where) -> str:
    """Where a document stands, as seen from the directory of documents: a job's page has no room for a long path, which
    it does not break. The asset's page leads to the file itself."""
    file = Path(where.file)
    return f"{file.relative_to(directory) if file.is_relative_to(directory) else file}:{where.line}"


def _job(
    catalog: Catalog,
    document: JobDocument,
    place: str,
    graph: dg.GraphDefinition,
    schema: dg.Field,
    resources: dict[str, dg.ResourceDefinition],
    executor: dg.ExecutorDefinition,
) -> dg.JobDefinition:
    tag = f"tag:{JOB_TAG}={catalog.job_tag(document.name)}"
    runs = f"[Runs of {document.name}, those of backfills too](/runs?q%5B0%5D={quote(tag, safe='')})"
    return graph.to_job(
        name=graph.name,
        tags=catalog.tags(document.name),
        config=launchpad(schema),
        resource_defs=resources,
        executor_def=executor,
        owners=list(catalog.translator.get_owners(catalog.jobs[document.name])) or None,
        metadata={
            "source": document.spec.source,
            "destination": ", ".join(document.spec.dest),
            "document": place,
            # No URL: Dagster shows its address, in a narrow column and unbroken.
            "runs, backfills too": dg.MetadataValue.md(runs),
            **document_shown(document),
            "state of every item": dg.MetadataValue.asset(catalog.asset_key(document.name)),
        },
    )


def _asset(
    catalog: Catalog, document: JobDocument, graph: dg.GraphDefinition, backfills: dg.BackfillPolicy
) -> dg.AssetsDefinition:
    spec = catalog.assets[document.name]
    made: dg.AssetsDefinition = dg.AssetsDefinition.from_graph(
        graph,
        keys_by_input_name=catalog.inputs(document.name),
        keys_by_output_name={"result": spec.key},
        partitions_def=dg.StaticPartitionsDefinition(list(catalog.partition_keys(document.name).values())),
        backfill_policy=backfills,
        group_name=spec.group_name,
        descriptions_by_output_name={"result": spec.description or ""},
        tags_by_output_name={"result": spec.tags},
        metadata_by_output_name={"result": spec.metadata},
        owners_by_output_name={"result": spec.owners},
        code_versions_by_output_name={"result": spec.code_version},
        automation_conditions_by_output_name={"result": spec.automation_condition},
    )
    policy = spec.freshness_policy
    if policy is None:
        return made
    return made.map_asset_specs(lambda each: dg.apply_freshness_policy(each, policy))
