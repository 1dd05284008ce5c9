"""The stores of other packages that are installed here: the entry-point group ``secretsync.stores``."""

from __future__ import annotations

import functools
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

GROUP = "secretsync.stores"


def installed_plugins() -> tuple[EntryPoint, ...]:
    """The entry points of the group, by the packages that are installed now.

    To find them Python reads a file of each installed package, 50 ms where there are hundreds, and every SecretStore
    document asks. So they are kept for as long as nothing is installed or removed: a directory's time tells.
    """
    return _found(tuple((path, _changed(path)) for path in sys.path))


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=4)
def _found(_: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))
