"""Writing whole files, so that there is the old one or the new one whenever the machine stops, and removing them."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from secretsync_core.errors import Conflict, SecretNotFound, StoreError, StoreUnavailable
from secretsync_core.stores.file.folders import LIST, WALKS, sync
from secretsync_core.stores.file.names import TEMPORARY, TemporaryName
from secretsync_core.stores.file.versions import Clock, token_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.stores.file.folders import Folders


class Writing:
    """The writing half of one store. All of it blocks, and each call is whole in itself."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._swept: set[tuple[int, int]] = set()  # folders already rid of dead temporary files

    def write(self, key: str, data: bytes) -> str:
        """Create or replace a file, with the folders that it needs; gives its version token."""
        return self._put(key, data, only_new=False)

    def create(self, key: str, data: bytes) -> str:
        """The same, if there is no such file. Raises Conflict where there is."""
        return self._put(key, data, only_new=True)

    def _put(self, key: str, data: bytes, *, only_new: bool) -> str:
        *folders, name = self._folders.segments(key)
        with self._folders.errors(key):
            for _ in range(WALKS):
                try:
                    with self._folders.open(folders, create=True) as folder:
                        return self._replace(key, name, folder, data, only_new=only_new)
                except FileNotFoundError:  # a delete found the folder empty and removed it before our file was in it
                    continue
                except FileExistsError:
                    if not only_new:
                        raise
                    raise Conflict(f"{key} exists already", store=self._folders.store, key=key) from None
        raise StoreUnavailable(f"the folder of {key} keeps being removed", store=self._folders.store, key=key)

    def check(self, key: str) -> None:
        """Raise what keeps a file from being there: what stands at its name, or at that of one of its folders.

        That the folders, and the root itself, are not there is no reason: a write makes them.
        """
        *folders, name = self._folders.segments(key)
        if not os.path.lexists(self._folders.root):
            return
        with self._folders.errors(key), contextlib.suppress(FileNotFoundError), self._folders.open(folders) as folder:
            self._folders.refuse_special(key, os.stat(name, dir_fd=folder, follow_symlinks=False))

    def _replace(self, key: str, name: str, folder: int, data: bytes, *, only_new: bool) -> str:
        previous = 0
        with contextlib.suppress(FileNotFoundError):
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            self._folders.refuse_special(key, info)
            previous = info.st_mtime_ns
        self._sweep(folder)
        temporary = TemporaryName.new()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                os.fchmod(descriptor, 0o600)
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                moment = Clock.after(previous)
                os.utime(descriptor, ns=(moment, moment))
                os.fsync(descriptor)
                written = os.fstat(descriptor)
            if only_new:
                _move_to_new(temporary, name, folder)
            else:
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        sync(folder)
        return token_of(written)

    def _sweep(self, folder: int) -> None:
        """Remove what dead writers left in this folder. Once a folder: looking costs time in proportion to its size."""
        info = os.fstat(folder)
        identity = (info.st_dev, info.st_ino)
        if identity in self._swept:
            return
        self._swept.add(identity)
        # Best effort: a folder that we may write but not read is no reason to fail the write.
        with contextlib.suppress(OSError):
            readable = os.open(".", LIST, dir_fd=folder)
            try:
                with os.scandir(readable) as entries:
                    for entry in entries:
                        if entry.name.startswith(TEMPORARY) and TemporaryName.is_dead(
                            entry.name, entry.stat(follow_symlinks=False)
                        ):
                            os.unlink(entry.name, dir_fd=folder)
            finally:
                os.close(readable)

    def delete(self, key: str) -> None:
        """Remove a file, and the folders above it that are empty then."""
        *folders, name = self._folders.segments(key)
        with contextlib.suppress(SecretNotFound), self._folders.errors(key, absent=True):
            with self._folders.open(folders) as folder:
                self._folders.refuse_special(key, os.stat(name, dir_fd=folder, follow_symlinks=False))
                os.unlink(name, dir_fd=folder)
                sync(folder)
            self._prune(folders)

    def _prune(self, folders: Sequence[str]) -> None:
        """Remove the folders that are empty now, from the innermost out, never the root."""
        # The secret is gone already; a folder that must stay, for whatever reason, stays.
        with contextlib.suppress(OSError, StoreError):
            for depth in range(len(folders), 0, -1):
                with self._folders.open(folders[: depth - 1]) as parent:
                    os.rmdir(folders[depth - 1], dir_fd=parent)
                    sync(parent)


_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def _move_to_new(temporary: str, name: str, folder: int) -> None:
    """Give a file its name in one step. Raises FileExistsError where something has that name."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: look, and leave a moment in which somebody may come.
        with contextlib.suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, "") from None
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.unlink(temporary, dir_fd=folder)
