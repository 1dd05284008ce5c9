"""Staging and production in one real Dagster: two code servers, the daemon and the webserver."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs.locations import label
from dagster_jobs.processes import wait_until
from secretsync_core.demo.openbao import free_port
from secretsync_core.demo.ui import WebUi
from secretsync_dagster.location_signs import assets_by_location, mark_of

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("prod", "staging")
SHARED, APART = dg.AssetKey(["sync", "sync_db"]), dg.AssetKey(["staging", "sync", "sync_db"])

DOCUMENTS = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: src}
spec: {permissions: Read, provider: {file: {path: src}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: dst}
spec: {provider: {file: {path: out}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: sync-db}
spec: {source: src, dest: dst, plan: [{name: db, secret: {key: db}}]}
"""

_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  ... on LaunchRunSuccess { run { runId } } } }"""
_RELOAD = "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
_ASSET = """query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) {
  assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } }
  assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization {
    evaluation { success description } } } } } } }"""
_LOGS = """query($run: ID!) { logsForRun(runId: $run, limit: 1000) { ... on EventConnection { events {
  ... on ExecutionStepFailureEvent { failureMetadata { description } } } } } }"""


class TwoLocations(WebUi):
    """The UI with two code servers, each over a directory of its own."""

    def start_code(self) -> None:
        """Start both, and name both in the workspace."""
        self.ports = {name: free_port() for name in NAMES}
        servers = [{"host": "127.0.0.1", "port": port, "location_name": name} for name, port in self.ports.items()]
        (self.home / "workspace.yaml").write_text(
            json.dumps({"load_from": [{"grpc_server": each} for each in servers]})
        )
        for name in NAMES:
            self.start_location(name)

    def start_location(self, name: str, prefix: str = "") -> None:
        """Start one code server, in place of what was started before."""
        if name in self._processes:
            self._processes[name].terminate()
            self._processes.pop(name).wait(30)
        directory = self.home.parent / name
        environ = self._environ
        self._environ = environ | {"SECRETSYNC_CONFIG": str(directory), "SECRETSYNC_PREFIX": prefix}
        address = ("-h", "127.0.0.1", "-p", str(self.ports[name]), "--location-name", name)
        self._start(name, ("dagster", "code-server", "start", "-m", "secretsync_dagster.definitions", *address))
        self._environ = environ

    def both_are_loaded(self) -> bool:
        """Whether the webserver knows the jobs of both."""
        return self.jobs().count("sync_db") == len(NAMES)

    def sync(self, location: str) -> tuple[str, str]:
        """Run the job of one location to its end; gives its status and why it failed."""
        selector = {"repositoryLocationName": location, "repositoryName": "__repository__", "jobName": "sync_db"}
        params = {"selector": selector, "runConfigData": {}, "mode": "default"}
        run = self.graphql(_LAUNCH, params=params)["launchRun"]["run"]["runId"]
        status = self.wait_for(run)
        events = self.graphql(_LOGS, run=run)["logsForRun"]["events"]
        texts = [event["failureMetadata"]["description"] for event in events if event.get("failureMetadata")]
        return status, "; ".join(texts)

    def shown(self, key: dg.AssetKey) -> tuple[list[str], list[str], dict[str, Any]]:
        """What the asset's page shows: green items, red ones, and what ``in_sync`` says."""
        (node,) = self.graphql(_ASSET, keys=[{"path": list(key.path)}])["assetNodes"]
        checks = {
            each["name"]: (each["executionForLatestMaterialization"] or {}).get("evaluation") or {}
            for each in node["assetChecksOrError"]["checks"]
        }
        partitions = node["assetPartitionStatuses"]
        return partitions["materializedPartitions"], partitions["failedPartitions"], checks["in_sync"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_one_name_in_two_locations(tmp_path: Path) -> None:
    """Before any run the shared asset is red; both are refused, and nothing is written; with a prefix each has its own
    state, and the failure of one stays red whatever the other does."""
    for name in NAMES:
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "out").mkdir()
        (tmp_path / name / "src" / "db").write_text(f"canary-{name}")
        (tmp_path / name / "all.yaml").write_text(DOCUMENTS)
    with TwoLocations(tmp_path / "home", config=tmp_path, environ=os.environ) as ui:
        ui.wait()
        wait_until(ui.both_are_loaded, pause=0.5)
        wait_until(lambda: ui.shown(SHARED)[2].get("success") is False, pause=0.5)
        for name in NAMES:
            status, why = ui.sync(name)
            assert status == "FAILURE"
            assert "the code locations prod and staging share its asset sync/sync_db" in why
            green, red, check = ui.shown(SHARED)
            assert (green, red, check["success"]) == ([], ["db"], False)
        assert not list(tmp_path.glob("*/out/*"))

        ui.start_location("staging", prefix="staging")
        held = {label("prod"): {mark_of(SHARED)}, label("staging"): {mark_of(APART)}}
        with dg.DagsterInstance.from_config(str(ui.home)) as instance:
            wait_until(lambda: assets_by_location(instance) == held, seconds=120, pause=0.5)
            ui.graphql(_RELOAD, name="staging")
            assert [ui.sync(name) for name in NAMES] == [("SUCCESS", ""), ("SUCCESS", "")]
            tags = {record.dagster_run.tags["secretsync/job"] for record in instance.get_run_records(limit=2)}
        assert tags == {"sync-db", "staging/sync-db"}
        for key in (SHARED, APART):
            green, red, check = ui.shown(key)
            assert (green, red, check["success"]) == (["db"], [], True)

        (tmp_path / "prod" / "out" / "db").unlink()
        (tmp_path / "prod" / "out" / "db").mkdir()  # which cannot be written
        (tmp_path / "staging" / "src" / "db").write_text("canary-newer")
        assert ui.sync("prod")[0] == "FAILURE"
        assert ui.sync("staging") == ("SUCCESS", "")
        assert ui.shown(SHARED)[:2] == ([], ["db"])
        assert ui.shown(SHARED)[2]["success"] is False
        assert ui.shown(APART)[:2] == (["db"], [])
        assert ui.shown(APART)[2]["success"] is True
        assert (tmp_path / "staging" / "out" / "db").read_text() == "canary-newer"
