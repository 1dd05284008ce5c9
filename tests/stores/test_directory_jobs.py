"""Whole SyncJobs to .env files and to files of sops: what changes there, what is put right, undone and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix.peers import PEERS
from run.world import World, actions, counted, reasons

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = {peer.name: peer for peer in PEERS if peer.name in ("dotenv", "sops")}
PLAN = "- {name: all, query: {recursive: true}}"


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two secrets at the source, and an empty directory as the destination."""
    world = World(tmp_path, monkeypatch)
    world.store("dst", KINDS[request.param].section(request, tmp_path))
    world.job(PLAN, deletionPolicy="Delete", maxDelete="100%")
    yield world
    world.close()


async def test_plan_sync_drift_and_delete(world: World) -> None:
    """What somebody changed or removed is drift, and put right; what left the source is deleted, others' files stay."""
    await world.seed("src", {"app/a": {"PASSWORD": "1"}, "app/b": {"PASSWORD": "1"}})
    await world.put("dst", "theirs", {"X": "1"})
    assert actions(await world.plan()) == {"app/a": "create", "app/b": "create"}
    assert counted(await world.sync()) == {"created": 2}
    assert counted(await world.sync()) == {"unchanged": 2}
    await world.put("dst", "app/a", {"PASSWORD": "drifted"})
    await world.remove("dst", "app/b")
    assert reasons((await world.check()).drifted) == {"app/a": "drifted", "app/b": "removed-outside"}
    assert (await world.sync()).ok
    await world.remove("src", "app/b")
    assert counted(await world.sync()) == {"unchanged": 1, "deleted": 1}
    assert await world.all("dst") == {"app/a": {"PASSWORD": "1"}, "theirs": {"X": "1"}}


async def test_what_a_run_created_is_undone(world: World) -> None:
    """There are no former versions, so that what it replaced stays as it is, and the undo says so."""
    await world.seed("src", {"app/a": {"PASSWORD": "1"}})
    assert (await world.sync()).ok
    await world.seed("src", {"app/a": {"PASSWORD": "2"}, "app/b": {"PASSWORD": "1"}})
    run = (await world.sync()).run
    undone = await world.undo(run)
    assert not undone.ok
    assert list(reasons(undone.failures)) == ["app/a"]
    assert await world.all("dst") == {"app/a": {"PASSWORD": "2"}}
