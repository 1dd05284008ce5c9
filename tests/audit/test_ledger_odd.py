"""A ledger or a key that is a pipe, a value of another type, a lease from a clock that was ahead: each is said."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from audit.lab import SEAL_KEY, done, finished, started
from secretsync_core.audit import keys
from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import LeaseHeld, LedgerBroken, LedgerError

if TYPE_CHECKING:
    from audit.lab import OtherHand

_400_DAYS = 400 * 86400


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal"])
def test_a_ledger_that_is_a_pipe_is_refused(tmp_path: Path, name: str, read_only: bool) -> None:
    """To open it would be to wait until somebody writes into it."""
    if name != "ledger.db":
        Ledger.open(tmp_path / "ledger.db", seal_key=SEAL_KEY).close()
    os.mkfifo(tmp_path / name, 0o600)
    with pytest.raises(LedgerError, match="is not a regular file"):
        Ledger.open(tmp_path / "ledger.db", seal_key=SEAL_KEY, read_only=read_only)


@pytest.mark.parametrize("given", [False, True])
def test_a_key_file_that_is_a_pipe_is_refused(tmp_path: Path, given: bool) -> None:
    """The one beside the ledger, and one that a variable names."""
    os.mkfifo(tmp_path / "ledger.key", 0o600)
    environ = {"SECRETSYNC_KEY_FILE": str(tmp_path / "ledger.key")} if given else {}
    with pytest.raises(LedgerError, match="is not a regular file"):
        keys.load_key(environ=environ, directory=tmp_path, create=not given)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE heads SET seq = '[]'",
        "UPDATE heads SET hash = '{\"a\":'",
        "UPDATE heads SET seq = x'ff'",
        "UPDATE heads SET ordinal = 'one'",
        "UPDATE current SET dest = x'00'",
        "UPDATE current SET definition = 'text'",
        "UPDATE ledger SET event = x'00', counts = x'00'",
        "UPDATE ledger SET seq = 'two' WHERE seq = 2",
        "UPDATE ledger SET seq = 'three' WHERE seq = 3",
        "UPDATE ledger SET seq = x'ff' WHERE seq = 3",
        "UPDATE meta SET seal = 'text'",
    ],
)
def test_a_value_of_another_type_is_a_broken_ledger(sqlite_url: str, sql: str) -> None:
    """SQLite takes it where checks are out of the way; no reader answers with a traceback."""
    with Ledger.open(sqlite_url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [started(), done("a"), finished()._replace(requests=(("store", "read", 1),))])
        ledger.standings.keep("job")
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as file:
            for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                file.execute(f"DROP TRIGGER {name}")
            file.execute("PRAGMA ignore_check_constraints = ON")
            file.execute(sql)
            file.commit()
        broken = 0
        for ask in (
            lambda: ledger.standings.check("job"),
            lambda: ledger.runs.summary("job"),
            ledger.runs.measures,
            lambda: list(ledger.state.keys("job")),
            lambda: list(ledger.records(job="job")),
            lambda: ledger.append("job", [started("run-2")]),
            lambda: ledger.runs.unsettled("job"),
        ):
            try:
                ask()
            except LedgerBroken:
                broken += 1
        assert broken
        assert any(not report.sound for report in ledger.verify())


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE run_requests SET store = x'ff'",
        "UPDATE ledger SET key = x'ff'",
        "UPDATE ledger SET time = 'noon'",
        "UPDATE ledger SET seq = 'three' WHERE seq = 3",
    ],
)
def test_a_record_of_another_type_is_read_by_nobody(sqlite_url: str, sql: str) -> None:
    """Who prints records or exports them could not write it down."""
    with Ledger.open(sqlite_url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [started(), done("a"), finished()._replace(requests=(("store", "read", 1),))])
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as file:
            for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                file.execute(f"DROP TRIGGER {name}")
            file.execute("PRAGMA ignore_check_constraints = ON")
            file.execute(sql)
            file.commit()
        with pytest.raises(LedgerBroken):
            list(ledger.records())


def test_what_sqlite_cannot_say_in_unicode_is_damage(sqlite_url: str) -> None:
    """A table's name with a byte that no text has is quoted in SQLite's own error, which Python cannot read then."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    Ledger.open(sqlite_url, seal_key=SEAL_KEY).close()
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_schema SET name = CAST(x'686561f47a' AS TEXT), sql = 'x' WHERE name = 'heads'")
        file.commit()
    with pytest.raises(LedgerError, match="is damaged"), Ledger.open(sqlite_url, seal_key=SEAL_KEY) as ledger:
        list(ledger.records())


def test_a_lease_from_a_clock_that_was_ahead_is_over(ledger: Ledger, other_hand: OtherHand) -> None:
    """It would hold the job for 400 days: nobody takes a lease for so long, and who lives has renewed it by now."""
    ledger.leases.acquire("job", "dead", 60)
    other_hand("UPDATE leases SET acquired = acquired + ?, expires = expires + ?", *[_400_DAYS * 1_000_000] * 2)
    assert ledger.leases.find("job") is None
    assert ledger.leases.live() == []
    assert ledger.leases.acquire("job", "next", 60).holder == "next"
    with pytest.raises(LeaseHeld):
        ledger.leases.acquire("job", "another", 60)
    with pytest.raises(LeaseHeld):
        ledger.append("job", [started()], holder="dead")


def test_a_holder_renews_by_the_clock_as_it_is(ledger: Ledger, other_hand: OtherHand) -> None:
    """Who had it when the clock was ahead still has it, as long as nobody took it."""
    ledger.leases.acquire("job", "me", 60)
    other_hand("UPDATE leases SET acquired = acquired + ?, expires = expires + ?", *[_400_DAYS * 1_000_000] * 2)
    assert ledger.leases.renew("job", "me", 60).expires / 1e6 < time.time() + 120
    with pytest.raises(LeaseHeld):
        ledger.leases.acquire("job", "another", 60)


def test_a_lease_that_is_taken_away_is_lost(ledger: Ledger) -> None:
    """Whose it was is said, and that one records nothing more."""
    held = ledger.leases.acquire("job", "me", 60)
    assert ledger.leases.take_away("job") == held
    assert ledger.leases.take_away("job") is None
    with pytest.raises(LeaseHeld):
        ledger.append("job", [started()], holder="me")
