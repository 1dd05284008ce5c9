"""Programs that give credentials, such as the exec plugin of a kubeconfig: each has an end, and so has what it says.

A library that waits for one waits for as long as it runs, and takes all that it prints. When nobody waits any more, it
would go on, one for each run. So one that is started here belongs to the call in whose thread it was started
(:mod:`~secretsync_core.stores.cutting`): cut, it is ended, with whatever it has started itself.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from typing import Any

from secretsync_core.stores.cutting import belongs

MOST_BYTES = 2**20
"""How much a program may print. A credential is a few kilobytes."""

_CHUNK = 64 * 1024


class Program(subprocess.Popen[bytes]):
    """``Popen`` for a program that prints a credential. Used as it is, by ``communicate``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As ``Popen``. One that does not get our terminal has a session of its own. Raises ConnectionAbortedError
        where the call that starts it is cut."""
        self._alone = options.get("stdin") is None
        if self._alone:
            options |= {"start_new_session": True, "stdin": subprocess.DEVNULL}
        super().__init__(*args, **options)
        try:
            belongs(self)
        except ConnectionAbortedError:
            self.cut()
            self.wait()
            raise

    def cut(self) -> None:
        """End it, and what it has started. From any thread."""
        with contextlib.suppress(OSError):
            if self._alone:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self.kill()

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002
        """What it prints, and says, until it ends. What prints more than ``MOST_BYTES`` is ended, and fails."""
        said: dict[Any, bytearray] = {
            stream: bytearray() for stream in (self.stdout, self.stderr) if stream is not None
        }
        try:
            with selectors.DefaultSelector() as ready:
                for stream in said:
                    ready.register(stream, selectors.EVENT_READ)
                while ready.get_map():
                    for key, _ in ready.select():
                        part = os.read(key.fd, _CHUNK)
                        if not part:
                            ready.unregister(key.fileobj)
                        said[key.fileobj] += part
                        if len(said[key.fileobj]) > MOST_BYTES:
                            self.cut()
                            self.wait()
                            self.returncode = self.returncode or -signal.SIGKILL
                            return b"", b""
        finally:
            for stream in said:
                stream.close()
        self.wait()
        return bytes(said.get(self.stdout, b"")), bytes(said.get(self.stderr, b""))
