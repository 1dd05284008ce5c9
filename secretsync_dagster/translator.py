"""What SyncJobs and SecretStores become in Dagster: their names, keys, groups, tags and descriptions. Pure.

Subclass :class:`SecretSyncTranslator`, override what is to be different, and hand an instance of it to
:func:`~secretsync_dagster.compile.compile_documents`, to :func:`~secretsync_dagster.load.load`, or to a component by
its ``get_translator``. What it says holds everywhere: in the definitions, the events of runs, sensors, notifications.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from secretsync_core.schema.labels import GROUP, owners_of
from secretsync_dagster.appearance import SYNC_KINDS, code_reference, document_shown, kinds_of, place_shown, tags_of
from secretsync_dagster.automation import automation_condition
from secretsync_dagster.freshness import freshness_policy
from secretsync_dagster.naming import JOB_TAG, allowed, dagster_name, drift_name, prefixed, scoped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.schema.documents import JobDocument, StoreDocument
    from secretsync_core.schema.job import PlanItem


@dataclass(frozen=True)
class SecretStoreData:
    """What a translator is told of a SecretStore.

    Attributes:
        document: the checked document.
        scope: the set of documents that it is of, where a code location has several; else empty.
        prefix: what tells the code location apart from others of the instance; empty where nothing was given.
    """

    document: StoreDocument
    scope: str = ""
    prefix: str = ""

    @property
    def name(self) -> str:
        """The name in the document."""
        return self.document.name


@dataclass(frozen=True)
class SyncJobData:
    """What a translator is told of a SyncJob.

    Attributes:
        document: the checked document. ``document.text`` is its YAML, without comments.
        sources: the assets of the stores that it reads, by the stores' names.
        destinations: the stores that it writes, in the document's order.
        scope: the set of documents that it is of, where a code location has several; else empty.
        prefix: what tells the code location apart from others of the instance; empty where nothing was given.
    """

    document: JobDocument
    sources: Mapping[str, dg.AssetKey]
    destinations: tuple[SecretStoreData, ...]
    scope: str = ""
    prefix: str = ""

    @property
    def name(self) -> str:
        """The name in the document."""
        return self.document.name


@dataclass(frozen=True)
class ShardData:
    """What a translator is told of a shard, the part of a run that one transfer step carries out.

    Attributes:
        job: the SyncJob.
        item: the plan item; empty where the shard is of several.
        name: what tells the shard apart from all others of its run. May hold any character.
    """

    job: SyncJobData
    item: str
    name: str


@dataclass(frozen=True)
class OpData:
    """What a translator is told of the definition of an op. In a job's graph the ops are called as their steps are.

    Attributes:
        step: what the op does.
        scope: the set of documents that it is of, where a code location has several; else empty.
        job: the SyncJob, of ``expand`` and ``check``: each job has ops of its own.
        dest: the destination, of ``transfer``: the jobs whose first destination this is share it.
        pool: the concurrency pool, of ``audit``: all jobs with the same one share it.
        check: the check's name, of ``check``.
    """

    step: Literal["expand", "transfer", "audit", "check"]
    scope: str = ""
    job: SyncJobData | None = None
    dest: SecretStoreData | None = None
    pool: str | None = None
    check: str = ""


class SecretSyncTranslator:
    """Says what documents become in Dagster. Every method may be overridden; each is pure, and asked at any time."""

    def get_job_name(self, data: SyncJobData) -> str:
        """The job that people press to sync. Schedules are called so too, with ``_schedule`` behind it."""
        return dagster_name(data.name)

    def get_drift_job_name(self, data: SyncJobData) -> str:
        """The job that only looks for drift, where the document has a ``driftCheck``."""
        return drift_name(self.get_job_name(data))

    def get_tags(self, data: SyncJobData) -> Mapping[str, str]:
        """Tags of the job, of each of its runs and of its asset, besides those that SecretSync itself needs."""
        return tags_of(data.document.labels)

    def get_description(self, data: SyncJobData) -> str:
        """What the job's page and the asset's say; lists and tooltips have it too.

        The pages take it for Markdown, so that names from documents and files have to be kept from being markup, and
        lists and tooltips show it as it is. Sentences without markup are right for both.
        """
        return _description(data.document)

    def get_asset_key(self, data: SyncJobData) -> dg.AssetKey:
        """The asset that stands for what a SyncJob keeps in sync."""
        return dg.AssetKey([*_first(data.prefix), "sync", dagster_name(data.name)])

    def get_store_asset_key(self, data: SecretStoreData) -> dg.AssetKey:
        """The asset that stands for a SecretStore."""
        return dg.AssetKey([*_first(data.prefix), "store", *_first(data.scope), dagster_name(data.name)])

    def get_group_name(self, data: SyncJobData | SecretStoreData) -> str:
        """The asset group. In one group the lineage is drawn in one line from source to destination."""
        return data.document.annotations.get(GROUP, "secretsync")

    def get_owners(self, data: SyncJobData | SecretStoreData) -> Sequence[str]:
        """Who owns the asset, and the job: email addresses and ``team:NAME``."""
        return owners_of(data.document.annotations)

    def get_asset_spec(self, data: SyncJobData) -> dg.AssetSpec:
        """The asset of a SyncJob, its ``deps`` the stores that it reads.

        Of what an override gives everything is taken but partitions, which are :meth:`get_partition_key`'s.
        """
        return dg.AssetSpec(
            self.get_asset_key(data),
            deps=list(data.sources.values()),
            group_name=self.get_group_name(data),
            description=self.get_description(data),
            tags={**self.get_tags(data), JOB_TAG: data.name},
            owners=list(self.get_owners(data)),
            kinds=set(SYNC_KINDS),
            metadata={
                "job": self.get_job_name(data),
                **_times(data.document),
                **document_shown(data.document),
                **code_reference(data.document.where),
            },
            freshness_policy=freshness_policy(data.document),
            automation_condition=automation_condition(data.document),
        )

    def get_store_asset_spec(self, data: SecretStoreData) -> dg.AssetSpec:
        """The asset of a SecretStore. The jobs that write to it are added to its ``deps``."""
        store = data.document
        where = f"{store.where.file}:{store.where.line}"
        what = f"{store.provider}, {store.permissions.value}"
        return dg.AssetSpec(
            self.get_store_asset_key(data),
            group_name=self.get_group_name(data),
            description=f"SecretStore {store.name} ({what}).",
            kinds=kinds_of(store),
            tags=tags_of(store.labels),
            owners=list(self.get_owners(data)),
            metadata={
                "provider": store.provider,
                "permissions": store.permissions.value,
                **place_shown(store),
                "document": where,
                **code_reference(store.where),
            },
        )

    def get_partition_key(self, data: SyncJobData, item: str) -> str:
        """The partition of the job's asset that stands for a plan item: another one for each item of the job."""
        return item

    def get_mapping_key(self, data: ShardData) -> str:
        """What a transfer step is called, as in ``transfer[item]``: another one for each shard of the run."""
        return allowed(data.name)

    def get_op_name(self, data: OpData) -> str:
        """What the definition of an op is called. Ops share one space of names with the graphs of all jobs, which have
        no capitals."""
        if data.step in ("expand", "check"):
            assert data.job is not None  # noqa: S101  these two have one
            name = self.get_job_name(data.job)
            return f"EXPAND_{name}" if data.step == "expand" else f"CHECK_{data.check}_of_{name}"
        if data.step == "transfer":
            assert data.dest is not None  # noqa: S101  this one has one
            return scoped(f"TRANSFER_to_{dagster_name(data.dest.name)}", data.scope)
        return scoped(allowed(f"AUDIT_{data.pool}") if data.pool else "AUDIT", data.scope)

    def get_pool(self, data: SecretStoreData) -> str:
        """The concurrency pool of a destination: no more runs than it has slots write there at a time."""
        return prefixed(f"secretsync_{dagster_name(data.name)}", data.prefix)

    def get_change_sensor_name(self, data: SecretStoreData) -> str:
        """The sensor that asks a source store for changes, for all jobs with ``onChange`` that read it."""
        return scoped(f"{dagster_name(data.name)}_changes", data.scope)


