"""Starts the web UI on loopback: a code location, Dagster's daemon and its webserver, for the demo and the tests.

They are programs of their own, told what to do by files, environment and GraphQL: nothing here imports Dagster. They
keep everything in one directory and are gone when they are stopped.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import secretsync_core
from secretsync_core.demo.openbao import free_port
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

START_SECONDS = 120.0
STOP_SECONDS = 5.0
LOCATION = "secretsync"

_PACKAGES = ("dagster", "dagster_graphql", "dagster_webserver", "secretsync_dagster")
_JOBS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }"
_DAEMON = """{ instance { daemonHealth { daemonStatus(daemonType: "QUEUED_RUN_COORDINATOR") { healthy } } } }"""
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on PythonError { message } } }"""
_STATUS = """query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"""
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")


def is_installed() -> bool:
    """Whether everything that the UI needs is there."""
    return not any(importlib.util.find_spec(name) is None for name in _PACKAGES)


class WebUi:
    """The three programs. A context manager that stops them.

    Attributes:
        address: the webserver's URL, such as ``http://127.0.0.1:41234``.
        home: ``DAGSTER_HOME``: the settings and the run storage, and the programs' output (``*.log``).
        pids: the programs' process ids, by their names.
    """

    def __init__(
        self, home: Path | str, *, config: Path | str, environ: Mapping[str, str], settings: str | None = None
    ) -> None:
        """Start them; ``wait`` then tells when they answer.

        Args:
            home: the directory for ``DAGSTER_HOME``; made where it is missing.
            config: the directory of the documents.
            environ: the environment, with what the documents' credentials need.
            settings: the text of dagster.yaml; default: the embedded one.
        """
        self.home = Path(home).absolute()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        if settings is None:
            settings = files("secretsync_core.demo").joinpath("dagster.yaml").read_text()
        (self.home / "dagster.yaml").write_text(settings)
        self._environ = self._our_environment(environ, Path(config).absolute())
        self._code_port, self._port = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        # One code location for both: what is reloaded in the UI is reloaded for schedules and sensors too.
        server = {"host": "127.0.0.1", "port": self._code_port, "location_name": LOCATION}
        (self.home / "workspace.yaml").write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        atexit.register(self.kill)
        self._make_databases()
        self.start_code()
        self.start_daemon()
        self.start_webserver()

    def start_code(self) -> None:
        """Start the code location, at first or after it ended."""
        self._start(
            "code",
            (
                *("dagster", "code-server", "start", "-m", "secretsync_dagster.definitions"),
                *("-h", "127.0.0.1", "-p", str(self._code_port), "--location-name", LOCATION),
            ),
        )

    def start_daemon(self) -> None:
        """Start the daemon, at first or after it ended."""
        self._start("daemon", ("dagster-daemon", "run", "-w", "workspace.yaml"))

    def start_webserver(self) -> None:
        """Start the webserver, at first or after it ended."""
        address = ("-h", "127.0.0.1", "-p", str(self._port))
        self._start("webserver", ("dagster-webserver", "-w", "workspace.yaml", *address))

    def kill_program(self, name: str) -> None:
        """End one of the programs at once, and with the code location every run that is going on."""
        process = self._processes[name]
        # Each leads a session of its own, with its run workers in it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def reap(self, name: str) -> None:
        """Wait for one of the programs, which somebody else has ended."""
        self._processes[name].wait()

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each of the programs."""
        return {name: process.pid for name, process in self._processes.items()}

    def wait(self, seconds: float = START_SECONDS) -> Self:
        """Wait until the UI answers and has loaded the documents. Raises SecretSyncError where it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise SecretSyncError(f"the UI's {name} ended: see {self.home / name}.log")
            with contextlib.suppress(SecretSyncError):
                if self._daemon_runs() and self.jobs():
                    return self
            time.sleep(0.2)
        self.kill()
        raise SecretSyncError(f"the UI did not come up within {seconds:.0f} s: see {self.home}/*.log")

    def _daemon_runs(self) -> bool:
        return bool(self.graphql(_DAEMON)["instance"]["daemonHealth"]["daemonStatus"]["healthy"])

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the webserver; gives the answer's data. Raises SecretSyncError."""
        request = urllib.request.Request(  # noqa: S310  always http on loopback
            f"{self.address}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=60) as answer:
                body = json.load(answer)
        except (OSError, ValueError) as error:
            raise SecretSyncError(f"the UI does not answer: {type(error).__name__}") from None
        if body.get("errors"):
            raise SecretSyncError(f"the UI refused a query: {body['errors'][0].get('message')}")
        data: dict[str, Any] = body["data"]
        return data

    def jobs(self) -> list[str]:
        """The names of the jobs that are loaded."""
        found = self.graphql(_JOBS)["repositoriesOrError"]
        return [
            job["name"] for node in found.get("nodes", ()) for job in node["jobs"] if not job["name"].startswith("__")
        ]

    def launch(self, job: str, **config: Any) -> str:
        """Start a run as the Launchpad does; gives its id."""
        params = {
            "selector": {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": job},
            "runConfigData": config,
            "mode": "default",
        }
        answer = self.graphql(_LAUNCH, params=params)["launchRun"]
        if "run" not in answer:
            raise SecretSyncError(f"the UI did not start {job}: {answer.get('errors') or answer.get('message')}")
        return str(answer["run"]["runId"])

    def wait_for(self, run: str, seconds: float = 120.0) -> str:
        """Wait until a run has ended; gives its status: SUCCESS, FAILURE or CANCELED."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = str(self.graphql(_STATUS, run=run)["runOrError"]["status"])
            if status in _ENDED:
                return status
            time.sleep(0.2)
        raise SecretSyncError(f"the run {run} did not end within {seconds:.0f} s: see {self.address}/runs/{run}")

    def stop(self) -> None:
        """Stop the programs in good order; kill what is left of them. May be called twice."""
        # The webserver and the daemon first: they would only complain of a code location that is gone.
        for name in ("webserver", "daemon", "code"):
            if name in self._processes:
                self._processes[name].terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        self.kill()
        atexit.unregister(self.kill)

    def kill(self) -> None:
        """End the programs, and every run that is going on, at once."""
        for name in self._processes:
            self.kill_program(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- Starting

    def _make_databases(self) -> None:
        """Let one program make them: several that do so at once leave them in a state that none of them can open."""
        self._start("instance", ("dagster", "instance", "migrate"))
        if self._processes.pop("instance").wait():
            raise SecretSyncError(f"Dagster's databases cannot be made: see {self.home / 'instance.log'}")

    def _start(self, name: str, command: Sequence[str]) -> None:
        program = Path(sysconfig.get_path("scripts")) / command[0]
        with (self.home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(  # noqa: S603  programs of our own environment, no shell
                [str(program), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                env=self._environ,
                # Ctrl-C in the terminal is for us; we stop them when we are done with them.
                start_new_session=True,
            )

    def _our_environment(self, environ: Mapping[str, str], config: Path) -> dict[str, str]:
        # None of the user's own Dagster settings; DAGSTER_PG_… are for ``settings`` that ask for them.
        theirs = {
            name: value
            for name, value in environ.items()
            if not name.startswith("DAGSTER_") or name.startswith("DAGSTER_PG_")
        }
        package = str(Path(secretsync_core.__file__).parents[1])
        return theirs | {
            "SECRETSYNC_CONFIG": str(config),
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_REDACT_USER_CODE_ERRORS": "1",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "PYTHONPATH": os.pathsep.join(filter(None, (package, theirs.get("PYTHONPATH")))),
            "PYTHONUNBUFFERED": "1",
        }
