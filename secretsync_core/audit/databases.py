"""Which database a ledger's URL or path names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from secretsync_core.audit.database import LedgerMissing
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from secretsync_core.audit.database import Database


_LIKE_AN_ADDRESS = re.compile(r"\bpassword\s*=|^[^/]*:[^/]*@", re.IGNORECASE)


def open_database(url: str | Path, *, read_only: bool) -> Database:
    """The database that a URL or path names. An error names the scheme, never the URL: it may hold a password."""
    scheme, found, rest = str(url).partition("://")
    if isinstance(url, Path) or not found:
        if _LIKE_AN_ADDRESS.search(str(url)):  # as a path it would be told, and a file be called so
            raise LedgerError(
                "the ledger's path looks like the address of a database", hint="write postgresql://…, or another path"
            )
        path = Path(url)
    elif scheme == "sqlite":
        path = Path(rest.removeprefix("/"))
        if rest in ("", "/"):
            raise LedgerError("the ledger's URL names no file", hint="write sqlite:///path/to/ledger.db")
    elif scheme in ("postgresql", "postgres"):
        from secretsync_core.audit.postgres import PostgresDatabase  # its driver is an extra

        return PostgresDatabase(str(url), read_only=read_only)
    else:
        raise LedgerError(
            "the ledger's URL has a scheme that is not known", hint="use a path, sqlite:///path or postgresql://…"
        )
    from secretsync_core.audit.sqlite import SqliteDatabase

    return SqliteDatabase(path.expanduser(), read_only=read_only)


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
