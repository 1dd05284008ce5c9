"""Who else may write the files that a ledger is made of: nobody, or they are not used.

Who may write the ledger may tell a sync what is in place, and who may write its key may forge the ledger. So each of
these files, and the directory that SQLite makes others in (``ledger.db-wal``), belongs to us or to root, and may be
written by nobody else. The directories above are not looked at: who swaps ours for another cannot make one of ours.

Two things look like others and are none: a group that is ours alone, as Linux gives each user one and Kubernetes a pod
(``fsGroup``), and the root of a mounted volume, which many provisioners make for everybody though only the pod sees it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from secretsync_core.audit.address import UNSAID, name_of
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from pathlib import Path

_GROUP, _OTHERS = stat.S_IWGRP, stat.S_IWOTH

BESIDE = ("", "-wal", "-shm", "-journal")
"""The names of the files that SQLite keeps a database in, by what follows the first."""


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
    if found is not None and not _is_volume(directory, found):
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
    if found.st_uid not in _trusted():
        raise LedgerError(
            f"{what} {name} belongs to another user (uid {found.st_uid})",
            hint=f"run as that user, or `chown {os.geteuid()} {shown}` where nobody else had it meanwhile",
        )
    group = found.st_mode & _GROUP and not _is_ours_alone(found.st_gid)
    if found.st_mode & _OTHERS or group:
        bits = "go-w" if found.st_mode & _OTHERS else "g-w"
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        raise LedgerError(
            f"{what} {name} can be written by others (mode {stat.S_IMODE(found.st_mode):04o})",
            hint="put the ledger into a directory of its own, of mode 0700"
            if sticky
            else f"`chmod {bits} {shown}`; `secretsync audit verify` then tells whether the ledger was changed",
        )


def _trusted() -> set[int]:
    """The users whose files these may be: us, root, and who has become root by sudo."""
    us = os.geteuid()
    before = os.environ.get("SUDO_UID", "")
    return {us, 0, *([int(before)] if us == 0 and before.isascii() and before.isdecimal() else [])}


def _is_volume(directory: Path, found: os.stat_result) -> bool:
    """Whether this is the root of a volume, as provisioners leave it: root's, and not shared as ``/tmp`` is."""
    return found.st_uid == 0 and not found.st_mode & stat.S_ISVTX and os.path.ismount(directory)


def _is_ours_alone(gid: int) -> bool:
    """Whether nobody but us is in a group, as far as the system tells: one without a name is a pod's."""
    if gid not in {os.getegid(), *os.getgroups()}:
        return False
    import grp
    import pwd

    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return True
    us = os.geteuid()
    try:
        user = pwd.getpwuid(us).pw_name
    except KeyError:
        user = ""
    named = set(group.gr_mem)
    if gid == 0:
        return named <= {user, "root"}
    return named <= {user} and (bool(named) or gid == us or group.gr_name == user)
