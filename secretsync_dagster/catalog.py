"""What a translator makes of a set of documents, looked up by the names that documents have. The one way to ask it."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from secretsync_core.errors import UsageError
from secretsync_dagster.lineage import links
from secretsync_dagster.naming import JOB_TAG, dagster_name, resource_key
from secretsync_dagster.translator import OpData, SecretStoreData, SecretSyncTranslator, ShardData, SyncJobData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import dagster as dg

    from secretsync_core.schema.documents import Documents, JobDocument
    from secretsync_dagster.shards import Shard

    Translation: TypeAlias = Callable[[dg.AssetSpec, SyncJobData | SecretStoreData], dg.AssetSpec]

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]")


class Catalog:
    """The names, keys and assets of a set of documents in one code location.

    Args:
        documents: every document that is whole.
        translator: says what they become.
        scope: tells the documents apart from others of the same code location; empty where there are none.
        translation: changes the translator's assets, as a component's YAML asks for.
    """

    def __init__(
        self,
        documents: Documents,
        translator: SecretSyncTranslator | None = None,
        scope: str = "",
        translation: Translation | None = None,
    ) -> None:
        self.documents = documents
        self.translator = translator or SecretSyncTranslator()
        self.scope = scope
        self._translation = translation
        self._items: dict[str, dict[str, str]] = {}

    @property
    def resource(self) -> str:
        """The resource that ops and sensors of these documents need."""
        return resource_key(self.scope)

    @cached_property
    def stores(self) -> Mapping[str, SecretStoreData]:
        """Every SecretStore."""
        return {name: SecretStoreData(document, self.scope) for name, document in self.documents.stores.items()}

    @cached_property
    def jobs(self) -> Mapping[str, SyncJobData]:
        """Every SyncJob."""
        return {name: self._job(document) for name, document in self.documents.jobs.items()}

    def _job(self, document: JobDocument) -> SyncJobData:
        spec = document.spec
        sources = {spec.source, *(item.source for item in spec.plan if item.source is not None)}
        return SyncJobData(
            document,
            tuple(self.stores[name] for name in sorted(sources)),
            tuple(self.stores[name] for name in spec.dest),
            self.scope,
        )

    # -- Assets ---------------------------------------------------------------------------------------------------

    @cached_property
    def store_assets(self) -> Mapping[str, dg.AssetSpec]:
        """The asset of every store, below those of the jobs that write to it: so lineage runs from store to store."""
        writers: dict[str, list[dg.AssetKey]] = {}
        shown = links(self.documents)
        for name, job in self.documents.jobs.items():
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
        translator = self.translator
        untranslated = {translator.get_store_asset_spec(data).key: name for name, data in self.stores.items()}
        found: dict[str, dg.AssetSpec] = {}
        for name, data in self.jobs.items():
            spec = translator.get_asset_spec(data)
            if self._translation is not None:
                # What a component's YAML makes of a store holds also where a job depends on it.
                keys = [each.asset_key for each in spec.deps]
                deps = [self._stores_alone[untranslated[key]].key if key in untranslated else key for key in keys]
                spec = self._translation(spec.replace_attributes(deps=deps), data)
            found[name] = spec
        return found

    @cached_property
    def _stores_alone(self) -> dict[str, dg.AssetSpec]:
        specs = {name: self.translator.get_store_asset_spec(data) for name, data in self.stores.items()}
        if self._translation is None:
            return specs
        return {name: self._translation(spec, self.stores[name]) for name, spec in specs.items()}

    def asset_key(self, job: str) -> dg.AssetKey:
        """The asset that stands for what a SyncJob keeps in sync."""
        return self.assets[job].key

    def inputs(self, job: str) -> dict[str, dg.AssetKey]:
        """The assets that a SyncJob depends on, by the graph's input that stands for each: for lineage alone."""
        stores = {self._stores_alone[data.name].key: data.name for data in self.jobs[job].sources}
        return {
            f"from_{dagster_name(stores[key])}"
            if key in stores
            else f"AFTER_{number}_{_NOT_ALLOWED.sub('_', key.to_user_string())}": key
            for number, key in enumerate(each.asset_key for each in self.assets[job].deps)
        }

    def partition_keys(self, job: str) -> dict[str, str]:
        """The partitions of a SyncJob's asset, by plan item, in the document's order."""
        if job not in self._items:
            data = self.jobs[job]
            names = [item.name or "" for item in data.document.spec.plan]
            self._items[job] = {name: self.translator.get_partition_key(data, name) for name in names}
        return self._items[job]

    def items_of(self, job: str, partitions: Sequence[str]) -> list[str]:
        """The plan items that partitions of a SyncJob's asset stand for.

        Raises UsageError where there is no such partition any more.
        """
        items = {partition: item for item, partition in self.partition_keys(job).items()}
        for partition in partitions:
            if partition not in items:
                raise UsageError(
                    f"SyncJob {job} has no partition {partition} any more",
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
            JOB_TAG: job,
            # Automatic retries run every step: re-executing from failure alone would leave out what never began.
            "dagster/retry_strategy": "ALL_STEPS",
        }

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
        keys = [self.translator.get_mapping_key(ShardData(data, shard.item, shard.name)) for shard in shards]
        for key, count in Counter(keys).items():
            if count > 1:
                raise UsageError(
                    f"{count} steps of SyncJob {job} would be called transfer[{key}]",
                    hint="let get_mapping_key of the translator give each shard a key of its own",
                )
        return keys

    def jobs_of(self, run: dg.DagsterRun) -> list[JobDocument]:
        """The SyncJobs that a run is of: one for a run of a job, any number for one of assets."""
        jobs = self.documents.jobs
        if JOB_TAG in run.tags:
            return [jobs[run.tags[JOB_TAG]]] if run.tags[JOB_TAG] in jobs else []
        selected = run.asset_selection or frozenset()
        return [job for name, job in sorted(jobs.items()) if self.asset_key(name) in selected] if selected else []
