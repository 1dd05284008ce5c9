"""A SecretSync store in one SQLite file.

SecretSync finds this module by the entry point ``sqlite`` of the group ``secretsync.stores``, and loads it only when a
document names it. It asks for two things here: ``config``, the model of what may stand in the document, and ``open``.
A third, ``place``, is optional: it lets ``validate`` see that two documents name one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_sqlite.config import SqliteConfig
from secretsync_sqlite.store import SqliteStore, place_of

if TYPE_CHECKING:
    from secretsync_core.model.place import Place
    from secretsync_core.stores.base import Store, StoreContext

__all__ = ["config", "open", "place"]

config = SqliteConfig


async def open(config: SqliteConfig, context: StoreContext) -> Store:  # noqa: A001  the name that SecretSync asks for
    """Open the file, making it where there is none. Raises StoreError where it is not a database."""
    return await SqliteStore.open(config, context)


def place(config: SqliteConfig) -> Place | None:
    """Where the store is, by its document alone; None would say that only the open store can tell."""
    return place_of(config.path)
