"""Runs the command line in processes forked from one that has imported it: ``python warm_cli.py SOCKET``.

Each command is a process of its own, with its own directory, environment and streams, as the installed program is. Just
the start of Python and the imports, which take most of a short command's time, are done once for all of them. What is
about the start itself is tested with the program as it is.

``run`` asks for a command from within a test; ``warm_program.py``, which a shell or a terminal starts, asks in the
same way. Commands may run beside each other, as in a pipe.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = Path(__file__).with_name("warm_program.py")
_LENGTH = struct.Struct("!I")


def for_python(environ: Mapping[str, str]) -> dict[str, str]:
    """What decides on how Python itself starts. Empty is as good as absent."""
    return {name: text for name, text in environ.items() if text and name.startswith(("PYTHON", "LC_", "LANG"))}


class WarmCli:
    """The process that has imported the command line, and the way to ask it for one command after the other.

    Attributes:
        path: the socket it listens at.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """``environ``: what decides on how Python starts (``PYTHONPATH``, the locale)."""
        # Not in pytest's own directory: the path of a socket has room for about a hundred letters.
        self.path = str(Path(tempfile.mkdtemp(prefix="secretsync-tests-")) / "cli")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.path)
            listening.listen(16)
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", __file__, str(listening.fileno()), str(theirs.fileno())],
                    env=dict(environ), pass_fds=[listening.fileno(), theirs.fileno()], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
        self._held = ours

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
        request = marshal.dumps((list(arguments), str(cwd), dict(env), -1))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.path)
            files = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
            socket.send_fds(connection, [_LENGTH.pack(len(request))], files)
            connection.sendall(request)
            _, code = struct.unpack("!ii", _receive(connection, 8))
        return int(code)

    def close(self) -> None:
        """End the process, which takes its socket away."""
        self._held.close()
        self._process.wait(30)


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


_NEEDED = (
    "cli",
    "cli.commands",
    "expression",
    "audit",
    "model",
    "notify",
    "run",
    "schema",
    "stores",
    "stores.file",
    "stores.directory",
)
_HEAVY = {"secretsync_core.audit.migrations", "secretsync_core.audit.postgres"}  # few commands here need them
_OTHERS = ("encodings.utf_8_sig", "pydantic.type_adapter", "re2", "rich.console", "rich.progress", "uvloop")


def _import_all() -> None:
    """What the commands need, and the commands; of SDKs, none. The tree of commands is built once as well."""
    import importlib
    import pkgutil

    import typer.main

    for name in _NEEDED:
        package = importlib.import_module(f"secretsync_core.{name}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name not in _HEAVY:
                importlib.import_module(module.name)
    for name in _OTHERS:
        importlib.import_module(name)

    from secretsync_core.cli.main import app

    built = typer.main.get_command(app)
    typer.main.get_command = lambda typer_instance: built


def _serve(listening: socket.socket, held: socket.socket) -> list[str]:
    """Fork for each request. Returns in the new process alone, with its arguments; the server itself ends here."""
    ours = for_python(os.environ)
    running: dict[int, socket.socket] = {}
    ended, woken = socket.socketpair()  # a byte for each process that ends
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    while True:
        readable, _, _ = select.select([listening, held, ended], [], [])
        if held in readable:  # closed where the tests end, however they do
            path = Path(listening.getsockname())
            path.unlink()
            path.parent.rmdir()
            os._exit(0)
        if ended in readable:
            ended.recv(1000)
            for child in list(running):
                if (found := os.waitpid(child, os.WNOHANG))[0]:
                    with running.pop(child) as connection:
                        _answer(connection, os.waitstatus_to_exitcode(found[1]))
        if listening not in readable:
            continue
        connection = listening.accept()[0]
        request, files = _request(connection)
        # What is for Python can only be had by starting it: told as process 0.
        child = os.fork() if (possible := for_python(request[2]) == ours) else 0
        if possible and not child:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (listening, held, ended, woken, connection, *running.values()):
                each.close()
            return _become(request, files)
        for file in files:
            os.close(file)
        _answer(connection, child)
        if possible:
            running[child] = connection
        else:
            connection.close()


def _answer(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # whoever asked may be gone
        connection.sendall(struct.pack("!i", number))


def _request(connection: socket.socket) -> tuple[Any, list[int]]:
    head, files, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
    head += _receive(connection, _LENGTH.size - len(head))
    return marshal.loads(_receive(connection, _LENGTH.unpack(head)[0])), files


def _become(request: tuple[list[str], str, dict[str, str], int], files: list[int]) -> list[str]:
    """Take over a command's streams, directory, environment and umask; gives its arguments."""
    arguments, directory, environ, umask = request
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.chdir(directory)
    if umask >= 0:
        os.umask(umask)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    return arguments


if __name__ == "__main__":
    _import_all()
    gc.collect()
    gc.freeze()
    sockets = [socket.socket(fileno=int(number)) for number in sys.argv[1:]]
    sys.argv = ["secretsync", *_serve(*sockets)]
    from secretsync_core.cli.main import main

    try:
        main()
    except SystemExit as ended:
        # The streams are flushed by now; to take all apart that was imported would take longer than the command.
        os._exit(int(ended.code or 0))
