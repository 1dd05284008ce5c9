"""What keeps a sync from a delete that it has decided keeps a plan from announcing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.test_access import Checked
from run.truth import Outcomes
from run.world import actions, reasons
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_core.stores import memory

if TYPE_CHECKING:
    from run.world import World

DELETING = {"deletionPolicy": "Delete", "maxDelete": "9"}
TWO = """
- {name: copies, query: {path: copies}}
- {name: goes, query: {path: goes}}
"""


async def test_nothing_is_to_be_deleted_at_a_destination_that_is_lost(world: World) -> None:
    """It was there when it was looked at, and gave up while the copies were compared: the sync would not reach it."""
    world.job(TWO, **DELETING)
    await world.seed("src", {"goes/k": {"x": "1"}, "goes/stays": {"x": "1"}, "copies/0": {"x": "1"}})
    assert (await world.sync()).ok
    await world.remove("src", "goes/k")
    await world.seed("src", {f"copies/{number}": {"x": "2"} for number in range(4)})
    await world.seed("dst", {f"copies/{number}": {"x": "theirs"} for number in range(1, 4)})
    down = StoreUnavailable("dst is down", store="dst")
    world.gate_fault("dst").fail("read", down)
    world.gate_fault("dst").fail("list", down, first=2)
    planned = await world.plan()
    deletes = [change for change in planned.changes if change.key == "goes/k"]
    assert [(change.action, change.failure and change.failure.code) for change in deletes] == [("refuse", "lost")]
    outcomes = Outcomes()
    await world.sync(observer=outcomes)
    (found,) = (outcome for outcome in outcomes.found if outcome.change.key == "goes/k")
    assert (found.result, found.code) == ("not-reached", "lost")
    assert await world.get("dst", "goes/k") == {"x": "1"}


@pytest.fixture
def checked(world: World, monkeypatch: pytest.MonkeyPatch) -> type[Checked]:
    """The stores of the world tell what they permit: in ``dst`` nothing at keys with an ``x``."""
    monkeypatch.setattr(memory, "MemoryStore", Checked)
    monkeypatch.setattr(Checked, "asked", [])
    return Checked


async def test_a_copy_that_is_not_permitted_keeps_what_its_item_would_delete(
    world: World, checked: type[Checked]
) -> None:
    """So the plan says what the sync does: of the item, and of what left the document, nothing goes; other items do."""
    del checked
    plan = TWO + "- {name: renamed, secret: {key: left}}"
    world.job(plan, **DELETING)
    keys = ("copies/gone", "copies/stays", "goes/gone", "goes/stays", "left")
    await world.seed("src", {key: {"a": "1"} for key in keys})
    assert (await world.sync()).ok
    await world.remove("src", "copies/gone")
    await world.remove("src", "goes/gone")
    await world.seed("src", {"copies/x": {"a": "1"}})
    world.job(TWO, **DELETING)
    planned = await world.plan()
    refused = {change.key: change.reason for change in planned.changes if change.action == "refuse"}
    assert refused == {"copies/x": "not-permitted", "copies/gone": "item-failed", "left": "item-failed"}
    assert actions(planned)["goes/gone"] == "delete"
    world.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="copies/x")
    report = await world.sync()
    assert reasons(report.failures) == {"copies/x": "new", "copies/gone": "item-failed", "left": "item-failed"}
    assert set(await world.all("dst")) == {"copies/gone", "copies/stays", "goes/stays", "left"}


async def test_a_delete_that_is_not_permitted_keeps_no_other(world: World, checked: type[Checked]) -> None:
    """It is refused by itself, in the plan as in the sync."""
    del checked
    world.job(TWO, **DELETING)
    await world.seed("src", {key: {"a": "1"} for key in ("goes/a", "goes/b", "goes/x")})
    assert (await world.sync()).ok
    await world.remove("src", "goes/a")
    await world.remove("src", "goes/x")
    planned = await world.plan()
    told = {change.key: (change.action, change.reason) for change in planned.changes}
    assert told["goes/a"] == ("delete", "source-gone")
    assert told["goes/x"] == ("refuse", "not-permitted")
    world.fault("dst").fail("delete", AccessDenied("no", store="dst"), key="goes/x")
    await world.sync()
    assert set(await world.all("dst")) == {"goes/b", "goes/x"}
