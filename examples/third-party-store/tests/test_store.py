"""The store passes the suite that every SecretSync store must pass."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
import secretsync_sqlite as provider

from secretsync_core.errors import StoreError
from secretsync_core.model.capabilities import Ability
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from secretsync_core.stores.base import Store, StoreContext


class TestSqliteStore(StoreConformance):
    """Everything that the suite asks."""

    abilities = frozenset({Ability.READ, Ability.LIST, Ability.WRITE, Ability.COMPARE_AND_SET, Ability.DELETE})

    @pytest.fixture
    async def store(self, context: StoreContext, tmp_path: Path) -> AsyncIterator[Store]:
        store = await provider.open(provider.config(path=str(tmp_path / "secrets.db")), context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, context: StoreContext, tmp_path: Path) -> Callable[[], Awaitable[Store]]:
        return lambda: provider.open(provider.config(path=str(tmp_path / "secrets.db")), context)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Another file is refused by name, and stays as it is."""
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.testing.gates import CountingGate

    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, and no database" * 100)
    with pytest.raises(StoreError, match="notes is not an SQLite database"):
        await provider.open(provider.config(path=str(path)), StoreContext("notes", CountingGate(), {}, 1))
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT 1 FROM secrets")
    assert path.read_text().startswith("these are my notes")
