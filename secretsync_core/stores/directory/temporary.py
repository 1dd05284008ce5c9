"""Files that are being written, and how others tell whether their writer still lives.

A file has no name until it is whole, where the file system knows such files: whatever kills its writer then leaves
nothing. Only the moment between its first name and the one that it is to replace is left. Elsewhere (NFS, FUSE, macOS)
it has a name of ours from the beginning.

A writer holds a lock (``flock``) on its file from before there is anything in it until it has its last name. The kernel
gives the lock back when the process dies, however it dies, and tells other containers and, over NFS version 4, other
machines. A process id tells only those that share its namespace.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.stores.directory.names import TemporaryName

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # no Unix: names alone have to do
    fcntl = None  # type: ignore[assignment]

OTHER_KERNEL_AGE = 900
"""Seconds after which a free lock counts that was taken under another kernel: a mount may keep locks to itself."""

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL)
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_NAMES = 20  # how often a new name is tried, where somebody looks at each new file at once


class CannotLink(Exception):
    """A file without a name cannot be given one here."""


class Unfinished:
    """A file that is being written: in ``folder``, open as ``descriptor``. ``name`` is empty until it has one."""

    def __init__(self, folder: int, descriptor: int, name: str) -> None:
        self.folder = folder
        self.descriptor = descriptor
        self.name = name

    def replace(self, name: str) -> None:
        """Give it a name in one step, in place of whatever file has it. Raises CannotLink."""
        if not self.name:
            temporary = TemporaryName.new()
            self._link(temporary)
            self.name = temporary
        os.rename(self.name, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        self.name = ""

    def create(self, name: str) -> None:
        """Give it a name that nothing has. Raises FileExistsError where something has it, and CannotLink."""
        if not self.name:
            self._link(name)
            return
        try:
            os.link(self.name, name, src_dir_fd=self.folder, dst_dir_fd=self.folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A file system without hard links: look, and leave a moment in which somebody may come.
            with contextlib.suppress(FileNotFoundError):
                os.stat(name, dir_fd=self.folder, follow_symlinks=False)
                raise FileExistsError(errno.EEXIST, "") from None
            os.rename(self.name, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        else:
            with contextlib.suppress(FileNotFoundError):  # somebody who cannot see our lock has swept it
                os.unlink(self.name, dir_fd=self.folder)
        self.name = ""

    def _link(self, name: str) -> None:
        try:
            os.link(f"/proc/self/fd/{self.descriptor}", name, dst_dir_fd=self.folder, follow_symlinks=True)
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise CannotLink from None
            raise


@contextlib.contextmanager
def unfinished(folder: int, *, nameless: bool) -> Iterator[Unfinished]:
    """A new, empty file in an open folder, for us alone; at the end it is gone unless it was given its name."""
    descriptor = _open_nameless(folder) if nameless else None
    made = Unfinished(folder, *_open_named(folder)) if descriptor is None else Unfinished(folder, descriptor, "")
    try:
        os.fchmod(made.descriptor, 0o600)
        yield made
    finally:
        if made.name:
            with contextlib.suppress(OSError):
                os.unlink(made.name, dir_fd=folder)
        os.close(made.descriptor)  # and with it goes the lock


def _open_nameless(folder: int) -> int | None:
    """Open a file that has no name; ``None`` where there is no such thing, or it could never have one."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None:
        return None
    try:
        descriptor = os.open(".", flag | os.O_RDWR, 0o600, dir_fd=folder)
    except OSError:  # whatever it is, a file with a name has it too; and the error that fits
        return None
    # Without /proc there is no way to name it; and nobody finds it, so nobody else holds its lock.
    if _lock(descriptor, exclusive=True) is not Lock.HELD and Path(f"/proc/self/fd/{descriptor}").exists():
        return descriptor
    os.close(descriptor)
    return None


def _open_named(folder: int) -> tuple[int, str]:
    for _ in range(_NAMES):
        name = TemporaryName.new()
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        # Whoever sweeps may have come in between, and found a file that nobody holds.
        if _lock(descriptor, exclusive=True) is not Lock.HELD and _is_there(folder, name, os.fstat(descriptor)):
            return descriptor, name
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        os.close(descriptor)
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class Lock(Enum):
    """What trying to lock a file gave."""

    OURS = "ours"
    HELD = "held"
    UNKNOWN = "unknown"  # there are no locks here


class Writer(Enum):
    """What is known of who writes a temporary file."""

    LIVES = "lives"
    DEAD = "dead"
    DOUBTFUL = "doubtful"  # or the file is not even known to be ours


def _lock(descriptor: int, *, exclusive: bool) -> Lock:
    if fcntl is None:
        return Lock.UNKNOWN
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return Lock.HELD if error.errno in _HELD else Lock.UNKNOWN
    return Lock.OURS


def _is_there(folder: int, name: str, info: os.stat_result) -> bool:
    """Whether a name still is this very file's."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (info.st_dev, info.st_ino)


def look_at_writer(folder: int, name: str, info: os.stat_result, *, remove: bool = False) -> Writer:
    """What is known of the writer of a temporary file; with ``remove`` a dead one's file is unlinked, while locked.

    To remove the file of a writer that lives after all loses nothing: it finds its file gone, and writes another one.
    Raises OSError.
    """
    made = TemporaryName.read(name)
    if made is None or info.st_uid != os.geteuid():
        return Writer.DOUBTFUL
    if not made.kernel:  # made by a version that took no locks
        found = _by_process(made, info)
        if found is Writer.DEAD and remove:
            os.unlink(name, dir_fd=folder)
        return found
    # Looked at before: opening a pipe waits. And a shared lock, which NFS gives to who may only read.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode) or (opened.st_dev, opened.st_ino) != (info.st_dev, info.st_ino):
            return Writer.DOUBTFUL
        found = _by_lock(_lock(descriptor, exclusive=False), made, info)
        if found is Writer.DEAD and remove and _is_there(folder, name, opened):
            os.unlink(name, dir_fd=folder)
        return found
    finally:
        os.close(descriptor)


def _by_lock(lock: Lock, made: TemporaryName, info: os.stat_result) -> Writer:
    if lock is Lock.HELD:
        return Writer.LIVES
    if lock is Lock.UNKNOWN:
        return _by_process(made, info)
    if made.kernel == TemporaryName.this_kernel() or time.time() - info.st_mtime > OTHER_KERNEL_AGE:
        return Writer.DEAD
    return Writer.DOUBTFUL


def _by_process(made: TemporaryName, info: os.stat_result) -> Writer:
    if made.is_dead(info.st_mtime):
        return Writer.DEAD
    return Writer.LIVES if made.machine == TemporaryName.this_machine() else Writer.DOUBTFUL
