"""Finding what writers left that were killed, and removing it where they are known to be dead."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import stat
import time
from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError
from secretsync_core.model.leftovers import Leftovers
from secretsync_core.stores.directory.folders import LIST, sync
from secretsync_core.stores.directory.names import TEMPORARY, why_closed
from secretsync_core.stores.directory.temporary import Writer, look_at_writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.stores.directory.folders import Folders

MAX_SEEN = 200_000
"""So many files and folders of a store are looked at; folders written to come besides."""

MAX_SECONDS = 2.0
"""And for so long, for a disk may be slow. Each run begins with other folders, so in time all of them are looked at."""


class Sweeping:
    """Looks through the folders of one store. All of it blocks, and none of it raises: no write waits for it."""

    def __init__(self, folders: Folders, *, deep: bool = True) -> None:
        """``deep``: what is below the root in folders is the store's as well."""
        self._folders = folders
        self._deep = deep
        self._swept: set[tuple[int, int]] = set()  # folders already rid of dead temporary files

    def whole(self, *, remove: bool) -> Leftovers:
        """Look through everything below the root; with ``remove``, take away what dead writers left.

        A folder of ours in which there is nothing else goes too, as after the delete of its last secret.
        """
        found = Leftovers()
        pending: list[tuple[str, ...]] = [()]
        seen, until = 0, time.monotonic() + MAX_SECONDS
        while pending and seen < MAX_SEEN and time.monotonic() < until:
            folders = pending.pop()
            # What cannot be looked into is told by the listing that has to.
            with contextlib.suppress(OSError, StoreError):
                with self._folders.open(folders) as folder:
                    if remove:
                        self._swept.add(_identity(folder))
                    inner, temporary, looked = _entries(folder, MAX_SEEN - seen)
                    seen += looked + 1
                    random.shuffle(inner)
                    pending += [(*folders, name) for name in inner if self._deep]
                    removed = _weigh(folder, temporary, folders, found, remove=remove)
                    ours = _is_ours(folder)
                if removed and ours:
                    self.prune(folders)
        return found

    def folder(self, folder: int) -> None:
        """Remove what dead writers left in an open folder. Once a folder: looking takes time in proportion to it."""
        # Best effort: a folder that we may write but not read is no reason to fail the write.
        with contextlib.suppress(OSError):
            identity = _identity(folder)
            if identity not in self._swept:
                self._swept.add(identity)
                _, temporary, _ = _entries(folder, MAX_SEEN)
                _weigh(folder, temporary, (), Leftovers(), remove=True)

    def prune(self, folders: Sequence[str]) -> None:
        """Remove the folders that are empty now, from the innermost out, never the root."""
        # What was in them is gone already; a folder that must stay, for whatever reason, stays.
        with contextlib.suppress(OSError, StoreError):
            for depth in range(len(folders), 0, -1):
                with self._folders.open(folders[: depth - 1]) as parent:
                    os.rmdir(folders[depth - 1], dir_fd=parent)
                    sync(parent)


def _identity(folder: int) -> tuple[int, int]:
    info = os.fstat(folder)
    return info.st_dev, info.st_ino


def _is_ours(folder: int) -> bool:
    """Whether a folder looks as those do that we make; one that somebody has set up otherwise may be wanted empty."""
    info = os.fstat(folder)
    return info.st_uid == os.geteuid() and stat.S_IMODE(info.st_mode) == 0o700


def _entries(folder: int, most: int) -> tuple[list[str], list[str], int]:
    """The folders in an open folder, and what is called as our temporary files are; of so many entries, at most."""
    inner: list[str] = []
    temporary: list[str] = []
    seen = 0
    readable = os.open(".", LIST, dir_fd=folder)
    try:
        with os.scandir(readable) as entries:
            for entry in itertools.islice(entries, most):
                seen += 1
                if entry.name.startswith(TEMPORARY):
                    temporary.append(entry.name)
                elif entry.is_dir(follow_symlinks=False) and not why_closed(entry.name):
                    inner.append(entry.name)
    finally:
        os.close(readable)
    return inner, temporary, seen


def _weigh(folder: int, names: Sequence[str], folders: Sequence[str], found: Leftovers, *, remove: bool) -> bool:
    """Tell of each file whether its writer is dead, and remove it then; gives whether any was removed."""
    shown = os.fsencode("/".join(folders)).decode(errors="replace")
    removed = False
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # it was given its last name, or removed
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(info.st_mode):
                continue
            gone = remove
            try:
                writer = look_at_writer(folder, name, info, remove=remove)
            except FileNotFoundError:
                raise
            except OSError:
                writer, gone = _without_removing(folder, name, info), False
            if writer is Writer.DEAD:
                (found.removed if gone else found.dead)[shown] += 1
                removed = removed or gone
            elif writer is Writer.DOUBTFUL:
                found.doubtful[shown] += 1
    if removed:
        with contextlib.suppress(OSError):
            sync(folder)
    return removed


def _without_removing(folder: int, name: str, info: os.stat_result) -> Writer:
    """What is known of the writer of a file that we may not remove, or not even read."""
    try:
        return look_at_writer(folder, name, info)
    except FileNotFoundError:
        raise
    except OSError:
        return Writer.DOUBTFUL
