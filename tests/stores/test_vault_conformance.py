"""The vault store passes the suite that every store must pass, on both versions of the engine of a real server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.base import StoreContext
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from secretsync_core.stores.base import Store
    from secretsync_core.testing.gates import CountingGate


class _Vault(StoreConformance):
    kv_version: int

    @pytest.fixture
    def context(self, gate: CountingGate) -> StoreContext:
        return StoreContext(name="test-vault", gate=gate, environ=os.environ, concurrency=32)

    @pytest.fixture
    async def store(self, vault_store_factory: Any, gate: CountingGate, mounted: str) -> Store:
        store: Store = await vault_store_factory(self.kv_version, gate=gate, mount=mounted)
        return store

    @pytest.fixture
    def mounted(self, openbao: Any, mount: Any) -> str:
        name: str = mount(openbao, self.kv_version)
        return name

    @pytest.fixture
    def reopen(self, vault_store_factory: Any, gate: CountingGate, mounted: str) -> Callable[[], Awaitable[Store]]:
        return lambda: vault_store_factory(self.kv_version, gate=gate, mount=mounted)

    @pytest.fixture
    async def read_only(
        self, vault_store_factory: Any, gate: CountingGate, openbao: Any, mounted: str, make_token: Any
    ) -> Store:
        token = make_token(openbao, f'path "{mounted}/*" {{ capabilities = ["read", "list"] }}')
        auth = {"token": {"value": token}}
        store: Store = await vault_store_factory(self.kv_version, gate=gate, mount=mounted, auth=auth)
        return store


@pytest.mark.slow
class TestKvVersion1(_Vault):
    """The engine without versions."""

    kv_version = 1
    abilities = frozenset({Ability.READ, Ability.LIST, Ability.WRITE, Ability.DELETE})


class TestKvVersion2(_Vault):
    """The engine with versions, metadata and compare-and-set."""

    kv_version = 2
    abilities = frozenset(Ability) - {Ability.CREATE}

    @pytest.fixture
    async def marked(self, vault_store_factory: Any, marked_context: StoreContext, mounted: str) -> Store:
        gate, mark = marked_context.gate, marked_context.mark
        store: Store = await vault_store_factory(self.kv_version, gate=gate, mount=mounted, mark=mark)
        return store
