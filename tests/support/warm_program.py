"""The program ``secretsync`` for a shell or a terminal: ``python -IS warm_program.py SOCKET PROGRAM ARGUMENT...``.

It has the warm command line (see ``warm_cli``) run the command with its own streams, and ends as the command ends.
Where that cannot be, for what is asked of Python itself or for a stream that is closed, it becomes ``PROGRAM``. It
imports next to nothing, because its start is all that it costs.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import sys


def main(path: str, program: str, arguments: list[str]) -> None:
    """Ask, wait, and end in the same way."""
    if not all(map(_is_open, range(3))):
        os.execv(program, [program, *arguments])
    umask = os.umask(0)
    os.umask(umask)
    request = marshal.dumps((arguments, os.getcwd(), dict(os.environ), umask))  # noqa: PTH109
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(path)
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
    connection.sendmsg([len(request).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    connection.sendall(request)
    child = _number(connection)
    if child == 0:
        os.execv(program, [program, *arguments])
    for signal in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(signal, lambda number, _: os.kill(child, number))
    code = _number(connection)
    if code < 0:
        if -code != _signal.SIGKILL:
            _signal.signal(-code, _signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _number(connection: _socket.socket) -> int:
    data = b""
    while len(data) < 4:
        part = connection.recv(4 - len(data))
        if not part:
            os._exit(99)  # the server is gone
        data += part
    return int.from_bytes(data, "big", signed=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
