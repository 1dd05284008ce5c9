"""Listing a folder, and what is below it."""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING

from secretsync_core.errors import InvalidSecret, SecretNotFound, StoreError
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.stores.directory.folders import LIST
from secretsync_core.stores.directory.names import is_temporary, why_closed
from secretsync_core.stores.directory.versions import kind_of, token_of
from secretsync_core.stores.fit import check_folder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from secretsync_core.selection import Selection
    from secretsync_core.stores.directory.folders import Folders

BATCH = 1000  # entries that one request of a listing or a look gives


class Listing:
    """The listings of one store. All of it blocks."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self.with_folders: set[str] = set()  # that a listing of them alone showed folders in

    def open(self, prefix: str) -> int | None:
        """Open the folder that a listing begins at; ``None`` where there is none."""
        check_folder(prefix, self._folders.store)
        folders = self._folders.segments(prefix[:-1]) if prefix else []
        try:
            with self._folders.errors(prefix or None, absent=True), self._folders.open(folders) as folder:
                return os.open(".", LIST, dir_fd=folder)
        except SecretNotFound:
            return None

    def walk(self, wanted: Selection, descriptor: int) -> Generator[Entry | Gap]:
        """Yield what is wanted below the open folder ``wanted.folder``, and close it.

        Raises nothing: what cannot be seen is a Gap. Folders of which ``wanted`` names all that it goes on in need not
        be readable, and are not read.
        """
        if not wanted.recursive:
            self.with_folders.discard(wanted.folder)
        pending = [wanted.folder]
        opened: int | None = descriptor
        while pending:
            folder = pending.pop()
            try:
                if opened is None and not wanted.needs_list(folder) and not wanted.named_keys(folder):
                    pending += wanted.named_folders(folder)
                    continue
                if opened is None:
                    opened = self.open(folder)
                if opened is None:  # removed since its parent was listed
                    continue
                # A folder that goes away meanwhile is gone; the root that does is a fault, never an empty store.
                with self._folders.errors(folder or None, absent=bool(folder)), os.scandir(opened) as entries:
                    for entry in entries:
                        yield from self._visit(folder, entry, wanted, pending)
            except SecretNotFound:
                continue
            except StoreError as error:
                yield Gap(folder, error.code, error.message)
            finally:
                if opened is not None:
                    os.close(opened)
                    opened = None

    def _visit(
        self, folder: str, entry: os.DirEntry[str], wanted: Selection, pending: list[str]
    ) -> Iterator[Entry | Gap]:
        key = folder + entry.name
        if why_closed(entry.name):
            return
        try:
            key.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(key).decode(errors="replace")
            if wanted.takes(shown) or wanted.enters(f"{shown}/"):
                # Whatever it is: what is below a folder of such a name has no key either.
                yield Gap(shown, InvalidSecret.code, f"the name of {shown} is not UTF-8", is_key=wanted.takes(shown))
            return
        try:
            if entry.is_dir(follow_symlinks=False) and not is_temporary(entry.name):
                if wanted.enters(f"{key}/"):
                    pending.append(f"{key}/")
                elif not wanted.recursive:
                    self.with_folders.add(folder)
                return
            takes = wanted.takes(key)
            if not (takes or wanted.enters(f"{key}/")):  # a link may stand where a folder was
                return
            info = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # removed since the folder was read
            return
        except OSError as error:
            failed = self._folders.failure(error, key)
            yield Gap(key, failed.code, failed.message, is_key=True)
            return
        kind = kind_of(info.st_mode)
        if kind:
            yield Gap(key, InvalidSecret.code, f"{key} is {kind}", is_key=takes)
        elif takes and not is_temporary(entry.name):
            yield Entry(key, token_of(info))


class Turns:
    """A walk that threads take turns at: the lock keeps its end from meeting a step that is still under way."""

    def __init__(self, walk: Generator[Entry | Gap], descriptor: int) -> None:
        self._walk = walk
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()

    def step(self) -> list[Entry | Gap]:
        """What comes next, at most ``BATCH`` of it; empty at the end."""
        with self._lock:
            self._descriptor = None  # the walk closes it from now on
            return list(itertools.islice(self._walk, BATCH))

    def close(self) -> None:
        """End the walk, whether it has begun or not."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            self._walk.close()
