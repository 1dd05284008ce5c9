"""One writer at a time in a folder, among all that ask: a lock on the folder itself, so that nothing is left of it.

The kernel gives it back when the process dies. It keeps out nobody who does not ask for it, such as an editor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from typing import TYPE_CHECKING

from secretsync_core.errors import StoreUnavailable
from secretsync_core.stores.directory.folders import LIST

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # no Unix: the lock of this process has to do
    fcntl = None  # type: ignore[assignment]

LONGEST_SECONDS = 30.0
"""How long another writer is waited for: one that lives writes a small file meanwhile."""

_PAUSE_SECONDS = 0.005
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


class FolderLocks:
    """The locks of one store. All of it blocks."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._ours = threading.Lock()  # for file systems that lock no folders

    @contextlib.contextmanager
    def hold(self, folder: int) -> Iterator[None]:
        """Hold the lock of an open folder. Raises StoreUnavailable where somebody has it for too long."""
        descriptor = os.open(".", LIST, dir_fd=folder)
        try:
            if self._locked(descriptor):
                yield
            else:
                with self._ours:
                    yield
        finally:
            os.close(descriptor)

    def _locked(self, descriptor: int) -> bool:
        """Whether the lock is ours now; not where there are no locks."""
        if fcntl is None:
            return False
        until = time.monotonic() + LONGEST_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _HELD:
                    return False
            else:
                return True
            if time.monotonic() > until:
                raise StoreUnavailable(
                    "another process holds the lock of a folder and does not give it back", store=self._store
                )
            time.sleep(_PAUSE_SECONDS)
