"""A plan decides everything that a sync would, and writes nothing anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run.world import actions, counted, wrote
from secretsync_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from run.world import World

ALL = "- {name: all, query: {}}"


async def _world(world: World) -> None:
    world.job(ALL, deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {key: {"x": "1"} for key in ("same", "moved", "gone", "drifted")})
    await world.sync()
    await world.put("src", "moved", {"x": "2"})
    await world.remove("src", "gone")
    await world.put("dst", "drifted", {"x": "theirs"})
    await world.put("src", "new", {"x": "1"})
    await world.put("src", "found", {"x": "1"})
    await world.put("dst", "found", {"x": "1"})


async def test_it_foresees_what_the_sync_does(world: World) -> None:
    """Each compare is decided by reading; the sync that follows does exactly what the plan says."""
    await _world(world)
    planned = await world.plan()
    assert actions(planned) == {
        "same": "unchanged", "moved": "update", "gone": "delete", "drifted": "update", "new": "create",
        "found": "unchanged",
    }  # fmt: skip
    assert {change.key: change.drift.value for change in planned.changes if change.drift.value != "none"} == {
        "drifted": "changed"
    }
    assert counted(await world.sync()) == {"unchanged": 2, "updated": 2, "deleted": 1, "created": 1}


async def test_it_writes_nothing(world: World) -> None:
    """Every version in every store is the same afterwards, no write was asked for, and the ledger is as it was."""
    await _world(world)
    before = (await world.versions("src"), await world.versions("dst"), world.records())
    world.fault("dst")
    planned = await world.plan(verify=True)
    assert before == (await world.versions("src"), await world.versions("dst"), world.records())
    assert not {"write", "write_if", "delete"} & set(world.fault("dst").calls)
    assert set(planned.requests["dst"]) == {"stat", "read"}
    assert world.ledger.leases.find("job") is None


async def test_it_works_without_a_ledger(world: World) -> None:
    """Where there is no ledger yet, values decide, and nothing is taken for ours."""
    await _world(world)
    planned = await world.plan(ledger=False)
    assert actions(planned) == {
        "same": "unchanged", "moved": "update", "drifted": "update", "new": "create", "found": "unchanged",
    }  # fmt: skip
    assert not any(change.owned for change in planned.changes if change.action.value != "create")


async def test_it_says_what_cannot_be_decided(world: World) -> None:
    """A secret that cannot be read is refused with the reason; an item that cannot be listed is an error.

    What the item would delete stays, as in a sync.
    """
    await _world(world)
    world.fault("src").fail("read", StoreUnavailable("down"), key="moved")
    planned = await world.plan()
    refused = {change.key: change for change in planned.changes if change.action.value == "refuse"}
    assert {key: change.reason.value for key, change in refused.items()} == {
        "moved": "cannot-compare", "gone": "item-failed",
    }  # fmt: skip
    assert refused["moved"].detail == "unavailable: down"
    assert counted(await world.sync())["refused"] == 1
    world.fault("src").fail("list", StoreUnavailable("down"))
    assert [error.item for error in (await world.plan()).errors] == ["all"]


async def test_changes_come_in_the_order_of_item_and_key(world: World) -> None:
    """The same plan reads the same every time."""
    world.job("- {name: b, query: {path: b}}\n- {name: a, query: {path: a}}")
    await world.seed("src", {key: {"x": "1"} for key in ("b/2", "a/1", "b/1")})
    assert [change.key for change in (await world.plan()).changes] == ["a/1", "b/1", "b/2"]
    assert wrote(await world.sync()) == 3
