"""Whose a file is, and who else may write it: what a ledger, its key and the operator's policy are held to.

Two things look like others and are none: a group that is ours alone, as Linux gives each user one and Kubernetes a pod
(``fsGroup``), and the root of a mounted volume, which many provisioners make for everybody though only the pod sees it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def is_others(found: os.stat_result) -> bool:
    """Whether a file belongs to somebody who is neither us nor root."""
    return found.st_uid not in _trusted()


def writable_by(found: os.stat_result) -> str:
    """Who besides its owner may write a file, as ``chmod`` has it: ``go``, ``g``, or nobody."""
    if found.st_mode & stat.S_IWOTH:
        return "go"
    return "g" if found.st_mode & stat.S_IWGRP and not _is_ours_alone(found.st_gid) else ""


def _trusted() -> set[int]:
    """The users whose files these may be: us, root, and who has become root by sudo."""
    us = os.geteuid()
    before = os.environ.get("SUDO_UID", "")
    return {us, 0, *([int(before)] if us == 0 and before.isascii() and before.isdecimal() else [])}


def is_volume(directory: Path, found: os.stat_result) -> bool:
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
