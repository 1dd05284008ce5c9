"""A run in parts, step by step, as an orchestrator makes it: what each part is given, and what it leaves to others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from run.world import FINGERPRINT_KEY
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_core.run import steps
from secretsync_core.run.lease import claim_of_this_process
from secretsync_core.run.shard_rules import well_at_end
from secretsync_core.run.shards import AT_ONCE, Part, Shard
from secretsync_core.schema.job import Executor

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.run.shards import Manifest

TWO = "- {name: alpha, query: {path: alpha}}\n- {name: beta, query: {path: beta}}"


def _step(world: World, run: str = "run") -> steps.Step:
    return steps.Step(world.documents, world.ledger, FINGERPRINT_KEY, {}, run, claim_of_this_process())


async def _expand(world: World) -> tuple[Manifest, list[Shard]]:
    return await steps.expand(_step(world), "job", items=["alpha", "beta"], verify=False)


async def _seed(world: World) -> None:
    await world.seed("src", {key: {"x": key} for key in ("alpha/1", "alpha/2", "beta/1", "beta/2")})


async def test_one_destination_that_is_lost_keeps_the_other_going(world: World) -> None:
    """The run is split all the same, with one step more that looks again; only without any is there nothing to do."""
    world.store("other")
    world.job(TWO, dest="[dst, other]")
    await _seed(world)
    world.fault("other").fail("stat", AccessDenied("no", store="other"))
    world.fault("other").fail("list", AccessDenied("no", store="other"))
    _, shards = await _expand(world)
    assert [shard.part for shard in shards] == [Part.ITEM, Part.ITEM, Part.LOST]
    assert {change.dest for shard in shards for change in shard.changes} == {"dst"}


async def test_a_delete_that_is_refused_is_in_no_part(world: World) -> None:
    """More than ``maxDelete`` allows: no step is given any of them, and each is told as refused at the end."""
    world.job(TWO, deletionPolicy="Delete", maxDelete="1")
    await _seed(world)
    assert (await world.sync()).ok
    for key in ("alpha/1", "beta/1"):
        await world.remove("src", key)
    await world.put("src", "alpha/2", {"x": "new"})
    manifest, shards = await _expand(world)
    assert [(shard.item, shard.deletes) for shard in shards] == [("alpha", ())]
    assert (manifest.deletes, set(manifest.going)) == (2, set())


async def test_steps_that_work_at_a_time_share_the_limits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they have no more requests in flight than the document allows."""
    monkeypatch.setitem(AT_ONCE, Executor.IN_PROCESS, 2)
    world.job(TWO, limits="{concurrency: 4}")
    await world.seed("src", {f"{item}/{number}": {"x": "1"} for item in ("alpha", "beta") for number in range(20)})
    _, shards = await _expand(world)
    assert [shard.together for shard in shards] == [2, 2]
    flying, most = 0, 0

    async def fly(_: str) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.002)
        flying -= 1

    world.gate_fault("dst").run("write", fly, times=None)
    done = [await steps.transfer(_step(world), shard) for shard in shards]
    assert all(one.report.ok for one in done)
    assert most == 2


async def test_a_part_that_is_not_ok_leaves_its_item_out(world: World) -> None:
    """Whatever failed, or was not reached before somebody asked the run to stop; a part that is ok says so once."""
    world.job(TWO)
    await _seed(world)
    _, (alpha, beta) = await _expand(world)
    stopped = _step(world)
    stopped.stop.set()
    done = await steps.transfer(stopped, alpha)
    assert (done.out, done.well, done.moved.shown) == (frozenset({"alpha"}), (), "")
    done = await steps.transfer(_step(world), beta)
    assert (done.out, done.well, done.moved.shown) == (frozenset(), ("beta",), "beta")
    assert [each.item for each in world.ledger.items.out_of_sync("job")] == ["alpha"]


async def test_a_part_that_is_stopped_after_its_last_write_leaves_its_item_out(world: World) -> None:
    """It did not get to its end; the audit, or the next run, finds that all is in place."""
    world.job(TWO)
    await _seed(world)
    _, (alpha, _) = await _expand(world)
    step = _step(world)

    async def stop(_: str) -> None:
        step.stop.set()

    world.fault("dst").run("write_if", stop, times=None, after=True)
    done = await steps.transfer(step, alpha)
    assert done.report.out_of_sync == set()
    assert (done.out, done.well) == (frozenset({"alpha"}), ())


async def test_the_end_says_of_each_item_once_that_it_is_well(world: World) -> None:
    """Not again of what a step of this run said it of, unless the audit itself had to copy something of it."""
    world.job(TWO)
    await _seed(world)
    assert (await world.sync()).ok
    await world.put("src", "alpha/1", {"x": "new"})
    manifest, (alpha,) = await _expand(world)
    assert manifest.shown == ("beta",)
    moved = [(await steps.transfer(_step(world), alpha)).moved]
    done = await steps.audit(_step(world), manifest, moved)
    assert (done.out, done.well, done.healed) == (frozenset(), (), 0)
    await world.put("src", "alpha/2", {"x": "new"})
    done = await steps.audit(_step(world), manifest, moved)
    assert (done.out, done.well, done.healed) == (frozenset(), ("alpha",), 1)
    done = await steps.audit(_step(world, "another"), manifest, moved)
    assert done.well == ("alpha", "beta")  # that run said nothing of them yet


@pytest.mark.parametrize(
    ("told", "busy", "out", "well"),
    [
        ("", "", "", "a b"),
        ("a b", "", "", ""),
        ("a b", "b", "", "b"),
        ("", "a b", "a", "b"),
    ],
)
def test_what_is_well_at_the_end(told: str, busy: str, out: str, well: str) -> None:
    """What is neither out of sync nor said already; nothing at all where the job as a whole could not be done."""
    assert well_at_end(["a", "b"], told.split(), busy.split(), out.split()) == tuple(well.split())
    assert well_at_end(["a", "b"], told.split(), busy.split(), out.split(), whole=False) == ()


async def test_only_what_may_heal_is_worth_another_attempt(world: World) -> None:
    """A store that does not answer may do so soon; a denial stays one."""
    world.job(TWO)
    await _seed(world)
    _, (alpha, beta) = await _expand(world)
    for shard, error, heals in (
        (alpha, StoreUnavailable("away", store="dst"), True),
        (beta, AccessDenied("no", store="dst"), False),
    ):
        world.fault("dst").fail("write_if", error, key=f"{shard.item}/1")
        assert (await steps.transfer(_step(world), shard)).may_heal is heals
