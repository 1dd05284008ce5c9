"""Files of which a part is changed: writers take turns, and what somebody else writes meanwhile is not lost."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import Conflict, InvalidSecret, StoreUnavailable
from secretsync_core.selection import Selection, folder_rule
from secretsync_core.stores.directory import locking
from secretsync_core.stores.directory.changing import Changing
from secretsync_core.stores.directory.folders import Folders
from secretsync_core.stores.directory.listing import Listing
from secretsync_core.stores.directory.names import is_plain_name
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


@pytest.mark.parametrize("known", [False, True])
def test_what_comes_at_the_last_moment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    """A file that somebody creates after the last look is not replaced; one that was seen is."""
    if known:
        (tmp_path / "a").write_text("before")
    replace = Writing.replace

    def late(self: Writing, key: str, name: str, folder: int, data: bytes, *, only_new: bool) -> str:
        if not known:
            (tmp_path / "a").write_text("by an editor")
        return replace(self, key, name, folder, data, only_new=only_new)

    monkeypatch.setattr(Writing, "replace", late)
    if known:
        changing(tmp_path).change("a", lambda *_: b"ours")
        assert (tmp_path / "a").read_text() == "ours"
        return
    with pytest.raises(Conflict, match="exists already"):
        changing(tmp_path).change("a", lambda *_: b"ours")
    assert (tmp_path / "a").read_text() == "by an editor"


def test_only_what_was_seen_is_removed(tmp_path: Path) -> None:
    """A file with another token than was expected stays, and so does one that changed since it was checked."""
    files, file = changing(tmp_path), tmp_path / "a" / "b"
    token = files.change("a/b", lambda *_: b"x")
    with pytest.raises(Conflict):
        files.remove("a/b", f"{token}0")
    with pytest.raises(Conflict):
        files.remove("a/b", check=lambda _: file.write_bytes(b"by an editor"))
    assert file.read_bytes() == b"by an editor"
    files.remove("a/b", check=lambda data: None)
    assert not file.parent.exists()
    token = files.change("a/b", lambda *_: b"x")
    files.remove("a/b", token)
    assert not file.parent.exists()


CLOSED = [
    ".git", ".GIT", ".Git", "git~1", "GIT~1", ".git.", ".git ", ".git::$INDEX_ALLOCATION", ".g\u200cit", ".git\ufeff",
    ".hg", ".SVN", ".bzr", ".jj", ".sops.yaml", ".SOPS.yaml", ".sops.yml", ".secretsync", ".SecretSync",
]  # fmt: skip


@pytest.mark.parametrize("name", CLOSED, ids=ascii)
def test_names_that_are_never_secrets(tmp_path: Path, name: str) -> None:
    """Neither in a key nor in a listing, and however a file system may spell them, in no store of files."""
    folders = Folders(str(tmp_path), "files")
    for key in (name, f"a/{name}", f"{name}/hooks/post-commit"):
        with pytest.raises(InvalidSecret):
            changing(tmp_path).change(key, lambda *_: b"x")
    assert list(tmp_path.iterdir()) == []
    assert not is_plain_name(name)
    (tmp_path / name).mkdir()
    (tmp_path / name / "inner").write_text("x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_text("x")
    (tmp_path / "a" / "fine").write_text("x")
    listing = Listing(folders)
    descriptor = listing.open("")
    assert descriptor is not None
    found = listing.walk(Selection([folder_rule("", recursive=True)]), descriptor)
    assert [each[0] for each in found] == ["a/fine"]


@pytest.mark.parametrize(
    "name", ["git", ".gitignore", "x.git", ".sops.yaml.bak", "sops.yaml", ".env", "git~2", ".secretsyncs"]
)
def test_names_that_only_look_like_those(tmp_path: Path, name: str) -> None:
    """What has such a name in its own is a secret like any other."""
    changing(tmp_path).change(name, lambda *_: b"x")
    assert is_plain_name(name)
