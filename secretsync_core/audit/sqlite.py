"""The ledger's database as one SQLite file."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secretsync_core.audit import home
from secretsync_core.audit.database import LOCK_SECONDS, Dialect, missing, read_only
from secretsync_core.audit.private import check_directory, check_ledger
from secretsync_core.audit.schema import COLUMNS, REQUESTS, RULES, STATE, VERSIONS, refused_column
from secretsync_core.audit.shape import sqlite_faults
from secretsync_core.errors import LedgerBroken, LedgerError
from secretsync_core.ledger_address import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from secretsync_core.audit.database import Row, Transaction


def _forbid(expression: str, pattern: str) -> str:
    return f"{expression} NOT GLOB '*{pattern}*'"


def _forbid_control(expression: str) -> str:
    return f"{expression} NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'"


def _is_binary(expression: str) -> str:
    return f"typeof({expression}) = 'blob'"


_GUARD = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"

DIALECT = Dialect(
    text="TEXT",
    binary="BLOB",
    is_binary=_is_binary,
    for_update="",
    forbid=_forbid,
    forbid_control=_forbid_control,
    clustered=" WITHOUT ROWID",
    guards=lambda table: (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {_GUARD}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {_GUARD}",
    ),
    require=lambda table, column, rule: (
        f"CREATE TRIGGER {table}_{column} BEFORE INSERT ON {table} WHEN NOT ({rule(f'NEW.{column}')})"
        f" BEGIN SELECT RAISE(ABORT, '{column}'); END"
    ),
    shape=sqlite_faults,
)


class SqliteDatabase:
    """One file in WAL mode. Readers do not wait for the writer, nor the writer for readers."""

    dialect = DIALECT
    driver = "sqlite"
    schema = None

    def __init__(self, path: Path, *, read_only: bool) -> None:
        """Open ``path``, creating it (0600) and its directory (0700) unless ``read_only``.

        Raises LedgerMissing where it is not there and ``read_only``, LedgerError where it cannot be used.
        """
        self.name = name_of(path)
        self._path = path
        self._read_only = read_only
        self._immutable = False
        self.trouble = ""
        self._writer: sqlite3.Connection | None = None
        if not read_only:
            check_directory(path.parent)
            self._create()
        elif not self._is_there():
            raise missing(self.name)
        if path.is_dir():
            raise LedgerError(f"the ledger {self.name} is a directory", hint="name a file in it, such as ledger.db")
        check_ledger(path)
        if not read_only:
            with self.explained():
                self._writer = self.connect()
                self._enter_wal(self._writer)
                # FULL: a record is on the disk before the act that it announces.
                self._writer.execute("PRAGMA synchronous=FULL")

    def _is_there(self) -> bool:
        """Whether something is in its place. Raises LedgerError where nothing can be, for its name is too long."""
        try:
            return self._path.exists()
        except OSError as error:
            raise LedgerError(
                f"the ledger {self.name} cannot be used: {error.strerror}", hint="choose another place for the ledger"
            ) from None

    def _create(self) -> None:
        """Make the file before SQLite does, so that nobody else can ever read it (its WAL inherits the mode)."""
        try:
            home.make(self._path.parent)
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if self._path.parent.is_dir():
                return
            raise LedgerError(
                f"the ledger {self.name} cannot be created: its folder is not a directory", hint="choose another place"
            ) from None
        except OSError as error:
            raise LedgerError(
                f"the ledger {self.name} cannot be created: {error.strerror}",
                hint="check that the directory exists and may be written, or choose another place for the ledger",
            ) from None

    def connect(self) -> sqlite3.Connection:
        """A new connection, for writing unless we are read-only."""
        mode = "ro" if self._read_only else "rw"
        uri = f"{self._path.absolute().as_uri()}?mode={mode}{'&immutable=1' if self._immutable else ''}"
        # One thread at a time uses a connection, but a stream may be left to the garbage collector of another.
        connection = sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA trusted_schema=OFF")
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _enter_wal(connection: sqlite3.Connection) -> None:
        """Switch to WAL; SQLite does not wait by itself where two processes do this at once."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def has_schema(self) -> bool:
        """Whether the tables are there; LedgerError where the file is a database of something else."""
        with self.read() as transaction:
            tables = {row[0] for row in transaction.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if tables and not {"ledger", "meta"} & tables:
            raise LedgerError(
                f"{self.name} is another program's SQLite database", hint="name another file for the ledger"
            )
        return bool(tables)

    def prepare(self, statements: Sequence[str], finish: Callable[[Transaction], None]) -> None:
        """Create the tables, unless another process was faster."""
        if self._read_only:
            raise missing(self.name)
        with self.write() as transaction:
            if transaction.one("SELECT 1 FROM sqlite_schema WHERE type = 'table'") is None:
                for statement in statements:
                    transaction.run(statement)
                finish(transaction)

    @contextmanager
    def write(self, *, long: bool = False) -> Iterator[SqliteTransaction]:
        """A transaction that holds the file's one write lock from the start."""
        connection = self._writer
        if connection is None:
            raise read_only(self.name)
        with self.explained():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[SqliteTransaction]:
        """One moment of the file, on a connection of its own."""
        with self.explained():
            connection = self._begin_reading()
            try:
                yield SqliteTransaction(connection)
            finally:
                connection.close()

    def _begin_reading(self) -> sqlite3.Connection:
        connection = self.connect()
        try:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM sqlite_schema").fetchone()  # the moment is this one
        except sqlite3.OperationalError as error:
            connection.close()
            # SQLite wants to make a -shm file beside the ledger. Where the place is read-only nobody is writing, and
            # without a WAL the file alone is the whole ledger.
            full = error.sqlite_errorname in _NO_ROOM and _is_full(self._path.parent)
            known = full or error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if not known or not self._read_only or self._immutable or self._has_wal():
                raise
            self._immutable = True
            if full:
                self.trouble = (
                    f"no space left on the disk of the ledger {self.name}: it can be read, but nothing can be recorded"
                )
            return self._begin_reading()
        except BaseException:
            connection.close()
            raise
        return connection

    def _has_wal(self) -> bool:
        wal = self._path.with_name(self._path.name + "-wal")
        return wal.exists() and wal.stat().st_size > 0

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def begin_migrating(self, connection: sqlite3.Connection) -> SqliteTransaction:
        """Take the file's one write lock."""
        if self._read_only:
            raise read_only(self.name)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        return SqliteTransaction(connection)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what SQLite raises into a LedgerError that says what to do."""
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") in _NO_ROOM and _is_full(self._path.parent):
                raise _explain(self.name, error, "SQLITE_FULL") from None
            raise _explain(self.name, error) from None
        except OverflowError:
            raise LedgerError(f"the ledger {self.name} refused a number that is too large") from None
        except UnicodeDecodeError:  # Python's, of what SQLite quotes in the text of an error: that is no error of ours
            raise _explain(self.name, sqlite3.DatabaseError(), "SQLITE_CORRUPT") from None
        except (TypeError, ValueError, AttributeError):
            # SQLite takes a text for a number, and another hand may have put one there. If not, it is our mistake.
            if not self._holds_other_types():
                raise
            raise LedgerBroken(f"the ledger {self.name} holds what no record of ours can hold", hint=BROKEN) from None

    def _holds_other_types(self) -> bool:
        try:
            connection = self.connect()
        except sqlite3.Error:
            return False
        try:
            return any(connection.execute(sql).fetchone() for sql in _OTHER_TYPES)
        except (sqlite3.Error, UnicodeDecodeError):
            return False
        finally:
            connection.close()


class SqliteTransaction:
    """One transaction on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement."""
        return self._connection.execute(sql, parameters).rowcount

    def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each row."""
        self._connection.executemany(sql, rows)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table."""
        places = ", ".join("?" * len(columns))
        self.many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)  # noqa: S608  our own names

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row."""
        cursor = self._connection.execute(sql, parameters)
        try:
            row: Row | None = cursor.fetchone()
            return row
        finally:
            cursor.close()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """All rows, streamed."""
        return self._connection.execute(sql, parameters)

    def now(self) -> int:
        """The time of this machine, which all users of the file share."""
        return time.time_ns() // 1000


BROKEN = "`secretsync audit verify` shows what is wrong; keep the ledger unchanged for the investigation"

_BLOBS = ("hash", "previous", "seal", "definition", "fingerprint", "fields")
_NUMBERS = (
    "seq",
    "time",
    "ordinal",
    "owned",
    "acquired",
    "expires",
    "in_sync",
    "since",
    "requests",
    "drifted",
    "found",
)


def _kind(column: str) -> str:
    if column in VERSIONS:
        return "'text', 'null'"
    return "'blob'" if column in _BLOBS else "'integer'" if column in _NUMBERS else "'text'"


_OTHER_TYPES = tuple(
    f"SELECT 1 FROM {table} WHERE {' OR '.join(f'typeof({name}) NOT IN ({_kind(name)})' for name in columns)} LIMIT 1"  # noqa: S608  our own names
    for table, columns in (
        ("heads", ("job", "ordinal", "seq", "hash", "seal")),
        ("meta", ("name", "value", "seal")),
        ("current", ("job", *STATE)),
        ("leases", ("job", "holder", "acquired", "expires")),
        ("ledger", COLUMNS),
        ("run_requests", REQUESTS),
        ("item_state", ("job", "item", "in_sync", "run", "since")),
        ("checks", ("job", "run", "time", "drifted")),
        ("places", ("job", "dest", "place", "seq")),
        ("drift", ("job", "dest", "key", "item", "kind", "run", "found")),
        ("positions", ("place", "position", "time")),
    )
)
"""Each finds a row with a value of a type that its column never has, small tables first."""

_HINTS = {
    "SQLITE_NOTADB": ("is not an SQLite database", "name another file, or move this one away"),
    "SQLITE_CORRUPT": (
        "is damaged",
        "stop all syncs and restore it from a backup; `sqlite3 FILE .recover` may save what is readable",
    ),
    "SQLITE_CANTOPEN": ("cannot be opened", "check that the file and its directory exist and may be read and written"),
    "SQLITE_PERM": ("may not be accessed", "check who owns the file and its directory"),
    "SQLITE_READONLY": ("cannot be written", "check the permissions of the file and its directory, and the mount"),
    "SQLITE_FULL": (
        "cannot grow: no space left, the disk is full",
        "free some space and run again; nothing half-written was kept",
    ),
    "SQLITE_BUSY": (
        f"was locked by another process for {LOCK_SECONDS} seconds",
        "see what else has it open; PostgreSQL suits many writers better",
    ),
    "SQLITE_IOERR": ("cannot be read or written: the disk reports an error", "check the disk and the mount"),
}


_NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_SHMMAP", "SQLITE_IOERR_SHMOPEN", "SQLITE_IOERR_WRITE")
"""What SQLite says where there is no room, for one reason or another."""

_ROOM = 64 * 1024  # what SQLite needs beside a file to read it


def _is_full(directory: Path) -> bool:
    try:
        room = os.statvfs(directory)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _ROOM


def _explain(name: str, error: sqlite3.Error, kind: str = "") -> LedgerError:
    """The LedgerError for an SQLite error; of its own text only the names of our own columns are used."""
    kind = kind or getattr(error, "sqlite_errorname", "") or ""
    if kind == "SQLITE_CONSTRAINT_CHECK":
        return refused_column(str(error).rpartition(":")[2].strip())
    if kind == "SQLITE_CONSTRAINT_NOTNULL":
        return refused_column(str(error).rpartition(".")[2].strip())
    if kind == "SQLITE_CONSTRAINT_TRIGGER" and str(error) in RULES:
        return refused_column(str(error))
    if kind.startswith("SQLITE_CONSTRAINT"):
        return LedgerBroken(
            f"the ledger {name} has records that are not in its chain",
            hint="`secretsync audit verify` shows where",
        )
    for known, (what, hint) in _HINTS.items():
        if kind.startswith(known):
            return LedgerError(f"the ledger {name} {what}", hint=hint)
    return LedgerError(f"the ledger {name} failed: {kind or type(error).__name__}")
