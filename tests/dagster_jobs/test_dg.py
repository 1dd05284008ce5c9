"""The components in somebody's own Dagster project, by the commands that people type there. Each is a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sysconfig
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.demo.openbao import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("programs"), pytest.mark.timeout(300)]

SETTINGS = Path(__file__).parents[2] / "dagster.yaml"
PROJECT = {
    "pyproject.toml": """\
[project]
name = "theirs"
version = "0.1.0"
requires-python = ">=3.11"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "theirs"
""",
    "src/theirs/__init__.py": "",
    "src/theirs/definitions.py": """\
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
""",
    "src/theirs/defs/__init__.py": "",
    "src/theirs/defs/own.py": """\
import dagster as dg


@dg.asset
def theirs() -> None: ...
""",
}
_JOBS = """{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } assetNodes {
  assetKey { path } } } } } }"""


class Project:
    """A Dagster project as ``create-dagster`` lays it out, with an asset of its own, and a DAGSTER_HOME."""

    def __init__(self, root: Path) -> None:
        self.root, self.home = root / "project", root / "home"
        self.defs = self.root / "src" / "theirs" / "defs"
        for name, text in PROJECT.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.home.mkdir()
        (self.home / "dagster.yaml").write_text(SETTINGS.read_text())
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "SECRETSYNC_"))}
        self.environ = ours | {
            "HOME": str(root),
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "DAGSTER_REDACT_USER_CODE_ERRORS": "1",
            "PYTHONPATH": str(self.root / "src"),
            "COLUMNS": "200",
        }

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``dg``."""
        return [str(Path(sysconfig.get_path("scripts")) / "dg"), *arguments]

    def dg(self, *arguments: str, fails: bool = False) -> str:
        """Run ``dg`` in the project; gives what it says."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.environ, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr if fails else done.stdout

    def held(self, component: str) -> dict[str, str]:
        """What the destination of a scaffolded component holds."""
        example = self.root / ".secretsync-example" / component.rpartition("/")[2].lower()
        return {path.name: path.read_text() for path in example.rglob("dest/*")}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which both components were scaffolded."""
    made = Project(tmp_path_factory.mktemp("dg"))
    # By the name that ``dg list components`` gives, and by the one of the module that it is defined in.
    made.dg("scaffold", "defs", "secretsync_dagster.SyncDirectoryComponent", "secrets")
    made.dg("scaffold", "defs", "secretsync_dagster.component.SyncJobComponent", "team/More-Secrets")
    return made


def test_the_components_are_listed(project: Project) -> None:
    """``dg list components`` shows both, under the names that people import."""
    listed = json.loads(project.dg("list", "components", "--json"))
    keys = {each["key"] for each in listed["items"]}
    assert {key for key in keys if key.startswith("secretsync")} == {
        "secretsync_dagster.SyncDirectoryComponent",
        "secretsync_dagster.SyncJobComponent",
    }


def test_what_is_scaffolded_is_checked_and_listed(project: Project) -> None:
    """Both components' YAML and definitions are sound, beside each other and beside the project's own asset."""
    assert "validated successfully" in project.dg("check", "yaml")
    assert "loaded successfully" in project.dg("check", "defs")
    found = json.loads(project.dg("list", "defs", "--json"))
    assert {each["asset_key"] for each in found["assets"]} == {
        "theirs",
        "sync/secrets",
        "store/secrets/secrets_source",
        "store/secrets/secrets_dest",
        "sync/more_secrets",
        "store/team_More_Secrets/more_secrets_source",
        "store/team_More_Secrets/more_secrets_dest",
    }
    scopes = ("secrets", "team_More_Secrets")
    beside = {f"{name}_IN_{scope}" for name in ("FIND_key", "CHECK_ledger_and_stores") for scope in scopes}
    assert {each["name"] for each in found["jobs"]} == {"secrets", "more_secrets", *beside}
    looks = {f"secretsync_ledger_and_stores_IN_{scope}" for scope in scopes}
    assert {each["name"] for each in found["schedules"]} == {"secrets_schedule", "more_secrets_schedule", *looks}


def test_a_slip_in_the_components_yaml_is_told(project: Project) -> None:
    """An attribute that there is not fails ``dg check yaml`` with the file and the line."""
    path = project.defs / "secrets" / "defs.yaml"
    text = path.read_text()
    path.write_text(text.replace("directory:", "directry:"))
    try:
        told = project.dg("check", "yaml", fails=True)
    finally:
        path.write_text(text)
    assert "secrets/defs.yaml:4" in told
    assert "directry" in told


def test_a_slip_in_a_document_fails_a_gate(project: Project) -> None:
    """``dg check defs`` says which document has an error, by file and line."""
    path = project.defs / "secrets" / "secretsync" / "example.yaml"
    text = path.read_text()
    path.write_text(text.replace("  source: secrets-source", "  sorce: secrets-source"))
    try:
        told = " ".join(project.dg("check", "defs", fails=True).split())
    finally:
        path.write_text(text)
    assert "in the documents, as `secretsync validate` says" in told
    assert "spec.source is missing" in told


def test_a_launched_job_syncs(project: Project) -> None:
    """``dg launch --job`` copies the example of either component; each has a ledger of its own, where it says so or in
    the project's root, and never in the directory of the program that happens to run it."""
    path = project.defs / "team" / "More-Secrets" / "defs.yaml"
    path.write_text(path.read_text().replace("  documents:", "  ledger: kept.db\n  documents:"))
    for job, component in (("secrets", "secrets"), ("more_secrets", "team/More-Secrets")):
        project.dg("launch", "--job", job)
        assert project.held(component) == {"hello": "this file is one secret\n"}
    assert list(project.root.rglob("ledger.db")) == [project.root / ".secretsync" / "secrets" / "ledger.db"]
    assert (path.parent / "kept.db").exists()


def test_a_launched_partition_syncs(project: Project) -> None:
    """``dg launch --assets`` with a partition syncs that item, also in the project's own executor."""
    source = project.root / ".secretsync-example" / "secrets" / "source" / "hello"
    source.write_text("changed\n")
    project.dg("launch", "--assets", "sync/secrets", "--partition", "everything")
    assert project.held("secrets") == {"hello": "changed\n"}


@contextlib.contextmanager
def _dev(project: Project) -> Iterator[str]:
    """``dg dev`` on a port of its own; gives its address."""
    port = free_port()
    with (project.home / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            project.command("dev", "--host", "127.0.0.1", "--port", str(port)),
            cwd=project.root, env=project.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}/graphql"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):  # whatever it has started and left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ask(address: str, query: str) -> Any:
    request = urllib.request.Request(
        address, json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)["data"]


def test_dg_dev_shows_the_jobs(project: Project) -> None:
    """``dg dev`` comes up, and its GraphQL knows the jobs and the assets."""
    with _dev(project) as address:
        deadline = time.monotonic() + 120
        nodes: Any = None
        while not nodes:
            assert time.monotonic() < deadline, (project.home / "dev.log").read_text()
            with contextlib.suppress(OSError):
                nodes = _ask(address, _JOBS)["repositoriesOrError"].get("nodes")
            time.sleep(0.5)
        (node,) = nodes
    assert {"secrets", "more_secrets"} <= {job["name"] for job in node["jobs"]}
    assert ["sync", "secrets"] in [each["assetKey"]["path"] for each in node["assetNodes"]]
