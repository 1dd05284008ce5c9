"""Files of which a part is changed: writers take turns, and what somebody else writes meanwhile is not lost."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import Conflict, InvalidSecret, StoreUnavailable
from secretsync_core.stores.directory import locking
from secretsync_core.stores.directory.changing import Changing
from secretsync_core.stores.directory.folders import Folders
from secretsync_core.stores.directory.reading import Reading
from secretsync_core.stores.directory.writing import Writing

if TYPE_CHECKING:
    from pathlib import Path


def changing(root: Path) -> Changing:
    folders = Folders(str(root), "files")
    return Changing(folders, Reading(folders), Writing(folders))


def test_changes_at_once_all_land(tmp_path: Path) -> None:
    """Sixteen writers with handles of their own each add a line to one file, and none is lost."""

    def add(number: int) -> None:
        changing(tmp_path).change("a/b", lambda data, _: (data or b"") + f"{number}\n".encode())

    threads = [threading.Thread(target=add, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, (tmp_path / "a" / "b").read_text().split())) == list(range(16))
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("known", [False, True])
def test_what_an_editor_saves_meanwhile_stays(tmp_path: Path, known: bool) -> None:
    """An editor takes no lock: what it saves before the file is replaced makes the change a conflict."""
    if known:
        (tmp_path / "a").write_text("before")

    def make(_: bytes | None, token: str | None) -> bytes:
        assert (token is not None) is known
        (tmp_path / "a").write_text("by an editor")
        return b"ours"

    with pytest.raises(Conflict):
        changing(tmp_path).change("a", make)
    assert (tmp_path / "a").read_text() == "by an editor"


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    """What raises while the new content is made leaves the file, and no other one."""
    (tmp_path / "a").write_text("before")

    def make(*_: object) -> bytes:
        raise InvalidSecret("no")

    with pytest.raises(InvalidSecret):
        changing(tmp_path).change("a", make)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("a", "before")]
    with pytest.raises(InvalidSecret):
        changing(tmp_path).remove("a", check=make)
    assert (tmp_path / "a").exists()


def test_a_lock_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds the lock of a folder and never gives it back makes the store unavailable, and nothing is written."""
    monkeypatch.setattr(locking, "LONGEST_SECONDS", 0.0)
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(StoreUnavailable, match="holds the lock"):
        changing(tmp_path).change("a", lambda *_: b"x")
    os.close(holder)
    assert list(tmp_path.iterdir()) == []
    changing(tmp_path).change("a", lambda *_: b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_delete_and_a_write_at_once(tmp_path: Path) -> None:
    """A folder that a delete removes while a write waits for it is made again."""
    files = changing(tmp_path)
    files.change("a/b", lambda *_: b"x")

    def make(data: bytes | None, _: str | None) -> bytes:
        if data is not None:
            (tmp_path / "a" / "b").unlink()
            (tmp_path / "a").rmdir()
            raise FileNotFoundError
        return b"y"

    files.change("a/b", make)
    assert (tmp_path / "a" / "b").read_bytes() == b"y"
