"""What people and the daemon do to runs of the real programs, and who dies meanwhile."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from dagster_jobs.processes import offspring, wait_until
from secretsync_core.demo.ui import LOCATION
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.demo.ui import WebUi

_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_AGAIN = """mutation($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_TERMINATE = "mutation($run: String!) { terminateRun(runId: $run) { __typename } }"
_STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
_CHILDREN = """query($run: String!) { runsOrError(filter: {tags: [{key: "dagster/parent_run_id", value: $run}]}) {
  ... on Runs { results { runId tags { key value } } } } }"""
_STEPS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { stepStats { stepKey status } } } }"


def launch(ui: WebUi, job: str, tags: Mapping[str, str] | None = None) -> str:
    """Start a run, with tags, as the Launchpad does; again where the code location is just coming back."""
    params = {
        "selector": {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": job},
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
    }
    return _started(ui, _LAUNCH, "launchRun", params)


def execute_again(ui: WebUi, run: str, how: str) -> str:
    """Execute a run again: ``FROM_FAILURE`` or ``ALL_STEPS``, as the buttons do."""
    return _started(ui, _AGAIN, "launchRunReexecution", {"parentRunId": run, "strategy": how})


def _started(ui: WebUi, query: str, field: str, params: dict[str, Any]) -> str:
    deadline = time.monotonic() + 60
    while True:
        answer: dict[str, Any] = {}
        try:
            answer = ui.graphql(query, params=params)[field]
        except SecretSyncError:
            if time.monotonic() > deadline:
                raise
        if "run" in answer:
            return str(answer["run"]["runId"])
        assert time.monotonic() < deadline, f"no run was started: {answer}"
        time.sleep(0.5)


def terminate(ui: WebUi, run: str) -> None:
    """Press Terminate."""
    assert ui.graphql(_TERMINATE, run=run)["terminateRun"]["__typename"] == "TerminateRunSuccess"


def status(ui: WebUi, run: str) -> str:
    """How a run stands."""
    return str(ui.graphql(_STATUS, run=run)["runOrError"]["status"])


def retried_by_the_daemon(ui: WebUi, run: str, seconds: float = 120) -> str:
    """Wait for the run that the daemon starts in the place of another one; gives its id."""
    found: list[str] = []

    def there() -> bool:
        runs = ui.graphql(_CHILDREN, run=run)["runsOrError"]["results"]
        found.extend(each["runId"] for each in runs if "dagster/retry_number" in {tag["key"] for tag in each["tags"]})
        return bool(found)

    wait_until(there, seconds, pause=0.5)
    return found[0]


def steps(ui: WebUi, run: str) -> dict[str, str]:
    """How each step of a run that was begun stands."""
    found = ui.graphql(_STEPS, run=run)["runOrError"]["stepStats"]
    return {step["stepKey"]: step["status"] or "" for step in found}


def run_workers(ui: WebUi) -> list[int]:
    """The processes that execute runs, below the code server."""
    return [pid for pid, command in offspring(ui.pids["code"]) if "spawn_main" in command]


def kill_code_server(ui: WebUi, *, with_runs: bool = True, start: bool = True) -> None:
    """Kill -9 the code server, with or without the runs that it started, and start it again."""
    if with_runs:
        os.killpg(ui.pids["code"], signal.SIGKILL)
    else:
        runs = set(run_workers(ui))
        below = {pid for run in runs for pid, _ in offspring(run)}
        for pid in (ui.pids["code"], *(pid for pid, _ in offspring(ui.pids["code"]))):
            if pid not in runs | below:
                os.kill(pid, signal.SIGKILL)
    if start:
        ui.start_code()
