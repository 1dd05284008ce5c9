"""Which database a ledger's URL or path names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.audit.database import LedgerMissing
from secretsync_core.ledger_address import address_of

if TYPE_CHECKING:
    from secretsync_core.audit.database import Database


def open_database(url: str | Path, *, read_only: bool) -> Database:
    """The database that a URL or path names. Raises LedgerError, which says no more of it than ``address.name_of``."""
    kind, where = address_of(url)
    if kind == "postgresql":
        from secretsync_core.audit.postgres import PostgresDatabase  # its driver is an extra

        return PostgresDatabase(where, read_only=read_only)
    from secretsync_core.audit.sqlite import SqliteDatabase

    return SqliteDatabase(Path(where).expanduser(), read_only=read_only)


def exists(url: str | Path) -> bool:
    """Whether there is a ledger at ``url``, which takes no key to tell. Raises LedgerError where it cannot be told."""
    try:
        database = open_database(url, read_only=True)
    except LedgerMissing:
        return False
    try:
        return database.has_schema()
    finally:
        database.close()
