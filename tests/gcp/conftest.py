"""Stores of Google Cloud Secret Manager on a fake of the service and of its logins."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from run.world import connected_world

from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.gcp_secret_manager import open_store
from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from run.world import World
    from support.google.server import Google

    from secretsync_core.stores.base import RequestGate


@pytest.fixture
def gate() -> CountingGate:
    """Counts the requests of a test's stores, and makes each once."""
    return CountingGate()


class OpenStore(Protocol):
    """``await open_gcp(prefix="a-")`` opens a store on ``google``; it is closed after the test."""

    async def __call__(
        self,
        *,
        gate: RequestGate | None = None,
        environ: Mapping[str, str] | None = None,
        mark: str = "",
        notes: list[str] | None = None,
        **fields: Any,
    ) -> Any: ...


@pytest.fixture
async def open_gcp(google: Google, gate: CountingGate) -> AsyncIterator[OpenStore]:
    """See :class:`OpenStore`."""
    async with contextlib.AsyncExitStack() as stack:
        own = gate

        async def make(
            *,
            gate: RequestGate | None = None,
            environ: Mapping[str, str] | None = None,
            mark: str = "",
            notes: list[str] | None = None,
            **fields: Any,
        ) -> Any:
            config = GcpSecretManagerConfig.model_validate(google.section(**fields), strict=False)
            context = StoreContext(
                "gcp", gate or own, environ or {}, 8, mark=mark, notes=notes if notes is not None else []
            )
            store = await open_store(config, context)
            stack.push_async_callback(store.aclose)
            return store

        yield make


class InGcp(Protocol):
    """``in_gcp("dst", prefix="copy-")`` puts a store of the world into ``google``."""

    def __call__(self, name: str, **fields: Any) -> None: ...


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two empty stores in memory, and a fresh ledger; ``in_gcp`` puts them elsewhere."""
    async with connected_world(tmp_path, monkeypatch) as world:
        yield world


@pytest.fixture
def in_gcp(world: World, google: Google) -> InGcp:
    """See :class:`InGcp`."""

    def put(name: str, **fields: Any) -> None:
        world.store(name, f"gcpSecretManager: {json.dumps(google.section(**fields))}")

    return put
