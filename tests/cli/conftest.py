"""Runs the real command line in a directory of its own, and what the tests of it share."""

from __future__ import annotations

import atexit
import os
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest
from support.warm_cli import PROGRAM, WarmCli, for_python

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).parent / "plugin"
FOR_PYTHON = {"PYTHONPATH": f"{ROOT}{os.pathsep}{PLUGIN}", "LC_ALL": "C.UTF-8"}


class Ran(NamedTuple):
    """What one command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as the one JSON document that it has to be."""
        return orjson.loads(self.out)


class Cli:
    """``cli("plan", "--all")`` runs ``secretsync plan --all`` in ``directory``, with a clean environment.

    Such a process is forked from one that has imported the command line (see ``WarmCli``), and so is what ``shell``
    and ``quick`` start. ``command`` is the program from its first line on, and so is what gets an environment for
    Python itself.
    """

    def __init__(self, directory: Path, warm: WarmCli | None = None) -> None:
        self.directory = directory
        self._warm = warm or _warm()
        programs = directory / ".bin"
        self.command = [_program(programs / "whole", sys.executable, "-m", "secretsync_core.cli.main")]
        self.quick = [_program(programs, sys.executable, "-IS", str(PROGRAM), self._warm.path, *self.command)]
        self.environ = FOR_PYTHON | {
            "HOME": str(directory),
            "PATH": f"{programs}{os.pathsep}{os.defpath}",
            "TZ": "UTC",
            "TERM": "xterm-256color",
        }

    def __call__(self, *arguments: str, **environ: str) -> Ran:
        if for_python(self.environ | environ) == FOR_PYTHON:
            return self._forked(self._warm, arguments, self.environ | environ)
        done = subprocess.run(
            [*self.command, *arguments],
            cwd=self.directory,
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def _forked(self, warm: WarmCli, arguments: tuple[str, ...], environ: dict[str, str]) -> Ran:
        with Path(os.devnull).open("rb") as nothing, TemporaryFile() as out, TemporaryFile() as err:
            code = warm.run(arguments, cwd=self.directory, env=environ, stdin=nothing, stdout=out, stderr=err)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return Ran(code, *texts)

    def shell(self, line: str) -> Ran:
        """Run a line as a user types it."""
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.directory,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, text: str) -> Path:
        """Write a file below the directory."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def _program(directory: Path, *words: str) -> str:
    """Make ``secretsync`` there, which starts these words; gives its path."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / "secretsync"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    program.chmod(0o700)
    return str(program)


@cache
def _warm() -> WarmCli:
    warm = WarmCli(FOR_PYTHON)
    atexit.register(warm.close)
    return warm


@pytest.fixture(scope="session")
def warm_cli() -> WarmCli:
    """The command line, imported once for all tests of a worker."""
    return _warm()


@pytest.fixture
def cli(tmp_path: Path, warm_cli: WarmCli) -> Cli:
    """The command line in an empty directory."""
    return Cli(tmp_path, warm_cli)


@pytest.fixture
def started(cli: Cli) -> Cli:
    """The command line in a directory where ``init`` was run."""
    assert cli("init", "--quiet").code == 0
    return cli


STORES = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: source}
spec:
  permissions: Read
  provider: {file: {path: source}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: dest}
spec:
  provider: {trouble: %s}
"""

JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: copy}
spec:
  source: source
  dest: dest
  limits: {concurrency: 2}
  plan:
    - name: everything
      query: {path: "", recursive: true}
"""


@pytest.fixture
def troubled(cli: Cli) -> Callable[..., Cli]:
    """``troubled(count, delay=0.1, fail={"write a": "denied"})``: a job from files into a store that misbehaves."""

    def make(count: int = 5, **settings: Any) -> Cli:
        config = {"path": "dest", **settings}
        cli.write("secretsync/stores.yaml", STORES % orjson.dumps(config).decode())
        cli.write("secretsync/job.yaml", JOB)
        (cli.directory / "secretsync" / "dest").mkdir()
        for number in range(count):
            cli.write(f"secretsync/source/key-{number:03}", f"value-{number}")
        # A third party's paths are its own affair: it is given the same as the working directory has.
        (cli.directory / "dest").mkdir()
        return cli

    return make
