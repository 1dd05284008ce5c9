"""A SyncJob in Dagster: documents, stores and faults as in the engine's tests, and runs in this process."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import dagster as dg
from run.world import FAST, World

from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.keys import load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_core.run import opening, run
from secretsync_core.schema.loader import examine
from secretsync_dagster import ops
from secretsync_dagster.compile import compile_documents
from secretsync_dagster.naming import IN_SYNC

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from secretsync_dagster.translator import SecretSyncTranslator

KEY = dg.AssetKey(["sync", "job"])
TWO_ITEMS = "- {name: alpha, query: {path: alpha}}\n- {name: beta, query: {path: beta}}"
AT_ONCE = dg.RetryPolicy(max_retries=2, delay=0)


class Lab(World):
    """A world whose runs are Dagster's. The ledger is where the code location keeps it."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(path, patch)
        self.instance = dg.DagsterInstance.ephemeral()
        self.translator: SecretSyncTranslator | None = None
        patch.setattr(ops, "_RETRY", AT_ONCE)
        open_stores = opening.open_stores
        patch.setattr(run, "open_stores", lambda *a, **k: open_stores(*a, **{**k, "retry": FAST}))

    def another_ledger(self) -> Ledger:
        """Open the code location's ledger."""
        home = self.config / DIRECTORY
        home.mkdir(mode=0o700, exist_ok=True)
        keys = load_key(environ=os.environ, directory=home, create=True, ledger=home / "ledger.db")
        return Ledger.open(home / "ledger.db", seal_key=keys.seal)

    @property
    def definitions(self) -> dg.Definitions:
        """The documents as they are now, compiled."""
        documents, problems = examine([self.config])
        return compile_documents(documents, problems, directory=self.config, translator=self.translator)

    def two_items(self, **spec: str) -> None:
        """A job of the items ``alpha`` and ``beta``, of two secrets each."""
        self.job(TWO_ITEMS, **spec)
        self.fill("src", {key: {"x": key} for key in ("alpha/1", "alpha/2", "beta/1", "beta/2")})

    def fill(self, store: str, secrets: Mapping[str, Any]) -> None:
        """Write behind the sync's back."""
        asyncio.run(self.seed(store, secrets))

    def take(self, store: str, key: str) -> None:
        """Delete behind the sync's back."""
        asyncio.run(self.remove(store, key))

    def held(self, store: str = "dst") -> dict[str, Any]:
        """What a store holds."""
        return asyncio.run(self.all(store))

    def at(self, store: str = "dst") -> dict[str, str | None]:
        """The version of everything in a store."""
        return asyncio.run(self.versions(store))

    def run(self, **config: Any) -> dg.ExecuteInProcessResult:
        """Run the job, as from the Launchpad."""
        job = self.definitions.resolve_job_def("job")
        return job.execute_in_process(run_config=config, instance=self.instance, raise_on_error=False)

    def materialize(self, first: str, last: str = "") -> dg.ExecuteInProcessResult:
        """Materialize one item of the asset, or those from ``first`` to ``last``, as a backfill does."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        where: dict[str, Any] = {"partition_key": first}
        if last:
            where = {"tags": {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}}
        return job.execute_in_process(asset_selection=[KEY], instance=self.instance, raise_on_error=False, **where)

    def materialized(self) -> set[str]:
        """The items that have ever been in sync."""
        return set(self.instance.get_materialized_partitions(KEY))


def failures(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What each failed step says: its message and its metadata."""
    found = {}
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            told = data.user_failure_data
            found[str(event.step_key)] = {"told": told.description, **told.metadata} if told else {"error": data.error}
    return found


def moved(result: dg.ExecuteInProcessResult, name: str = "copied") -> dict[str, list[Any]]:
    """One number of every materialization of a run, by item."""
    found: dict[str, list[Any]] = {}
    for event in result.all_events:
        if event.is_step_materialization:
            shown = event.step_materialization_data.materialization
            found.setdefault(str(shown.partition), []).append(shown.metadata[name].value)
    return found


def evaluations(result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    """What a run says of whether all is in sync, and the numbers beside it."""
    found = [event.asset_check_evaluation_data for event in result.all_events if _is_check(event)]
    return [each for each in found if each.check_name == IN_SYNC]


def checked(result: dg.ExecuteInProcessResult) -> list[bool]:
    """What a run says of whether all is in sync."""
    return [each.passed for each in evaluations(result)]


def _is_check(event: dg.DagsterEvent) -> bool:
    return event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION


def rows(value: Any) -> list[dict[str, Any]]:
    """A table's rows."""
    return [dict(record.data) for record in value.records]


def planned(row: Mapping[str, Any]) -> tuple[str, str]:
    """What a row of a plan says would be done, and why."""
    action, _, why = str(row["would"]).partition(": ")
    return action, why


def succeeded(result: dg.ExecuteInProcessResult) -> set[str]:
    """The steps that succeeded."""
    return {str(event.step_key) for event in result.all_events if event.is_step_success}
