"""Writes files whole or not at all, for their owner alone: they name every key."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING

from secretsync_core.errors import UsageError
from secretsync_core.schema.files import is_directory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def check_writable(file: Path) -> None:
    """Raise UsageError where :func:`replace_file` would fail: nothing is opened, written through a link or waited for.

    A link, a device, a pipe or a folder stands there, or the folder to write to is not there or not ours to write to.
    """
    folder = file.absolute().parent
    if not is_directory(folder):
        raise UsageError(
            f"{file} cannot be written: its folder is not there", hint="create the folder, or name another"
        )
    try:
        found = file.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    else:
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(
                f"{file} cannot be written: it is not a regular file", hint="name a file, not a link or a device"
            )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{file} cannot be written: no permission to write to its folder")


def replace_file(file: Path, lines: Iterable[bytes]) -> int:
    """Write ``lines`` to a file (0600) and make them durable, or leave what was there; gives how many there were.

    Raises UsageError as :func:`check_writable` does, and where writing fails.
    """
    check_writable(file)
    temporary = file.parent / f".{file.name}.{secrets.token_hex(4)}.part"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                count = 0
                for line in lines:
                    stream.write(line)
                    count += 1
                stream.flush()
                os.fsync(descriptor)
            temporary.replace(file)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    return count
