"""Ledgers that are damaged in every way: each command ends with a clear error, or with what is true."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import os
import re
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import typer.main

from fuzz.fuzzer import CANARY
from fuzz.ledger_damage import change, overwrite, statement
from secretsync_core.cli import main as program

if TYPE_CHECKING:
    from random import Random

SLOW = 20.0
"""Seconds for one command."""

_HEAD = "apiVersion: secretsync.io/v1alpha1\nkind: "
_DOCUMENTS = (
    f"{_HEAD}SecretStore\nmetadata: {{name: a}}\nspec: {{provider: {{file: {{path: ../src}}}}}}\n---\n"
    f"{_HEAD}SecretStore\nmetadata: {{name: b}}\nspec: {{provider: {{file: {{path: ../dst}}}}}}\n---\n"
    f"{_HEAD}SyncJob\nmetadata: {{name: j}}\nspec:\n  source: a\n  dest: b\n  schedule: '@hourly'\n"
    "  deletionPolicy: Delete\n  maxDelete: 100%\n  plan:\n  - query: {recursive: true}\n"
)
_NEW_KEY = "NEW KEY"
COMMANDS: dict[str, tuple[str, ...]] = {
    "status": ("status",), "status json": ("status", "-o", "json"), "log": ("audit", "log"),
    "log json": ("audit", "log", "-o", "json"), "verify": ("audit", "verify"),
    "verify json": ("audit", "verify", "-o", "json"), "export": ("audit", "export"), "migrate": ("audit", "migrate"),
    "rotate-key": ("audit", "rotate-key", "--new-key-file", _NEW_KEY), "health": ("health", "--timeout", "5"),
    "metrics": ("metrics",), "plan": ("plan",), "check": ("check",), "sync": ("sync",),
}  # fmt: skip
_MUST_SAY = ("status", "log", "export", "migrate", "rotate-key", "metrics")
"""Commands that fail for no reason but an error, which they say."""

_commands = functools.cache(typer.main.get_command)
"""Half of what a short command takes is to make the parser of all of them."""

_TESTIFIES = re.compile("internal error|Traceback|unexpected ")
_VALUES = {"k0": f"{CANARY}x", "k1": f"{CANARY}1", "k2": f"{CANARY}2"}


class Ledgers:
    """A ledger of two runs, damaged in one way, and two commands, each after the same damage."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        place = memory if os.access(memory, os.W_OK) else None
        self._directory = tempfile.TemporaryDirectory(prefix="secretsync-fuzz-", dir=place)
        self._start, self.home = Path(self._directory.name, "start"), Path(self._directory.name, "now")
        self._make()
        self._good = self._ledger.read_bytes()

    @property
    def _state(self) -> Path:
        return self.home / "conf" / ".secretsync"

    @property
    def _ledger(self) -> Path:
        return self._state / "ledger.db"

    def _make(self) -> None:
        for name in ("src", "dst", "conf"):
            (self.home / name).mkdir(mode=0o700, parents=True)
        (self.home / "conf" / "d.yaml").write_text(_DOCUMENTS)
        for number in range(4):
            (self.home / "src" / f"k{number}").write_text(f"{CANARY}{number}")
        self._must_sync()
        (self.home / "src" / "k0").write_text(_VALUES["k0"])
        (self.home / "src" / "k3").unlink()
        self._must_sync()
        with closing(sqlite3.connect(self._ledger)) as database:
            database.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
        self.home.rename(self._start)
        self._reset()

    def _must_sync(self) -> None:
        code, said, _ = self.call("sync")
        if code:
            raise RuntimeError(f"a right sync fails: {said}")

    def _reset(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self._start, self.home, copy_function=shutil.copy2)

    def draw(self, random: Random) -> str:
        """The damage, and the commands that are run after it, in JSON."""
        told: dict[str, object] = {"commands": random.sample(list(COMMANDS), 2)}
        if random.random() < 0.5:
            told["sql"] = statement(self._start / "conf" / ".secretsync" / "ledger.db", random)
        else:
            told["file"] = base64.b64encode(overwrite(self._good, random)).decode()
        if random.random() < 0.1:
            log = random.choice((random.randbytes(5000), b"\x37\x7f\x06\x82" + random.randbytes(5000), b""))
            told["wal"] = base64.b64encode(log).decode()
        return json.dumps(told)

    def attempt(self, case: str) -> str:
        """Each command says what is wrong in words of its own, or does what is right; no copy is lost."""
        told = json.loads(case)
        for name in told["commands"]:
            self._reset()
            if "sql" in told:
                change(self._ledger, told["sql"])
            else:
                self._ledger.write_bytes(base64.b64decode(told["file"]))
            if "wal" in told:
                Path(f"{self._ledger}-wal").write_bytes(base64.b64decode(told["wal"]))
            if fault := self._judge(name, *self.call(name)):
                return f"{name}: {fault}"
        return ""

    def call(self, name: str) -> tuple[int, str, float]:
        """Run a command; gives its exit code, all that it said, and for how many seconds it ran."""
        arguments = [str(self.home / "new.key") if one == _NEW_KEY else one for one in COMMANDS[name]]
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        started = time.monotonic()
        # A command is a process, and freezes what it has; here that would keep all of every command.
        with (
            patch("gc.freeze"), patch("typer.main.get_command", _commands), contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):  # fmt: skip
            try:
                code = program.run([*arguments, "--config", str(self.home / "conf")])
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 0
        took = time.monotonic() - started
        out.seek(0)
        return code, out.read() + err.getvalue(), took

    def _judge(self, name: str, code: int, said: str, took: float) -> str:
        if found := _TESTIFIES.search(said):
            return next(line for line in said.split("\n") if found[0] in line).strip()[:160]
        if code == 70:
            return "exit code 70"
        if took > SLOW:
            return f"takes more than {SLOW:g} s"
        if CANARY in said:
            return "quotes a value"
        if code and name in _MUST_SAY and "error" not in said:
            return f"exit code {code} without an error"
        dest = {path.name: path.read_text() for path in (self.home / "dst").glob("[!.]*")}
        if any(dest.get(key) != value for key, value in _VALUES.items()):
            return "a copy is lost"
        return ""

    def close(self) -> None:
        """Remove the directory."""
        self._directory.cleanup()
