"""How hard the stores are worked, as a proxy sees it, and that a sync without changes costs next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.slow import one_in

from secretsync_core.model.report import Result
from survival.watcher import WRITES

if TYPE_CHECKING:
    from conftest import MakeToken

    from secretsync_core.demo.openbao import OpenBaoServer
    from survival.watcher import Watcher
    from survival.world import World


@pytest.mark.slow
async def test_rate(world: World, source_proxy: Watcher, dest_proxy: Watcher) -> None:
    """No store gets more requests a second than limits.rate says, and the rate is used."""
    world.source.fill(100)
    world.spec["limits"] = {"rate": "50/s"}
    report = await world.sync()
    assert report.total(Result.CREATED) == 100
    for proxy in (source_proxy, dest_proxy):
        # Never more than the rate gave since the first; what was sent in time may be held up on its way.
        first, *others = sorted(proxy.times)
        assert all(at - first >= (number - 5) / 50 for number, at in enumerate(others, 1))
        assert others[-1] - first >= 1.9
        assert others[-1] - first <= 20  # the rate is used


@pytest.mark.parametrize("concurrency", one_in(2, [1, 5]))
async def test_concurrency(world: World, source_proxy: Watcher, dest_proxy: Watcher, concurrency: int) -> None:
    """No store ever has more requests under way than limits.concurrency says, whatever they are."""
    world.source.fill(40)
    world.spec["limits"] = {"concurrency": concurrency}
    for proxy in (source_proxy, dest_proxy):
        proxy.delay(".", 0.01)
    report = await world.sync()
    assert report.total(Result.CREATED) == 40
    assert (source_proxy.peak, dest_proxy.peak) == (concurrency, concurrency)


@pytest.mark.slow
async def test_nothing_to_do(world: World, source_proxy: Watcher, dest_proxy: Watcher) -> None:
    """A sync of 300 unchanged secrets makes ten requests at most and no write; what changed costs its share."""
    keys = world.source.fill(300)
    await world.sync()
    versions = world.dest.versions()
    for proxy in (source_proxy, dest_proxy):
        proxy.forget()
    report = await world.sync()
    assert report.total(Result.UNCHANGED) == 300
    assert source_proxy.count() + dest_proxy.count() <= 10
    assert source_proxy.count(WRITES) + dest_proxy.count(WRITES) == 0
    assert source_proxy.count("GET .*/data/") + dest_proxy.count("GET .*/data/") == 0
    assert world.dest.versions() == versions

    for key in keys[:3]:
        world.source.put(key, {"password": "new"})
    for proxy in (source_proxy, dest_proxy):
        proxy.forget()
    report = await world.sync()
    assert report.total(Result.UPDATED) == 3
    assert source_proxy.count() + dest_proxy.count() <= 10 + 3 * 3
    assert dest_proxy.count(WRITES) == 3
    assert world.dest.versions() == versions | dict.fromkeys(keys[:3], 2)


async def test_nothing_to_do_without_scan(
    world: World, dest_proxy: Watcher, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, make_token: MakeToken
) -> None:
    """Without the scan capability a sync without changes reads versions one by one, and still writes nothing."""
    world.source.fill(80)
    for variable, server, side in (("SOURCE_TOKEN", openbao, world.source), ("DEST_TOKEN", openbao_dest, world.dest)):
        policy = f'path "{side.mount}/*" {{ capabilities = ["create", "read", "update", "list"] }}'
        world.environ[variable] = make_token(server, policy)
    assert (await world.sync()).total(Result.CREATED) == 80
    dest_proxy.forget()
    report = await world.sync()
    assert report.total(Result.UNCHANGED) == 80
    assert dest_proxy.count(WRITES) == 0
    assert dest_proxy.count("GET .*/data/") == 0
    assert set(world.dest.versions().values()) == {1}


async def test_nothing_to_do_without_a_ledger(world: World, dest_proxy: Watcher) -> None:
    """With the ledger lost everything is compared, and nothing is written."""
    world.source.fill(30)
    await world.sync()
    for file in world.home.iterdir():
        file.unlink()
    dest_proxy.forget()
    report = await world.sync()
    assert report.total(Result.UNCHANGED) == 30
    assert dest_proxy.count(WRITES) == 0
    dest_proxy.forget()
    await world.sync()
    assert dest_proxy.count("GET .*/data/") == 0
