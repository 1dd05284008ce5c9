"""What a run leaves in the ledger at its end: which items are in sync, and the requests that it made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from secretsync_core.audit.record import Event
from secretsync_core.errors import AccessDenied

if TYPE_CHECKING:
    from run.world import World

TWO = "[{name: alpha, query: {path: alpha/}}, {name: beta, query: {path: beta/}}]"


def _out(world: World) -> list[str]:
    return [item.item for item in world.ledger.items.out_of_sync("job")]


async def test_an_item_that_failed_is_out_until_it_is_in_place(world: World) -> None:
    """A run of the other item says nothing of it; one that puts it right does."""
    world.job(TWO)
    await world.seed("src", {"alpha/1": {"x": "1"}, "beta/1": {"x": "1"}})
    world.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not (await world.sync()).ok
    assert _out(world) == ["alpha"]
    world.fault("dst").clear()
    assert (await world.sync("beta")).ok
    assert _out(world) == ["alpha"]
    assert (await world.sync()).ok
    assert _out(world) == []


class Struck(BaseException):
    """Stands for what ends a process at once."""


async def _strike(_: str) -> None:
    raise Struck


async def test_a_run_that_was_killed_leaves_out_of_sync_what_it_had_begun(world: World) -> None:
    """Before the first write the ledger knows which items that is; an item with nothing to do is none of them."""
    world.job(TWO)
    await world.seed("src", {"alpha/1": {"x": "1"}, "beta/1": {"x": "1"}})
    assert (await world.sync()).ok
    await world.put("src", "alpha/1", {"x": "2"})
    world.fault("dst").run("write_if", _strike)
    with pytest.raises(BaseExceptionGroup):
        await world.sync()
    assert _out(world) == ["alpha"]
    world.fault("dst").clear()
    assert (await world.sync()).ok
    assert _out(world) == []


async def test_a_run_that_was_stopped_leaves_well_what_it_had_finished(world: World) -> None:
    """Of two items one is in place, and the other was not reached."""
    world.job(TWO, limits="{concurrency: 1}")
    await world.seed("src", {f"{item}/{at}": {"x": "1"} for item in ("alpha", "beta") for at in range(9)})
    stop = asyncio.Event()

    async def ask(_: str) -> None:
        stop.set()

    world.fault("dst").run("write_if", ask, key="beta/0")
    report = await world.sync(stop=stop)
    assert report.stopped
    assert _out(world) == ["beta"]


async def test_an_undo_that_was_killed_leaves_out_of_sync_what_it_had_begun(world: World) -> None:
    """What it moved back is not as the plan wants it, also where it never came to say so."""
    world.job(TWO)
    await world.seed("src", {"alpha/1": {"x": "1"}, "beta/1": {"x": "1"}})
    first = await world.sync("beta")
    assert first.ok
    assert (await world.sync()).ok
    world.fault("dst").run("delete", _strike)
    world.fault("dst").run("delete_if", _strike)
    with pytest.raises(BaseExceptionGroup):
        await world.undo(first.run)
    assert _out(world) == ["beta"]


async def test_a_delete_that_is_refused_for_an_item_that_is_gone_is_the_jobs(world: World) -> None:
    """No item of the document is to blame, so the job as a whole is out of sync."""
    world.job(TWO, deletionPolicy="Delete", maxDelete="'100%'")
    await world.seed("src", {"alpha/1": {"x": "1"}, "beta/1": {"x": "1"}})
    assert (await world.sync()).ok
    await world.put("dst", "beta/1", {"x": "by hand"})
    world.job("[{name: alpha, query: {path: alpha/}}]", deletionPolicy="Delete", maxDelete="'100%'")
    assert not (await world.sync()).ok
    assert _out(world) == [""]


async def test_the_requests_of_a_run_are_those_of_its_report(world: World) -> None:
    """By store and kind, in its last record."""
    world.job(TWO)
    await world.seed("src", {"alpha/1": {"x": "1"}})
    report = await world.sync()
    last = world.records()[-1].draft
    assert last.event is Event.RUN_FINISHED
    assert last.requests == report.asked != ()
    assert "store-" not in last.counts
    assert world.sound()
