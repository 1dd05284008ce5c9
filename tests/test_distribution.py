"""The package is ours: no page, message, deployment or example installs a stranger's package in its place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import secretsync_core
from secretsync_core.distribution import NAME, extra_hint

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_SKIPPED = {".lock", ".png"}
_GENERATED = {"__pycache__", "dist", "build", "site"}

# Somebody else's package, with extras or after the word that installs it. A path (dist/…, ../..) is no name, and a
# name is none that we may install by while nothing of ours is published.
_WITH_EXTRAS = re.compile(r"(?<![\w./-])secretsync\[[a-z]")
_INSTALLED = re.compile(
    r"\b(?:pipx?|uvx?|poetry|pdm|conda)\s+(?:\S+\s+)*?['\"]?(secretsync(?:[-_]\w+)?)(?![\w./-]*/)\b"
)
_INSTALLS = re.compile(r"\b(?:(?:pipx?|uv pip|uv tool) install|(?:uv|poetry|pdm) add|uvx|pipx run)\b")
_ADDRESSES = re.compile(
    r"(?:github|gitlab)\.com/secretsync|\b(?:ghcr|quay|docker)\.io/secretsync|pypi\.org|pythonhosted"
)


def _tree() -> list[Path]:
    files = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [name for name in below if not name.startswith(".") and name not in _GENERATED]
        files += [Path(folder, name) for name in names if Path(name).suffix not in _SKIPPED]
    return sorted(file for file in files if file != Path(__file__))


def _wrong(line: str) -> bool:
    """Whether a line names a package that is not ours, or one that no index has."""
    if _WITH_EXTRAS.search(line) or _ADDRESSES.search(line):
        return True
    return bool(_INSTALLS.search(line) and _INSTALLED.search(line))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("pip install 'secretsync[vault]'", True),
        ("pip install secretsync", True),
        ("uv pip install --upgrade secretsync", True),
        ("pipx install secretsync-core", True),
        ("uv tool install 'secretsync-core[aws]'", True),
        ("the extra `secretsync[notify]`", True),
        ("https://github.com/secretsync/secretsync", True),
        ("pip install '../..[testing]' .", False),
        ("pip install './dist/secretsync_core-0.1.0-py3-none-any.whl[vault]'", False),
        ("helm install secretsync deploy/helm/secretsync", False),
        ("the extra [vault] of secretsync-core", False),
        ('asks = names["secretsync"][0]', False),
    ],
)
def test_the_search_finds_what_it_should(line: str, wrong: bool) -> None:
    """A stranger's package is told from ours, and from a path."""
    assert _wrong(line) is wrong


def test_no_file_names_a_package_that_is_not_ours() -> None:
    """Pages, messages, deployments and examples install from this tree or a wheel, and never by a name."""
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in _tree()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if _wrong(line)
    ]
    assert not found, "\n".join(found)


def test_every_project_asks_for_ours() -> None:
    """A pyproject.toml that depends on SecretSync names the distribution that this tree builds."""
    assert PROJECT["name"] == NAME
    for file in _tree():
        if file.name == "pyproject.toml":
            project = tomllib.loads(file.read_text())["project"]
            lists = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
            names = {match[0] for asked in lists for one in asked if (match := re.match(r"secretsync[\w-]*", one))}
            assert names <= {NAME}, file


def test_every_extra_of_a_hint_exists() -> None:
    """A hint names extras that pyproject.toml has, and where to read how they are installed."""
    extras = PROJECT["optional-dependencies"]
    calls = [
        (file, re.findall(r'"([^"]+)"', match[1]))
        for file in _tree()
        if file.suffix == ".py" and file.parts[len(ROOT.parts)] in ("secretsync_core", "secretsync_dagster")
        for match in re.finditer(r"extra_hint\(((?:\"[\w-]+\"(?:, )?)+)\)", file.read_text())
    ]
    assert len(calls) > 4
    for file, named in calls:
        assert set(named) <= set(extras), file
    assert extra_hint("demo", "vault") == "install the extras [demo,vault]; see Install in the README"


def test_the_wheel_is_ours(tmp_path: Path) -> None:
    """What ``make wheel`` builds carries our name and version, both packages, the program and no address."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    assert "-m hatchling build --target wheel --directory dist" in (ROOT / "Makefile").read_text()
    (wheel,) = tmp_path.glob("*.whl")
    version = secretsync_core.__version__
    assert wheel.name == f"secretsync_core-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        metadata = archive.read(f"secretsync_core-{version}.dist-info/METADATA").decode()
        scripts = archive.read(f"secretsync_core-{version}.dist-info/entry_points.txt").decode()
    assert {"secretsync_core/cli/main.py", "secretsync_dagster/definitions.py"} <= inside
    assert f"Name: {NAME}\nVersion: {version}\n" in metadata
    assert "secretsync = secretsync_core.cli.entry:main" in scripts
    assert "Project-URL" not in metadata
