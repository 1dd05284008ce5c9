"""stdout and stderr of the program: what is printed is written whole, or is known to be lost.

Python leaves both open: an unbuffered stdout (``PYTHONUNBUFFERED``) may write a part and say nothing, a full disk
raises wherever the buffer happens to be flushed, and a reader who left (``| head``) looks like a failure. Here a stream
never raises: it writes everything or drops the rest and remembers why, and ``finish`` makes that the exit code.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer


class WholeWriter(io.RawIOBase):
    """The raw end of a stream: ``write`` writes all of what it is given.

    Attributes:
        lost: nobody reads any more, or writing failed: what comes now is dropped.
        failure: why writing failed; None where it did not, and where a reader left, which is no failure.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.lost = False
        self.failure: OSError | None = None
        self._descriptor = descriptor

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The descriptor, which stays open when this object is closed."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether a terminal is at the other end."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of ``data``, or drop it where the stream is lost. Gives the length of ``data`` either way."""
        left = memoryview(data).cast("B")
        length = len(left)
        while left and not self.lost:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                # Whoever shares the pipe made it non-blocking (ssh and node do): wait for room.
                room = select.poll()
                room.register(self._descriptor, select.POLLOUT)
                room.poll()
            except BrokenPipeError:
                self.lost = True
            except OSError as error:
                self.lost, self.failure = True, error
        return length


def install() -> None:
    """Put a ``WholeWriter`` below ``sys.stdout`` and ``sys.stderr``; what the caller closed writes nowhere."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  open until the program ends
    sys.stdout = _whole(sys.stdout)
    sys.stderr = _whole(sys.stderr)


def _whole(stream: TextIO | None) -> TextIO:
    if stream is None:
        # Takes the lowest number that is free, so that no file that is opened later becomes stdout or stderr.
        raw = WholeWriter(os.open(os.devnull, os.O_WRONLY))
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    unbuffered = isinstance(stream, io.TextIOWrapper) and stream.write_through
    return io.TextIOWrapper(
        io.BufferedWriter(WholeWriter(stream.fileno())),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=unbuffered or stream.isatty() or stream is sys.stderr,
    )


def writer(stream: TextIO) -> WholeWriter | None:
    """What is below a stream; None where ``install`` was not called, as in tests within one process."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, WholeWriter) else None


def flush() -> OSError | None:
    """Bring everything to its reader. Gives why stdout could not be written; None where it could, or nobody reads."""
    for stream in (sys.stderr, sys.stdout):
        with contextlib.suppress(ValueError):  # closed
            stream.flush()
    below = writer(sys.stdout)
    return below.failure if below is not None else None
