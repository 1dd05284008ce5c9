"""A cluster of three real servers that loses its quorum in the middle of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.raft import RaftCluster

from secretsync_core.audit.record import Event
from secretsync_core.model.report import Result
from survival.conftest import before
from survival.world import World, side_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Mount

    from secretsync_core.demo.openbao import OpenBaoServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RaftCluster]:
    """Three nodes, with KV version 2 at ``secret``."""
    with RaftCluster(tmp_path_factory.mktemp("raft")) as started:
        started.mount()
        yield started


async def test_what_a_cluster_without_quorum_did_not_answer(
    cluster: RaftCluster, openbao: OpenBaoServer, mount: Mount, tmp_path: Path
) -> None:
    """Two of three nodes hang in the middle of a run: what was under way is uncertain, and then ours, each of it."""
    leader = cluster.active()
    world = World(
        tmp_path,
        side_of(openbao.address, openbao.root_token, mount(openbao), "SOURCE_TOKEN"),
        side_of(leader.address, cluster.root_token, "secret", "DEST_TOKEN"),
        spec={"deletionPolicy": "Delete", "maxDelete": "100%"},
        environ={"SOURCE_TOKEN": openbao.root_token, "DEST_TOKEN": cluster.root_token},
    )
    world.source.fill(60)
    asked = 0

    def freeze() -> None:
        nonlocal asked
        asked += 1
        if asked == 20:
            for node in cluster.standbys():
                node.freeze()

    async with before(world.dest.section) as proxy:
        proxy.before("^(POST|PUT) .*/data/", freeze, times=20)
        report = await world.sync()
    assert report.total(Result.UNCERTAIN) > 0
    assert not report.ok
    for node in cluster.nodes:
        node.thaw()
    world.dest = side_of(cluster.wait_active().address, cluster.root_token, "secret", "DEST_TOKEN")
    report = await world.sync()
    assert report.ok, report.failures
    assert world.dest.contents() == world.source.contents()
    assert [record.draft.reason for record in world.records(Event.DONE, Event.FAILED)].count("settled") > 0
    assert set(world.dest.versions().values()) == {1}  # nothing was written twice
    for key in world.source.contents():
        world.source.forget(key)
    report = await world.sync()
    assert report.total(Result.DELETED) == 60, {key: world.story(key) for key in world.dest.contents()}
    assert world.dest.contents() == {}
    world.assert_sound()


async def test_a_snapshot_that_brings_a_deleted_copy_back(
    cluster: RaftCluster, openbao: OpenBaoServer, mount: Mount, tmp_path: Path
) -> None:
    """The destination is restored from before a delete: the copy is drift for a check, and the next sync deletes it."""
    world = World(
        tmp_path,
        side_of(openbao.address, openbao.root_token, mount(openbao), "SOURCE_TOKEN"),
        side_of(cluster.active().address, cluster.root_token, "secret", "DEST_TOKEN"),
        spec={"deletionPolicy": "Delete", "ownership": {"mark": True}},
        environ={"SOURCE_TOKEN": openbao.root_token, "DEST_TOKEN": cluster.root_token},
    )
    keys = world.source.fill(10)
    await world.sync()
    snapshot = cluster.snapshot()
    world.source.forget(keys[0])
    assert (await world.sync()).total(Result.DELETED) == 1
    cluster.restore(snapshot)
    world.dest = side_of(cluster.wait_active().address, cluster.root_token, "secret", "DEST_TOKEN")
    assert keys[0] in world.dest.contents()
    report = await world.check()
    assert [(change.key, change.reason) for change in report.drifted] == [(keys[0], "back-again")]
    report = await world.sync()
    assert (report.ok, report.total(Result.DELETED)) == (True, 1)
    assert world.dest.contents() == world.source.contents()
    assert (await world.check()).ok
    world.assert_sound()
