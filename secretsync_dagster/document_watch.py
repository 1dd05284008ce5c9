"""What the daemon finds of documents that have errors, at every tick: their check is red, and green again in time.

Nobody runs a job to find out that its document is broken. So the sensor that runs in every code location looks: at what
was loaded, and at the files where they have changed since. Once a document is whole again, its check says what the
ledger knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from secretsync_core.cli.escape import safe
from secretsync_core.errors import SecretSyncError, UsageError
from secretsync_dagster.broken_jobs import ERRORS, red_for_errors, why_broken
from secretsync_dagster.in_sync import by_ledger
from secretsync_dagster.naming import IN_SYNC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from secretsync_core.errors import Problem
    from secretsync_core.schema.documents import Documents
    from secretsync_dagster.catalog import Catalog
    from secretsync_dagster.resources import Runtime


class DocumentWatch:
    """Turns checks red, and back, at the ticks of one sensor."""

    def __init__(self) -> None:
        self._has_looked = False

    def look(self, instance: dg.DagsterInstance, runtime: Runtime) -> list[str]:
        """Turn checks red, and back; gives what is wrong. Costs one read of what the checks say now.

        That is asked at every tick: a run, or somebody's report, may have made it another thing than the last one did.
        """
        catalog = runtime.catalog
        errors = broken_now(runtime)
        wanted = {job: safe(error.message) for job, error in errors.items()}
        said = _red_for_errors(instance, catalog)
        for job, text in wanted.items():
            if job not in said or said[job].text != text:
                instance.report_runless_asset_event(red_for_errors(catalog.asset_key(job), errors[job]))
        # What a run found may be so where that run was, by other files or another environment than ours.
        is_ours = not self._has_looked or has_changed(runtime)
        for job in said.keys() - wanted.keys():
            if is_ours or not said[job].run:
                instance.report_runless_asset_event(_by_ledger(runtime, job))
        self._has_looked = True
        return [f"{error.message}; {error.hint}" for error in errors.values()]


class _Said(NamedTuple):
    """What a check that is red for its document's sake says, and by which run; by none, where this module did."""

    text: str
    run: str


def broken_now(runtime: Runtime) -> Mapping[str, UsageError]:
    """The SyncJobs that a run would find broken: as they were loaded, or as their files are now."""
    catalog = runtime.catalog
    errors = {job: catalog.why_broken(job) for job in catalog.jobs}
    found = {job: error for job, error in errors.items() if error is not None}
    return found | broken_since(runtime, catalog.documents.jobs)


def broken_since(runtime: Runtime, jobs: Iterable[str]) -> dict[str, UsageError]:
    """Those SyncJobs that were whole when they were loaded and have errors now, and why; not those that are gone."""
    try:
        changed = runtime.on_disk.changed() if runtime.on_disk is not None else None
    except UsageError as error:
        return dict.fromkeys(jobs, error)
    if changed is None:
        return {}
    errors = {job: _why_now(runtime, job, *changed) for job in jobs}
    return {job: error for job, error in errors.items() if error is not None}


def _why_now(runtime: Runtime, job: str, documents: Documents, problems: Sequence[Problem]) -> UsageError | None:
    if job in documents.jobs:
        return None
    if job in documents.broken.jobs:
        return why_broken(job, documents.broken.jobs[job].problems, loaded=False)
    # Where the file cannot be read as YAML, nobody knows whose document it was: this one stood there.
    file = runtime.catalog.jobs[job].document.where.file
    unread = [problem for problem in problems if problem.file == file and not problem.warning and not problem.job]
    return why_broken(job, unread, loaded=False) if unread else None


def has_changed(runtime: Runtime) -> bool:
    """Whether the documents, or the policy, are others than those that were loaded, or were others meanwhile."""
    try:
        return runtime.on_disk is not None and runtime.on_disk.changed() is not None
    except UsageError:
        return True


def _red_for_errors(instance: dg.DagsterInstance, catalog: Catalog) -> dict[str, _Said]:
    """The SyncJobs whose check is red for their documents' sake, with what it says."""
    keys = {dg.AssetCheckKey(catalog.asset_key(job), IN_SYNC): job for job in catalog.jobs}
    found: dict[str, _Said] = {}
    for key, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys)).items():
        said = record.event.asset_check_evaluation if record.event is not None else None
        if key in keys and said is not None and ERRORS in said.metadata:
            found[keys[key]] = _Said(str(said.metadata[ERRORS].value), record.run_id)
    return found


def _by_ledger(runtime: Runtime, job: str) -> dg.AssetCheckEvaluation:
    """What ``in_sync`` says of a SyncJob whose document is whole again."""
    key = runtime.catalog.asset_key(job)
    try:
        said = by_ledger(runtime, job)
    except SecretSyncError as error:
        return dg.AssetCheckEvaluation(asset_key=key, check_name=IN_SYNC, passed=False, description=safe(error.message))
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=IN_SYNC,
        passed=said.passed,
        severity=said.severity,
        description=f"its document is whole again: {said.description}",
        metadata=said.metadata,
    )
