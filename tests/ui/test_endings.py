"""Runs that are terminated, killed and cancelled, with the real daemon: what they left is red until the next run.

By GraphQL, as the pages ask it; what a backfill of several SyncJobs becomes, too.
"""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from dagster_jobs.processes import wait_until

from secretsync_core.demo.ui import LOCATION

if TYPE_CHECKING:
    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(600)]

_REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
_TERMINATE = "mutation($run: String!) { terminateRun(runId: $run) { __typename } }"
_CHECK = """query($key: AssetKeyInput!) { assetCheckExecutions(assetKey: $key, checkName: "in_sync", limit: 1) {
  evaluation { success description } } }"""
_ITEMS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { partitionStats {
  numMaterialized numFailed numPartitions } } } }"""
_RUN = """query($run: ID!) { runOrError(runId: $run) { ... on Run { status tags { key value } assetSelection { path } }
  } }"""
_EVENTS = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on MessageEvent { message } ... on RunCanceledEvent { error { message stack } } } } } }"""
_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } } }"""
_CANCEL = "mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }"
_OF_BACKFILL = """{ runsOrError(filter: {tags: [{key: "dagster/backfill", value: "%s"}]}) { ... on Runs {
  results { runId status assetSelection { path } tags { key value } } } } }"""
_SECONDS = 240


def _key(job: str) -> dict[str, list[str]]:
    return {"path": ["sync", job]}


def _items(ui: WebUi, job: str) -> tuple[int, int]:
    """How many items are green, and how many are red: what "Failed and missing" goes by."""
    found = ui.graphql(_ITEMS, key=_key(job))["assetNodeOrError"]["partitionStats"]
    return found["numMaterialized"], found["numFailed"]


def _in_sync(ui: WebUi, job: str) -> tuple[bool, str]:
    (newest,) = ui.graphql(_CHECK, key=_key(job))["assetCheckExecutions"]
    said = newest["evaluation"] or {"success": True, "description": "planned, and not evaluated yet"}
    return bool(said["success"]), str(said["description"])


def _tags(ui: WebUi, run: str) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in ui.graphql(_RUN, run=run)["runOrError"]["tags"]}


def _change(stage: Stage, number: int) -> None:
    """Give every key of the three items another value."""
    for item in ("team-a", "team-b", "team-c"):
        for at in range(3):
            stage.write(f"ends/{item}/key-{at}", {"host": f"{item}-{number}.internal", "port": str(at)})


def _backfill(ui: WebUi, *jobs: str) -> str:
    params = {
        "assetSelection": [_key(job) for job in jobs],
        "partitionNames": ["team-a", "team-b", "team-c"],
        "fromFailure": False,
        "tags": [],
    }
    return str(ui.graphql(_BACKFILL, params=params)["launchPartitionBackfill"]["backfillId"])


def _runs_of(ui: WebUi, backfill: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ui.graphql(_OF_BACKFILL % backfill)["runsOrError"]["results"]
    return found


def _copied(stage: Stage, number: int) -> int:
    return sum(f"-{number}.internal" in text for text in stage.dest("ends").values())


def test_what_a_run_did_not_finish_is_red_until_the_next_one_has(ui: WebUi, stage: Stage) -> None:
    """Terminated in the middle, killed in the middle, and as a backfill that is cancelled in the middle."""
    _change(stage, 0)
    assert ui.wait_for(ui.launch("ends"), _SECONDS) == "SUCCESS"
    assert (_items(ui, "ends"), _in_sync(ui, "ends")[0]) == ((3, 0), True)
    for number, way in enumerate((_terminated, _killed, _cancelled), 1):
        _change(stage, number)
        way(ui, stage, number)
        wait_until(lambda: _items(ui, "ends")[1] > 0 and not _in_sync(ui, "ends")[0], _SECONDS, 0.5)
        green, red = _items(ui, "ends")
        assert 1 <= red <= 3, way.__name__
        assert green + red == 3, way.__name__
        passed, told = _in_sync(ui, "ends")
        assert not passed
        assert told.startswith("out of sync: team-"), told
        assert ui.wait_for(ui.launch("ends"), _SECONDS) == "SUCCESS"
        assert (_items(ui, "ends"), _in_sync(ui, "ends")[0]) == ((3, 0), True), way.__name__


def _terminated(ui: WebUi, stage: Stage, number: int) -> None:
    run = ui.launch("ends")
    wait_until(lambda: _copied(stage, number) > 3, _SECONDS, 0.1)
    assert ui.graphql(_TERMINATE, run=run)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert ui.wait_for(run, _SECONDS) == "CANCELED"
    events = ui.graphql(_EVENTS, run=run)["logsForRun"]["events"]
    (error,) = [event["error"] for event in events if event.get("error")]
    assert error["message"].startswith("Terminated: what this run wrote is in the ledger")
    assert not error["stack"]


def _killed(ui: WebUi, stage: Stage, number: int) -> None:
    run = ui.launch("ends")
    wait_until(lambda: _copied(stage, number) > 0, _SECONDS, 0.1)
    events = ui.graphql(_EVENTS, run=run)["logsForRun"]["events"]
    (pid,) = {int(found[1]) for event in events if (found := re.search(r"pid: (\d+)", str(event.get("message"))))}
    os.kill(pid, signal.SIGKILL)
    assert ui.wait_for(run, _SECONDS) == "FAILURE"


def _cancelled(ui: WebUi, stage: Stage, number: int) -> None:
    for at in range(240):  # Dagster looks for what is to be cancelled twice a minute
        stage.write(f"ends/team-c/more-{at}", {"host": "more.internal", "port": str(at)})
    backfill = _backfill(ui, "ends")
    wait_until(lambda: _copied(stage, number) > 0, _SECONDS, 0.1)
    (run,) = _runs_of(ui, backfill)
    assert _tags(ui, run["runId"])["secretsync/job"] == "ends"
    assert ui.graphql(_CANCEL, id=backfill)["cancelPartitionBackfill"]["__typename"] == "CancelBackfillSuccess"
    assert ui.wait_for(run["runId"], _SECONDS) == "CANCELED"


def test_a_backfill_of_two_sync_jobs_becomes_a_run_of_each(ui: WebUi) -> None:
    """Their items have the same names; each run is of one of them, and says of which."""
    backfill = _backfill(ui, "group_a", "group_b")
    wait_until(lambda: len(_runs_of(ui, backfill)) > 1, _SECONDS, 0.5)
    assert {ui.wait_for(run["runId"], _SECONDS) for run in _runs_of(ui, backfill)} == {"SUCCESS"}
    runs = _runs_of(ui, backfill)
    assert sorted([key["path"] for key in run["assetSelection"]] for run in runs) == [
        [["sync", "group_a"]],
        [["sync", "group_b"]],
    ]
    assert sorted(_tags(ui, run["runId"])["secretsync/job"] for run in runs) == ["group-a", "group-b"]
