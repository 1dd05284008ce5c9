"""The compose file, as the real Docker Compose reads it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.image import ROOT
from deploy.tools import script

COMPOSE = ROOT / "deploy" / "compose"
OURS = {"migrate", "code", "daemon", "webserver"}


def prepare(directory: Path) -> Path:
    """A copy of deploy/ in which setup.sh was run; gives the directory of the compose file."""
    shutil.copytree(ROOT / "deploy" / "dagster", directory / "dagster")
    shutil.copytree(COMPOSE, directory / "compose", ignore=shutil.ignore_patterns("secrets", ".env"))
    subprocess.run(["bash", directory / "compose" / "setup.sh"], check=True, capture_output=True)
    return directory / "compose"


def configuration(directory: Path) -> dict[str, Any]:
    """What Docker Compose makes of the file."""
    program = script("docker-compose")
    if not Path(program).exists():
        pytest.skip("Docker Compose is in no package for this machine")
    done = subprocess.run(
        [program, "config", "--format", "json"], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the compose file, ready to start."""
    return prepare(tmp_path_factory.mktemp("compose"))


@pytest.fixture(scope="module")
def config(directory: Path) -> dict[str, Any]:
    """What Docker Compose makes of the file there."""
    return configuration(directory)


def test_it_has_what_the_docs_say(config: dict[str, Any]) -> None:
    """Webserver, daemon, code location, PostgreSQL and two OpenBao servers, each with a health check."""
    services = config["services"]
    assert services.keys() == OURS | {"postgres", "source", "dest"}
    assert {name for name, one in services.items() if "healthcheck" not in one} == {"migrate"}
    assert services["migrate"]["command"] == ["dagster", "instance", "migrate"]
    for name in OURS - {"migrate"}:
        assert services[name]["depends_on"]


def test_everything_is_published_on_loopback(config: dict[str, Any]) -> None:
    """No port is open to the network."""
    ports = {name: one["ports"] for name, one in config["services"].items() if "ports" in one}
    assert ports.keys() == {"webserver", "postgres", "source", "dest"}
    assert {port["host_ip"] for some in ports.values() for port in some} == {"127.0.0.1"}
    assert len({port["published"] for some in ports.values() for port in some}) == 4
    assert config["networks"]["inside"]["internal"] is True
    assert all("network_mode" not in one for one in config["services"].values())


def test_the_containers_are_hardened(config: dict[str, Any]) -> None:
    """Ours, and OpenBao's, have a read-only root, no capability, and a user that is not root."""
    for name, service in config["services"].items():
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")
        assert re.search(r":[0-9][\w.-]*$", service["image"]), "no exact tag"
        if name != "postgres":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert re.fullmatch(r"[1-9][0-9]*:[0-9]+", service["user"])


def test_credentials_are_files(config: dict[str, Any], directory: Path) -> None:
    """No credential is in the file or in a variable; each is a file that only its owner may read, and is given to the
    services that need it."""
    secrets = {name: Path(one["file"]).read_text().strip() for name, one in config["secrets"].items()}
    assert len(set(secrets.values())) == len(secrets)
    shown = json.dumps(config)
    for name, value in secrets.items():
        assert len(value) >= 32
        assert value not in shown
        path = directory / "secrets" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert f"{path.stat().st_uid}:{path.stat().st_gid}" == config["services"]["code"]["user"]
    given = {
        name: {one["source"] for one in service.get("secrets", [])} for name, service in config["services"].items()
    }
    assert given["webserver"] == given["daemon"] == given["migrate"] == {"pgpass"}
    assert given["source"] == {"source-token"}
    assert given["postgres"] == {"postgres-password"}


def test_git_ignores_the_credentials() -> None:
    """What setup.sh writes is not committed by accident."""
    for name in ("secrets/pgpass", ".env"):
        assert subprocess.run(["git", "check-ignore", "-q", COMPOSE / name], cwd=ROOT, check=False).returncode == 0


def test_setup_keeps_what_is_there(directory: Path) -> None:
    """A second run makes no new key: the ledger would be lost with the old one."""
    before = {path.name: path.read_text() for path in (directory / "secrets").iterdir()}
    subprocess.run(["bash", directory / "setup.sh"], check=True, capture_output=True, env=os.environ)
    assert before == {path.name: path.read_text() for path in (directory / "secrets").iterdir()}


def test_without_setup_it_says_what_to_do(tmp_path: Path) -> None:
    """Whoever forgets setup.sh is told of it."""
    shutil.copy(COMPOSE / "compose.yaml", tmp_path)
    program = script("docker-compose")
    done = subprocess.run([program, "config"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "run ./setup.sh first" in done.stderr


def test_the_workspace_names_the_code_location(config: dict[str, Any]) -> None:
    """Webserver and daemon find the gRPC server by the service's name and port, and by one name for it."""
    (entry,) = yaml.safe_load((COMPOSE / "workspace.yaml").read_text())["load_from"]
    server = entry["grpc_server"]
    command = config["services"]["code"]["command"]
    assert server["host"] in config["services"]
    assert str(server["port"]) == command[command.index("-p") + 1]
    assert server["location_name"] == command[command.index("--location-name") + 1]
