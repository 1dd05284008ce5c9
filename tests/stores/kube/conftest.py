"""Fixtures for tests of the Kubernetes stores."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.kubernetes import open_store
from secretsync_core.stores.kubernetes.config import KubernetesConfig
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.kube_api import KubeApi

    from secretsync_core.stores.base import RequestGate


class KubeStores(Protocol):
    """``await kube_store(namespace="team-a")`` opens a store; it is closed after the test.

    Other keyword arguments go into the ``kubernetes`` section of the document (camelCase), over what is set for you:
    the server and a token that may do everything. ``explicit=False`` sets nothing.
    """

    async def __call__(
        self,
        *,
        gate: RequestGate | None = None,
        mark: str = "",
        environ: dict[str, str] | None = None,
        explicit: bool = True,
        **config: Any,
    ) -> Any: ...


@pytest.fixture
async def kube_store(kube: KubeApi) -> AsyncIterator[KubeStores]:
    """Opens stores on ``kube``."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(
            *,
            gate: RequestGate | None = None,
            mark: str = "",
            environ: dict[str, str] | None = None,
            explicit: bool = True,
            **config: Any,
        ) -> Any:
            given = {"server": kube.address, "auth": {"token": {"value": kube.admin}}} if explicit else {}
            permitted = {"SECRETSYNC_ALLOW_EXEC": "1"} | (environ or {})
            context = StoreContext("k8s", gate or CountingGate(), permitted, 8, mark=mark)
            store = await open_store(KubernetesConfig.model_validate({**given, **config}), context)
            stack.push_async_callback(store.aclose)
            return store

        yield make
