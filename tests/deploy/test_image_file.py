"""The Dockerfile and the lock files behind it, as they stand."""

from __future__ import annotations

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

from deploy.dockerfile import instructions, settings
from deploy.image import DOCKER, DOCKERFILE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_PIN = re.compile(r"^([a-z0-9-]+)==(\S+?)( ;.*?)? \\$((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)", re.MULTILINE)


def locked(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """The packages of a lock file: their version and the hashes of their files."""
    # A package may stand there twice, once for each Python that it needs another version on.
    pins = list(_PIN.finditer(path.read_text()))
    assert len(pins) == len(re.findall(r"^[a-z0-9]", path.read_text(), re.MULTILINE)), "a line without hashes"
    return {pin[1]: (pin[2], frozenset(re.findall(r"[0-9a-f]{64}", pin[4]))) for pin in pins}


def wanted(requirements: list[str]) -> set[str]:
    """The names of packages that pyproject.toml asks for."""
    return {re.split(r"[^A-Za-z0-9-]", one, maxsplit=1)[0].lower() for one in requirements}


def test_the_linter_finds_nothing() -> None:
    """hadolint has nothing to say about the Dockerfile, and does about one that runs as root."""
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    worse = DOCKERFILE.read_text().replace("USER 10001:10001", "USER root")
    done = subprocess.run([hadolint, "-"], input=worse, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "DL3002" in done.stdout


def test_the_image_is_hardened() -> None:
    """Every stage starts from one base, pinned by digest; the last has no installer and ends as a user by number."""
    found = instructions(DOCKERFILE)
    (base,) = [one.text for one in found if one.name == "ARG" and one.stage == -1]
    assert re.fullmatch(r"BASE=\S+:\S+@sha256:[0-9a-f]{64}", base)
    assert {one.text.split(" ")[0] for one in found if one.name == "FROM"} == {"${BASE}"}
    last = [one for one in found if one.stage == 1]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", [one.text for one in last if one.name == "USER"][-1])
    assert any("pip uninstall --yes --quiet pip setuptools wheel" in one.text for one in last if one.name == "RUN")
    assert [one.text for one in last if one.name == "COPY"] == ["--from=build /opt/secretsync /opt/secretsync"]
    # The official Dagster chart gives the command as arguments; an entry point would swallow them.
    assert not [one for one in found if one.name == "ENTRYPOINT"]


def test_the_labels_say_what_it_is() -> None:
    """The image carries the OCI labels, and the version of the project."""
    labels = settings(instructions(DOCKERFILE), "LABEL", stage=1)
    told = {name.removeprefix("org.opencontainers.image.") for name in labels}
    assert told == {"title", "description", "licenses", "version", "revision"}
    assert labels["org.opencontainers.image.description"] == PROJECT["description"]
    assert labels["org.opencontainers.image.licenses"] == PROJECT["license"]
    assert f"VERSION={PROJECT['version']}" in [one.text for one in instructions(DOCKERFILE) if one.name == "ARG"]


def test_the_build_sees_nothing_else() -> None:
    """What the Dockerfile copies from the tree is all that .dockerignore lets through."""
    copied = {
        source.rstrip("/")
        for one in instructions(DOCKERFILE)
        if one.name == "COPY" and one.stage == 0
        for source in one.text.split()[:-1]
    }
    ignore = [
        line for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in ("", "#")
    ]
    assert ignore[0] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == copied


def test_the_image_has_what_the_lock_says_and_no_more() -> None:
    """The image's lock is a part of the main one, at the same versions and hashes, without what is for development."""
    everything, image = locked(ROOT / "requirements.lock"), locked(DOCKER / "requirements.lock")
    assert image.items() <= everything.items()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert not wanted(groups["dev"]) & image.keys()


def test_the_lock_is_fresh() -> None:
    """Every extra of the image that pyproject.toml has is in its lock; after a change of either, `make lock`."""
    (line,) = [
        line for line in (ROOT / "tools" / "lock.sh").read_text().splitlines() if line.startswith("IMAGE_EXTRAS")
    ]
    extras = line.split('"')[1].split()
    assert {"dagster", "vault", "postgres"} <= set(extras)
    asked = wanted(PROJECT["dependencies"])
    for extra in extras:
        asked |= wanted(PROJECT["optional-dependencies"].get(extra, []))
    assert asked <= locked(DOCKER / "requirements.lock").keys()


def test_what_builds_the_image_is_pinned_too() -> None:
    """The builder's own tools come by version and hash."""
    assert {"uv", "hatchling"} <= locked(DOCKER / "build.lock").keys()
