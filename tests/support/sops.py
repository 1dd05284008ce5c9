"""sops itself, to hold our files against: what is installed, or what `make test-sops` builds outside the repository."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

VERSION = "3.13.3"
PACKAGE = f"github.com/getsops/sops/v3/cmd/sops@v{VERSION}"


BUILDS = "SECRETSYNC_TEST_BUILDS_SOPS"
"""Set by `make test-sops`: Go may build it, which takes minutes and fetches its modules."""


@cache
def program() -> str:
    """The path of sops. Where there is none it skips the test, and fails it where sops was to be built for it."""
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "secretsync-tests", f"sops-{VERSION}")
    if not cached.exists():
        installed, go = shutil.which("sops"), shutil.which("go") or "/usr/local/go/bin/go"
        if installed is not None:
            return installed
        if not os.environ.get(BUILDS):
            pytest.skip("there is no sops here: `make test-sops` builds it")
        if not Path(go).exists():
            pytest.fail("there is neither sops here nor Go to build it with")
        _build(go, cached)
    return str(cached)


def is_there() -> bool:
    """Whether there is sops, for tests that hold without it as well."""
    try:
        return bool(program())
    except pytest.skip.Exception:
        return False


def _build(go: str, cached: Path) -> None:
    cached.parent.mkdir(parents=True, exist_ok=True)
    with cached.with_suffix(".lock").open("w") as lock, TemporaryDirectory(dir=cached.parent) as bin_directory:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if cached.exists():  # another worker has built it meanwhile
            return
        environ = {**os.environ, "GOBIN": bin_directory}
        built = subprocess.run([go, "install", PACKAGE], env=environ, capture_output=True, check=False, timeout=580)
        if built.returncode:
            pytest.fail(f"sops cannot be built here: {built.stderr.decode(errors='replace')[-500:]}")
        Path(bin_directory, "sops").rename(cached)


def run(*arguments: str, identity: str = "", given: str = "", cwd: Path | None = None, **environment: str) -> str:
    """Run sops, which must end well, with nothing from the environment but the age identity, and what is given."""
    environ = {"HOME": "/nonexistent", "SOPS_AGE_KEY": identity, "SOPS_DISABLE_VERSION_CHECK": "1", **environment}
    done = subprocess.run(
        [program(), *arguments],
        input=given,
        env=environ,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def decrypted(file: Path, identity: str) -> Any:
    """What sops reads in a file, its checksum verified."""
    return json.loads(run("decrypt", "--output-type", "json", str(file), identity=identity))
