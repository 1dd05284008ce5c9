"""Three real servers behind one address, of which one is behind, cut off, or restored from a snapshot."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import TYPE_CHECKING

import pytest
from support.raft import RaftCluster

from secretsync_core.run.gate import RetryPolicy
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.vault import open_store
from secretsync_core.stores.vault.config import VaultConfig
from secretsync_core.testing.gates import CountingGate
from survival.world import World, side_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Mount
    from support.raft import RaftNode

    from secretsync_core.demo.openbao import OpenBaoServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ONCE = RetryPolicy(attempts=1, first_wait=0.01, longest_wait=0.01, longest_retry_after=1.0, lost_after=3)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RaftCluster]:
    """Three nodes, with KV version 2 at ``secret``."""
    with RaftCluster(tmp_path / "raft") as started:
        started.mount()
        yield started


@pytest.fixture
def world(cluster: RaftCluster, openbao: OpenBaoServer, mount: Mount, tmp_path: Path) -> World:
    """A job from the cluster, at its active node, which deletes all that is gone."""
    return World(
        tmp_path,
        side_of(cluster.active().address, cluster.root_token, "secret", "SOURCE_TOKEN"),
        side_of(openbao.address, openbao.root_token, mount(openbao), "DEST_TOKEN"),
        spec={"deletionPolicy": "Delete", "maxDelete": "100%"},
        environ={"SOURCE_TOKEN": cluster.root_token, "DEST_TOKEN": openbao.root_token},
    )


@pytest.mark.parametrize("pinned", [False, True], ids=["detected", "pinned"])
async def test_a_standby_leaves_every_read_to_the_active_node(cluster: RaftCluster, pinned: bool) -> None:
    """What was written a moment before is what is read at a standby, 60 times of 60, and listed there."""
    api, standby = cluster.api(), cluster.standbys()[0]
    await _serves(cluster, standby)
    section = {"address": standby.address, "auth": {"token": {"value": cluster.root_token}}}
    config = VaultConfig.model_validate({**section, **({"kvVersion": 2} if pinned else {})})
    store = await open_store(config, StoreContext("s", CountingGate(), {}, 4))
    for number in range(60):
        api.put("secret", "fresh", {"x": str(number)}, version=2)
        found = await store.read("fresh")  # type: ignore[attr-defined]
        assert found.value.reveal() == {"x": str(number)}
    api.put("secret", "listed", {"x": "1"}, version=2)
    listing = store.list("", recursive=True, metadata=False)  # type: ignore[attr-defined]
    assert {entry.key async for entry in listing} == {"fresh", "listed"}
    await store.aclose()


async def test_a_standby_that_is_cut_off_decides_nothing(cluster: RaftCluster, world: World) -> None:
    """It cannot ask the active node, which is a gap: nothing is rolled back or deleted, and the run fails."""
    standby = cluster.standbys()[0]
    world.source.fill(5)
    assert (await world.sync()).ok
    standby.freeze()
    world.source.put("app/0000", {"password": "rotated"})
    world.source.put("app/new", {"password": "new"})
    assert (await world.sync()).ok
    now = world.dest.contents()
    for node in cluster.nodes:
        if node is not standby:
            node.freeze()
    standby.thaw()
    world.source.section["address"] = standby.address
    await asyncio.to_thread(lambda: standby.health())
    report = await world.sync(retry=ONCE)
    assert not report.ok
    assert report.errors
    assert world.dest.contents() == now
    for node in cluster.nodes:
        node.thaw()
    cluster.wait_active()
    await _serves(cluster, standby)
    assert (await world.sync()).ok
    assert world.dest.contents() == now


async def _serves(cluster: RaftCluster, node: RaftNode) -> None:
    """Wait until a node answers for the mount: a standby knows a leader or a mount a little later than the leader."""
    there = cluster.api(node)
    for _ in range(300):
        if there.ask("GET", "secret/config").status == 200:
            return
        await asyncio.sleep(0.1)


def _snapshot(cluster: RaftCluster, body: bytes | None = None) -> bytes:
    """Take a snapshot of the cluster, or restore it in place."""
    path = "snapshot" if body is None else "snapshot-force"
    request = urllib.request.Request(
        f"{cluster.active().address}/v1/sys/storage/raft/{path}", body, {"X-Vault-Token": cluster.root_token}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: bytes = answer.read()
        return found


async def test_a_snapshot_that_was_restored_is_followed_when_it_is_said(cluster: RaftCluster, world: World) -> None:
    """Restored in place, the position goes on and versions go back: refused, until ``restored`` names the source."""
    world.source.fill(5)
    before = world.source.contents()
    snapshot = _snapshot(cluster)
    world.source.put("app/0000", {"password": "rotated"})
    world.source.put("app/new", {"password": "new"})
    assert (await world.sync()).ok
    now = world.dest.contents()
    _snapshot(cluster, snapshot)
    for _ in range(100):
        if world.source.get("app/new") is None:
            break
        await asyncio.sleep(0.1)
    cluster.wait_active()
    world.source.section["address"] = cluster.active().address
    report = await world.sync()
    assert [outcome.code for outcome in report.failures] == ["older-version"]
    assert world.dest.contents() == now
    assert (await world.sync(restored={"source"})).ok
    assert world.dest.contents() == before
    assert (await world.sync()).ok
