"""A run that was killed leaves announced writes without an outcome; the next run finds out what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.dying import killed
from run.world import counted, reasons, wrote
from secretsync_core.audit.record import Event
from secretsync_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from run.world import World

ONE = "- {name: one, query: {}}"


def _outcomes(world: World) -> list[tuple[str, str]]:
    """What became of what a dead run had announced."""
    return [
        (record.draft.event.value, record.draft.action)
        for record in world.records()
        if record.draft.reason == "interrupted" and record.draft.event is not Event.RUN_FINISHED
    ]


def _ended(world: World) -> bool:
    return world.ledger.runs.unfinished("job") == [] and world.ledger.runs.unsettled("job") == [] and world.sound()


async def _first(world: World) -> None:
    world.job(ONE, deletionPolicy="Delete", maxDelete="5")
    await world.put("src", "k", {"x": "1"})


async def test_it_had_been_written(world: World) -> None:
    """A create that was done is recorded as done and as ours, and is not written again."""
    await _first(world)
    await killed(world, written=True)
    assert wrote(await world.sync()) == 0
    assert _outcomes(world) == [("done", "create")]
    assert world.state()["dst", "k"].owned
    assert _ended(world)


async def test_it_had_not_been_written(world: World) -> None:
    """A create that was not done is recorded as failed, and then done."""
    await _first(world)
    await killed(world, written=False)
    assert counted(await world.sync()) == {"created": 1}
    assert _outcomes(world) == [("failed", "create")]
    assert _ended(world)


async def test_an_update(world: World) -> None:
    """An update that was done is known; one that was not is done now, and is no drift."""
    await _first(world)
    await world.sync()
    await world.put("src", "k", {"x": "2"})
    await killed(world, written=True)
    report = await world.sync()
    assert (wrote(report), report.drifted_count) == (0, 0)
    await world.put("src", "k", {"x": "3"})
    await killed(world, written=False)
    report = await world.sync()
    assert (counted(report), report.drifted_count) == ({"updated": 1}, 0)
    assert _outcomes(world) == [("done", "update"), ("failed", "update")]
    assert _ended(world)


async def test_somebody_wrote_over_it(world: World) -> None:
    """What another wrote since is not taken for ours; it is replaced, and never deleted by us."""
    await _first(world)
    await killed(world, written=True)
    await world.put("dst", "k", {"x": "theirs"})
    assert counted(await world.sync()) == {"updated": 1}
    assert _outcomes(world) == [("failed", "create")]
    assert not world.state()["dst", "k"].owned
    await world.remove("src", "k")
    assert counted(await world.sync()) == {}
    assert await world.get("dst", "k") == {"x": "1"}


@pytest.mark.parametrize(("written", "outcome"), [(True, "done"), (False, "failed")])
async def test_a_delete(world: World, written: bool, outcome: str) -> None:
    """A delete is done if the secret is gone, and else is done now."""
    await _first(world)
    await world.sync()
    await world.remove("src", "k")
    await killed(world, written=written)
    assert counted(await world.sync()) == ({} if written else {"deleted": 1})
    assert _outcomes(world) == [(outcome, "delete")]
    assert world.state() == {}
    assert await world.all("dst") == {}
    assert _ended(world)


async def test_a_merged_delete(world: World) -> None:
    """Where only our fields were to go, it is done if they are gone, though the secret is still there."""
    world.job(ONE, deletionPolicy="Delete", maxDelete="5", writePolicy="Merge")
    await world.put("src", "k", {"x": "1"})
    await world.sync()
    await world.put("dst", "k", {"x": "1", "theirs": "t"})
    await world.sync()
    await world.remove("src", "k")
    await killed(world, written=True)
    assert counted(await world.sync()) == {}
    assert _outcomes(world) == [("done", "delete")]
    assert await world.get("dst", "k") == {"theirs": "t"}


async def test_out_of_reach_it_stays_open(world: World) -> None:
    """While the destination cannot be looked at, nobody knows; the first run that can look says what is true."""
    await _first(world)
    await killed(world, written=True)
    world.gate_fault("dst").fail("read", StoreUnavailable("down"))
    await world.sync()
    assert _outcomes(world) == []
    assert len(world.ledger.runs.unfinished("job")) == 1
    world.gate_fault("dst").clear()
    assert (await world.sync()).ok
    assert [event for event, _ in _outcomes(world)] == ["done"]
    assert _ended(world)


async def test_a_destination_that_we_may_only_write(world: World) -> None:
    """What cannot be looked at is recorded as not known to be done: refused, and with Replace written again."""
    world.store("dst", permissions="Write")
    await _first(world)
    await killed(world, written=True)
    report = await world.sync()
    assert reasons(report.failures) == {"k": "not-managed"}
    assert report.failures[0].hint.endswith("set writePolicy: Replace on its plan item")
    world.job(ONE, writePolicy="Replace")
    report = await world.sync()
    assert (report.ok, await world.get("dst", "k")) == (True, {"x": "1"})
    assert not world.state()["dst", "k"].owned
    assert _ended(world)


async def test_a_destination_that_left_the_document(world: World) -> None:
    """What was announced for a store that the job no longer knows is closed, so that it is not asked for for ever."""
    await _first(world)
    await killed(world, written=True)
    world.store("other")
    world.job(ONE, dest="other")
    assert (await world.sync()).ok
    assert _ended(world)
