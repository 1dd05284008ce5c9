"""The ledger's database as a schema named ``secretsync`` in a PostgreSQL database, which may hold other things too."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from enum import StrEnum
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, cast

from secretsync_core.audit.database import LOCK_SECONDS, Dialect, missing, read_only
from secretsync_core.audit.postgres_words import meaning_of_state, meaning_of_words
from secretsync_core.audit.schema import refused_column
from secretsync_core.audit.shape import postgres_faults
from secretsync_core.distribution import extra_hint
from secretsync_core.errors import LedgerBroken, LedgerError
from secretsync_core.ledger_address import HOW_TO_WRITE, name_of
from secretsync_core.plain_files import MOST_PEM, fault_of

try:
    import psycopg
    from psycopg import conninfo
    from psycopg.types.string import StrDumper

    from secretsync_core.audit.postgres_silence import NoAnswer, PatientConnection
except ImportError:
    raise LedgerError(
        "a ledger in PostgreSQL needs psycopg, which is not installed", hint=extra_hint("postgres")
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from secretsync_core.audit.database import Row, Transaction

SCHEMA = "secretsync"
CONNECT_SECONDS = 10
READ_SECONDS = 600
"""How long one statement may take that reads all of the ledger."""
_STATEMENT_SECONDS = LOCK_SECONDS + 5
_SILENCE_SECONDS = LOCK_SECONDS + 10
"""How long to wait for a server that says nothing: a little longer than it may take to give up by itself."""
_FETCH = 2000
_ADVISORY = 0x5EC2E75  # taken while the tables are made; any number that nobody else takes


def _forbid(expression: str, pattern: str) -> str:
    return f"{expression} !~ '{pattern}'"


def _forbid_control(expression: str) -> str:
    return rf"{expression} !~ '[\x01-\x1f\x7f-\x9f]'"


_REFUSE = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$
"""
_FORM = "_form"
_GUARD = "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"

DIALECT = Dialect(
    text='TEXT COLLATE "C"',
    binary="BYTEA",
    is_binary=lambda _: "TRUE",
    for_update=" FOR UPDATE",
    forbid=_forbid,
    forbid_control=_forbid_control,
    clustered="",
    guards=lambda table: (f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} {_GUARD}",),
    require=lambda table, column, rule: (
        f"ALTER TABLE {table} ADD CONSTRAINT {column}{_FORM} CHECK ({rule(column)}) NOT VALID"
    ),
    shape=postgres_faults,
    guarding=(_REFUSE,),
)

# One round trip. Set for the transaction alone, so that a pooler may give the connection to others in between.
_SETTINGS = (
    f"SET LOCAL search_path = {SCHEMA}, pg_catalog;"
    f" SET LOCAL lock_timeout = '{LOCK_SECONDS}s';"
    # What the database's owner switched off for speed, the ledger needs: a record is durable before the act.
    " SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
)
_BEGIN_WRITE = (
    f"BEGIN; {_SETTINGS}; SET LOCAL statement_timeout = '{_STATEMENT_SECONDS}s';"
    # A process that was stopped in the middle keeps the others out no longer than this: the server takes it back.
    f" SET LOCAL idle_in_transaction_session_timeout = '{_STATEMENT_SECONDS}s'"
)
_BEGIN_READ = (
    f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_SETTINGS}; SET LOCAL statement_timeout = '{{seconds}}s'"
)
# Those of TCP, for a machine that is gone; whatever the URL says of them counts.
_TCP = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}

_Connection = PatientConnection


_FILES = {
    "passfile": "PGPASSFILE", "servicefile": "PGSERVICEFILE", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT", "sslcrl": "PGSSLCRL",
}  # fmt: skip
"""Files that libpq reads whole, and waits for: by their parameters in a URL, and their variables."""


def _check_files(said: Mapping[str, object]) -> None:
    """Raise LedgerError for one that is a pipe, a device, or far too large."""
    for parameter, variable in _FILES.items():
        path = said.get(parameter) or os.environ.get(variable)
        if path and (fault := fault_of(str(path), MOST_PEM)):
            where = f"{parameter} of the ledger's URL" if said.get(parameter) else variable
            raise LedgerError(f"the file that {where} names {fault}", hint="name a regular file")


