"""Somebody else writes at the destination between our look and our write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.model.report import Result
from survival.world import failure

if TYPE_CHECKING:
    from survival.watcher import Watcher
    from survival.world import World


async def test_update_that_is_raced(world: World, dest_proxy: Watcher) -> None:
    """An update that comes too late is not made: the key is read and decided again, and the ledger tells both."""
    (key,) = world.source.fill(1)
    await world.sync()
    world.source.put(key, {"password": "new"})
    dest_proxy.before("^POST .*/data/", lambda: world.dest.put(key, {"password": "theirs"}))
    dest_proxy.forget()
    report = await world.sync()
    assert report.total(Result.UPDATED) == 1
    assert world.dest.get(key) == {"password": "new"}
    assert world.dest.versions() == {key: 3}  # ours, theirs (still in the history), ours
    assert [line.split()[:2] for line in world.story(key)[2:]] == [
        ["intended", "update"], ["failed", "update"], ["intended", "update"], ["done", "update"],
    ]  # fmt: skip
    assert world.story(key)[3] == "failed update conflict"
    assert dest_proxy.count("GET .*/data/") >= 1
    assert (await world.sync()).total(Result.UNCHANGED) == 1
    world.assert_sound()


async def test_creation_that_is_raced(world: World, dest_proxy: Watcher) -> None:
    """With Replace a key that somebody creates just before us gets the source's value, and is never deleted."""
    keys = world.source.fill(2)
    world.spec |= {"deletionPolicy": "Delete", "maxDelete": "100%", "writePolicy": "Replace"}
    dest_proxy.before(f"^POST .*/data/{keys[0]}", lambda: world.dest.put(keys[0], {"password": "theirs"}))
    report = await world.sync()
    assert report.ok
    assert world.dest.contents() == world.source.contents()
    assert world.dest.versions() == {keys[0]: 2, keys[1]: 1}
    for key in keys:
        world.source.forget(key)
    report = await world.sync()
    assert report.total(Result.DELETED) == 1
    assert set(world.dest.contents()) == {keys[0]}
    world.assert_sound()


async def test_race_for_the_same_value(world: World, dest_proxy: Watcher) -> None:
    """Where the other one wrote what we were about to write, nothing is written again."""
    (key,) = world.source.fill(1)
    value = world.source.get(key)
    assert value is not None
    dest_proxy.before("^POST .*/data/", lambda: world.dest.put(key, value))
    report = await world.sync()
    assert report.total(Result.UNCHANGED) == 1
    assert world.dest.versions() == {key: 1}


@pytest.mark.parametrize("policy", ["IfNotExists", "Merge"])
async def test_race_under_a_policy(world: World, dest_proxy: Watcher, policy: str) -> None:
    """A race does not get around the write policy: what exists is left, and fields of others are kept."""
    (key,) = world.source.fill(1)
    world.spec["writePolicy"] = policy
    dest_proxy.before("^POST .*/data/", lambda: world.dest.put(key, {"theirs": "1"}))
    await world.sync()
    ours = world.source.get(key) or {}
    assert world.dest.get(key) == ({"theirs": "1"} if policy == "IfNotExists" else {"theirs": "1", **ours})


async def test_removal_that_is_raced(world: World, dest_proxy: Watcher) -> None:
    """A key that is removed just before our update is written again, and not lost."""
    (key,) = world.source.fill(1)
    await world.sync()
    world.source.put(key, {"password": "new"})
    dest_proxy.before("^POST .*/data/", lambda: world.dest.forget(key))
    report = await world.sync()
    assert report.ok, report.failures
    assert world.dest.get(key) == {"password": "new"}


async def test_race_without_end(world: World, dest_proxy: Watcher) -> None:
    """A writer that is always faster ends in a conflict after a few rounds, and its last word stands."""
    keys = world.source.fill(2)
    await world.sync()
    for key in keys:
        world.source.put(key, {"password": "new"})
    dest_proxy.before(f"^POST .*/data/{keys[0]}", lambda: world.dest.put(keys[0], {"password": "theirs"}), times=50)
    report = await world.sync()
    assert failure(report, keys[0]).code == "conflict"
    assert report.total(Result.UPDATED) == 1
    assert world.dest.get(keys[0]) == {"password": "theirs"}
    assert dest_proxy.count(f"^POST .*/data/{keys[0]}") < 10
    world.assert_sound()
