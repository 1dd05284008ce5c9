"""Metadata is set beside a value that is in place and ours: whoever comes in between is seen, and decided about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.restoring import Servers

from run.test_holding import EVERY, held, named, taking_over
from run.test_metadata import ALL, asking, on
from run.world import counted, reasons
from secretsync_core.errors import Conflict

if TYPE_CHECKING:
    from run.world import World

THEIRS = {"x": "theirs"}


async def _one(world: World, **spec: str) -> None:
    """One secret that the job has copied, and metadata that is wanted beside it by now."""
    await world.seed("src", {"k": {"x": "1"}})
    world.job(ALL, **spec)
    assert counted(await world.sync()) == {"created": 1}
    asking(world, team="blue")


@pytest.mark.parametrize("value", ["1", "b"], ids=["same value", "another value"])
@pytest.mark.parametrize("policy", ["Managed", "Replace"])
@pytest.mark.parametrize("before", ["describe", "set_metadata"])
async def test_a_key_that_another_job_takes_over_meanwhile_gets_nothing(
    world: World, before: str, policy: str, value: str
) -> None:
    """Between our look and our update: nothing is set or written, it is refused, and the other job alone holds it."""
    named(world, "a", EVERY, writePolicy=policy)
    world.store("src2")
    await world.seed("src", {"k": {"x": "1"}})
    await world.sync(job="a")
    world.job("- {name: k, secret: {key: k}}", source="src2")
    await world.seed("src2", {"k": {"x": value}})
    take_over = taking_over(world)

    async def meanwhile(key: str) -> None:
        asking(world)  # what the other job does not set
        await take_over(key)
        if before == "set_metadata":  # as stores say whose versions change with it
            raise Conflict("k changed meanwhile", store="dst", key="k")

    asking(world, team="blue")
    world.fault("dst").run(before, meanwhile, first=2 if before == "describe" else 1)
    report = await world.sync(job="a")
    assert (reasons(report.failures), counted(report)) == ({"k": "held"}, {"refused": 1})
    assert await on(world, "k") == {}
    assert await world.get("dst", "k") == {"x": value}
    assert (held(world, "a"), held(world, "job")) == (set(), {("dst", "k")})
    assert world.sound()


async def test_a_value_that_somebody_writes_meanwhile_is_decided_about(world: World) -> None:
    """Between our look and our update: it is seen as drift and put right, and only then is the metadata set."""
    await _one(world)
    world.fault("dst").run("describe", lambda _: world.put("dst", "k", THEIRS), first=2)
    report = await world.sync()
    assert (report.ok, counted(report), report.drifted_count) == (True, {"updated": 1}, 1)
    assert (await world.get("dst", "k"), await on(world, "k")) == ({"x": "1"}, {"team": "blue"})
    assert counted(await world.sync()) == {"unchanged": 1}


async def test_a_value_that_is_written_after_ours_is_not_taken_for_ours(world: World) -> None:
    """Somebody writes between our write and the metadata of the same change: decided anew as well."""
    await _one(world)
    await world.put("src", "k", {"x": "2"})
    world.fault("dst").run("describe", lambda _: world.put("dst", "k", THEIRS), first=2)
    report = await world.sync()
    assert (report.ok, counted(report)) == (True, {"updated": 1})
    assert (await world.get("dst", "k"), await on(world, "k")) == ({"x": "2"}, {"team": "blue"})


@pytest.mark.parametrize(
    ("value", "result"), [({"x": "1"}, {"unchanged": 1}), (THEIRS, {"refused": 1})], ids=["same", "another"]
)
async def test_a_secret_that_somebody_creates_meanwhile_is_not_ours(
    world: World, value: dict[str, str], result: dict[str, int]
) -> None:
    """Between our look and our write: its metadata is left alone, whatever its value is, and so it is not owned."""
    await world.seed("src", {"k": {"x": "1"}})
    asking(world, team="blue")
    world.job(ALL)
    world.fault("dst").run("write_if", lambda _: world.put("dst", "k", value))
    report = await world.sync()
    assert counted(report) == result
    assert (await world.get("dst", "k"), await on(world, "k")) == (value, {})
    assert not any(state.owned for state in world.state().values())
    assert world.fault("dst").calls["describe"] == 1  # nor is it looked at once more for that


async def test_somebody_who_writes_all_the_time_is_told_of(world: World) -> None:
    """After some rounds the run gives up on the key, with what happened, and sets nothing."""
    await _one(world)
    world.fault("dst").run("describe", lambda _: world.put("dst", "k", THEIRS), first=2, times=None)
    report = await world.sync()
    assert [(failed.change.key, failed.code) for failed in report.failures] == [("k", "conflict")]
    assert await on(world, "k") == {}


async def test_a_store_that_lags_does_not_conflict_with_our_own_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows the version of before right after our write: the metadata is set, and the value is written once."""
    servers = Servers(monkeypatch)
    servers.silent.add("dst")
    servers.unordered.add("dst")
    await _one(world)
    before = servers.snapshot("dst")
    await world.put("src", "k", {"x": "2"})
    written = []

    async def lag(_: str) -> None:
        written.append(servers.snapshot("dst"))
        servers.restore("dst", before)

    async def catch_up(_: str) -> None:
        servers.restore("dst", written[0])

    world.fault("dst").run("describe", lag, first=2)
    world.fault("dst").run("set_metadata", catch_up)
    report = await world.sync()
    assert (report.ok, counted(report), report.requests["dst"]["write"]) == (True, {"updated": 1}, 1)
    assert (await world.get("dst", "k"), await on(world, "k")) == ({"x": "2"}, {"team": "blue"})
