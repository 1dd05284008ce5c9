"""Disks without room for the ledger: a file system of its own that is filled up, or files that may not grow."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from random import Random

_PAGE = 4096


@contextlib.contextmanager
def small_disk(directory: Path) -> Iterator[bool]:
    """Mount a file system in memory there; gives whether that is allowed. It is gone afterwards."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=96m,mode=700", "tmpfs", str(directory)]
    mounted = subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(directory)], check=True)


@contextlib.contextmanager
def filled(directory: Path, random: Random) -> Iterator[None]:
    """Leave a few pages of room on the file system of a directory."""
    about = os.statvfs(directory)
    size = about.f_bavail * about.f_bsize - _PAGE * random.randint(0, 60)
    ballast = directory / "ballast"
    try:
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(max(0, size)))
        yield
    finally:
        ballast.unlink(missing_ok=True)


def small_files(ledger: Path, random: Random) -> Callable[[], None]:
    """For a process that is about to start: none of its files may grow beyond a size near that of the ledger."""
    size = ledger.stat().st_size if ledger.exists() else 0
    most = random.choice(
        (_PAGE * random.randint(1, 40), size + _PAGE * random.randint(0, 8), random.randint(1, 200_000))
    )
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