class PostgresDatabase:
    """One connection for writing, kept, and one for each reading transaction."""

    dialect = DIALECT
    driver = "postgresql+psycopg"
    trouble = ""
    schema = SCHEMA

    def __init__(self, url: str, *, read_only: bool) -> None:
        """Connect to ``url``. Raises LedgerError, without the URL's password, where that fails."""
        self._read_only = read_only
        self.name = name_of(url)
        try:
            said = conninfo.conninfo_to_dict(url)
            self._timeout = int(str(said.get("connect_timeout") or CONNECT_SECONDS))
        except (psycopg.Error, ValueError):
            raise LedgerError("the ledger's URL is not one that PostgreSQL understands", hint=HOW_TO_WRITE) from None
        self._url = conninfo.make_conninfo(url, **{name: value for name, value in _TCP.items() if name not in said})
        self._writer: _Connection | None = None
        self._closed = False
        _check_files(said)
        with self.explained():
            connection = self.connect()
            if read_only:
                connection.close()
            else:
                self._writer = connection

    def connect(self) -> _Connection:
        """A new connection."""
        try:
            connection = PatientConnection.connect(
                self._url, autocommit=True, connect_timeout=self._timeout, application_name="secretsync"
            )
        except UnicodeError:  # of a host that DNS cannot be asked for: a label of over 63 letters, say
            connection = None
        if connection is None:
            raise LedgerError("the host of the ledger's URL is none that can be looked up", hint=HOW_TO_WRITE)
        connection.silence = _SILENCE_SECONDS
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            # initdb's choice where there is no locale: texts are bytes there, and no character is one.
            connection.close()
            raise LedgerError(
                f"the database of the ledger {self.name} has no encoding (SQL_ASCII)",
                hint="make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
            )
        connection.adapters.register_dumper(StrEnum, StrDumper)
        return connection

    def has_schema(self) -> bool:
        """Whether the tables are there."""
        with self.read() as transaction:
            return transaction.one(f"SELECT 1 WHERE to_regclass('{SCHEMA}.meta') IS NOT NULL") is not None

    def prepare(self, statements: Sequence[str], finish: Callable[[Transaction], None]) -> None:
        """Create the schema and its tables, unless another process was faster."""
        if self._read_only:
            raise missing(self.name)
        with self.write() as transaction:
            transaction.one("SELECT pg_advisory_xact_lock(?)", (_ADVISORY,))
            if transaction.one(f"SELECT 1 WHERE to_regclass('{SCHEMA}.meta') IS NOT NULL"):
                return
            # Not IF NOT EXISTS: that asks for the right to create schemas even where somebody has made ours.
            if not transaction.one(f"SELECT 1 WHERE to_regnamespace('{SCHEMA}') IS NOT NULL"):
                transaction.run(f"CREATE SCHEMA {SCHEMA}")
            for statement in statements:
                transaction.run(statement)
            finish(transaction)

    @contextmanager
    def write(self, *, long: bool = False) -> Iterator[PostgresTransaction]:
        """A transaction on the connection that is kept."""
        if self._read_only or self._closed:
            raise read_only(self.name)
        with self.explained():
            connection = self._begin_writing()
            try:
                with connection.waiting(READ_SECONDS + 10 if long else _SILENCE_SECONDS):
                    if long:
                        connection.execute(f"SET LOCAL statement_timeout = '{READ_SECONDS}s'")
                        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                    yield PostgresTransaction(connection)
                    connection.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):  # a lost connection has rolled back already
                    connection.execute("ROLLBACK")
                raise

    def _begin_writing(self) -> _Connection:
        """Begin, on a new connection where the server has closed the one that we kept: nothing was sent on it yet."""
        if self._writer is not None and not self._writer.closed:
            try:
                self._writer.execute(_BEGIN_WRITE)
            except psycopg.OperationalError:
                if not self._writer.closed:
                    raise
            else:
                return self._writer
        if self._writer is not None:
            self._writer.close()
        self._writer = self.connect()
        self._writer.execute(_BEGIN_WRITE)
        return self._writer

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[PostgresTransaction]:
        """One moment of the database, on a connection of its own."""
        with self.explained():
            connection = self.connect()
            try:
                connection.silence = READ_SECONDS + 10 if long else _SILENCE_SECONDS
                connection.execute(_BEGIN_READ.format(seconds=READ_SECONDS if long else _STATEMENT_SECONDS))
                yield PostgresTransaction(connection)
            finally:
                connection.close()

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def begin_migrating(self, connection: _Connection) -> PostgresTransaction:
        """Begin, and wait for whoever makes or migrates the tables."""
        if self._read_only:
            raise read_only(self.name)
        connection.silence = READ_SECONDS + 10
        connection.execute(_BEGIN_WRITE)
        connection.execute(f"SET LOCAL statement_timeout = '{READ_SECONDS}s'")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        transaction = PostgresTransaction(connection)
        transaction.one("SELECT pg_advisory_xact_lock(?)", (_ADVISORY,))
        # Whoever appends locks a head first, and waits here. Within the records it would wait for us, and we for it.
        if transaction.one("SELECT 1 WHERE to_regclass('heads') IS NOT NULL") is not None:
            transaction.run("LOCK TABLE heads IN EXCLUSIVE MODE")
        return transaction

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what psycopg raises into a LedgerError; neither the URL nor the server's words get into it."""
        try:
            yield
        except psycopg.Error as error:
            raise _explain(self.name, error) from None


