"""Runs the command line in processes forked from one that has imported it: ``python warm_cli.py SOCKET``.

Each command is a process of its own, with its own directory, environment and streams, as the installed program is. Just
the start of Python and the imports, which take most of a short command's time, are done once for all of them. What is
about the start itself is tested with the program as it is.
"""

from __future__ import annotations

import gc
import os
import pickle
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LENGTH = struct.Struct("!I")


class WarmCli:
    """The process that has imported the command line, and the way to ask it for one command after the other."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """``environ``: what decides on how Python starts (``PYTHONPATH``, the locale)."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                env=dict(environ), pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self._socket = ours

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: BinaryIO,
        stdout: BinaryIO,
        stderr: BinaryIO,
    ) -> int:
        """Run a command to its end; gives the exit code, or the negative number of the signal that ended it."""
        request = pickle.dumps((list(arguments), str(cwd), dict(env)))
        files = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
        socket.send_fds(self._socket, [_LENGTH.pack(len(request))], files)
        self._socket.sendall(request)
        (code,) = struct.unpack("!i", _receive(self._socket, 4))
        return int(code)

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait(30)


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _import_all() -> None:
    """What every command needs, and the commands."""
    import importlib

    import secretsync_core.cli.commands as commands

    for path in sorted(Path(commands.__file__).parent.glob("*.py")):
        importlib.import_module(f"{commands.__name__}.{path.stem}")
    for name in ("rich.console", "secretsync_core.stores.file", "secretsync_core.audit.sqlite", "uvloop"):
        importlib.import_module(name)


def _serve(connection: socket.socket) -> list[str]:
    """Fork for each request. Returns in the new process alone, with its arguments; the server itself ends here."""
    while True:
        head, files, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
        if not head:
            os._exit(0)
        head += _receive(connection, _LENGTH.size - len(head))
        request = _receive(connection, _LENGTH.unpack(head)[0])
        child = os.fork()
        if child:
            for file in files:
                os.close(file)
            connection.sendall(struct.pack("!i", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
            continue
        connection.close()
        arguments, directory, environ = pickle.loads(request)
        for target, file in enumerate(files):
            os.dup2(file, target)
            os.close(file)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environ)
        time.tzset()
        return list(arguments)


if __name__ == "__main__":
    _import_all()
    gc.freeze()
    sys.argv = ["secretsync", *_serve(socket.socket(fileno=int(sys.argv[1])))]
    from secretsync_core.cli.main import main

    try:
        main()
    except SystemExit as ended:
        # The streams are flushed by now; to take all apart that was imported would take longer than the command.
        os._exit(int(ended.code or 0))
