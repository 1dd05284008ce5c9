"""The store for Google Cloud Secret Manager passes the suite that every store must pass, global and regional."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from support.google.statuses import Refused, denied, slow_down

from secretsync_core.errors import AccessDenied, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.gcp_secret_manager import open_store
from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from support.google.discovery import Asked
    from support.google.server import Google

    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.base import Store, StoreContext
    from secretsync_core.testing.conformance.helpers import Seed


@pytest.mark.slow
class TestSecretManager(StoreConformance):
    """One prefix of one project, with neighbours that it must not see."""

    abilities = frozenset(Ability) - {Ability.CREATE, Ability.UNDELETE}

    @pytest.fixture
    def config(self, google: Google) -> GcpSecretManagerConfig:
        for name in ("team-b-a", "team", "a", "team-a-"):
            google.secrets.put(name, b"a neighbour")
        return GcpSecretManagerConfig.model_validate(google.section(prefix="team-a-"))

    @pytest.fixture
    async def store(self, config: GcpSecretManagerConfig, context: StoreContext) -> AsyncIterator[Store]:
        store = await open_store(config, context)
        yield store
        await store.aclose()

    @pytest.fixture
    def seed(self, google: Google) -> Seed:
        """By the fake's own hand, which takes no request: hundreds are wanted."""

        async def put(key: str, value: SecretValue) -> None:
            payload = value.reveal()
            assert isinstance(payload, bytes)
            google.secrets.put(f"team-a-{key}", payload)

        return put

    @pytest.fixture
    def reopen(self, config: GcpSecretManagerConfig, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: open_store(config, context)

    @pytest.fixture
    async def inner(self, config: GcpSecretManagerConfig, context: StoreContext) -> AsyncIterator[Store]:
        store = await open_store(config.model_copy(update={"prefix": "team-a-part-"}), context)
        yield store
        await store.aclose()

    @pytest.fixture
    async def marked(self, config: GcpSecretManagerConfig, marked_context: StoreContext) -> AsyncIterator[Store]:
        store = await open_store(config, marked_context)
        yield store
        await store.aclose()

    @pytest.fixture
    def faults(self, google: Google) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        def told(refused: Refused) -> Callable[[str], AbstractAsyncContextManager[None]]:
            @contextlib.asynccontextmanager
            async def fault(key: str) -> AsyncIterator[None]:
                def before(asked: Asked) -> None:
                    if asked.path.get("secretsId") == f"team-a-{key}":
                        raise refused

                google.before = before
                yield
                google.before = lambda _: None

            return fault

        return {
            AccessDenied: told(denied("secretmanager.versions.access", "it")),
            RateLimited: told(slow_down(0.5)),
            StoreUnavailable: told(Refused("INTERNAL", "Internal error encountered.")),
        }
