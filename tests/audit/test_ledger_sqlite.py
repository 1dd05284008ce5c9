"""The SQLite file: who may read it, and what is said when it cannot be used."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from audit.lab import SEAL_KEY, done
from secretsync_core.audit.ledger import Ledger, LedgerMissing
from secretsync_core.errors import LedgerBroken, LedgerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """The file and what SQLite puts beside it are ours alone, whatever the umask, and so is the directory."""
    before = os.umask(0)
    try:
        with Ledger.open(tmp_path / "new" / "ledger.db", seal_key=SEAL_KEY) as ledger:
            ledger.append("job", [done("a")])
            found = {path.name: mode(path) for path in (tmp_path / "new").iterdir()}
    finally:
        os.umask(before)
    assert found.pop(".gitignore") == 0o600
    assert found == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert mode(tmp_path / "new") == 0o700


@pytest.mark.parametrize("form", ["path", "text", "three", "relative"])
def test_all_forms_of_its_name_mean_the_same_file(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, its text, or a URL: a fourth slash begins an absolute path."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "with space #1?.db"
    forms: dict[str, str | Path] = {
        "path": path,
        "text": str(path),
        "three": f"sqlite:///{path}",
        "relative": f"sqlite:///{path.name}",
    }
    Ledger.open(forms[form], seal_key=SEAL_KEY).close()
    assert path.exists()


def refusal(path: Path | str, *, read_only: bool = False) -> LedgerError:
    """The error of opening."""
    with pytest.raises(LedgerError) as caught:
        Ledger.open(path, seal_key=SEAL_KEY, read_only=read_only)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, read_only: bool) -> None:
    """Somebody gave the wrong name; nothing is overwritten."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to have a header of its own" * 30)
    before = path.read_bytes()
    assert "is not an SQLite database" in refusal(path, read_only=read_only).message
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """The tables of another program are not mixed with ours."""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (id)")
    connection.close()
    assert "another program's" in refusal(path).message


def test_a_directory_is_not_a_ledger(tmp_path: Path) -> None:
    """Neither for writing nor for reading."""
    assert "is a directory" in refusal(tmp_path).message
    assert "is a directory" in refusal(tmp_path, read_only=True).message


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    """The parent cannot be made."""
    (tmp_path / "file").write_text("")
    assert "directory" in refusal(tmp_path / "file" / "ledger.db").message.lower()


def test_an_unknown_scheme_is_named_without_the_url(tmp_path: Path) -> None:
    """A URL may hold a password, so it is not repeated."""
    assert "hunter2" not in str(refusal("mysql://root:hunter2@db/ledger"))
    assert "names no file" in refusal("sqlite:///").message
    del tmp_path


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    """Pages full of nonsense are an error with a hint, for a reader as for a writer."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [done(f"key-{number}") for number in range(2000)])
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096 - 1):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    assert "is damaged" in refusal(path).message
    assert "is damaged" in refusal(path, read_only=True).message


def test_a_full_disk_stops_an_append_and_loses_nothing(tmp_path: Path) -> None:
    """Nothing half-written is kept, and it goes on when there is room again."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [done("a")])
        connection = ledger._database._writer  # type: ignore[attr-defined]
        connection.execute("PRAGMA max_page_count = 40")
        with pytest.raises(LedgerError, match="disk is full") as caught:
            ledger.append("job", [done(f"key-{number}") for number in range(2000)])
        assert "free some space" in caught.value.hint
        connection.execute("PRAGMA max_page_count = 1000000")
        assert ledger.append("job", [done("b")]) == [2]
        assert ledger.verify()[0].sound


def test_a_ledger_that_somebody_locks_is_said_to_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After waiting for a while."""
    monkeypatch.setattr("secretsync_core.audit.sqlite.LOCK_SECONDS", 0.1)
    path = tmp_path / "ledger.db"
    with Ledger.open(path, seal_key=SEAL_KEY) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked by another process"):
            ledger.append("job", [done("a")])
        assert list(ledger.state.keys("job")) == []
        other.execute("ROLLBACK")
        other.close()
        assert ledger.append("job", [done("a")]) == [1]


def test_an_empty_file_is_a_ledger_that_was_not_begun(tmp_path: Path) -> None:
    """As a process leaves it that is killed right after making it."""
    path = tmp_path / "ledger.db"
    path.touch()
    with pytest.raises(LedgerMissing):
        Ledger.open(path, seal_key=SEAL_KEY, read_only=True)
    with Ledger.open(path, seal_key=SEAL_KEY) as ledger:
        assert ledger.append("job", [done("a")]) == [1]


def test_a_ledger_without_its_own_facts_is_broken(tmp_path: Path) -> None:
    """Somebody emptied the table that says what it is."""
    path = tmp_path / "ledger.db"
    Ledger.open(path, seal_key=SEAL_KEY).close()
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM meta")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerBroken, match="does not say what it is"):
        Ledger.open(path, seal_key=SEAL_KEY)


def open_as_nobody(path: Path, answer: Connection) -> None:
    """A process without the rights of root opens the ledger for reading, and for writing."""
    os.setgid(65534)
    os.setuid(65534)
    try:
        with Ledger.open(path, seal_key=SEAL_KEY, read_only=True) as ledger:
            answer.send((len(list(ledger.state.keys("job"))), ledger.verify()[0].sound))
    except LedgerError as error:
        answer.send(error.message)
    try:
        Ledger.open(path, seal_key=SEAL_KEY)
    except LedgerError as error:
        answer.send((error.message, error.hint))
    else:
        answer.send("opened")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("readable", [True, False])
def test_a_place_that_is_read_only(readable: bool) -> None:
    """An archived ledger can be read and verified where nothing can be written; writing says what is wrong."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        with Ledger.open(place / "ledger.db", seal_key=SEAL_KEY) as ledger:
            ledger.append("job", [done("a")])
        (place / "ledger.db").chmod(0o644 if readable else 0o600)
        place.chmod(0o755)
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=open_as_nobody, args=(place / "ledger.db", theirs))
        process.start()
        read, write = ours.recv(), ours.recv()
        process.join()
        ours.close()
        theirs.close()
    if readable:
        assert read == (1, True)
    else:
        assert "cannot be opened" in read
    message, hint = write
    assert "cannot be" in message
    assert "permissions" in hint or "may be" in hint
