"""The directory that a ledger and its key stand in: ours alone, and invisible to git, since the key is a secret."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY = ".secretsync"
"""Its name, beside the documents."""

LEDGER = "ledger.db"
"""The ledger's file in it, unless a URL names another place."""

_IGNORE = ".gitignore"
_NOT_OURS_TO_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS)


def make(directory: Path, *, parents: bool = True) -> None:
    """Make a directory (0700) that git leaves alone. One that is there already is somebody's, and stays as it is.

    Raises OSError.
    """
    try:
        directory.mkdir(mode=0o700, parents=parents)
    except FileExistsError:
        if not directory.is_dir():
            raise
    else:
        _hide(directory)


def make_for_key(directory: Path, *, parents: bool = True) -> None:
    """The same; and where it is there already, let git leave it alone from now on. Raises OSError.

    A directory that may not be written keeps what it has: no key is made there either.
    """
    make(directory, parents=parents)
    try:
        _hide(directory)
    except OSError as error:
        if error.errno not in _NOT_OURS_TO_WRITE:
            raise


def _hide(directory: Path) -> None:
    with suppress(FileExistsError):
        handle = os.open(directory / _IGNORE, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write("*\n")
