"""Asks Dagster's webserver, patiently: it may have been killed a moment ago."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.demo.ui import WebUi

ENDED = ("SUCCESS", "FAILURE", "CANCELED")
_PATIENCE = 120.0
_CHECKS = """query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks {
    name executionForLatestMaterialization { evaluation { success } } } } } } } }"""
_RUNS = """{ runsOrError(limit: 400) { ... on Runs { results {
  runId status jobName creationTime endTime tags { key value } } } } }"""
_STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
_TERMINATE = "mutation($run: String!) { terminateRun(runId: $run) { __typename } }"


class Runs:
    """The runs of one Dagster."""

    def __init__(self, ui: WebUi) -> None:
        self._ui = ui

    def launch(self, job: str) -> str:
        """Launch a job; gives the run's id."""
        return str(self._patiently(lambda: self._ui.launch(job)))

    def status(self, run: str) -> str:
        """A run's status."""
        return str(self._ask(_STATUS, run=run)["runOrError"]["status"])

    def end(self, run: str, seconds: float) -> str:
        """Wait for a run to end; gives its status, which is not one of ``ENDED`` where it goes on for longer."""
        deadline = time.monotonic() + seconds
        while (status := self.status(run)) not in ENDED and time.monotonic() < deadline:
            time.sleep(0.25)
        return status

    def terminate(self, run: str) -> None:
        """Ask a run to stop."""
        self._ask(_TERMINATE, run=run)

    def in_sync(self, job: str) -> bool:
        """What the asset check ``in_sync`` of a job says; false where it says nothing."""
        node = self._ask(_CHECKS, asset={"path": ["sync", job]})["assetNodeOrError"]
        for check in (node.get("assetChecksOrError") or {}).get("checks", ()):
            if check["name"] == "in_sync":
                evaluation = (check["executionForLatestMaterialization"] or {}).get("evaluation") or {}
                return bool(evaluation.get("success"))
        return False

    def all(self) -> list[dict[str, Any]]:
        """All runs, the last first; ``tags`` are an object."""
        found: list[dict[str, Any]] = self._ask(_RUNS)["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._patiently(lambda: self._ui.graphql(query, **variables))
        return found

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return ask()
            except SecretSyncError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)
