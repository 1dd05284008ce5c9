"""What the webserver lets people report, wipe and ask for: by its real interface, to the real daemon."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dagster_jobs.processes import wait_until

from secretsync_core.demo.openbao import free_port
from secretsync_core.demo.ui import LOCATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(300)]

KEY = {"path": ["sync", "forged"]}
ITEM = "forged-broken"
GREEN = {"assetKey": KEY, "checkName": "in_sync", "passed": True}
DONE = {"eventType": "ASSET_MATERIALIZATION", "assetKey": KEY, "partitionKeys": [ITEM]}
MUTATIONS: dict[str, tuple[str, Any]] = {
    "reportAssetCheckEvaluations": ("eventParams: ReportAssetCheckEvaluationsParams!", GREEN),
    "reportRunlessAssetEvents": ("eventParams: ReportRunlessAssetEventsParams!", DONE),
    "wipeAssets": ("assetPartitionRanges: [PartitionsByAssetSelector!]!", [{"assetKey": KEY}]),
}
_CHECK = """query($key: AssetKeyInput!) { assetCheckExecutions(assetKey: $key, checkName: "in_sync", limit: 20) {
  evaluation { success } } }"""


def _ask(address: str, name: str) -> str:
    """Send one of the mutations; gives the type of the answer, or the error's text."""
    argument, value = MUTATIONS[name]
    field, _, kind = argument.partition(": ")
    query = f"mutation($value: {kind}) {{ {name}({field}: $value) {{ __typename }} }}"
    body = _post(f"{address}/graphql", {"query": query, "variables": {"value": value}})
    return str(body["errors"][0]["message"] if body.get("errors") else body["data"][name]["__typename"])


def _post(url: str, body: Any) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        return {"status": error.code}
    return found


def _evaluations(ui: WebUi) -> list[bool]:
    """What the check said, the newest first."""
    return [bool(one["evaluation"]["success"]) for one in ui.graphql(_CHECK, key=KEY)["assetCheckExecutions"]]


def test_a_forged_green_is_put_right_and_wiping_forgets_nothing_that_counts(ui: WebUi, stage: Stage) -> None:
    """By GraphQL and by the REST endpoint: the check is red again within a tick or two, without a run. After the asset
    is wiped, a run writes nothing that is in place, and the check says again what is not."""
    assert ui.wait_for(ui.launch("forged")) == "FAILURE"
    assert _evaluations(ui) == [False]
    assert _ask(ui.address, "reportAssetCheckEvaluations") == "ReportAssetCheckEvaluationsSuccess"
    wait_until(lambda: len(_evaluations(ui)) > 2, 120, 1)
    assert _evaluations(ui)[:2] == [False, True]
    forged = {"check_name": "in_sync", "passed": True}
    assert "status" not in _post(f"{ui.address}/report_asset_check/sync/forged", forged)
    wait_until(lambda: len(_evaluations(ui)) > 4, 120, 1)
    assert _evaluations(ui)[:2] == [False, True]

    assert _ask(ui.address, "reportRunlessAssetEvents") == "ReportRunlessAssetEventsSuccess"
    assert not _evaluations(ui)[0]
    written = {path: path.stat().st_mtime_ns for path in (stage.directory / "forged-dest").rglob("*") if path.is_file()}
    assert _ask(ui.address, "wipeAssets") == "AssetWipeSuccess"
    assert ui.wait_for(ui.launch("forged")) == "FAILURE"
    assert not _evaluations(ui)[0]
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_launch_cannot_name_a_variable(ui: WebUi) -> None:
    """The webserver refuses the config before there is a run."""
    query = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename } }"""
    params = {
        "selector": {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": "forged"},
        "runConfigData": {"items": [{"env": "PATH"}]},
    }
    assert ui.graphql(query, params=params)["launchRun"]["__typename"] == "RunConfigValidationInvalid"


@pytest.fixture
def read_only(ui: WebUi) -> Iterator[str]:
    """The address of a second webserver, with ``--read-only``."""
    program = Path(sysconfig.get_path("scripts")) / "dagster-webserver"
    port = free_port()
    command = [str(program), "--read-only", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with (ui.home / "read-only.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=ui.home, env=os.environ | {"DAGSTER_HOME": str(ui.home)}, stdout=log, stderr=log
        )

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return "data" in _post(f"http://127.0.0.1:{port}/graphql", {"query": "{ version }"})
        return False

    try:
        wait_until(answers, 120, 0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def test_viewers_can_do_none_of_it(read_only: str) -> None:
    """With ``--read-only`` the webserver refuses to report, to wipe and to launch, by GraphQL and by REST."""
    assert {name: _ask(read_only, name) for name in MUTATIONS} == dict.fromkeys(MUTATIONS, "UnauthorizedError")
    for kind in ("check", "materialization", "observation"):
        body = {"check_name": "in_sync", "passed": True}
        assert _post(f"{read_only}/report_asset_{kind}/sync/forged", body) == {"status": 401}
    params = {
        "selector": {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": "forged"},
        "runConfigData": {},
    }
    query = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename } }"""
    refused = _post(f"{read_only}/graphql", {"query": query, "variables": {"params": params}})
    assert refused["data"]["launchRun"]["__typename"] == "UnauthorizedError"
