"""The documents as their files are now, which may be others than those that were loaded."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from secretsync_core.errors import UsageError
from secretsync_core.schema.files import find, look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from secretsync_core.errors import Problem
    from secretsync_core.schema.documents import Documents

    Read: TypeAlias = Callable[[], tuple[Documents, tuple[Problem, ...]]]
    _Signature: TypeAlias = tuple[tuple[str, int, int, int, int], ...]


class OnDisk:
    """Reads documents again where a file of theirs or of the policy has changed, and only then: a look is cheap."""

    def __init__(self, paths: Sequence[Path], read: Read, policy: Path | None = None) -> None:
        """``read`` reads them, and gives what is whole and what is wrong; ``policy`` is where the policy is."""
        self._paths = [*paths, *([policy] if policy is not None else [])]
        self._read = read
        self._lock = threading.Lock()  # sensors of one code server are evaluated in several threads
        self._loaded = self._seen = self._signature()
        self._found: tuple[Documents, tuple[Problem, ...]] | None = None

    def changed(self) -> tuple[Documents, tuple[Problem, ...]] | None:
        """What is whole now, and all problems; None where the files are as they were when they were loaded.

        Raises UsageError where a path is gone.
        """
        with self._lock:
            now = self._signature()
            if now == self._loaded:
                return None
            if self._found is None or now != self._seen:
                self._found, self._seen = self._read(), now
            return self._found

    def _signature(self) -> _Signature:
        found = []
        for path in self._paths:
            for file in self._files(path):
                facts = look_at(file)
                if facts is not None:
                    found.append((str(file), facts.st_ctime_ns, facts.st_mtime_ns, facts.st_size, facts.st_ino))
        return tuple(found)

    @staticmethod
    def _files(path: Path) -> list[Path]:
        try:
            return find(path)[0]
        except UsageError:  # it is gone: reading it will say so
            return []
