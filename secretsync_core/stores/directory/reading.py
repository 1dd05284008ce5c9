"""Reading files, and looking at them."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret, SecretFails, SecretNotFound, StoreError
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.directory.names import MAX_BYTES
from secretsync_core.stores.directory.versions import token_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.stores.directory.folders import Folders


class Reading:
    """The reading half of one store. All of it blocks, and each call is whole in itself."""

    def __init__(self, folders: Folders, max_bytes: int = MAX_BYTES) -> None:
        self._folders = folders
        self._max_bytes = max_bytes

    def read(self, key: str) -> Secret:
        """A file's bytes with its version. Raises SecretFails where it changes while it is read."""
        data, token = self.content(key)
        return Secret(SecretValue(data), token)

    def content(self, key: str) -> tuple[bytes, str]:
        """The same as it is."""
        *folders, name = self._folders.segments(key)
        with self._folders.errors(key, absent=True), self._folders.open(folders) as folder:
            return self.within(folder, name, key)

    def within(self, folder: int, name: str, key: str) -> tuple[bytes, str]:
        """The same of a file in an open folder. Raises OSError besides."""
        # Looked at before it is opened: opening a pipe waits, and opening a device may do things.
        self._folders.refuse_special(key, os.stat(name, dir_fd=folder, follow_symlinks=False))
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            self._folders.refuse_special(key, before)
            if before.st_size > self._max_bytes:
                raise InvalidSecret(
                    f"{key} has {before.st_size} bytes; more than {self._max_bytes} are not read",
                    store=self._folders.store,
                    key=key,
                )
            data = file.read(before.st_size + 1)
            after = os.fstat(descriptor)
        if token_of(before) != token_of(after) or len(data) != after.st_size:
            raise SecretFails(f"{key} changed while it was read", store=self._folders.store, key=key)
        return data, token_of(after)

    def stat(self, keys: Sequence[str]) -> list[Entry | Gap]:
        """An Entry for each of ``keys`` that is a file, and a Gap for one that is something else or out of reach."""
        found: list[Entry | Gap] = []
        with self._folders.errors(None), self._folders.open(()):  # nothing can be said at all without the root
            pass
        for parent, group in itertools.groupby(sorted(keys), key=lambda key: key.rpartition("/")[0]):
            found += self._stat_in(parent, list(group))
        return found

    def _stat_in(self, parent: str, keys: list[str]) -> Iterator[Entry | Gap]:
        try:
            folders = self._folders.segments(parent) if parent else []
            with self._folders.errors(parent or None, absent=True), self._folders.open(folders) as folder:
                for key in keys:
                    with contextlib.suppress(SecretNotFound):
                        yield self._stat_one(key, folder)
        except SecretNotFound:
            return
        except StoreError as error:
            for key in keys:
                yield Gap(key, error.code, error.message)

    def _stat_one(self, key: str, folder: int) -> Entry | Gap:
        try:
            with self._folders.errors(key, absent=True):
                info = os.stat(self._folders.segments(key)[-1], dir_fd=folder, follow_symlinks=False)
                self._folders.refuse_special(key, info)
        except SecretNotFound:
            raise
        except StoreError as error:
            return Gap(key, error.code, error.message)
        return Entry(key, token_of(info))
