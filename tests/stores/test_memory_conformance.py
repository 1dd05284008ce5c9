"""The memory store passes the suite that every store must pass, as fields and as blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from secretsync_core.model.capabilities import Ability
from secretsync_core.schema.provider_configs import MemoryConfig
from secretsync_core.stores import memory
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from secretsync_core.stores.base import Store, StoreContext


class _Memory(StoreConformance):
    abilities = frozenset(Ability)
    shape: Literal["fields", "binary-fields", "blob"]

    @pytest.fixture
    async def store(self, context: StoreContext) -> AsyncIterator[Store]:
        memory.reset()
        store = await memory.open_store(MemoryConfig(shape=self.shape), context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: memory.open_store(MemoryConfig(shape=self.shape), context)

    @pytest.fixture
    async def marked(self, store: Store, marked_context: StoreContext) -> Store:
        return await memory.open_store(MemoryConfig(shape=self.shape), marked_context)


class TestMemoryOfFields(_Memory):
    """Named fields, as in Vault."""

    shape = "fields"


class TestMemoryOfBinaryFields(_Memory):
    """Named runs of bytes, as in Kubernetes."""

    shape = "binary-fields"


class TestMemoryOfBlobs(_Memory):
    """Runs of bytes, as in files."""

    shape = "blob"
