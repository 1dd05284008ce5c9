"""The fixtures of these tests: two fresh mounts with a job between them, and proxies before the servers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

import pytest

from survival.watcher import Watcher
from survival.world import World, side_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from conftest import Mount

    from secretsync_core.demo.openbao import OpenBaoServer


class MakeWorld(Protocol):
    """``make_world(source_kv=2, dest_kv=2)`` gives a World on two fresh mounts."""

    def __call__(self, source_kv: int = 2, dest_kv: int = 2) -> World: ...


@pytest.fixture
def make_world(
    tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount
) -> Iterator[MakeWorld]:
    """Makes Worlds, with KV versions to choose."""
    made: list[World] = []

    def make(source_kv: int = 2, dest_kv: int = 2) -> World:
        world = World(
            tmp_path,
            side_of(openbao.address, openbao.root_token, mount(openbao, source_kv), "SOURCE_TOKEN", source_kv),
            side_of(openbao_dest.address, openbao_dest.root_token, mount(openbao_dest, dest_kv), "DEST_TOKEN", dest_kv),
            environ={"SOURCE_TOKEN": openbao.root_token, "DEST_TOKEN": openbao_dest.root_token},
        )
        made.append(world)
        return world

    yield make
    for world in made:
        world.source.api.close()
        world.dest.api.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Two fresh mounts of KV version 2, each on its own server, and a job that copies everything."""
    return make_world()


@pytest.fixture
async def source_proxy(world: World) -> AsyncIterator[Watcher]:
    """A proxy before the source, already in the document."""
    async with before(world.source.section) as proxy:
        yield proxy


@pytest.fixture
async def dest_proxy(world: World) -> AsyncIterator[Watcher]:
    """A proxy before the destination, already in the document."""
    async with before(world.dest.section) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def before(section: dict[str, object]) -> AsyncIterator[Watcher]:
    """A proxy before the server of a SecretStore's section."""
    async with Watcher(str(section["address"])) as proxy:
        section["address"] = proxy.address
        yield proxy
