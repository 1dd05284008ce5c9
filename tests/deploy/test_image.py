"""The image's programs, from an environment that was built as the image is, confined as a container is."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from deploy.image import DOCKER, USER, can_confine
from deploy.test_image_file import locked
from secretsync_core.demo.openbao import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.image import Image

pytestmark = [pytest.mark.xdist_group("image"), pytest.mark.timeout(300)]

DOCUMENTS = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: main}
spec:
  provider:
    vault: {address: "https://vault.example.com", auth: {kubernetes: {role: secretsync}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: copy}
spec:
  provider: {file: {path: /var/lib/copy}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: all}
spec:
  source: main
  dest: copy
  plan: [{name: everything, query: {recursive: true}}]
"""


@pytest.fixture
def documents(image: Image) -> Path:
    """The documents, where the image may read but not write."""
    directory = image.prefix.parent / "documents"
    directory.mkdir(exist_ok=True)
    (directory / "all.yaml").write_text(DOCUMENTS)
    return directory


def test_it_holds_what_is_locked_and_nothing_else(image: Image) -> None:
    """The environment has the packages of the lock and ours; no pip, no uv, no build tool, nothing for tests."""
    ask = "import json, importlib.metadata as m; print(json.dumps([d.metadata['Name'] for d in m.distributions()]))"
    done = image.run("python", "-Ic", ask)
    assert done.returncode == 0, done.stderr
    there = {name.lower().replace("_", "-").replace(".", "-") for name in json.loads(done.stdout)}
    assert "secretsync" in there
    # What is for another platform or Python is locked and not installed.
    assert there - {"secretsync"} <= locked(DOCKER / "requirements.lock").keys()
    assert not there & {"pip", "setuptools", "wheel", "uv", "hatchling", "pytest", "ruff", "mypy"}
    assert not {"pip", "uv", "hatchling", "pytest"} & {file.name for file in (image.prefix / "bin").iterdir()}


@pytest.mark.skipif(not can_confine(), reason="a mount namespace needs root")
def test_the_tests_are_confined(image: Image) -> None:
    """The programs of these tests have no rights, and can write to the scratch directory and nowhere else."""
    done = image.run("sh", "-c", "id -u; id -g; touch here && echo here; touch /var/there; touch ../there")
    assert done.stdout.split() == [USER, USER, "here"]
    assert done.stderr.count("Read-only file system") == 2
    done = image.run("sh", "-c", "grep ^Cap /proc/self/status")
    assert {line.split()[1] for line in done.stdout.splitlines()} == {"0" * 16}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("secretsync", "--version"), "secretsync 0.1.0"),
        (("secretsync", "stores"), "vault"),
        (("dagster", "--version"), "dagster, version 1."),
        (("dagster-webserver", "--version"), "dagster-webserver, version 1."),
        (("dagster-daemon", "--help"), "liveness-check"),
        (("python", "-c", "import dagster_k8s, dagster_postgres, psycopg, apprise; print('there')"), "there"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_its_programs_run(image: Image, command: tuple[str, ...], told: str) -> None:
    """Each program of the image starts without rights and on a read-only file system."""
    done = image.run(*command)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


def test_it_checks_documents(image: Image, documents: Path) -> None:
    """The image finds the documents where SECRETSYNC_CONFIG says, and what is wrong with them."""
    env = {"SECRETSYNC_CONFIG": str(documents)}
    assert image.run("secretsync", "validate", env=env).returncode == 0
    (documents / "all.yaml").write_text(DOCUMENTS.replace("dest: copy", "dest: nowhere"))
    done = image.run("secretsync", "validate", env=env)
    assert done.returncode == 2
    assert "nowhere" not in done.stdout
    assert "all.yaml" in done.stdout + done.stderr


def test_a_sync_needs_no_directory_beside_the_documents(image: Image, documents: Path) -> None:
    """With ledger and key by the environment, a sync whose documents stand on a read-only mount gets to its store."""
    env = {
        "SECRETSYNC_CONFIG": str(documents),
        "SECRETSYNC_LEDGER": "ledger.db",
        "SECRETSYNC_KEY": "of-thirty-two-characters-or-more-by-all-means",
    }
    text = DOCUMENTS.replace(
        'vault: {address: "https://vault.example.com", auth: {kubernetes: {role: secretsync}}}', "memory: {}"
    )
    (documents / "all.yaml").write_text(text.replace("/var/lib/copy", str(image.scratch / "copy")))
    done = image.run("secretsync", "sync", env=env)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("server", [("dagster", "code-server", "start"), ("dagster", "api", "grpc")], ids=" ".join)
def test_the_code_location_answers(image: Image, documents: Path, tmp_path: Path, server: tuple[str, ...]) -> None:
    """Either gRPC server of the image comes up with the documents and answers the health check that probes use."""
    port = str(free_port())
    log = tmp_path / "server.log"
    env = {"SECRETSYNC_CONFIG": str(documents)}
    process = image.start(
        *server, "-m", "secretsync_dagster.definitions", "-h", "127.0.0.1", "-p", port, env=env, log=log
    )
    try:
        deadline = time.monotonic() + 120
        while (done := image.run("dagster", "api", "grpc-health-check", "-p", port)).returncode != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.5)
    finally:
        process.terminate()
        process.wait(30)
