"""What a translator makes of a set of documents, looked up by the names that documents have. The one way to ask it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from secretsync_core.cli.plan_order import Pairs
from secretsync_core.errors import UsageError
from secretsync_core.known import of_that_name
from secretsync_core.schema.broken import unnamed_store
from secretsync_core.schema.kept import digest_of
from secretsync_dagster.banners import banner
from secretsync_dagster.broken_jobs import BROKEN_TAG, why_broken
from secretsync_dagster.lineage import links
from secretsync_dagster.naming import JOB_TAG, dagster_name, mapping_key, prefixed, resource_key
from secretsync_dagster.translator import OpData, SecretStoreData, SecretSyncTranslator, ShardData, SyncJobData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import dagster as dg

    from secretsync_core.run.shards import Shard
    from secretsync_core.schema.documents import Documents, JobDocument

    Translation: TypeAlias = Callable[[dg.AssetSpec, SyncJobData | SecretStoreData], dg.AssetSpec]

_SEVERAL = ", "
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]")


class Catalog:
    """The names, keys and assets of a set of documents in one code location.

    Args:
        documents: every document that is whole.
        translator: says what they become.
        scope: tells the documents apart from others of the same code location; empty where there are none.
        translation: changes the translator's assets, as a component's YAML asks for.
        prefix: tells the code location apart from others of the same instance; empty where there are none.
        alone: whether these are the documents of one SyncJob out of several.
    """

    def __init__(
        self,
        documents: Documents,
        translator: SecretSyncTranslator | None = None,
        scope: str = "",
        translation: Translation | None = None,
        prefix: str = "",
        *,
        alone: bool = False,
    ) -> None:
        self.documents = documents
        broken = documents.broken
        stores = {name: each.document for name, each in broken.stores.items()}
        jobs = {name: each.document for name, each in broken.jobs.items()}
        self._shown = replace(documents, stores={**documents.stores, **stores}, jobs={**documents.jobs, **jobs})
        self.translator = translator or SecretSyncTranslator()
        self.scope = scope
        self.prefix = prefix
        self.alone = alone
        self._translation = translation

    def with_documents(self, documents: Documents) -> Catalog:
        """The same of the documents of one SyncJob."""
        return Catalog(documents, self.translator, self.scope, self._translation, self.prefix, alone=True)

    @property
    def resource(self) -> str:
        """The resource that ops and sensors of these documents need."""
        return resource_key(self.scope)

    @cached_property
    def stores(self) -> Mapping[str, SecretStoreData]:
        """Every SecretStore, and a stand-in for each that a broken SyncJob names and there is not."""
        found = dict(self._shown.stores)
        for job in self.documents.broken.jobs.values():
            for name in job.document.spec.dest:
                found.setdefault(name, unnamed_store(name))
        return {name: SecretStoreData(document, self.scope, self.prefix) for name, document in found.items()}

    @cached_property
    def jobs(self) -> Mapping[str, SyncJobData]:
        """Every SyncJob, those with errors as far as they could be understood."""
        return {name: self._job(document) for name, document in self._shown.jobs.items()}

    def why_broken(self, job: str) -> UsageError | None:
        """Why a SyncJob cannot be run, for its document had errors when it was loaded; None where it had none."""
        broken = self.documents.broken.jobs.get(job)
        return why_broken(job, broken.problems) if broken is not None and job not in self.documents.jobs else None

    def _banner(self, job: str) -> str:
        return banner(self.why_broken(job), suspended=self.jobs[job].document.spec.suspend)

    def description(self, job: str) -> str:
        """The Markdown of a SyncJob's pages."""
        return self._banner(job) + self.translator.get_description(self.jobs[job])

    def _job(self, document: JobDocument) -> SyncJobData:
        spec = document.spec
        sources = {spec.source, *(item.source for item in spec.plan if item.source is not None)}
        return SyncJobData(
            document,
            {name: self._stores_alone[name].key for name in sorted(sources) if name in self._stores_alone},
            tuple(self.stores[name] for name in spec.dest),
            self.scope,
            self.prefix,
        )

    # -- Assets ---------------------------------------------------------------------------------------------------

    @cached_property
    def store_assets(self) -> Mapping[str, dg.AssetSpec]:
        """The asset of every store, below those of the jobs that write to it: so lineage runs from store to store."""
        writers: dict[str, list[dg.AssetKey]] = {}
        shown = links(self._shown)
        for name, job in self._shown.jobs.items():
            for dest in job.spec.dest:
                if job.spec.source in shown.get(dest, ()):
                    writers.setdefault(dest, []).append(self.asset_key(name))
        return {
            name: spec.merge_attributes(deps=writers[name]) if name in writers else spec
            for name, spec in self._stores_alone.items()
        }

    @cached_property
    def assets(self) -> Mapping[str, dg.AssetSpec]:
        """The asset of every SyncJob."""
        specs = {name: self.translator.get_asset_spec(data) for name, data in self.jobs.items()}
        for name in self.documents.jobs:
            if specs[name].code_version is None:
                specs[name] = specs[name].replace_attributes(code_version=digest_of(self.documents, name))
        for name, spec in specs.items():
            if first := self._banner(name):
                specs[name] = spec.replace_attributes(description=first + (spec.description or ""))
        return self._translated(specs, self.jobs)

    @cached_property
    def _stores_alone(self) -> Mapping[str, dg.AssetSpec]:
        stores = {name: self.stores[name] for name in self._shown.stores}
        specs = {name: self.translator.get_store_asset_spec(data) for name, data in stores.items()}
        return self._translated(specs, stores)

    def _translated(
        self, specs: dict[str, dg.AssetSpec], told: Mapping[str, SyncJobData] | Mapping[str, SecretStoreData]
    ) -> dict[str, dg.AssetSpec]:
        if self._translation is None:
            return specs
        return {name: self._translation(spec, told[name]) for name, spec in specs.items()}

    def asset_key(self, job: str) -> dg.AssetKey:
        """The asset that stands for what a SyncJob keeps in sync."""
        return self.assets[job].key

    def inputs(self, job: str) -> Mapping[str, dg.AssetKey]:
        """The assets that a SyncJob depends on, by the graph's input that stands for each: for lineage alone."""
        return self._inputs[job]

    @cached_property
    def _inputs(self) -> Mapping[str, Mapping[str, dg.AssetKey]]:
        found = {}
        for job, data in self.jobs.items():
            names = {key: f"from_{dagster_name(store)}" for store, key in data.sources.items()}
            keys = [dep.asset_key for dep in self.assets[job].deps]
            found[job] = {names.get(key) or _input(number, key): key for number, key in enumerate(keys)}
        return found

    def partition_keys(self, job: str) -> Mapping[str, str]:
        """The partitions of a SyncJob's asset, by plan item, in the document's order."""
        return self._partition_keys[job]

    @cached_property
    def _partition_keys(self) -> Mapping[str, Mapping[str, str]]:
        named = {job: [item.name or "" for item in data.document.spec.plan] for job, data in self.jobs.items()}
        key = self.translator.get_partition_key
        return {job: {name: key(self.jobs[job], name) for name in names} for job, names in named.items()}

    def items_of(self, job: str, partitions: Sequence[str]) -> list[str]:
        """The plan items that partitions of a SyncJob's asset stand for.

        Raises UsageError where there is no such partition any more.
        """
        items = {partition: item for item, partition in self.partition_keys(job).items()}
        if unknown := set(partitions) - items.keys():
            raise UsageError(
                f"SyncJob {job} has no partition {of_that_name(len(unknown))} any more",
                hint="reload the code location, and start a new run",
            )
        return [items[partition] for partition in partitions]

    # -- Jobs and runs --------------------------------------------------------------------------------------------

    def job_name(self, job: str) -> str:
        """The job that syncs."""
        return self.translator.get_job_name(self.jobs[job])

    def drift_job_name(self, job: str) -> str:
        """The job that only looks for drift."""
        return self.translator.get_drift_job_name(self.jobs[job])

    def tags(self, job: str) -> dict[str, str]:
        """The tags of the job and of each of its runs."""
        return {
            **self.translator.get_tags(self.jobs[job]),
            JOB_TAG: self.job_tag(job),
            **({BROKEN_TAG: "true"} if self.why_broken(job) is not None else {}),
            # Automatic retries run every step: re-executing from failure alone would leave out what never began.
            "dagster/retry_strategy": "ALL_STEPS",
        }

    def job_tag(self, job: str) -> str:
        """The value of :data:`JOB_TAG`: what is called so waits for each other in the queue."""
        return prefixed(job, self.prefix)

    def tag_of_several(self, jobs: Iterable[str]) -> str:
        """The value of :data:`JOB_TAG` of a run of these SyncJobs: of one its own."""
        return _SEVERAL.join(self.job_tag(job) for job in sorted(jobs))

    def jobs_of_tag(self, run: dg.DagsterRun) -> tuple[str, ...]:
        """The SyncJobs that a run of this code location names in its tags; none where it names none of these.

        Runs from before the location had a prefix have none in their tags, and neither have their re-executions.
        """
        mine = prefixed("", self.prefix)
        names = [tagged.removeprefix(mine) for tagged in run.tags.get(JOB_TAG, "").split(_SEVERAL)]
        return tuple(name for name in names if name in self._shown.jobs)

    def pairs(self, job: str) -> Pairs:
        """Between which stores a SyncJob copies, for tables of its keys."""
        return Pairs(self.documents.jobs[job])

    def op_name(self, data: OpData) -> str:
        """What the definition of an op is called."""
        return self.translator.get_op_name(data)

    def pools(self, job: str) -> tuple[str, str | None, str | None]:
        """The pools of transfer, expand and audit: an op has one, and a run needs those of all its ops.

        So the first three destinations of a job are covered; there are hardly more.
        """
        first, *others = (self.translator.get_pool(store) for store in self.jobs[job].destinations)
        second, third = (*others, None, None)[:2]
        return first, second, third

    def mapping_keys(self, job: str, shards: Sequence[Shard]) -> list[str]:
        """What the transfer steps of a run are called, in the shards' order.

        Raises UsageError where two would be called the same: Dagster would start neither.
        """
        data = self.jobs[job]
        keys = [self.translator.get_mapping_key(ShardData(data, shard.item, mapping_key(shard))) for shard in shards]
        for count in Counter(keys).values():
            if count > 1:
                raise UsageError(
                    f"{count} steps of SyncJob {job} would have the same name",
                    hint="let get_mapping_key of the translator give each shard a key of its own",
                )
        return keys

    def jobs_of(self, run: dg.DagsterRun) -> list[JobDocument]:
        """The SyncJobs that a run is of: one for a run of a job, any number for one of assets."""
        jobs = self._shown.jobs
        if JOB_TAG in run.tags:
            return [jobs[name] for name in self.jobs_of_tag(run)]
        selected = run.asset_selection or frozenset()
        return [job for name, job in sorted(jobs.items()) if self.asset_key(name) in selected] if selected else []


def _input(number: int, key: dg.AssetKey) -> str:
    """The graph's input that stands for an asset of somebody else's."""
    return f"AFTER_{number}_{_NOT_ALLOWED.sub('_', key.to_user_string())}"
