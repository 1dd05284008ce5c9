"""The store for AWS Secrets Manager passes the suite that every store must pass."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import AccessDenied, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.aws_secrets_manager import open_store
from secretsync_core.stores.aws_secrets_manager.config import AwsSecretsManagerConfig
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from support.aws import Microburst, Region

    from secretsync_core.stores.base import Store, StoreContext


class TestSecretsManager(StoreConformance):
    """One prefix of one region, with neighbours that it must not see."""

    abilities = frozenset(Ability) - {Ability.CREATE}

    @pytest.fixture
    def config(self, region: Region, endpoint: str) -> AwsSecretsManagerConfig:
        for name in ("team-b/a", "team", "a"):
            region.secrets.create_secret(Name=name, SecretString="a neighbour")
        return AwsSecretsManagerConfig.model_validate(region.section(endpointUrl=endpoint, prefix="team-a/"))

    @pytest.fixture
    async def store(self, config: AwsSecretsManagerConfig, context: StoreContext) -> AsyncIterator[Store]:
        store = await open_store(config, context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, config: AwsSecretsManagerConfig, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: open_store(config, context)

    @pytest.fixture
    async def inner(self, config: AwsSecretsManagerConfig, context: StoreContext) -> AsyncIterator[Store]:
        store = await open_store(config.model_copy(update={"prefix": "team-a/part-"}), context)
        yield store
        await store.aclose()

    @pytest.fixture
    async def marked(self, config: AwsSecretsManagerConfig, marked_context: StoreContext) -> AsyncIterator[Store]:
        store = await open_store(config, marked_context)
        yield store
        await store.aclose()

    @pytest.fixture
    def faults(
        self, burst: Microburst
    ) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        def told(code: str, status: int) -> Callable[[str], AbstractAsyncContextManager[None]]:
            @contextlib.asynccontextmanager
            async def fault(key: str) -> AsyncIterator[None]:
                burst.rules({"body": f"SecretId == 'team-a/{key}'", "error": {"code": code, "status": status}})
                yield
                burst.rules()

            return fault

        return {
            AccessDenied: told("AccessDeniedException", 400),
            RateLimited: told("ThrottlingException", 400),
            StoreUnavailable: told("InternalServiceError", 500),
        }
