"""The store for AWS Parameter Store passes the suite that every store must pass."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import AccessDenied, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.aws_parameter_store import open_store
from secretsync_core.stores.aws_parameter_store.config import AwsParameterStoreConfig
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from support.aws import Microburst, Region

    from secretsync_core.stores.base import Store, StoreContext


@pytest.mark.slow
class TestParameterStore(StoreConformance):
    """One path of one region, with neighbours that it must not see."""

    abilities = frozenset(Ability) - {Ability.COMPARE_AND_SET, Ability.UNDELETE}

    @pytest.fixture
    def config(self, region: Region, endpoint: str) -> AwsParameterStoreConfig:
        for name in ("/team-b/a", "/team", "a", "/team-ab/c"):
            region.parameters.put_parameter(Name=name, Value="a neighbour", Type="String")
        return AwsParameterStoreConfig.model_validate(region.section(endpointUrl=endpoint, path="/team-a"))

    @pytest.fixture
    async def store(self, config: AwsParameterStoreConfig, context: StoreContext) -> AsyncIterator[Store]:
        store = await open_store(config, context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, config: AwsParameterStoreConfig, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: open_store(config, context)

    @pytest.fixture
    async def inner(self, config: AwsParameterStoreConfig, context: StoreContext) -> AsyncIterator[Store]:
        store = await open_store(config.model_copy(update={"path": "/team-a/part/"}), context)
        yield store
        await store.aclose()

    @pytest.fixture
    async def marked(self, config: AwsParameterStoreConfig, marked_context: StoreContext) -> AsyncIterator[Store]:
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
                error = {"code": code, "status": status}
                burst.rules(
                    {"body": f"Name == '/team-a/{key}' || contains(Names || `[]`, '/team-a/{key}')", "error": error}
                )
                yield
                burst.rules()

            return fault

        return {
            AccessDenied: told("AccessDeniedException", 400),
            RateLimited: told("ThrottlingException", 400),
            StoreUnavailable: told("InternalServerError", 500),
        }