def _first(name: str) -> list[str]:
    """The name as what comes first in a key; nothing where there is none."""
    return [name] if name else []


def _times(document: JobDocument) -> dict[str, Any]:
    """When a SyncJob is due. Its schedules are the job's, so that Dagster shows none at the asset."""
    spec = document.spec
    return {
        **({"schedule": f"{spec.schedule.text} ({spec.timezone})"} if spec.schedule else {}),
        **({"looks for drift": f"{spec.drift_check.schedule.text} ({spec.timezone})"} if spec.drift_check else {}),
    }


def _description(document: JobDocument) -> str:
    """What goes where and when, in sentences without markup: lists and tooltips show them as they are."""
    spec = document.spec
    when = f"on {spec.schedule.text} ({spec.timezone})" if spec.schedule else "when it is started"
    if spec.on_change is not None:
        when += f", and when the source changes (asked every {spec.on_change.interval:g} s)"
    if spec.drift_check is not None:
        when += f". Looks for drift on {spec.drift_check.schedule.text}"
    gone = f"Secrets whose source is gone: {spec.deletion_policy.value}"
    lines = [
        f"Copies secrets from {spec.source} to {', '.join(spec.dest)} {when}.",
        f"Existing secrets: {spec.write_policy.value}. {gone}"
        + (f", at most {spec.max_delete} in one run." if spec.deletion_policy.value == "Delete" else ".")
        + (" Some plan items have policies of their own." if any(map(_has_policies, spec.plan)) else ""),
    ]
    return "\n\n".join(lines)


def _has_policies(item: PlanItem) -> bool:
    return bool(item.write_policy or item.deletion_policy or item.ownership)
