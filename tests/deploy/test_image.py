"""The image's programs, from an environment that was built as the image is, confined as a container is."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from deploy.image import DOCKER, USER
from deploy.test_image_file import locked
from secretsync_core.demo.openbao import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.image import Image

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy"), pytest.mark.timeout(600)]

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
def documents(tmp_path: Path) -> Path:
    """The directory that the image finds as /etc/secretsync."""
    directory = tmp_path / "documents"
    directory.mkdir()
    (directory / "all.yaml").write_text(DOCUMENTS)
    return directory


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A DAGSTER_HOME for the image's user."""
    directory = tmp_path / "home"
    directory.mkdir()
    os.chown(directory, USER, USER)
    return directory


def test_it_holds_what_is_locked_and_nothing_else(image: Image) -> None:
    """The environment has the packages of the lock and ours; no pip, no uv, no build tool, nothing for tests."""
    ask = "import json, importlib.metadata as m; print(json.dumps([d.metadata['Name'] for d in m.distributions()]))"
    done = image.run("python", "-Ic", ask)
    assert done.returncode == 0, done.stderr
    there = {name.lower().replace("_", "-").replace(".", "-") for name in json.loads(done.stdout)}
    assert "secretsync-core" in there
    # What is for another platform or Python is locked and not installed.
    assert there - {"secretsync-core"} <= locked(DOCKER / "requirements.lock").keys()
    assert not there & {"pip", "setuptools", "wheel", "uv", "hatchling", "pytest", "ruff", "mypy"}
    assert not {"pip", "uv", "hatchling", "pytest"} & {file.name for file in (image.prefix / "bin").iterdir()}


def test_the_tests_are_confined(image: Image) -> None:
    """The programs of these tests have no rights, and can write to /tmp and nowhere else."""
    done = image.run("sh", "-c", "id -u; id -g; touch here && echo here; touch /var/there; touch /etc/secretsync/there")
    assert done.stdout.split() == [str(USER), str(USER), "here"]
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
        (
            (
                "python",
                "-c",
                "import dagster_k8s, dagster_postgres, psycopg, apprise, prometheus_client, alembic; print('there')",
            ),
            "there",
        ),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_its_programs_run(image: Image, command: tuple[str, ...], told: str) -> None:
    """Each program of the image starts without rights and on a read-only file system."""
    done = image.run(*command)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


def test_it_checks_documents(image: Image, documents: Path) -> None:
    """The image finds the documents where they are mounted, and what is wrong with them."""
    assert image.run("secretsync", "validate", mounts={"/etc/secretsync": documents}).returncode == 0
    (documents / "all.yaml").write_text(DOCUMENTS.replace("dest: copy", "dest: nowhere"))
    done = image.run("secretsync", "validate", mounts={"/etc/secretsync": documents})
    assert done.returncode == 2
    assert "/etc/secretsync/all.yaml:19" in done.stdout + done.stderr


def test_a_sync_needs_nothing_beside_the_documents(image: Image, documents: Path) -> None:
    """With ledger and key by the environment, a sync needs no directory where the documents stand."""
    env = {
        "SECRETSYNC_LEDGER": "/tmp/state/ledger.db",
        "SECRETSYNC_KEY": "of-thirty-two-characters-or-more-by-all-means",
    }
    vault = 'vault: {address: "https://vault.example.com", auth: {kubernetes: {role: secretsync}}}'
    text = DOCUMENTS.replace(vault, "memory: {}").replace("/var/lib/copy", "/tmp/copy")
    (documents / "all.yaml").write_text(text)
    done = image.run("secretsync", "sync", env=env, mounts={"/etc/secretsync": documents})
    assert done.returncode == 0, done.stdout + done.stderr
    # Without them it would be made there, and it cannot be.
    done = image.run("secretsync", "sync", mounts={"/etc/secretsync": documents})
    assert done.returncode == 3
    assert "cannot be created" in done.stderr


def test_the_ledgers_tools_run(image: Image, documents: Path, home: Path) -> None:
    """Metrics are written, and the tables migrated, by the packages that the image has for it, on an empty ledger and
    on one that holds a run."""
    env = {
        "SECRETSYNC_LEDGER": "/opt/dagster/dagster_home/ledger.db",
        "SECRETSYNC_KEY": "of-thirty-two-characters-or-more-by-all-means",
    }
    vault = 'vault: {address: "https://vault.example.com", auth: {kubernetes: {role: secretsync}}}'
    text = DOCUMENTS.replace(vault, "memory: {}").replace("/var/lib/copy", "/tmp/copy")
    (documents / "all.yaml").write_text(text)
    mounts = {"/etc/secretsync": documents, "/opt/dagster/dagster_home": home}
    file = home / "secretsync.prom"
    counted = 'secretsync_job_runs_total{outcome="ok",syncjob="all"} 1.0'
    for command in (None, ("secretsync", "sync")):
        if command:
            done = image.run(*command, env=env, mounts=mounts)
            assert done.returncode == 0, done.stdout + done.stderr
        textfile = ("--quiet", "--textfile", "/opt/dagster/dagster_home/secretsync.prom")
        done = image.run("secretsync", "metrics", *textfile, env=env, mounts=mounts)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "secretsync_ledger_up 1.0" in file.read_text()
        assert (counted in file.read_text()) is bool(command)
        done = image.run("secretsync", "audit", "migrate", env=env, mounts=mounts)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "tables already at version" in done.stdout + done.stderr


@pytest.mark.parametrize("server", [("dagster", "code-server", "start"), ("dagster", "api", "grpc")], ids=" ".join)
def test_the_code_location_answers(image: Image, documents: Path, home: Path, server: tuple[str, ...]) -> None:
    """Either gRPC server of the image answers the health check that probes use, and tells the documents' jobs."""
    port, log = str(free_port()), home.parent / "server.log"
    mounts = {"/etc/secretsync": documents, "/opt/dagster/dagster_home": home}
    code = ("-m", "secretsync_dagster.definitions", "-h", "127.0.0.1", "-p", port)
    process = image.start(*server, *code, mounts=mounts, log=log)
    try:
        deadline = time.monotonic() + 240
        while (done := image.run("dagster", "api", "grpc-health-check", "-p", port)).returncode != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.5)
        done = image.run("dagster", "job", "list", "--grpc-host", "127.0.0.1", "--grpc-port", port, mounts=mounts)
        assert done.returncode == 0, done.stderr + log.read_text()
        assert "Job: all" in done.stdout
    finally:
        process.terminate()
        process.wait(120)
