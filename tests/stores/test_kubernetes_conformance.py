"""The Kubernetes stores pass the suite that every store must pass, over the official client and the fake API server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from support.kube_api import Rule
from support.kube_either import kube_api

from secretsync_core.errors import AccessDenied, RateLimited, StoreError, StoreUnavailable
from secretsync_core.model.capabilities import Ability
from secretsync_core.stores.kubernetes import open_store
from secretsync_core.stores.kubernetes.config import KubernetesConfig
from secretsync_core.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from support.kube_api import KubeApi

    from secretsync_core.stores.base import Store, StoreContext


class _Kubernetes(StoreConformance):
    abilities = frozenset(Ability) - {Ability.CREATE, Ability.UNDELETE}
    config: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def api(self) -> Iterator[KubeApi]:
        with kube_api() as api:
            api.cluster.create_namespace("team-a")
            # The suite writes into folders as they come to its mind.
            api.cluster.any_namespace = True
            yield api

    def _open(self, api: KubeApi, context: StoreContext) -> Awaitable[Store]:
        section = {"server": api.address, "auth": {"token": {"value": api.admin}}, **self.config}
        return open_store(KubernetesConfig.model_validate(section), context)

    @pytest.fixture
    async def store(self, api: KubeApi, context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(api, context)
        yield store
        await store.aclose()

    @pytest.fixture
    async def marked(self, api: KubeApi, marked_context: StoreContext) -> AsyncIterator[Store]:
        store = await self._open(api, marked_context)
        yield store
        await store.aclose()

    @pytest.fixture
    def reopen(self, api: KubeApi, context: StoreContext) -> Callable[[], Awaitable[Store]]:
        return lambda: self._open(api, context)

    @pytest.fixture
    async def read_only(self, api: KubeApi, context: StoreContext) -> AsyncIterator[Store]:
        token = api.token(Rule({"get", "list"}))
        section = {"server": api.address, "auth": {"token": {"value": token}}, **self.config}
        store = await open_store(KubernetesConfig.model_validate(section), context)
        yield store
        await store.aclose()

    @pytest.fixture
    def faults(self, api: KubeApi) -> Mapping[type[StoreError], Callable[[str], AbstractAsyncContextManager[None]]]:
        @contextlib.asynccontextmanager
        async def answered(status: int) -> AsyncIterator[None]:
            api.answer("/secrets", status, b'{"kind":"Status","reason":"Forbidden","details":{"kind":"secrets"}}')
            yield
            api.heal()

        return {
            AccessDenied: lambda _: answered(403),
            RateLimited: lambda _: answered(429),
            StoreUnavailable: lambda _: answered(503),
        }


class TestOneNamespace(_Kubernetes):
    """Keys are the names of Secrets."""

    config: ClassVar = {"namespace": "team-a"}


@pytest.mark.slow
class TestAllNamespaces(_Kubernetes):
    """Keys are namespace and name."""

    @pytest.fixture
    async def inner(self, api: KubeApi, context: StoreContext) -> AsyncIterator[Store]:
        section = {"server": api.address, "auth": {"token": {"value": api.admin}}, "namespace": "team-a"}
        store = await open_store(KubernetesConfig.model_validate(section), context)
        yield store
        await store.aclose()
