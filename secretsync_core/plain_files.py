"""Reads files that a document, the environment or another file names, and none that could keep a run waiting.

Whoever opens a pipe on disk waits for somebody to write into it, for ever; a device may never end; and what is far
larger than it should be is a wrong path. Of a pipe that this process was handed over, as a shell does for
``<(command)``, what comes is taken, as long as something comes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_PEM = 2**20
"""The most bytes that a file of certificates may have: those of a whole system are a quarter of it."""

_HANDED_OVER = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
_PATIENCE_SECONDS = 10.0


class UnfitFileError(Exception):
    """What stands where a file should is none that is read. ``what`` goes on after its name: ``is a device``."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def content_of(path: str | Path, most: int, forbids: Callable[[int], None] = lambda _: None) -> bytes:
    """What is in a file. ``forbids`` is called with its descriptor before anything is read, and may raise.

    Raises UnfitFileError for what is none, or larger than ``most`` bytes, TimeoutError where a pipe stays silent, and
    OSError.
    """
    with _opened(path) as descriptor:
        forbids(descriptor)
        if what := _kind(str(path), os.fstat(descriptor).st_mode):
            raise UnfitFileError(f"is {what}, not a file")
        content = _content(descriptor, most)
    if len(content) > most:
        raise UnfitFileError(f"is larger than {most // 1024} KiB")
    return content


def fault_of(path: str | Path, most: int) -> str:
    """Why a file must not be given to a library that reads it whole, however long that takes: ``is a device, …``.

    Empty where it may be, also where nothing is there: whoever reads it says that.
    """
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return ""
    if what := _kind(str(path), found.st_mode):
        return f"is {what}, not a file"
    return f"is larger than {most // 1024} KiB" if stat.S_ISREG(found.st_mode) and found.st_size > most else ""


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[int]:
    """A file's descriptor. Opening a pipe on disk in the usual way would wait for a writer, for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError:  # there is a NUL in it, which no name has
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _kind(path: str, mode: int) -> str:
    """What stands where a file should; empty for a file, and for a pipe that this process was started with."""
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a named pipe" if stat.S_ISFIFO(mode) and not path.startswith(_HANDED_OVER) else ""


def _content(descriptor: int, most: int) -> bytes:
    """What is in a file, or comes out of a pipe until it ends; one byte more than ``most`` at most.

    Raises TimeoutError where nothing comes for long.
    """
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    content = bytearray()
    while len(content) <= most:
        if not waiting.poll(_PATIENCE_SECONDS * 1000):
            raise TimeoutError(errno.ETIMEDOUT, "nothing comes out of the pipe")
        part = os.read(descriptor, most + 1 - len(content))
        if not part:
            break
        content += part
    return bytes(content)
