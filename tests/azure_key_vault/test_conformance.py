"""A key vault passes the suite that every store must pass."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from support.azure.refusals import RefusedError, by_role, failing, throttled

from secretsync_core.errors import AccessDenied, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.azure_key_vault import open_store
from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from support.azure.service import KeyVault

    from azure_key_vault.conftest import Section
    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.base import Store, StoreContext


@pytest.mark.slow
class TestKeyVault(StoreConformance):
    """Everything but compare-and-set, and creating only what is absent, which the service does not have."""

    abilities = frozenset(Ability) - {Ability.COMPARE_AND_SET, Ability.CREATE}

    def _open(self, section: Section, context: StoreContext) -> Awaitable[Store]:
        return open_store(AzureKeyVaultConfig.model_validate_json(json.dumps(section())), context)

    @pytest.fixture
    async def store(self, section: Section, context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(section, context)
        yield store
        await store.aclose()

    @pytest.fixture
    def seed(self, azure: KeyVault) -> Callable[[str, SecretValue], Awaitable[object]]:
        """By hand, for the suite puts hundreds there."""

        async def put(key: str, value: SecretValue) -> None:
            payload = value.reveal()
            assert isinstance(payload, bytes)
            azure.vault.set(key, {"value": payload.decode()})

        return put

    @pytest.fixture
    def reopen(self, section: Section, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: self._open(section, context)

    @pytest.fixture
    async def marked(self, section: Section, marked_context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(section, marked_context)
        yield store
        await store.aclose()

    @pytest.fixture
    def faults(self, azure: KeyVault) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        @contextlib.asynccontextmanager
        async def refused(error: RefusedError) -> AsyncIterator[None]:
            azure.refuse("secrets", error)
            yield
            azure.heal()

        return {
            AccessDenied: lambda _: refused(by_role()),
            RateLimited: lambda _: refused(throttled()),
            StoreUnavailable: lambda _: refused(failing()),
        }
