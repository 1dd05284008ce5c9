"""Writing whole files, so that there is the old one or the new one whenever the machine stops, and removing them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from secretsync_core.errors import Conflict, SecretFails, SecretNotFound
from secretsync_core.stores.directory.folders import WALKS, sync
from secretsync_core.stores.directory.sweeping import Sweeping
from secretsync_core.stores.directory.temporary import CannotLink, unfinished
from secretsync_core.stores.directory.versions import Clock, token_of

if TYPE_CHECKING:
    from secretsync_core.stores.directory.folders import Folders


class Writing:
    """The writing half of one store. All of it blocks, and each call is whole in itself."""

    def __init__(self, folders: Folders, *, deep: bool = True) -> None:
        """``deep``: what is below the root in folders is the store's as well."""
        self._folders = folders
        self.sweeping = Sweeping(folders, deep=deep)
        self._named: set[int] = set()  # devices on which a file must have a name from the beginning

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
                        return self.replace(key, name, folder, data, only_new=only_new)
                except FileNotFoundError:  # a delete found the folder empty and removed it before our file was in it
                    continue
                except FileExistsError:
                    if not only_new:
                        raise
                    raise Conflict(f"{key} exists already", store=self._folders.store, key=key) from None
        raise SecretFails(f"the folder of {key} keeps being removed", store=self._folders.store, key=key)

    def check(self, key: str) -> None:
        """Raise what keeps a file from being there: what stands at its name, or at that of one of its folders.

        That the folders, and the root itself, are not there is no reason: a write makes them.
        """
        *folders, name = self._folders.segments(key)
        if not os.path.lexists(self._folders.root):
            return
        with self._folders.errors(key), contextlib.suppress(FileNotFoundError), self._folders.open(folders) as folder:
            self._folders.refuse_special(key, os.stat(name, dir_fd=folder, follow_symlinks=False))

    def replace(self, key: str, name: str, folder: int, data: bytes, *, only_new: bool) -> str:
        """Put a file in place in an open folder; gives its version token. Raises OSError besides."""
        previous = 0
        with contextlib.suppress(FileNotFoundError):
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            self._folders.refuse_special(key, info)
            previous = info.st_mtime_ns
        self.sweeping.folder(folder)
        moment = Clock.after(previous)
        device = os.fstat(folder).st_dev
        try:
            nameless = device not in self._named
            token = _put_whole(name, folder, data, moment, only_new=only_new, nameless=nameless)
        except CannotLink:
            self._named.add(device)
            token = _put_whole(name, folder, data, moment, only_new=only_new, nameless=False)
        sync(folder)
        return token

    def delete(self, key: str, expected: str | None = None, *, prune: bool = True) -> None:
        """Remove a file, and the folders above it that are empty then, unless ``prune`` is false.

        With ``expected`` it is looked at in the same breath: raises Conflict where its token is another one.
        """
        *folders, name = self._folders.segments(key)
        with contextlib.suppress(SecretNotFound), self._folders.errors(key, absent=True):
            with self._folders.open(folders) as folder:
                info = os.stat(name, dir_fd=folder, follow_symlinks=False)
                self._folders.refuse_special(key, info)
                if expected is not None and token_of(info) != expected:
                    raise Conflict(f"{key} changed meanwhile", store=self._folders.store, key=key)
                os.unlink(name, dir_fd=folder)
                self.sweeping.folder(folder)  # or the folder would stay for what a dead writer left
                sync(folder)
            if prune:
                self.sweeping.prune(folders)


def _put_whole(name: str, folder: int, data: bytes, moment: int, *, only_new: bool, nameless: bool) -> str:
    """Put a file in place in one step, durable before it has its name; gives its version token."""
    with unfinished(folder, nameless=nameless) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file.descriptor, rest) :]
        os.utime(file.descriptor, ns=(moment, moment))
        os.fsync(file.descriptor)
        written = os.fstat(file.descriptor)
        if only_new:
            file.create(name)
        else:
            file.replace(name)
    return token_of(written)
