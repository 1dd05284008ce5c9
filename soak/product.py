"""Runs the command line as users do, and searches all that it says and leaves behind for values and tracebacks."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soak.model import CANARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from soak.findings import Findings

PROGRAM = str(Path(sysconfig.get_path("scripts")) / "secretsync")
_LONGEST = 150.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. ``code`` is negative where a signal ended it."""

    code: int
    out: bytes
    err: bytes

    @property
    def said(self) -> str:
        """The end of what it said."""
        return (self.err[-500:] + self.out[-200:]).decode(errors="replace")

    def document(self) -> dict[str, Any]:
        """The JSON that it printed. Raises ValueError where that is none."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Product:
    """SecretSync, in a directory of its own: ``config``, ``files``, and an empty home, TMPDIR and working directory."""

    def __init__(self, directory: Path, token: str, findings: Findings, ledger: str = "") -> None:
        """``token``: of the source. ``ledger``: the URL of a database in place of the file beside the documents."""
        self.directory = directory
        self._token = token
        self._findings = findings
        for name in ("config", "files", "cwd", "tmp", "home"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(directory / "home"), "TMPDIR": str(directory / "tmp"),
            "SRC_TOKEN": token, "LANG": "C.UTF-8",
        }  # fmt: skip
        self._environ = self.environ | {"SECRETSYNC_CONFIG": str(directory / "config")}
        if ledger:
            self._environ["SECRETSYNC_LEDGER"] = ledger

    def start(self, *arguments: str, prepare: Callable[[], None] | None = None) -> subprocess.Popen[bytes]:
        """Start a command. ``prepare`` is called in its process first."""

        def prepared() -> None:
            # Who runs in the background may have been told to ignore it, and hands that on.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if prepare is not None:
                prepare()

        return subprocess.Popen(
            [PROGRAM, *arguments], env=self._environ, cwd=self.directory / "cwd", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=prepared, start_new_session=True,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[bytes], what: str, seconds: float = _LONGEST) -> Ended:
        """Wait until it ends, and look at what it said."""
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._findings.add("does not end", f"{what} still runs after {seconds:.0f} s")
            process.kill()
            out, err = process.communicate()
        self._search(out + err, what)
        return Ended(process.returncode, out, err)

    def run(self, *arguments: str) -> Ended:
        """Run a command to its end."""
        return self.finish(self.start(*arguments), " ".join(arguments))

    def _search(self, said: bytes, what: str) -> None:
        if CANARY.encode() in said or self._token.encode() in said:
            self._findings.add("a value or a token is printed", what)
        if b"Traceback (most recent" in said or b"internal error" in said:
            self._findings.add("traceback or internal error", f"{what}: {said[-1500:].decode(errors='replace')}")

    def search_files(self) -> None:
        """Search every file that is not a destination, and look for what was left lying about."""
        # In base64 too, as far as that does not depend on what stands before it.
        values = (CANARY.encode(), base64.b64encode(CANARY.encode())[:6], self._token.encode())
        for path in self.directory.rglob("*"):
            name = str(path.relative_to(self.directory))
            if name.startswith("files/") or name == "dst.pw" or not path.is_file():
                continue
            try:
                data = path.read_bytes()
            except OSError:  # gone meanwhile
                continue
            if any(value in data for value in values):
                self._findings.add("a value or a token is in a file", name)
        left = [*(self.directory / "cwd").iterdir()]
        if not (self.directory / "dagster").exists():  # whose programs keep files in TMPDIR while they run
            left += (self.directory / "tmp").iterdir()
        if left:
            self._findings.add("files are left in the working directory or TMPDIR", left[:5])
