"""What runs is what is shown: a run has the documents that the code location had when the run was asked for.

The process of a run reads the documents anew, and they may have been edited since. So each SyncJob's first op carries
its documents as a tag, which Dagster keeps with the run as a part of the job's snapshot, in its own database: every
process of the run can read it, on whatever machine, and so can the web UI. They hold references to credentials, and no
credential.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.signed import is_signed, sign
from secretsync_core.errors import UsageError
from secretsync_core.policy.loading import examine_raws, state_of
from secretsync_core.schema.kept import Kept, digest_of, keep, kept_of
from secretsync_dagster.broken_jobs import why_broken
from secretsync_dagster.resources import Runtime, runtime_of

if TYPE_CHECKING:
    import dagster as dg


TAG = "secretsync/documents"
"""The tag of the op ``expand`` that holds a SyncJob's documents."""


_SIGNATURE = "secretsync/documents-signature"


def tags_of(runtime: Runtime, job: str) -> dict[str, str]:
    """The tags of a SyncJob's first op; none of one that has errors, which never runs."""
    documents = runtime.documents
    if job not in documents.jobs:
        return {}
    text = keep(documents, job)
    return {TAG: text, **({_SIGNATURE: sign(runtime.keys, text)} if runtime.keys is not None else {})}


@dataclass(frozen=True)
class Loaded:
    """What a step of a run works with.

    Attributes:
        runtime: with the documents that were loaded.
        newer: what to say of documents that are newer; empty where there are none.
        broken: why the SyncJob cannot be run, for its documents have errors now; None where they have none.
    """

    runtime: Runtime
    newer: str = ""
    broken: UsageError | None = None


def loaded_for(context: dg.OpExecutionContext, resource: str, job: str) -> Loaded:
    """What a step of a SyncJob is to work with; ``resource`` is that of the documents as this process has read them."""
    return _of_run(runtime_of(context, resource), context.instance, context.run.job_snapshot_id, job)


def _of_run(runtime: Runtime, instance: dg.DagsterInstance, snapshot: str | None, job: str) -> Loaded:
    catalog = runtime.catalog
    kept, signed = _kept(instance, snapshot, job, runtime) if snapshot is not None else (None, False)
    error = catalog.why_broken(job)
    if kept is None:  # the run is of before documents were kept, or of no instance
        return Loaded(runtime, broken=error)
    documents = catalog.documents
    if job in documents.jobs:
        if digest_of(documents, job) == kept.digest:
            return Loaded(runtime)
        newer = "have been changed"
    elif job in documents.broken.jobs and documents.broken.jobs[job].problems:
        return Loaded(runtime, broken=error)
    elif unread := [problem for problem in documents.broken.unread if problem.file == kept.where.file]:
        return Loaded(runtime, broken=why_broken(job, unread, loaded=False))
    else:
        newer = "are gone"
    if kept.raws is None or not signed:
        why = "a credential stands in one of them, or they are too long"
        raise UsageError(
            f"the documents of SyncJob {job} {newer} since they were loaded, and what was loaded is not kept: "
            f"{why if kept.raws is None else 'it is not signed by the key of the ledger'}",
            hint="reload the code location, and start a new run",
        )
    told = (
        f"this run has the documents of SyncJob {job} as they were loaded: they {newer} since. "
        "Reload the code location for the next run to have them"
    )
    return _restored(runtime, kept, told)


def _restored(runtime: Runtime, kept: Kept, newer: str) -> Loaded:
    assert kept.raws is not None  # noqa: S101  the caller asks for it
    home = runtime.home or runtime.directory / DIRECTORY
    # By the policy of now: what the operator forbids since is not done.
    documents, _ = examine_raws(kept.raws, environ=os.environ, state=state_of(home, runtime.ledger_url))
    found = replace(runtime, catalog=runtime.catalog.with_documents(documents))
    return Loaded(found, newer=newer, broken=found.catalog.why_broken(kept.job))


def _kept(instance: dg.DagsterInstance, snapshot: str, job: str, runtime: Runtime) -> tuple[Kept | None, bool]:
    """What a run's snapshot of its job holds of a SyncJob, and whether it is ours; None where it holds nothing.

    Whoever can write into Dagster's database could have a credential sent to a server of theirs otherwise.
    """
    if not instance.has_job_snapshot(snapshot):
        return None, False
    for op in instance.get_job_snapshot(snapshot).node_defs_snapshot.op_def_snaps:
        if TAG in op.tags:
            try:
                kept = kept_of(op.tags[TAG])
            except (ValueError, KeyError, TypeError):
                continue  # by another version
            if kept.job == job:
                keys, signature = runtime.keys, op.tags.get(_SIGNATURE, "")
                return kept, keys is not None and is_signed(keys, op.tags[TAG], signature)
    return None, False
