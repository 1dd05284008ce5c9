"""A store without versions and conditions, as KV version 1 is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretsync_core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from secretsync_core.model.inventory import Entry
    from secretsync_core.secret import SecretValue


class Plain:
    """A store that keeps the last value and nothing else."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.facts = inner.facts

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def read(self, key: str, version: str | None = None) -> Secret:
        return Secret((await self._inner.read(key, version)).value, None)

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry]:
        async for entry in self._inner.stat(keys):
            if not entry.deleted:
                yield entry._replace(version=None)

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry]:
        async for entry in self._inner.list(prefix, recursive=recursive, metadata=metadata):
            if not entry.deleted:
                yield entry._replace(version=None)

    async def write(self, key: str, value: SecretValue) -> None:
        await self._inner.write(key, value)

    async def delete(self, key: str) -> None:
        await self._inner.delete(key)
