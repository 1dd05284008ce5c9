"""The demo's last part: both SyncJobs in the web UI, one that is well and one that waits to be retried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from secretsync_core.demo.ui import WebUi
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping
    from pathlib import Path

WELL = "vault_to_k8s_vault"
FAILS = "databases_for_reports"

_SCHEDULES = """{ repositoriesOrError { ... on RepositoryConnection { nodes { schedules {
  name scheduleState { status } } } } } }"""


class Say(Protocol):
    """How the demo tells something."""

    def __call__(self, text: str, *, gap: bool = False) -> None: ...


class StepFailed(SecretSyncError):
    """A step of the demo did not do what it shows."""

    code = "demo"


class UiStory:
    """Starts the UI, runs both jobs through it, and tells where to look."""

    def __init__(self, say: Say, paint: Callable[[str, str], str]) -> None:
        self._say = say
        self._paint = paint
        self._ui: WebUi
        self._failed_run = ""

    def play(self, home: Path, config: Path, environ: Mapping[str, str], stack: contextlib.ExitStack) -> None:
        """Play it; the UI stays up until ``stack`` is closed."""
        self._say(
            "Three passwords were rotated in main, and a second job was written, with an item that fails on purpose:"
            " one database has no port.",
            gap=True,
        )
        self._say(self._paint(f"  {config / 'reports.yaml'}", "cyan"))
        self._say("Starting the web UI: a code location, the daemon and the webserver ...")
        self._ui = stack.enter_context(WebUi(home, config=config, environ=environ)).wait()
        self._run(WELL, "SUCCESS", "every secret is in place")
        self._failed_run = self._run(FAILS, "FAILURE", "one secret failed, the others are in place; retry it there")
        nodes = self._ui.graphql(_SCHEDULES)["repositoriesOrError"]["nodes"]
        found = {one["name"]: one["scheduleState"]["status"] for node in nodes for one in node["schedules"]}
        if found.get(f"{WELL}_schedule") != "RUNNING":
            raise StepFailed("the hourly schedule is not on")
        self._say("The daemon runs the first job every hour, and the second one every night.")

    def _run(self, job: str, expected: str, about: str) -> str:
        run = self._ui.launch(job)
        status = self._ui.wait_for(run)
        if status != expected:
            raise StepFailed(f"the run of {job} ended with {status} instead of {expected}")
        painted = self._paint(status, "green" if status == "SUCCESS" else "red")
        self._say(f"  {job}: {painted}; {about}.")
        return run

    def tell(self, mend: Path) -> None:
        """Tell where to look, and what to try."""
        location = f"{self._ui.address}/locations/secretsync/jobs"
        self._say(self._paint(f"The web UI: {self._ui.address}", "bold"), gap=True)
        for what, where in (
            ("a job; sync now under Launchpad", f"{location}/{WELL}/playground"),
            ("every item's state, backfills", f"{self._ui.address}/assets/sync/{WELL}?view=partitions"),
            ("drift checks", f"{self._ui.address}/assets/sync/{WELL}?view=checks"),
            ("the run that failed, and why", f"{self._ui.address}/runs/{self._failed_run}"),
        ):
            self._say(f"  {what:<32} {where}")
        self._say(f"Give the database its port with `{mend}`, then choose Re-execute > From failure on that last page.")
        self._say(f"Logs of the three programs: {self._ui.home}/*.log")
