"""What is released: built the same everywhere, with a list of what is in it, and searched for known vulnerabilities."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tools.sbom import merge

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


def _run(*command: str | Path, environ: Mapping[str, str], umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *command],
        cwd=ROOT,
        env=os.environ | {"PYTHON": sys.executable} | dict(environ),
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_two_builds_are_the_same(tmp_path: Path) -> None:
    """The distributions of a commit, built twice in other directories, with another umask, home, time zone and
    language, have the same hashes, and every file in them the commit's date."""
    sums = []
    for name, umask, zone in (("first", 0o022, "Pacific/Auckland"), ("second", 0o077, "America/Lima")):
        (scratch := tmp_path / f"scratch of {name}").mkdir()
        places = {"TMPDIR": str(scratch), "HOME": str(scratch)}
        more = {"TZ": zone, "LANG": f"{name}.UTF-8", "SOURCE_DATE_EPOCH": "1"}
        done = _run("tools/build.sh", tmp_path / name, umask=umask, environ=places | more)
        assert done.returncode == 0, done.stderr
        built = sorted((tmp_path / name).iterdir())
        assert [path.name for path in built] == [
            "secretsync_core-0.1.0-py3-none-any.whl",
            "secretsync_core-0.1.0.tar.gz",
        ]
        sums.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in built})
    assert sums[0] == sums[1]
    committed = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    date = datetime.fromtimestamp(int(committed.stdout) // 2 * 2, UTC)  # zip counts every second second
    with zipfile.ZipFile(tmp_path / "first" / "secretsync_core-0.1.0-py3-none-any.whl") as wheel:
        names = wheel.namelist()
        assert {info.date_time for info in wheel.infolist()} == {tuple(date.timetuple()[:6])}
    assert {"secretsync_core/__init__.py", "secretsync_dagster/__init__.py"} < set(names)


REFERENCE = {"type": "distribution", "hashes": [{"alg": "SHA-256", "content": "0f" * 32}]}


def _lists(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any], Path]:
    wheel = tmp_path / "secretsync_core-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    licence = [{"license": {"id": "MIT"}}]
    here = [{"type": "distribution", "url": f"file://{wheel}"}]
    installed = {
        "bomFormat": "CycloneDX",
        "metadata": {"tools": {}},
        "components": [
            {"bom-ref": "a", "name": "typing_extensions", "version": "4.16.0", "type": "library", "licenses": licence},
            {
                "bom-ref": "b",
                "name": "secretsync-core",
                "version": "0.1.0",
                "type": "library",
                "externalReferences": here,
            },
        ],
    }
    locked = {
        "components": [
            {"name": "typing-extensions", "version": "4.16.0", "externalReferences": [REFERENCE]},
            {"name": "colorama", "version": "0.4.6", "externalReferences": [REFERENCE]},
        ]
    }
    return installed, locked, wheel


def test_the_list_has_licences_and_hashes(tmp_path: Path) -> None:
    """Of each package that the image has, its licence and the hashes that the lock file allows; ours, with the wheel's
    hash, is what the list is about. What the lock file has for other platforms is left out."""
    installed, locked, wheel = _lists(tmp_path)
    made = merge(installed, locked, wheel)
    (package,) = made["components"]
    assert (package["licenses"][0]["license"]["id"], package["externalReferences"]) == ("MIT", [REFERENCE])
    ours = made["metadata"]["component"]
    assert (ours["name"], ours["type"]) == ("secretsync-core", "application")
    assert str(tmp_path) not in json.dumps(made)
    assert ours["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"a wheel").hexdigest()}]


def test_the_list_tells_of_nothing_unlocked(tmp_path: Path) -> None:
    """A package that the lock file does not have, or at another version, stops the release; so does a missing wheel."""
    installed, locked, wheel = _lists(tmp_path)
    locked["components"][0]["version"] = "4.15.0"
    with pytest.raises(SystemExit, match=r"typing_extensions 4\.16\.0 is not in the lock file"):
        merge(installed, locked, wheel)
    installed, locked, wheel = _lists(tmp_path)
    installed["components"].pop()
    with pytest.raises(SystemExit, match="is not installed"):
        merge(installed, locked, wheel)


LOCK = """\
jinja2==3.1.6 \\
    --hash=sha256:0f
typing-extensions==4.16.0 \\
    --hash=sha256:0f
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:0f
"""
NONE = {"name": "Jinja2", "version": "3.1.6", "vulns": []}
OTHER = {"name": "typing_extensions", "version": "4.16.0", "vulns": []}
FOUND = OTHER | {"vulns": [{"id": "GHSA-0", "fix_versions": ["4.17.0"]}]}
SKIPPED = {"name": "typing_extensions", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answer", "status", "code", "optional", "said"),
    [
        ([NONE, OTHER], 0, 0, 0, "2 packages were looked up, 0 have known vulnerabilities"),
        ([NONE, FOUND], 1, 1, 1, "typing_extensions 4.16.0: GHSA-0, fixed in 4.17.0"),
        ([NONE, SKIPPED], 0, 3, 0, "advisories could not be had"),
        ([NONE], 0, 3, 0, "advisories could not be had"),
        (None, 1, 3, 0, "advisories could not be had"),
    ],
    ids=["none", "found", "one was left out", "one is missing", "no connection"],
)
def test_advisories_are_never_passed_unseen(
    tmp_path: Path, answer: list[Any] | None, status: int, code: int, optional: int, said: str
) -> None:
    """What was found fails the release; so does a database that could not be asked about every package, unless that is
    allowed, and then it is said."""
    lock, program = tmp_path / "image.lock", tmp_path / "pip-audit"
    lock.write_text(LOCK)
    (tmp_path / "answer.json").write_text(json.dumps({"dependencies": answer}))
    copy = f'cp {tmp_path}/answer.json "${{@: -1}}"' if answer is not None else "echo no connection >&2"
    program.write_text(f"#!/bin/bash\n{copy}\nexit {status}\n")
    program.chmod(0o755)
    more: dict[str, str]
    for expected, more in ((code, {}), (optional, {"ADVISORIES": "optional"})):
        done = _run("tools/advisories.sh", lock, environ={"PIP_AUDIT": str(program)} | more)
        assert done.returncode == expected, done.stderr
        assert said in done.stdout + done.stderr
