"""What a file is, and its version token: when it was changed, its inode and its size, never its content."""

from __future__ import annotations

import stat
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

_KINDS = (
    (stat.S_ISLNK, "a symbolic link, which is never followed"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Clock:
    """Modification times that never repeat in this process: the kernel's own stand still for milliseconds."""

    lock = threading.Lock()
    last = 0

    @classmethod
    def after(cls, previous: int) -> int:
        with cls.lock:
            cls.last = max(time.time_ns(), cls.last + 1, previous + 1)
            return cls.last


def token_of(info: os.stat_result) -> str:
    """The version token of a file: what stands before the ``@`` is for people."""
    try:
        shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(info.st_mtime_ns // 1_000_000_000))
    except (OverflowError, OSError, ValueError):  # a time that no calendar holds
        shown = str(info.st_mtime_ns)
    return f"{shown}@{info.st_mtime_ns}.{info.st_ino}.{info.st_size}"


def kind_of(mode: int) -> str:
    """What stands where a file is wanted; empty for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return next((text for test, text in _KINDS if test(mode)), "not a regular file")
