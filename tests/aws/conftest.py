"""A world to sync in whose stores may be in AWS: on moto, and where a test wants it, behind microburst."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from support.aws import Microburst

from engine.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.aws import Region


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two empty stores in memory, and a fresh ledger; ``in_aws`` puts them elsewhere."""
    world = World(tmp_path, monkeypatch)
    yield world
    for store in world._handles.values():
        await store.aclose()
    world.close()


@pytest.fixture
async def burst(region: Region) -> AsyncIterator[Microburst]:
    """microburst before moto."""
    async with Microburst(region.address) as burst:
        yield burst


class InAws(Protocol):
    """``in_aws("dst", "awsSecretsManager", prefix="copy/")`` puts a store of the world into ``region``."""

    def __call__(self, name: str, provider: str, **section: Any) -> None: ...


@pytest.fixture
def in_aws(world: World, region: Region) -> InAws:
    """Puts stores into AWS."""

    def put(name: str, provider: str, **section: Any) -> None:
        world.store(name, f"{provider}: {json.dumps(region.section(**section))}")

    return put
