"""The memory store passes the suite that every store must pass, in every shape and however it awaits its gate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import pytest
from support.look_only import look_only

from secretsync_core.model.capabilities import Ability, Shape
from secretsync_core.stores import memory
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.memory import MemoryConfig, MemoryStore
from secretsync_core.testing.conformance import MARK, StoreConformance
from secretsync_core.testing.gates import GateInTasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from secretsync_core.stores.base import Store
    from secretsync_core.testing.gates import CountingGate


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


@pytest.mark.slow
class TestMemoryOfBinaryFields(_Memory):
    """Named runs of bytes, as in Kubernetes."""

    shape = "binary-fields"


@pytest.mark.slow
class TestMemoryOfBlobs(_Memory):
    """Runs of bytes, as in files."""

    shape = "blob"


LookOnly = look_only(MemoryStore)


async def _opened(context: StoreContext) -> Store:
    store: Store = LookOnly(Shape.FIELDS, context)
    return store


class TestMemoryThatShowsNoValues(StoreConformance):
    """A store that can be looked at and not read."""

    abilities = frozenset(Ability) - {Ability.READ}

    @pytest.fixture
    async def store(self, context: StoreContext) -> Store:
        memory.reset()
        return await _opened(context)

    @pytest.fixture
    def reopen(self, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: _opened(context)

    @pytest.fixture
    async def marked(self, store: Store, marked_context: StoreContext) -> Store:
        return await _opened(marked_context)


class _InTasks(_Memory):
    """A store that awaits its gate in a task, as one of a third party may."""

    shape = "fields"
    how: Literal["wait_for", "gather"]

    @pytest.fixture
    def context(self, gate: CountingGate) -> StoreContext:
        return StoreContext("under-test", GateInTasks(gate, self.how), os.environ, 8)

    @pytest.fixture
    def marked_context(self, gate: CountingGate) -> StoreContext:
        return StoreContext("under-test", GateInTasks(gate, self.how), os.environ, 8, mark=MARK, mark_at_a_cost=True)


@pytest.mark.slow
class TestMemoryUnderWaitFor(_InTasks):
    """Every request has a time limit of the store's own."""

    how = "wait_for"


@pytest.mark.slow
class TestMemoryUnderGather(_InTasks):
    """Every request is one of a group."""

    how = "gather"
