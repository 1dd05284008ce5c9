"""Verifying finds tables that are not as we made them, and what the ledger says of itself, changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
import pytest

from audit.lab import SEAL_KEY, done, finished, make_version, started
from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import LedgerBroken


def _change(url: str, *statements: str) -> None:
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True, options="-c search_path=secretsync") as server:
            for sql in statements:
                server.execute(sql)
        return
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as file:
        for sql in statements:
            file.execute(sql)


def _faults(url: str) -> list[str]:
    with Ledger.open(url, seal_key=SEAL_KEY, read_only=True) as ledger:
        return [fault.what for report in ledger.verify() for fault in report.faults]


@pytest.fixture
def filled(url: str) -> str:
    """A ledger with one run."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [started(), done("a"), finished()])
        ledger.standings.keep("job")
    return url


_NOTHING = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
CHANGES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "a guard gone": ("sqlite", ("DROP TRIGGER ledger_no_delete",), "ledger_no_delete of ledger is gone"),
    "a guard that lets through": (
        "sqlite",
        (
            "DROP TRIGGER ledger_no_update",
            "CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger BEGIN SELECT 1; END",
        ),
        "ledger_no_update is not as it was made",
    ),
    "a trigger added": (
        "sqlite",
        ("CREATE TRIGGER copy AFTER INSERT ON ledger BEGIN DELETE FROM current; END",),
        "added from outside: the trigger copy of ledger",
    ),
    "a column added": ("sqlite", ("ALTER TABLE current ADD COLUMN value TEXT",), "current is not as it was made"),
    "a table gone": ("sqlite", ("DROP TABLE positions",), "positions is gone"),
    "a guard gone in PostgreSQL": (
        "postgresql",
        ("DROP TRIGGER ledger_no_change ON ledger",),
        "ledger_no_change of ledger is gone",
    ),
    "a guard switched off": (
        "postgresql",
        ("ALTER TABLE run_requests DISABLE TRIGGER ALL",),
        "run_requests is switched off",
    ),
    "a guard that does nothing": (
        "postgresql",
        ("CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",),
        "ledger_no_change is not as it was made",
    ),
    "a trigger added in PostgreSQL": (
        "postgresql",
        (_NOTHING, "CREATE TRIGGER copy AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION nothing()"),
        "added from outside: the trigger copy of ledger",
    ),
    "a column added in PostgreSQL": (
        "postgresql",
        ("ALTER TABLE current ADD COLUMN value TEXT",),
        "added from outside: the column value of current",
    ),
    "a rule gone in PostgreSQL": (
        "postgresql",
        ("ALTER TABLE ledger DROP CONSTRAINT dest_version_form",),
        "the rule dest_version_form of ledger is gone",
    ),
    "a rule of the same name in PostgreSQL": (
        "postgresql",
        ("ALTER TABLE ledger DROP CONSTRAINT reason", "ALTER TABLE ledger ADD CONSTRAINT reason CHECK (true)"),
        "the rule reason of ledger is not as it was made",
    ),
    "a rule with a wider bound in PostgreSQL": (
        "postgresql",
        (
            "ALTER TABLE current DROP CONSTRAINT key",
            "ALTER TABLE current ADD CONSTRAINT key CHECK (length(key) <= 20480)",
        ),
        "the rule key of current is not as it was made",
    ),
    "a column of another type in PostgreSQL": (
        "postgresql",
        ("ALTER TABLE leases ALTER COLUMN expires TYPE NUMERIC",),
        "the column expires of leases is not as it was made",
    ),
    "a column that may be nothing in PostgreSQL": (
        "postgresql",
        ("ALTER TABLE ledger ALTER COLUMN reason DROP NOT NULL",),
        "the column reason of ledger is not as it was made",
    ),
    "a column with a default in PostgreSQL": (
        "postgresql",
        ("ALTER TABLE ledger ALTER COLUMN reason SET DEFAULT 'x'",),
        "the column reason of ledger is not as it was made",
    ),
    "a key gone in PostgreSQL": (
        "postgresql",
        ("ALTER TABLE current DROP CONSTRAINT current_pkey",),
        "the primary key of current is gone",
    ),
    "another key in PostgreSQL": (
        "postgresql",
        ("ALTER TABLE leases DROP CONSTRAINT leases_pkey", "ALTER TABLE leases ADD PRIMARY KEY (job, holder)"),
        "the primary key of leases is not as it was made",
    ),
    "a rewrite in PostgreSQL": (
        "postgresql",
        ("CREATE RULE nothing AS ON INSERT TO ledger DO INSTEAD NOTHING",),
        "added from outside: the rule nothing of ledger",
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_tables_that_another_hand_changed_are_found(
    change: tuple[str, tuple[str, ...], str], request: pytest.FixtureRequest
) -> None:
    """Guards that are gone, off or changed, and triggers, columns and rules that are not ours."""
    which, statements, said = change
    url = str(request.getfixturevalue("sqlite_url" if which == "sqlite" else "postgres_url"))
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [started(), done("a"), finished()])
    assert _faults(url) == []
    _change(url, *statements)
    assert any(said in what for what in _faults(url)), _faults(url)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_tables_of_an_older_version_are_sound(url: str, version: int) -> None:
    """What a newer version added is not missed there, and what nobody added is found."""
    make_version(version, url)
    assert _faults(url) == []
    _change(url, "ALTER TABLE current ADD COLUMN value TEXT")
    assert _faults(url) == ["added from outside: the column value of current"]


def test_a_version_that_was_changed_is_found(filled: str) -> None:
    """A lower one would let rules be passed over, and a higher one keep everybody out."""
    _change(filled, "UPDATE meta SET value = '3' WHERE name = 'schema'")
    assert "the version of its tables was not sealed with our key" in _faults(filled)
    with Ledger.open(filled, seal_key=SEAL_KEY) as ledger, pytest.raises(LedgerBroken, match="version of its tables"):
        ledger.standings.check("job")
    _change(filled, "UPDATE meta SET value = '99' WHERE name = 'schema'")
    with pytest.raises(LedgerBroken, match="that was not sealed with our key"):
        Ledger.open(filled, seal_key=SEAL_KEY)
