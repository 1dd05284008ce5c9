"""A ledger and a key that others may write are not used, by whatever way; what only looks like it is no reason."""

from __future__ import annotations

import grp
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsync_core import trusted_files
from secretsync_core.audit.keys import FILE_VARIABLE, load_key, replace
from secretsync_core.audit.opening import open_ledger
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = 4711
"""A group that has no name here, as ``fsGroup`` has none in a pod."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with a ledger and its key."""
    home = tmp_path / "state"
    with open_ledger(home, environ={}, write=True):
        pass
    return home


def use(home: Path, *, write: bool = False) -> None:
    """Open the ledger of a directory, with the key beside it."""
    with open_ledger(home, environ={}, write=write):
        pass


def refused(home: Path, *, match: str) -> LedgerError:
    """The error of opening it, which has to be the same whether it is to be read or written."""
    for write in (False, True):
        with pytest.raises(LedgerError, match=match) as caught:
            use(home, write=write)
    return caught.value


def test_files_are_made_for_us_alone(home: Path) -> None:
    """Whatever the umask allows: the directory, the ledger and its key."""
    assert {path.name: path.stat().st_mode & 0o777 for path in (home, *home.iterdir())} == {
        home.name: 0o700, ".gitignore": 0o600, "ledger.db": 0o600, "ledger.key": 0o600,
    }  # fmt: skip


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o707, 0o702])
def test_a_directory_that_anybody_may_write(home: Path, mode: int) -> None:
    """Who could put a ``ledger.db-wal`` there could change the ledger, sticky or not; the error says what to do."""
    home.chmod(mode)
    error = refused(home, match=rf"the ledger's directory .* can be written by others \(mode {mode:04o}\)")
    assert (f"`chmod go-w {home}`" in error.hint) != bool(mode & 0o1000)
    home.chmod(0o700)
    use(home, write=True)


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", "ledger.db-shm"])
def test_a_file_that_anybody_may_write(home: Path, name: str) -> None:
    """The ledger, and each file that SQLite reads together with it."""
    file = home / name
    file.touch()
    file.chmod(0o602)
    error = refused(home, match=rf"{name} can be written by others \(mode 0602\)")
    assert f"`chmod go-w {file}`" in error.hint
    file.chmod(0o644)  # others may read it, and do no harm
    use(home)


@needs_root
@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", "ledger.key", "."])
def test_what_belongs_to_another_user(home: Path, name: str) -> None:
    """Its owner may write it, whatever its mode says."""
    path = home / name
    path.touch()
    os.chown(path, 4712, 0)
    error = refused(home, match=r"belongs to another user \(uid 4712\)")
    assert "run as that user (in a container: `docker run --user 4712`)" in error.hint


@needs_root
def test_what_is_nobodys(home: Path) -> None:
    """Where an NFS server takes root for nobody, no user to run as helps: the error says what does."""
    os.chown(home / "ledger.db", 65534, 65534)
    error = refused(home, match=r"belongs to another user \(uid 65534\)")
    assert "root_squash" in error.hint
    assert "PostgreSQL" in error.hint


@needs_root
def test_who_has_become_root_by_sudo(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """May use what was theirs before, as git has it."""
    for path in (home, *home.iterdir()):
        os.chown(path, 4712, 4712)
    refused(home, match="another user")
    monkeypatch.setenv("SUDO_UID", "4712")
    use(home)


@needs_root
def test_a_group_that_is_ours_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod's ``fsGroup`` makes all of it group-writable; nobody else is in that group, and it is used as before."""
    for path in (home, home / "ledger.db"):
        os.chown(path, 0, GROUP)
        path.chmod(path.stat().st_mode | 0o2070)
    error = refused(home, match="can be written by others")
    assert "`chmod g-w" in error.hint
    monkeypatch.setattr(os, "getgroups", lambda: [0, GROUP])
    use(home, write=True)


@pytest.mark.parametrize(
    ("name", "members", "alone"),
    [
        ("me", [], True),
        ("me", ["me"], True),
        ("ledger", ["me"], True),
        ("me", ["me", "somebody"], False),
        ("staff", [], False),
        ("staff", ["me", "somebody"], False),
    ],
)
def test_which_group_is_ours_alone(name: str, members: list[str], alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that a user gets for itself, or whose only member it is: not one that others may be in."""
    monkeypatch.setattr(os, "getgroups", lambda: [GROUP])
    monkeypatch.setattr(os, "geteuid", lambda: 4712)
    monkeypatch.setattr("pwd.getpwuid", lambda _: type("User", (), {"pw_name": "me"}))
    monkeypatch.setattr("grp.getgrgid", lambda gid: grp.struct_group((name, "x", gid, members)))
    assert trusted_files._is_ours_alone(GROUP) is alone
    assert not trusted_files._is_ours_alone(GROUP + 1)


def test_a_mounted_volume_may_be_anybodys(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some provisioners make a pod's volume 0777; what is in it is checked all the same, and /tmp is no volume."""
    home.chmod(0o777)
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == home)
    use(home, write=True)
    (home / "ledger.db").chmod(0o606)
    refused(home, match="ledger.db can be written by others")
    (home / "ledger.db").chmod(0o600)
    home.chmod(0o1777)
    refused(home, match="directory")


def test_a_link_leads_to_no_place_that_others_may_write(home: Path, tmp_path: Path) -> None:
    """Neither the directory that the link is in nor the one that it leads to may be anybody's."""
    (tmp_path / "links").mkdir(mode=0o700)
    link = tmp_path / "links" / "ledger.db"
    link.symlink_to(home / "ledger.db")
    for directory in (home, tmp_path / "links"):
        directory.chmod(0o777)
        with pytest.raises(LedgerError, match=r"directory .* can be written by others"):
            open_ledger(home, link, environ={"SECRETSYNC_KEY": "k" * 40}, write=False).__enter__()
        directory.chmod(0o700)


@needs_root
@pytest.mark.parametrize("spoil", [lambda path: os.chown(path, 4712, 0), lambda path: path.chmod(0o460)])
def test_a_key_from_elsewhere_is_nobody_elses_either(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Its directory may be anybody's, as that of a mounted Secret is; the file may not."""
    directory = tmp_path / "secrets"
    directory.mkdir()
    directory.chmod(0o1777)
    file = directory / "key"
    file.write_text("k" * 40)
    os.chown(file, 0, GROUP)
    file.chmod(0o440)
    environ = {FILE_VARIABLE: str(file)}
    load_key(environ=environ, directory=tmp_path, create=False)
    spoil(file)
    with pytest.raises(LedgerError, match=r"the key file .* (belongs to another user|can be written by others)"):
        load_key(environ=environ, directory=tmp_path, create=False)


def test_no_key_is_made_or_replaced_where_others_may_write(home: Path) -> None:
    """It would be theirs to swap before it is used."""
    home.chmod(0o777)
    with pytest.raises(LedgerError, match="can be written by others"):
        replace(home)
    (home / "ledger.db").unlink()
    (home / "ledger.key").unlink()
    with pytest.raises(LedgerError, match="can be written by others"):
        use(home, write=True)
    assert not (home / "ledger.key").exists()
