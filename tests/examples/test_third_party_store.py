"""The example of a store of one's own, built into a wheel and used from it as people would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "third-party-store"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel's files and metadata, as an installer leaves them."""
    work = tmp_path_factory.mktemp("wheel")
    shutil.copytree(EXAMPLE, work / "source", ignore=shutil.ignore_patterns("__pycache__", ".*", "dist"))
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], work / "source")
    (wheel,) = (work / "source" / "dist").glob("*.whl")
    site = work / "site"
    _run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(site), str(wheel)],
        work,
    )
    return site


def _run(command: list[str], where: Path, site: Path | None = None) -> str:
    environ = os.environ | ({"PYTHONPATH": str(site)} if site else {})
    ran = subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_it_passes_its_own_test(installed: Path, tmp_path: Path) -> None:
    """The conformance suite runs on the store from the wheel, and finds nothing."""
    tests = shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    shutil.copy(EXAMPLE / "pyproject.toml", tmp_path)
    told = _run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)], tmp_path, installed)
    assert " passed" in told
    assert "failed" not in told


@pytest.mark.slow
def test_it_is_listed_and_used(installed: Path, tmp_path: Path) -> None:
    """``secretsync stores`` shows its name, package and version, and its document syncs."""
    command = [sys.executable, "-m", "secretsync_core.cli.main"]
    shutil.copytree(EXAMPLE / "secretsync", tmp_path / "secretsync")
    listed = json.loads(_run([*command, "stores", "--output", "json"], tmp_path, installed))["stores"]
    (found,) = [each for each in listed if each["provider"] == "sqlite"]
    assert (found["package"], found["version"], found["problem"]) == ("secretsync-sqlite", "1.0.0", "")
    assert _run([*command, "validate"], tmp_path, installed).startswith("ok: 2 stores, 1 job")
    assert "1 created" in _run([*command, "sync"], tmp_path, installed)
    assert "1 unchanged" in _run([*command, "sync"], tmp_path, installed)
