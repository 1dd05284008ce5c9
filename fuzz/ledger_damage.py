"""Ways to damage a ledger's file: bits, pages and bytes of it, or one thing by SQL, its guards out of the way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

_PAGE = 4096
_TEXTS = (
    b"hello\n", b"SQLite format 3\0", b"SQLite format 3\0" + bytes(200), b"\x89PNG\r\n",
    b"-- sql\nCREATE TABLE ledger;", bytes(2 * _PAGE),
)  # fmt: skip
_VALUES = (
    "NULL", "''", "'x'", "-1", "0", "1e300", "9223372036854775807", "x'00'", f"x'{'ff' * 40}'", f"'{'A' * 5000}'",
    "char(0)", "'\u202e'", "CAST(x'ff' AS TEXT)", "'2026-13-45T99:99:99Z'", "1.5", "'null'", "'[]'", "'{\"a\":'",
    "zeroblob(100000)",
)  # fmt: skip
_SCHEMA = (
    "PRAGMA user_version = 99",
    "PRAGMA application_id = 7",
    "CREATE TABLE extra (x)",
    "CREATE VIEW v AS SELECT * FROM ledger",
    "UPDATE sqlite_schema SET sql = 'CREATE TABLE x' WHERE name = 'ledger'",
)


def overwrite(data: bytes, random: Random) -> bytes:
    """A file that is not as SQLite left it."""
    made = bytearray(data)
    pages = len(made) // _PAGE
    page, other = random.randrange(pages) * _PAGE, random.randrange(pages) * _PAGE
    how = random.randrange(9)
    if how == 0:
        for _ in range(random.choice((1, 1, 1, 5, 50))):
            made[random.randrange(len(made))] ^= 1 << random.randrange(8)
    elif how == 1:
        made[random.randrange(100)] = random.randrange(256)
    elif how == 2:
        del made[random.choice((0, 1, 15, 16, 99, 100, 512, 4095, 4096, random.randrange(len(made)))) :]
    elif how == 3:
        made[page : page + _PAGE] = random.choice((bytes(_PAGE), b"\xff" * _PAGE, random.randbytes(_PAGE)))
    elif how == 4:
        made[page : page + _PAGE] = data[other : other + _PAGE]
    elif how == 5:
        at = random.randrange(len(made) - 20)
        del made[at : at + random.randrange(1, 20)]
    elif how == 6:
        made += random.randbytes(random.choice((1, 4096, 5000)))
    elif how == 7:
        return random.choice(_TEXTS)
    else:
        for _ in range(12):
            made[page + random.randrange(60)] = random.randrange(256)
    return bytes(made)


def statement(path: Path, random: Random) -> str:
    """One change by SQL, for tables that ``path`` has."""
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        table = random.choice(sorted(tables))
        columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
    column, value, rows = random.choice(columns), random.choice(_VALUES), _rows(table, random)
    how = random.randrange(10)
    if how < 5:
        return f'UPDATE OR IGNORE "{table}" SET "{column}" = {value}{rows}'
    return (
        f'DELETE FROM "{table}"{rows}',
        f'DROP TABLE "{table}"',
        f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "other"',
        f'ALTER TABLE "{table}" RENAME TO "other"',
        random.choice(
            (
                *_SCHEMA,
                f'ALTER TABLE "{table}" ADD COLUMN "more"',
                f'DROP TABLE "{table}"; CREATE VIEW "{table}" AS SELECT 1 AS seq',
            )
        ),
    )[how - 5]


def _rows(table: str, random: Random) -> str:
    last = f'(SELECT max(rowid) FROM "{table}")'
    if table in ("current", "item_state") or random.random() < 0.4:  # without rowids, some of them
        return ""
    return random.choice((" WHERE rowid = 1", " WHERE rowid = 3", f" WHERE rowid = {last}"))


def change(path: Path, sql: str) -> bool:
    """Carry a change out, with no guard and no check in its way; gives whether SQLite took it."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("PRAGMA ignore_check_constraints = ON")
        for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        try:
            database.executescript(sql)
            database.commit()
        except sqlite3.Error:
            return False
        return True
