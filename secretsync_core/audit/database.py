"""The port between the ledger and its database: a few statements of SQL that SQLite and PostgreSQL both understand.

Statements use ``?`` for parameters. What the two cannot say alike is in :class:`Dialect`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

Row = tuple[object, ...]

LOCK_SECONDS = 30
"""How long to wait for somebody else's transaction before giving up."""


class LedgerMissing(LedgerError):
    """There is no ledger, or no key for one, yet, and this call does not create it. Callers may go on without."""

    code = "ledger-missing"


def missing(name: str) -> LedgerMissing:
    """The error for a ledger that is not there, and is not to be made."""
    return LedgerMissing(f"there is no ledger at {name} yet", hint="the first sync creates it")


def read_only(name: str) -> LedgerError:
    """The error for a write to a ledger that was not opened for it."""
    return LedgerError(f"the ledger {name} is closed, or open for reading only")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the databases say differently.

    Attributes:
        text: the type of a text column that sorts by code points.
        binary: the type of a column of bytes.
        is_binary: a condition: the column holds bytes, not text.
        for_update: what a SELECT ends with to lock its row.
        forbid: ``forbid(expression, pattern)`` is a condition: no part of the text is like the pattern, which is a
            row of bracketed character classes, each standing for one character.
        forbid_control: a condition: the text holds no control character.
        clustered: what a CREATE TABLE ends with to keep its rows in the order of its key.
        guards: ``guards(table)`` are the statements that make a table append-only.
        guarding: statements that come before the first of those.
        require: ``require(table, column, rule)`` is the statement that holds the rows of a table to a rule from now on,
            and leaves those alone that are there; ``rule`` makes the condition of a column's name.
        shape: ``shape(transaction, version, dialect)`` says what is not as we made it in tables of a version.
    """

    text: str
    binary: str
    is_binary: Callable[[str], str]
    for_update: str
    forbid: Callable[[str, str], str]
    forbid_control: Callable[[str], str]
    clustered: str
    guards: Callable[[str], tuple[str, ...]]
    require: Callable[[str, str, Callable[[str], str]], str]
    shape: Callable[[Transaction, int, Dialect], Iterator[str]]
    guarding: tuple[str, ...] = ()


class Transaction(Protocol):
    """One transaction: everything in it happens, or nothing does."""

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; gives the number of rows that it changed."""
        ...

    def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of parameters."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add rows to a table, as fast as the database can."""
        ...

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """Run a statement and give its first row."""
        ...

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        """Run a query and stream its rows; several such streams may be open at once (reading transactions only)."""
        ...

    def now(self) -> int:
        """The time of the database, in microseconds since the epoch."""
        ...


class Database(Protocol):
    """An open database. Every error that leaves it is a LedgerError whose text holds no credentials."""

    @property
    def name(self) -> str:
        """What to call it in errors: a path, or a URL without its password."""
        ...

    @property
    def trouble(self) -> str:
        """What keeps it from being written, as far as reading has shown; empty where nothing does."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How it speaks."""
        ...

    def has_schema(self) -> bool:
        """Whether the ledger's tables are there. Raises LedgerError where tables of something else are."""
        ...

    def prepare(self, statements: Sequence[str], finish: Callable[[Transaction], None]) -> None:
        """Create the tables and call ``finish``, in one transaction, unless another process just did the same.

        Raises LedgerMissing where the database is open for reading only.
        """
        ...

    def write(self, *, long: bool = False) -> AbstractContextManager[Transaction]:
        """A transaction that is durable once the block is left without an error. ``long``: one statement may read all
        of the ledger."""
        ...

    def read(self, *, long: bool = False) -> AbstractContextManager[Transaction]:
        """A reading transaction on a connection of its own, seeing one moment of the database throughout. ``long``:
        one statement may read all of the ledger."""
        ...

    def close(self) -> None:
        """Give the connections back; may be called twice."""
        ...

    # What migrations need: they run on a connection of their own, which SQLAlchemy wraps.

    @property
    def driver(self) -> str:
        """SQLAlchemy's name of the database and its driver."""
        ...

    @property
    def schema(self) -> str | None:
        """The schema that the tables stand in; ``None`` where there is but one."""
        ...

    def connect(self) -> object:
        """A new connection of the driver's own kind, which begins and ends no transaction by itself."""
        ...

    def begin_migrating(self, connection: Any) -> Transaction:
        """Begin a writing transaction on such a connection. Nobody else migrates until it ends."""
        ...

    def explained(self) -> AbstractContextManager[None]:
        """Turn what the driver raises into a LedgerError, whose text holds no credentials."""
        ...
