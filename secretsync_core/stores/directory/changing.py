"""Changing a part of a file: what is there is read, and what is made of it takes its place, with nobody in between.

Whoever changes files by this module takes turns. Of anybody else's change, what was there when the file was read is
seen; an editor that saves in the moment between that and the rename is not.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from secretsync_core.errors import Conflict, SecretFails, SecretNotFound
from secretsync_core.stores.directory.folders import WALKS
from secretsync_core.stores.directory.locking import FolderLocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.stores.directory.folders import Folders
    from secretsync_core.stores.directory.reading import Reading
    from secretsync_core.stores.directory.writing import Writing


ANY = object()
"""Whatever is there may be replaced."""


def check_token(store: str, key: str, token: str | None, expected: object) -> None:
    """Raise Conflict where a secret's token is not ``expected`` (``None``: there is to be none)."""
    if expected is not ANY and token != expected:
        what = "exists already" if expected is None else "changed since it was looked at"
        raise Conflict(f"{key} {what}", store=store, key=key)


class Changing:
    """The changes of one store's files. All of it blocks, and each call is whole in itself."""

    def __init__(self, folders: Folders, reading: Reading, writing: Writing) -> None:
        self._folders = folders
        self._reading = reading
        self._writing = writing
        self._locks = FolderLocks(folders.store)

    def change(self, path: str, make: Callable[[bytes | None, str | None], bytes]) -> str:
        """Put in a file's place what ``make`` makes of its content and its version token; gives the new token.

        Both are None where there is no such file yet. The folders are made that it needs. What ``make`` raises leaves
        everything as it was. Raises Conflict where the file is another one by the time it would be replaced.
        """
        *folders, name = self._folders.segments(path)
        with self._folders.errors(path):
            for _ in range(WALKS):
                # A delete may find the folder empty and remove it before our file is in it.
                with (
                    contextlib.suppress(FileNotFoundError),
                    self._folders.open(folders, create=True) as folder,
                    self._locks.hold(folder),
                ):
                    return self._change(path, name, folder, make)
        raise SecretFails(f"the folder of {path} keeps being removed", store=self._folders.store, key=path)

    def _change(self, path: str, name: str, folder: int, make: Callable[[bytes | None, str | None], bytes]) -> str:
        before = self._seen(path, name, folder)
        data = make(*before)
        if self._seen(path, name, folder)[1] != before[1]:
            raise Conflict(f"{path} changed meanwhile", store=self._folders.store, key=path)
        try:
            return self._writing.replace(path, name, folder, data, only_new=before[1] is None)
        except FileExistsError:
            raise Conflict(f"{path} exists already", store=self._folders.store, key=path) from None

    def _seen(self, path: str, name: str, folder: int) -> tuple[bytes, str] | tuple[None, None]:
        try:
            return self._reading.within(folder, name, path)
        except FileNotFoundError:
            return None, None

    def remove(self, path: str, expected: str | None = None, check: Callable[[bytes], object] | None = None) -> None:
        """Remove a file, and the folders above it that are empty then.

        Raises Conflict where its token is not ``expected``, if one is, and what ``check`` raises of its content.
        """
        *folders, name = self._folders.segments(path)
        with contextlib.suppress(SecretNotFound), self._folders.errors(path, absent=True):
            with self._folders.open(folders) as folder, self._locks.hold(folder):
                if check is not None:
                    data, expected = self._reading.within(folder, name, path)
                    check(data)
                self._writing.delete(path, expected, prune=False)
            self._writing.sweeping.prune(folders)
