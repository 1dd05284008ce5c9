"""The drift check: reads destinations only, writes nothing, and says what is not as we left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.world import counted, reasons
from secretsync_core.errors import AccessDenied, StoreUnavailable

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.model.report import Report

ALL = "- {name: a, query: {path: a}}\n- {name: b, query: {path: b}}"


async def _synced(world: World, **spec: str) -> None:
    world.job(ALL, **spec)
    await world.seed("src", {"a/1": {"x": "1"}, "a/2": {"x": "1"}, "b/1": {"x": "1"}})
    await world.sync()


async def test_all_as_we_left_it(world: World) -> None:
    """Where versions match nothing is read, no source is asked, and the ledger is not written."""
    await _synced(world)
    before = len(world.records())
    report = await world.check()
    assert counted(report) == {"unchanged": 3}
    assert report.requests == {"dst": {"stat": 1}}
    assert len(world.records()) == before


@pytest.mark.parametrize("files", [False, True])
async def test_changed_removed_and_touched(world: World, files: bool) -> None:
    """Another value and an absence are drift, each by its name; the same value written again is not."""
    if files:
        world.files("dst")
    await _synced(world)
    await world.put("dst", "a/1", b"theirs" if files else {"x": "theirs"})
    await world.remove("dst", "a/2")
    await world.put("dst", "b/1", b'{"x":"1"}' if files else {"x": "1"})
    report = await world.check()
    assert {change.key: change.drift.value for change in report.drifted} == {"a/1": "changed", "a/2": "removed"}
    assert reasons(report.failures) == {"a/1": "drifted", "a/2": "removed-outside"}
    assert counted(report) == {"failed": 2, "unchanged": 1}
    await world.sync()
    assert counted(await world.check()) == {"unchanged": 3}


async def test_a_source_that_moved_on_is_no_drift(world: World) -> None:
    """The check asks whether the destination is as we left it, not whether there is something to sync."""
    await _synced(world)
    await world.put("src", "a/1", {"x": "new"})
    assert (await world.check()).drifted_count == 0


async def test_siblings_are_no_drift(world: World) -> None:
    """With Merge, others' fields may come and go; ours may not."""
    await _synced(world, writePolicy="Merge")
    await world.put("dst", "a/1", {"x": "1", "theirs": "t"})
    assert (await world.check()).drifted_count == 0
    await world.put("dst", "a/2", {"theirs": "t"})
    assert reasons((await world.check()).drifted) == {"a/2": "drifted"}


async def test_write_only_is_unknown(world: World) -> None:
    """A destination that we may not read is counted as unknown, never as fine."""
    world.store("dst", permissions="Write")
    await _synced(world)
    report = await world.check()
    assert (report.drift_unknown, counted(report)) == (3, {})


async def test_verify_reads_everything(world: World) -> None:
    """With ``verify`` values are read although versions match."""
    await _synced(world)
    report = await world.check(verify=True)
    assert counted(report) == {"unchanged": 3}
    assert report.requests["dst"]["read"] == 3


async def test_one_item(world: World) -> None:
    """A check of one item looks at its keys only."""
    await _synced(world)
    assert counted(await world.check("b")) == {"unchanged": 1}


async def test_what_cannot_be_read_is_a_failure_not_a_drift(world: World) -> None:
    """A denied read says nothing about the value; a destination out of reach is an error."""
    await _synced(world)
    await world.put("dst", "a/1", {"x": "1"})
    world.fault("dst").fail("read", AccessDenied("no"))
    report = await world.check()
    assert (report.drifted_count, reasons(report.failures)) == (0, {"a/1": "cannot-see"})
    world.fault("dst").fail("stat", StoreUnavailable("down"))
    assert [error.code for error in (await world.check()).errors] == ["unavailable"]


@pytest.mark.parametrize("moment", ["before the look", "before the ledger has it"])
async def test_what_a_sync_writes_meanwhile_is_no_drift(world: World, moment: str) -> None:
    """While a sync updates and deletes, a look finds somebody else's change and nothing of the sync's."""
    await _synced(world, deletionPolicy="Delete", maxDelete="100%")
    await world.put("src", "a/1", {"x": "new"})
    await world.remove("src", "a/2")
    await world.put("dst", "b/1", {"x": "theirs"})
    found: list[Report] = []

    async def meanwhile(_: str) -> None:
        world.faults.clear()
        ours, world.ledger = world.ledger, world.another_ledger()
        if moment == "before the look":
            await world.sync("a")
        else:
            found.append(await world.check())
        world.close()
        world.ledger = ours

    if moment == "before the look":
        world.fault("dst").run("stat", meanwhile, times=1)
        found.append(await world.check())
    else:
        world.fault("dst").run("write_if", meanwhile, after=True, times=1)
        await world.sync("a")
    (report,) = found
    assert reasons(report.drifted) == {"b/1": "drifted"}
    assert report.warnings == ["a sync was writing 1 of the keys meanwhile, or left them uncertain: they are left out"]
    assert report.total() == 2


async def test_drift_where_versions_do_not_tell(world: World) -> None:
    """A source without versions does not hide that the destination moved without us."""
    await _synced(world)
    await world.put("dst", "a/1", {"x": "theirs"})
    report = await world.sync(verify=True)
    assert reasons(report.drifted) == {"a/1": "drifted"}
