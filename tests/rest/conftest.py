"""An in-house service, and stores there."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from run.world import connected_world
from support.gate import CountingGate
from support.rest.described import FULL
from support.rest.inhouse import InHouse

from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.rest import open_store
from secretsync_core.stores.rest.config import HttpConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from run.world import World

    from secretsync_core.stores.base import RequestGate


@pytest.fixture(scope="session")
def service() -> Iterator[InHouse]:
    """The one for all tests."""
    with InHouse() as made:
        yield made


@pytest.fixture
def inhouse(service: InHouse) -> Iterator[InHouse]:
    """An empty one; in the end it has understood every request."""
    service.forget()
    yield service
    assert service.wrongs == []


class Section(Protocol):
    """``section(FULL, look=None)`` gives a document's section, with fields replaced or left out."""

    def __call__(self, base: dict[str, Any] = ..., **given: Any) -> dict[str, Any]: ...


@pytest.fixture
def section(inhouse: InHouse) -> Section:
    """What a document says of the in-house service."""

    def made(base: dict[str, Any] = FULL, **given: Any) -> dict[str, Any]:
        whole = {"address": f"{inhouse.address}/api/v1", **copy.deepcopy(base)}
        for name, part in given.items():
            both = isinstance(part, dict) and isinstance(whole.get(name), dict) and name != "vars"
            whole[name] = {**whole[name], **part} if both else part
        return {
            name: {field: each for field, each in part.items() if each is not None} if isinstance(part, dict) else part
            for name, part in whole.items()
            if part is not None
        }

    return made


class OpenStore(Protocol):
    """``await opened(BY_ID)`` opens a store at ``inhouse``; it is closed after the test."""

    async def __call__(
        self, base: dict[str, Any] = ..., *, gate: RequestGate | None = None, environ: Any = None, **given: Any
    ) -> Any: ...


@pytest.fixture
def gate() -> CountingGate:
    """Counts the requests of a test's stores, and makes each once."""
    return CountingGate()


@pytest.fixture
async def opened(section: Section, gate: CountingGate) -> AsyncIterator[OpenStore]:
    """Opens stores at ``inhouse``."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(
            base: dict[str, Any] = FULL, *, gate: RequestGate = gate, environ: Any = None, **given: Any
        ) -> Any:
            config = HttpConfig.model_validate_json(json.dumps(section(base, **given)))
            store = await open_store(config, StoreContext("svc", gate, environ or {}, 8))
            stack.push_async_callback(store.aclose)
            return store

        yield make  # type: ignore[misc]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two empty stores in memory, and a fresh ledger."""
    async with connected_world(tmp_path, monkeypatch) as world:
        yield world
