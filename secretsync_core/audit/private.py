"""Who else may write the files that a ledger is made of: nobody, or they are not used.

Who may write the ledger may tell a sync what is in place, and who may write its key may forge the ledger. So each of
these files, and the directory that SQLite makes others in (``ledger.db-wal``), belongs to us or to root, and may be
written by nobody else. The directories above are not looked at: who swaps ours for another cannot make one of ours.
Who counts as others, :mod:`secretsync_core.trusted_files` says.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from secretsync_core.errors import LedgerError
from secretsync_core.ledger_address import BESIDE, UNSAID, name_of
from secretsync_core.trusted_files import is_others, is_volume, writable_by

if TYPE_CHECKING:
    from pathlib import Path

_NOBODY = 65534


def check_ledger(file: Path) -> None:
    """Raise LedgerError where others may write a ledger's file, what SQLite keeps beside it, or its directory."""
    there = file.resolve() if file.is_symlink() else file
    for directory in dict.fromkeys((file.parent, there.parent)):
        check_directory(directory)
    for suffix in BESIDE:
        part = there.with_name(there.name + suffix)
        if (found := _stat(part)) is not None:
            if not stat.S_ISREG(found.st_mode):  # to open a pipe is to wait until somebody writes into it
                raise LedgerError(
                    f"the ledger {name_of(part)} is not a regular file", hint="name a file, such as ledger.db"
                )
            _check(part, found, "the ledger's file")


def check_directory(directory: Path) -> None:
    """Raise LedgerError where others may write the directory of a ledger or of its key."""
    found = _stat(directory)
    if found is not None and not is_volume(directory, found):
        _check(directory, found, "the ledger's directory")


def check_key(path: Path, found: os.stat_result) -> None:
    """Raise LedgerError where others may write the file of a key; ``found`` is what was opened."""
    _check(path, found, "the key file")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None  # whoever opens it says what is wrong


def _check(path: Path, found: os.stat_result, what: str) -> None:
    name = name_of(path)
    shown = "PATH" if name == UNSAID else name
    if is_others(found):
        raise LedgerError(
            f"{what} {name} belongs to another user (uid {found.st_uid})",
            hint="its owner is nobody, as on an NFS server with root_squash: use a volume that keeps "
            "owners, or PostgreSQL for the ledger"
            if found.st_uid == _NOBODY
            else f"run as that user (in a container: `docker run --user {found.st_uid}`), or `chown {os.geteuid()} "
            f"{shown}` if nobody else can have changed it",
        )
    if bits := writable_by(found):
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        raise LedgerError(
            f"{what} {name} can be written by others (mode {stat.S_IMODE(found.st_mode):04o})",
            hint="put the ledger into a directory of its own with mode 0700"
            if sticky
            else f"`chmod {bits}-w {shown}`; `secretsync audit verify` then shows whether the ledger was changed",
        )
