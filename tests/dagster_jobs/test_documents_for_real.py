"""Documents that are edited, broken, mended and suspended, by the real webserver, daemon and code location."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.demo.ui import LOCATION, WebUi
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("programs"), pytest.mark.timeout(600)]

_STORE = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: {name}}}
spec:
  provider:
    file: {{path: {name}}}
"""
_JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: {name}}}
spec:
  source: {source}
  dest: {dest}
  schedule: "0 0 1 1 *"
  suspend: {suspend}
  executor: {executor}
  plan:
    - {{name: everything, query: {{recursive: true}}}}
"""
_PAGE = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  jobs { name description } schedules { name }
  assetNodes { assetKey { path } description partitionKeys freshnessPolicy { __typename }
    assetChecksOrError { ... on AssetChecks { checks { name } } } } } } } }"""
_CHECK = """query($key: AssetKeyInput!) {
  assetCheckExecutions(assetKey: $key, checkName: "in_sync", limit: 5) { status evaluation { description } } }"""
_LOGS = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { __typename
  ... on MessageEvent { message level } ... on ExecutionStepFailureEvent { error { message } } } } } }"""
_RELOAD = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"""
_MATERIALIZE = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } } }"""


class _World:
    """The documents, and the UI over them."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "secretsync"
        self.config.mkdir()
        for name in ("source", "spare", "dest", "elsewhere", "paused"):
            (self.config / name).mkdir()
            (self.config / f"store-{name}.yaml").write_text(_STORE.format(name=name))
        for name in ("source", "spare"):
            (self.config / name / "key").write_text("value")
        self.job("copy", "source", "dest")
        self.job("well", "spare", "elsewhere", executor="Multiprocess")
        self.job("paused", "spare", "paused", suspend="true")
        self.ui: WebUi

    def job(self, name: str, source: str, dest: str, suspend: str = "false", executor: str = "InProcess") -> None:
        text = _JOB.format(name=name, source=source, dest=dest, suspend=suspend, executor=executor)
        (self.config / f"job-{name}.yaml").write_text(text)

    def held(self, store: str) -> list[str]:
        return sorted(path.name for path in (self.config / store).iterdir() if not path.name.startswith("."))

    def press(self, job: str, **config: Any) -> tuple[str, str]:
        """Launch a job; gives how it ended, and all that its page says."""
        run = self.ui.launch(job, **config)
        status = self.ui.wait_for(run)
        events = self.ui.graphql(_LOGS, run=run)["logsForRun"]["events"]
        told = [f"{event.get('message')} {(event.get('error') or {}).get('message', '')}" for event in events]
        return status, "\n".join(told)

    def page(self) -> dict[str, Any]:
        (node,) = self.ui.graphql(_PAGE)["repositoriesOrError"]["nodes"]
        assets = {asset["assetKey"]["path"][-1]: asset for asset in node["assetNodes"]}
        jobs = {job["name"]: job["description"] for job in node["jobs"]}
        return {"jobs": jobs, "assets": assets, "schedules": {each["name"] for each in node["schedules"]}}

    def check(self, job: str) -> tuple[str, str]:
        """What ``in_sync`` of an asset said last."""
        found = self.ui.graphql(_CHECK, key={"path": ["sync", job]})["assetCheckExecutions"]
        said = [(each["status"], str(each["evaluation"]["description"])) for each in found if each["evaluation"]]
        return said[0] if said else ("", "")

    def until(self, true: Callable[[], bool], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(1)

    def reload(self) -> None:
        self.ui.graphql(_RELOAD, name=LOCATION)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    """Started once for these tests, which follow each other."""
    directory = tmp_path_factory.mktemp("documents")
    made = _World(directory)
    with WebUi(directory / "home", config=made.config, environ=os.environ) as ui:
        made.ui = ui.wait()
        yield made


def test_what_runs_is_what_is_shown(world: _World) -> None:
    """A document that is edited, or removed, without Reload changes no run; the run says that newer ones wait."""
    assert world.press("copy")[0] == "SUCCESS"
    (world.config / "source" / "second").write_text("value")
    held = world.held("elsewhere")
    world.job("copy", "source", "elsewhere")
    status, told = world.press("copy")
    assert (status, world.held("dest"), world.held("elsewhere")) == ("SUCCESS", ["key", "second"], held)
    assert "Reload the code location for the next run to have them" in told
    (world.config / "job-copy.yaml").unlink()
    status, told = world.press("copy")
    assert status == "SUCCESS"
    assert "are gone since" in told
    world.job("copy", "source", "dest")
    status, told = world.press("copy")
    assert status == "SUCCESS"
    assert "Reload" not in told


def test_a_broken_document_is_red_by_line_and_heals(world: _World) -> None:
    """A store that broke since: the run fails by file and line, never as killed; so does the check, without a run, and
    both heal as soon as it is mended. The job that does not need it goes on."""
    store = world.config / "store-source.yaml"
    whole = store.read_text()
    store.write_text(whole.replace("file:", "flie:"))
    status, told = world.press("copy")
    assert status == "FAILURE"
    assert f"{store}:6: " in told
    assert "killed" not in told
    assert world.press("well")[0] == "SUCCESS"
    world.until(lambda: world.check("copy")[0] == "FAILED" and f"{store}:6" in world.check("copy")[1])
    world.reload()
    world.until(lambda: world.page()["jobs"]["copy"].startswith("Broken: its runs fail."))
    page = world.page()
    assert page["assets"]["copy"]["description"].startswith("Broken: its runs fail.")
    assert page["assets"]["copy"]["partitionKeys"] == ["everything"]
    assert {"copy_schedule", "well_schedule"} <= page["schedules"]
    assert {check["name"] for check in page["assets"]["copy"]["assetChecksOrError"]["checks"]} >= {"in_sync", "drift"}
    assert world.press("well")[0] == "SUCCESS"
    store.write_text(whole)
    world.reload()
    world.until(lambda: world.check("copy")[0] == "SUCCEEDED" or "is whole again" in world.check("copy")[1])
    assert world.press("copy")[0] == "SUCCESS"
    assert world.check("copy")[0] == "SUCCEEDED"


def test_a_suspended_job_writes_on_purpose_alone(world: _World) -> None:
    """Neither its button nor Materialize writes; its Launchpad does, with the field that says so."""
    page = world.page()
    assert page["jobs"]["paused"].startswith("Suspended")
    assert page["assets"]["paused"]["description"].startswith("Suspended")
    status, told = world.press("paused")
    assert (status, world.held("paused")) == ("FAILURE", [])
    assert "SyncJob paused is suspended" in told
    params = {
        "selector": {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": ["sync", "paused"]}],
        },
        "mode": "default",
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "everything"}]},
    }
    run = world.ui.graphql(_MATERIALIZE, params=params)["launchRun"]["run"]["runId"]
    assert (world.ui.wait_for(run), world.held("paused")) == ("FAILURE", [])
    assert world.check("paused") == ("FAILED", "nothing was synced yet")  # as a warning: it is not known to be wrong
    assert world.press("paused", runSuspended=True)[0] == "SUCCESS"
    assert world.held("paused") == ["key"]


def test_a_slip_in_the_launchpad_is_told_before_a_run(world: _World) -> None:
    """An item that there is not is refused by the Launchpad itself, and no check changes."""
    before = world.check("well")
    with pytest.raises(SecretSyncError, match="did not start well"):
        world.ui.launch("well", items=["evreything"])
    assert world.check("well") == before
