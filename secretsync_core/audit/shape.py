"""Whether a ledger's tables are those that we made: their columns and rules, and the triggers that guard them.

Who takes the guards away can edit what is append-only, and who adds a trigger or a column makes the database write, or
keep, what nobody asked for. Neither shows in any record.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit.schema import VERSION, WITH_PLACES, WITH_RUNS, statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.audit.database import Dialect, Transaction

_ALEMBICS = "alembic_version"
_SINCE = {
    **dict.fromkeys(("run_requests", "item_state", "checks", "drift"), WITH_RUNS),
    **dict.fromkeys(("places", "positions"), WITH_PLACES),
}
"""The first version of the tables that has each table; the others were there from the beginning."""

_RULES_SINCE = 5
"""The first version in which rules for rows were added to a table that was there."""

_ADDED_RULES = ("ledger_source_version", "ledger_dest_version", "source_version_form", "dest_version_form")


def _is_expected(table: str, name: str, version: int) -> bool:
    return version >= _SINCE.get(table, 1) and (name not in _ADDED_RULES or version >= _RULES_SINCE)


# -- SQLite, which keeps the statements that made everything ---------------------------------------------------------


class _Part(NamedTuple):
    kind: str
    name: str
    table: str


def sqlite_faults(transaction: Transaction, version: int, dialect: Dialect) -> Iterator[str]:
    """What is not as we made it in a file whose tables are of a version."""
    expected = _of_a_new_file(dialect)
    found = _parts(transaction.rows(_SQLITE))
    for part, sql in sorted(expected.items()):
        if not _is_expected(part.table, part.name, version):
            continue
        if part not in found:
            yield _missing(part.kind, part.name, part.table)
        elif found[part] != sql and (part.kind == "trigger" or version == VERSION):
            yield f"the {part.kind} {part.name} is not as it was made"
    for part in sorted(found.keys() - expected.keys()):
        if part.kind == "trigger":
            yield _added("trigger", part.name, part.table)
    if version < VERSION:  # the text of an older table is another one, with the same columns
        yield from _columns(transaction, expected)


_SQLITE = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('table', 'trigger')"


@cache
def _of_a_new_file(dialect: Dialect) -> dict[_Part, str]:
    with closing(sqlite3.connect(":memory:")) as file:
        for statement in statements(dialect):
            file.execute(statement)
        return _parts(iter(file.execute(_SQLITE)))


def _parts(rows: Iterator[tuple[object, ...]]) -> dict[_Part, str]:
    found = {_Part(str(kind), str(name), str(table)): _plain(str(sql)) for kind, name, table, sql in rows}
    return {
        part: sql
        for part, sql in found.items()
        if not part.name.startswith("sqlite_") and not (part.kind == "table" and part.name == _ALEMBICS)
    }


def _plain(sql: str) -> str:
    """A statement without the line breaks that only make it readable."""
    return " ".join(sql.split()).replace("( ", "(").replace(" )", ")")


def _columns(transaction: Transaction, expected: dict[_Part, str]) -> Iterator[str]:
    for part, sql in sorted(expected.items()):
        if part.kind == "table":
            names = list(transaction.rows("SELECT name FROM pragma_table_info(?)", (part.name,)))
            yield from (
                _added("column", str(name), part.name) for (name,) in names if f"{name} " not in sql.partition("(")[2]
            )


# -- PostgreSQL, which describes everything in its own words ----------------------------------------------------------


_PG_COLUMNS = """SELECT attrelid::regclass::text, attname::text, concat_ws(' ', atttypid::regtype::text,
      (SELECT 'collate ' || collname FROM pg_collation WHERE pg_collation.oid = attcollation),
      CASE WHEN attnotnull THEN 'not null' END, CASE WHEN atthasdef OR attidentity <> '' THEN 'default' END)
    FROM pg_attribute
    WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'secretsync'::regnamespace AND relkind = 'r')
      AND attnum > 0 AND NOT attisdropped"""
_PG_RULES = """SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'secretsync'::regnamespace AND contype = 'c'"""
_PG_KEYS = """SELECT conrelid::regclass::text, 'primary key', pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'secretsync'::regnamespace AND contype = 'p'"""
_PG_TRIGGERS = """SELECT tgrelid::regclass::text, tgname::text, tgenabled::text, pg_get_triggerdef(pg_trigger.oid),
      prosrc
    FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
    WHERE NOT tgisinternal
      AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'secretsync'::regnamespace)"""
_PG_REWRITES = "SELECT tablename::text, rulename::text FROM pg_rules WHERE schemaname = 'secretsync'"

_TABLE = re.compile(r"CREATE TABLE (\w+) \((.*)\)", re.DOTALL)
_COLUMN = re.compile(r'(?:^|, )(\w+) ((?:TEXT|BIGINT|SMALLINT|BYTEA)(?: COLLATE "C")?(?: NOT NULL)?)')
_RULE = re.compile(r"CONSTRAINT (\w+) (CHECK .*?)(?=, \w+ (?:TEXT|BIGINT|SMALLINT|BYTEA)\b|, PRIMARY KEY|$)")
_KEY = re.compile(r"(PRIMARY KEY \([^)]*\))$")
_ADDED_RULE = re.compile(r"ALTER TABLE (\w+) ADD CONSTRAINT (\w+) (CHECK .*)", re.DOTALL)
_TRIGGER = re.compile(r"CREATE TRIGGER (\w+) BEFORE UPDATE OR DELETE OR TRUNCATE ON (\w+)")
_BODY = re.compile(r"\$\$(.*)\$\$", re.DOTALL)
_ON = ("O", "A")  # a trigger that fires in an ordinary session, or always


def postgres_faults(transaction: Transaction, version: int, dialect: Dialect) -> Iterator[str]:
    """What is not as we made it in a schema whose tables are of a version."""
    made = statements(dialect)
    tables = {match[1]: match[2] for sql in made if (match := _TABLE.match(sql)) and match[1] != _ALEMBICS}
    columns = {(table, name): told for table, body in tables.items() for name, told in _COLUMN.findall(body)}
    rules = {(table, name): told for table, body in tables.items() for name, told in _RULE.findall(body)}
    rules |= {(match[1], match[2]): match[3] for sql in made if (match := _ADDED_RULE.match(sql))}
    keys = {(table, "primary key"): match[1] for table, body in tables.items() if (match := _KEY.search(body))}
    for kind, expected, asked in (("column", columns, _PG_COLUMNS), ("rule", rules, _PG_RULES), ("", keys, _PG_KEYS)):
        found = {(_bare(table), str(name)): str(told) for table, name, told in transaction.rows(asked)}
        for (table, name), told in sorted(expected.items()):
            if not _is_expected(table, name, version):
                continue
            if (table, name) not in found:
                yield _missing(kind, name, table)
            elif version == VERSION and _words(found[table, name]) != _words(told):
                yield f"{f'the {kind} {name}'.replace('  ', ' ')} of {table} is not as it was made"
        for table, name in sorted(found.keys() - expected.keys()) if kind == "column" else ():
            if table in tables:
                yield _added(kind, name, table)
    yield from _triggers(transaction, version, made)
    for table, name in transaction.rows(_PG_REWRITES):
        yield _added("rule", str(name), str(table))


def _triggers(transaction: Transaction, version: int, made: list[str]) -> Iterator[str]:
    expected = {(match[2], match[1]) for sql in made if (match := _TRIGGER.match(sql))}
    body = next(match[1] for sql in made if (match := _BODY.search(sql)))
    found = {(_bare(table), str(name)): tuple(map(str, told)) for table, name, *told in transaction.rows(_PG_TRIGGERS)}
    for table, name in sorted(expected):
        if not _is_expected(table, name, version):
            continue
        if (table, name) not in found:
            yield _missing("trigger", name, table)
            continue
        enabled, definition, does = found[table, name]
        if enabled not in _ON:
            yield f"the trigger {name} of {table} is switched off: the table is not append-only"
        elif does != body or " WHEN " in definition or "BEFORE DELETE OR UPDATE OR TRUNCATE" not in definition:
            yield f"the trigger {name} is not as it was made"
    for table, name in sorted(found.keys() - expected):
        yield _added("trigger", name, table)


_WORD = re.compile(r"'(?:[^']|'')*'|\w+|[^\w\s()\[\]\"]+|\)")
_AS_POSTGRES_SAYS = (("::", "text"), ("not", "valid"))
"""What PostgreSQL adds to a rule that it tells."""


def _words(told: str) -> list[str]:
    """A rule or a column in words, the same in ours and in PostgreSQL's, which has more brackets and types in it."""
    told = re.sub(r"= ANY \(ARRAY\[([^\]]*)\]\)", r"IN (\1)", told)
    words = [word if word.startswith("'") else word.lower() for word in _WORD.findall(told) if word != ")"]
    for pair in _AS_POSTGRES_SAYS:
        words = [
            word for at, word in enumerate(words)
            if (word, *words[at + 1 : at + 2]) != pair and (*words[max(at - 1, 0) : at], word) != pair
        ]  # fmt: skip
    return words


def _bare(table: object) -> str:
    """A table's name without its schema."""
    return str(table).rpartition(".")[2]


def _missing(kind: str, name: str, table: str) -> str:
    append_only = ": the table is not append-only" if kind == "trigger" and "_no_" in name else ""
    of_table = "" if kind == "table" else f" of {table}"
    return f"the {f'{kind} {name}'.lstrip()}{of_table} is gone{append_only}"


def _added(kind: str, name: str, table: str) -> str:
    return f"added from outside: the {kind} {name} of {table}"