class PostgresTransaction:
    """One transaction on one connection."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._streams = count()

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement."""
        return self._connection.execute(_spoken(sql), parameters or None).rowcount

    def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each row, in one go."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_spoken(sql), rows)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table by COPY: the checks of its columns are prepared once, not for each row."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row."""
        return self._connection.execute(_spoken(sql), parameters or None).fetchone()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """All rows, streamed by a cursor on the server."""
        with self._connection.cursor(name=f"stream{next(self._streams)}") as cursor:
            cursor.itersize = _FETCH
            cursor.execute(_spoken(sql), parameters or None)
            yield from cursor

    def now(self) -> int:
        """The server's time, which all its users share."""
        row = self.one("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint")
        return cast("int", row[0]) if row else time.time_ns() // 1000


@lru_cache(maxsize=256)
def _spoken(sql: str) -> str:
    """The statement with psycopg's sign for a parameter; ours use ``?`` for nothing else."""
    return sql.replace("%", "%%").replace("?", "%s") if "?" in sql else sql


def _explain(name: str, error: psycopg.Error) -> LedgerError:
    """The LedgerError for a PostgreSQL error; of its own text only the SQLSTATE and our own columns are used."""
    if isinstance(error, NoAnswer):
        return LedgerError(
            f"the ledger {name} did not answer for {_SILENCE_SECONDS} seconds",
            hint="check whether its server hangs or the network drops packets; nothing is written without the ledger",
        )
    state = error.sqlstate or ""
    if state in ("23514", "23502"):  # a check, or a NULL
        return refused_column((error.diag.constraint_name or error.diag.column_name or "").removesuffix(_FORM))
    if state == "23505":
        return LedgerBroken(
            f"the ledger {name} has records that are not in its chain",
            hint="`secretsync audit verify` shows where",
        )
    if meaning := meaning_of_state(state):
        return LedgerError(f"the ledger {name} {meaning.what}", hint=meaning.hint)
    if not state and isinstance(error, psycopg.OperationalError):
        if meaning := meaning_of_words(str(error)):  # its words are looked for, and never shown
            return LedgerError(f"the ledger {name} {meaning.what}", hint=meaning.hint)
        return LedgerError(
            f"the ledger {name} cannot be reached", hint="check the address, the port, TLS and that the server is up"
        )
    return LedgerError(f"the ledger {name} failed ({state or type(error).__name__})")
