"""A provider for tests: directories of files that are slow, or fail in one way or another, on command."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from secretsync_core.errors import AccessDenied, RateLimited, StoreUnavailable
from secretsync_core.stores import file
from secretsync_core.stores.file import FileConfig
from secretsync_core.stores.file.store import FileStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.base import Store, StoreContext

CANARY = "hunter2-canary"


class config(BaseModel):  # noqa: N801  the name that the entry point's group asks for
    """Where the files are, how long a write takes, which writes fail how (key: error), and whether values are shown."""

    model_config = ConfigDict(extra="forbid")

    path: str
    delay: float = 0.0
    fail: dict[str, str] = {}
    values: bool = True


def _trouble(kind: str) -> Exception:
    if kind == "denied":
        return AccessDenied("the store refuses us", hint="give the token another policy")
    if kind == "unavailable":
        return StoreUnavailable("the store cannot be reached")
    if kind == "limited":
        return RateLimited("slow down")
    return ValueError(f"a bug that quotes {CANARY}")


class Unread:
    """A file store that misbehaves as its configuration says, and shows no values."""

    def __init__(self, inner: FileStore, settings: config) -> None:
        self._inner = inner
        self._settings = settings

    @property
    def facts(self) -> StoreFacts:
        return self._inner.facts

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _check(self, what: str) -> None:
        if what in self._settings.fail:
            raise _trouble(self._settings.fail[what])

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        async for found in self._inner.stat(keys):
            yield found

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        self._check("list")
        async for found in self._inner.list(prefix, recursive=recursive, metadata=metadata):
            yield found

    async def write(self, key: str, value: SecretValue) -> str | None:
        await asyncio.sleep(self._settings.delay)
        if self._settings.fail.get(f"write {key}") == "quote":
            raise ValueError(f"a bug that quotes what it was given: {value.reveal()!r}")
        self._check(f"write {key}")
        return await self._inner.write(key, value)

    async def delete(self, key: str) -> None:
        await self._inner.delete(key)


class Trouble(Unread):
    """One that shows them."""

    async def read(self, key: str, version: str | None = None) -> Secret:
        self._check(f"read {key}")
        return await self._inner.read(key, version)


async def open_store(settings: config, context: StoreContext) -> Store:
    """Open it, or fail to."""
    if "open" in settings.fail:
        raise _trouble(settings.fail["open"])
    inner = await file.open_store(FileConfig(path=settings.path), context)
    assert isinstance(inner, FileStore)
    return Trouble(inner, settings) if settings.values else Unread(inner, settings)


open = open_store  # noqa: A001
provider = sys.modules[__name__]
