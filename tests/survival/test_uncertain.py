"""Writes that a real server carried out, or did not, while their answers were lost and nobody could look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.slow import one_in

from secretsync_core.model.report import Result
from survival.conftest import before
from survival.world import exit_code

if TYPE_CHECKING:
    from survival.conftest import MakeWorld
    from survival.watcher import Watcher
    from survival.world import World

DELETING = {"deletionPolicy": "Delete", "maxDelete": "100%"}


def _lose(proxy: Watcher, match: str, *, made: bool, keys: tuple[str, ...] = ("",)) -> None:
    """Lose the answers to these requests, carried out or not; each of the keys can be read no more from then on."""
    for key in keys:
        proxy.before(f"{match}.*{key}", lambda key=key: proxy.answer(f"^GET .*{key}", 503))  # type: ignore[misc]
    if made:
        proxy.cut(match)
    else:
        proxy.answer(match, 503)


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("kv", one_in(2, [1, 2]))
async def test_writes(make_world: MakeWorld, kv: int, made: bool) -> None:
    """Creates and updates are uncertain, then known: each is written once, all are ours, and go with their sources."""
    world = make_world(2, kv)
    world.spec |= DELETING
    keys = world.source.fill(2)
    await world.sync()
    world.source.put(keys[0], {"password": "new"})
    world.source.put("app/created", {"password": "x"})
    async with before(world.dest.section) as proxy:
        _lose(proxy, "^(POST|PUT) (?!.*/renew-self)", made=made, keys=(keys[0], "app/created"))
        report = await world.sync()
        assert report.total(Result.UNCERTAIN) == 2
        assert (exit_code(report), report.total(Result.FAILED)) == (1, 0)
        proxy.heal()
        stood = world.dest.contents()
        report = await world.sync()
        assert report.ok, report.failures
        assert report.total(Result.CREATED, Result.UPDATED) == (0 if made else 2)
        assert (stood == world.dest.contents()) is made
        assert (report.drifted_count, world.dest.contents()) == (0, world.source.contents())
        if kv == 2:
            assert world.dest.versions() == {keys[0]: 2, keys[1]: 1, "app/created": 1}
        for key in world.source.contents():
            world.source.forget(key)
        assert (await world.sync()).total(Result.DELETED) == 3
        assert world.dest.contents() == {}
        world.assert_sound()


@pytest.mark.parametrize("made", [True, False])
async def test_deletes(world: World, dest_proxy: Watcher, made: bool) -> None:
    """A delete whose answer is lost is uncertain, and then done, without a word of drift."""
    world.spec |= DELETING
    (key,) = world.source.fill(1)
    await world.sync()
    world.source.forget(key)
    _lose(dest_proxy, "^POST .*/delete/", made=made)
    report = await world.sync()
    assert (report.total(Result.UNCERTAIN), report.ok) == (1, False)
    assert (world.dest.get(key) is None) is made
    dest_proxy.heal()
    report = await world.sync()
    assert (report.ok, report.drifted_count, world.dest.contents()) == (True, 0, {})
    assert report.total(Result.DELETED) == (0 if made else 1)
    world.assert_sound()


async def test_a_destination_that_stays_away(world: World, dest_proxy: Watcher) -> None:
    """As long as nothing can be read each run tells of it, and writes nothing there."""
    (key,) = world.source.fill(1)
    _lose(dest_proxy, "^(POST|PUT) .*/data/", made=True)
    await world.sync()
    world.source.put(key, {"password": "newer"})
    dest_proxy.forget()
    for _ in range(2):
        report = await world.sync()
        assert (report.total(), report.total(Result.UNCERTAIN)) == (1, 1)
    assert dest_proxy.count("^(POST|PUT) .*/data/") == 0
    dest_proxy.heal()
    assert (await world.sync()).ok
    assert world.dest.versions() == {key: 2}
    world.assert_sound()
