"""What a run leaves in the ledger at its end: which items are in sync, and the requests that it made."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
