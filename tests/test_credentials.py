"""A credential is read from a file, and from nothing that could keep a command waiting for ever."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from secretsync_core import plain_files
from secretsync_core.credentials import MAX_BYTES, resolve
from secretsync_core.errors import StoreError
from secretsync_core.schema.base import Credential

if TYPE_CHECKING:
    from pathlib import Path


def _read(path: Path | str) -> str:
    return resolve(Credential(file=str(path)), {}, store="vault")


def test_a_pipe_on_disk_is_refused_at_once(tmp_path: Path) -> None:
    """Nobody writes into it, so that opening it as a file is opened would never return; so is a link to one."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(StoreError, match=f"{name} is a named pipe, not a file") as caught:
            _read(tmp_path / name)
        assert "name a regular file" in caught.value.hint


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(path: str) -> None:
    """A device holds no credential, and some never end."""
    with pytest.raises(StoreError, match=f"{path} is a device, not a file"):
        _read(path)


def test_a_pipe_that_a_shell_hands_over_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """``<(command)`` is /dev/fd/N: all of it is read, and one that stays silent is given up."""
    reader, writer = os.pipe()
    try:
        os.write(writer, b"the-token\n")
        monkeypatch.setattr(plain_files, "_PATIENCE_SECONDS", 0.01)
        with pytest.raises(StoreError, match="cannot be read: nothing comes out of the pipe"):
            _read(f"/dev/fd/{reader}")
        os.write(writer, b"the-token\n")
        os.close(writer)
        writer = -1
        assert _read(f"/dev/fd/{reader}") == "the-token"
    finally:
        for descriptor in (reader, writer):
            if descriptor >= 0:
                os.close(descriptor)


def test_a_large_file_and_a_folder(tmp_path: Path) -> None:
    """What is too large is not read whole; a folder is said to be one."""
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "right").write_bytes(b"x" * MAX_BYTES)
    with pytest.raises(StoreError, match="larger than 64 KiB"):
        _read(tmp_path / "large")
    assert len(_read(tmp_path / "right")) == MAX_BYTES
    with pytest.raises(StoreError, match="Is a directory"):
        _read(tmp_path)
