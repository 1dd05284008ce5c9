"""The store: one method for each thing that it can do. SecretSync reads its abilities off the methods."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.errors import Conflict, InvalidSecret, SecretNotFound, StoreError, StoreUnavailable
from secretsync_core.key_rules import key_fault
from secretsync_core.model.capabilities import Shape, StoreFacts, StoreLimits
from secretsync_core.model.inventory import Entry
from secretsync_core.model.place import Place, is_place
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.fit import check_key, json_fields_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from secretsync_core.model.inventory import Gap
    from secretsync_core.stores.base import StoreContext
    from secretsync_sqlite.config import SqliteConfig

T = TypeVar("T")

_TABLE = "CREATE TABLE IF NOT EXISTS secrets (key TEXT PRIMARY KEY, version TEXT NOT NULL, fields TEXT NOT NULL)"

LIMITS = StoreLimits(
    max_key_bytes=512,
    key_pattern="[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*",
    key_rule="letters, digits, - and _, with single slashes between folders",
)


def place_of(path: str) -> Place | None:
    """Where a file's secrets are: the same for every document that names it, and with no credential in it.

    The last part is what stands before every key, so that a folder of the file would be a place within this one.
    """
    place = Place("sqlite", path, "")
    return place if is_place(place) else None


class SqliteStore:
    """Secrets of named fields, with versions and compare-and-set."""

    LIMITS = LIMITS

    def __init__(self, path: str, context: StoreContext) -> None:
        place = place_of(os.path.realpath(path))
        self.facts = StoreFacts(context.name, "sqlite", Shape.FIELDS, versioned=True, limits=LIMITS, place=place)
        self._path = path
        self._name = context.name
        # The one way out: it bounds, paces, counts, and repeats what fails with an error that says it may.
        self._gate = context.gate

    @classmethod
    async def open(cls, config: SqliteConfig, context: StoreContext) -> SqliteStore:
        """Open the file and make the table."""
        store = cls(config.path, context)
        await store._run("open", lambda database: database.execute(_TABLE))
        return store

    async def aclose(self) -> None:
        """Every request opens a connection of its own, so there is nothing to give back."""

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The secret's fields. There are no old versions to pin."""
        check_key(key, self._name, LIMITS)
        if version is not None:
            raise StoreError("sqlite keeps no old versions", store=self._name, key=key)

        def select(database: sqlite3.Connection) -> tuple[str, str] | None:
            row: tuple[str, str] | None = database.execute(
                "SELECT version, fields FROM secrets WHERE key = ?", (key,)
            ).fetchone()
            return row

        row = await self._run("read", select)
        if row is None:
            raise SecretNotFound(f"{key} is not in {self._name}", store=self._name, key=key)
        return Secret(SecretValue(json.loads(row[1])), row[0])

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Versions without values, all in one request."""
        # What cannot be a key is not there; SQLite itself would end it at a NUL and find another one.
        wanted = json.dumps([key for key in keys if not key_fault(key, LIMITS)])
        query = "SELECT key, version FROM secrets WHERE key IN (SELECT value FROM json_each(?))"
        for key, version in await self._run("stat", lambda database: database.execute(query, (wanted,)).fetchall()):
            yield Entry(key, version)

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """What is below a folder. There is no custom metadata, and LIMITS says so."""
        query = "SELECT key, version FROM secrets WHERE substr(key, 1, ?) = ? ORDER BY key"
        rows = await self._run("list", lambda database: database.execute(query, (len(prefix), prefix)).fetchall())
        for key, version in rows:
            if recursive or "/" not in key[len(prefix) :]:
                yield Entry(key, version)

    async def write(self, key: str, value: SecretValue) -> str:
        """Create or replace."""
        row = (key, _new_version(), self._encoded(key, value))
        await self._run("write", lambda database: database.execute("REPLACE INTO secrets VALUES (?, ?, ?)", row))
        return row[1]

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str:
        """Create (``expected`` is None) or replace, only if nobody wrote meanwhile."""
        version, fields = _new_version(), self._encoded(key, value)

        def put(database: sqlite3.Connection) -> str:
            if expected is None:
                done = database.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?, ?)", (key, version, fields))
            else:
                done = database.execute(
                    "UPDATE secrets SET version = ?, fields = ? WHERE key = ? AND version = ?",
                    (version, fields, key, expected),
                )
            # Raised in here, so that it passes the gate: that knows whether an earlier attempt may have been ours.
            if not done.rowcount:
                raise Conflict(f"{key} in {self._name} changed meanwhile", store=self._name, key=key)
            return version

        return await self._run("write", put)

    async def delete(self, key: str) -> None:
        """Delete; what is absent already is no error."""
        check_key(key, self._name, LIMITS)
        await self._run("delete", lambda database: database.execute("DELETE FROM secrets WHERE key = ?", (key,)))

    async def _run(self, kind: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """One request, in a thread, through the gate."""

        def attempt() -> T:
            try:
                with closing(sqlite3.connect(self._path, timeout=5)) as database, database:
                    return work(database)
            except sqlite3.OperationalError:
                # Locked by others, for one. Its text is not passed on: it may quote what was sent.
                failure: StoreError = StoreUnavailable(f"{self._name} cannot be used now", store=self._name)
            except sqlite3.DatabaseError:
                failure = StoreError(f"{self._name} is not an SQLite database", store=self._name)
            raise failure

        return await self._gate(kind, lambda: asyncio.to_thread(attempt))

    def _encoded(self, key: str, value: SecretValue) -> str:
        check_key(key, self._name, LIMITS)
        fields = json_fields_of(value, self.facts, key)
        try:
            text = json.dumps(fields, allow_nan=False)
            text.encode()
        except ValueError:
            text = ""
        if not text:
            raise InvalidSecret(f"{key} holds what JSON cannot", store=self._name, key=key)
        return text


def _new_version() -> str:
    """Never given twice, also where a secret is deleted and made again: a change must not look like none."""
    return secrets.token_hex(8)
