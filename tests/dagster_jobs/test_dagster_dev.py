"""What a `pip install` alone gives: two commands, and the web UI, the daemon and the code location are up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dagster_jobs.processes import offspring, wait_until
from secretsync_core.demo.openbao import free_port

BIN = Path(sys.executable).parent
QUERY = """{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } sensors { name }
  location { dagsterLibraryVersions { name } } } } }
  allTopLevelResourceDetailsOrError(repositorySelector: {repositoryName: "__repository__",
    repositoryLocationName: "secretsync"}) { ... on ResourceDetailsList { results { name resourceType } } }
  assetNodes { assetKey { path } kinds metadataEntries { label } }
  instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }"""


def _ask(port: int) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": QUERY}).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer)["data"] or {})
    except OSError:
        return {}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.xdist_group("programs")
def test_dagster_dev_brings_everything_up() -> None:
    """In the directory that was written to, with nothing in the environment: jobs, icons, and a daemon that runs."""
    # Not in pytest's own directory: its paths are longer than a socket's may be.
    with tempfile.TemporaryDirectory(prefix="secretsync-tests-") as directory:
        environ = {
            name: text for name, text in os.environ.items() if not name.startswith(("DAGSTER_", "SECRETSYNC_"))
        } | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        for command in (["dagster", "init"], ["init"]):
            subprocess.run([BIN / "secretsync", *command, "-q"], cwd=directory, env=environ, check=True)
        port = free_port()
        log = Path(directory) / "dev.log"
        with log.open("wb") as out:
            dev = subprocess.Popen(
                [BIN / "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)],
                cwd=directory, env=environ, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        seen: dict[str, Any] = {}

        def up() -> bool:
            assert dev.poll() is None, log.read_text()
            seen.update(_ask(port))
            daemons = seen["instance"]["daemonHealth"]["allDaemonStatuses"] if seen else []
            return any(each["daemonType"] == "SENSOR" and each["healthy"] for each in daemons)

        try:
            wait_until(up, seconds=300, pause=1)
        finally:
            below = [pid for pid, _ in offspring(dev.pid)]
            dev.terminate()
            try:
                dev.wait(60)
            except subprocess.TimeoutExpired:
                for pid in (dev.pid, *below):
                    os.kill(pid, 9)
        (location,) = seen["repositoriesOrError"]["nodes"]
        assert "example" in {job["name"] for job in location["jobs"]}
        assert "secretsync" in {each["name"] for each in location["location"]["dagsterLibraryVersions"]}
        resources = seen["allTopLevelResourceDetailsOrError"]["results"]
        assert resources
        assert not [each for each in resources if "lambda" in each["resourceType"]]
        kinds = {each["assetKey"]["path"][-1]: set(each["kinds"]) for each in seen["assetNodes"]}
        assert kinds["example"] == {"secretsync", "task"}
        assert kinds["example_source"] == {"file"}
        labels = {entry["label"] for each in seen["assetNodes"] for entry in each["metadataEntries"]}
        assert {"dagster/code_references", "path", "YAML"} <= labels
        assert {path.name for path in Path(directory).iterdir()} >= {"history", "secretsync"}, "runs are kept here"
