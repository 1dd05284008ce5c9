"""What the write policies promise about secrets that exist already, and destinations that we may only write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run.world import counted, wrote

if TYPE_CHECKING:
    from run.world import World

ONE = "- {name: one, secret: {key: k}}"


async def test_if_not_exists_never_touches_what_exists(world: World) -> None:
    """Neither a foreign secret nor one that we created ourselves is written again; a missing one is created."""
    world.job("- {name: app, query: {}}", writePolicy="IfNotExists")
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    await world.put("dst", "a", {"x": "theirs"})
    assert counted(await world.sync()) == {"created": 1, "skipped": 1}
    await world.put("src", "b", {"x": "2"})
    report = await world.sync(verify=True)
    assert (counted(report), wrote(report), report.ok) == ({"skipped": 2}, 0, True)
    assert await world.all("dst") == {"a": {"x": "theirs"}, "b": {"x": "1"}}
    await world.remove("dst", "b")
    assert counted(await world.sync()) == {"created": 1, "skipped": 1}


async def test_if_not_exists_loses_a_race_gracefully(world: World) -> None:
    """Who comes in between our look and our write keeps what he wrote, and nothing failed."""
    world.job(ONE, writePolicy="IfNotExists")
    await world.put("src", "k", {"x": "1"})
    world.fault("dst").run("write_if", lambda key: world.put("dst", key, {"x": "theirs"}))
    report = await world.sync()
    assert (counted(report), report.ok) == ({"skipped": 1}, True)
    assert await world.get("dst", "k") == {"x": "theirs"}
    assert world.ledger.runs.summary("job").failed_keys == 0


async def test_merge_keeps_siblings_and_takes_back_only_its_own(world: World) -> None:
    """Others' fields survive every sync; a field of ours that the source dropped goes; both without drift."""
    world.job(ONE, writePolicy="Merge")
    await world.put("src", "k", {"a": "1", "b": "1"})
    await world.put("dst", "k", {"theirs": "t", "a": "old"})
    await world.sync()
    assert await world.get("dst", "k") == {"theirs": "t", "a": "1", "b": "1"}
    await world.put("dst", "k", {"theirs": "t2", "more": "m", "a": "1", "b": "1"})
    report = await world.sync()
    assert (counted(report), report.drifted_count) == ({"unchanged": 1}, 0)
    await world.put("src", "k", {"a": "2"})
    await world.sync()
    assert await world.get("dst", "k") == {"theirs": "t2", "more": "m", "a": "2"}
    assert wrote(await world.sync()) == 0


async def test_merge_sees_drift_of_its_own_fields(world: World) -> None:
    """A change of a field of ours is drift and is put right; siblings that changed besides stay."""
    world.job(ONE, writePolicy="Merge")
    await world.put("src", "k", {"a": "1"})
    await world.sync()
    await world.put("dst", "k", {"a": "theirs", "b": "b"})
    report = await world.sync()
    assert (counted(report), report.drifted_count) == ({"updated": 1}, 1)
    assert await world.get("dst", "k") == {"a": "1", "b": "b"}


async def test_merge_into_files(world: World) -> None:
    """In a file that holds a JSON object Merge works as it does with fields, from the first write on."""
    world.files("dst")
    world.job(ONE, writePolicy="Merge")
    await world.put("src", "k", {"a": "1", "b": "1"})
    await world.sync()
    await world.put("dst", "k", b'{"a": "1", "b": "1", "theirs": "t"}')
    assert (report := await world.sync()).drifted_count == 0
    assert wrote(report) == 0
    await world.put("src", "k", {"a": "2"})
    await world.sync()
    assert await world.get("dst", "k") == b'{"a":"2","theirs":"t"}'
    assert (await world.check(verify=True)).drifted == []


async def test_a_merged_secret_that_goes_leaves_others_fields(world: World) -> None:
    """When the source is gone our fields go, the siblings stay; with none left the secret goes."""
    world.job("- {name: app, query: {}}", writePolicy="Merge", deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    await world.sync()
    await world.put("dst", "a", {"x": "1", "theirs": "t"})
    await world.sync()
    await world.remove("src", "a")
    await world.remove("src", "b")
    assert counted(await world.sync()) == {"deleted": 2}
    assert await world.all("dst") == {"a": {"theirs": "t"}}
    assert world.state() == {}
    assert counted(await world.sync()) == {}


async def test_write_only_goes_by_the_ledger(world: World) -> None:
    """Where we may only write, what the ledger says stands; drift is unknown, not none."""
    world.store("dst", permissions="Write")
    world.job(ONE)
    await world.put("src", "k", {"x": "1"})
    report = await world.sync()
    assert (counted(report), report.drift_unknown) == ({"created": 1}, 1)
    await world.put("dst", "k", {"x": "theirs"})
    report = await world.sync()
    assert (counted(report), report.drift_unknown, report.drifted_count) == ({"unchanged": 1}, 1, 0)
    assert report.requests == {"src": {"stat": 1}}
    await world.put("src", "k", {"x": "2"})
    assert counted(await world.sync()) == {"updated": 1}
    assert await world.get("dst", "k") == {"x": "2"}


async def test_write_only_replaces_what_it_cannot_see_but_never_owns_it(world: World) -> None:
    """With Replace a key that turns out to exist is replaced, and is not ours to delete."""
    world.store("dst", permissions="Write")
    world.job(ONE, writePolicy="Replace")
    await world.put("src", "k", {"x": "1"})
    await world.put("dst", "k", {"x": "theirs"})
    assert (await world.sync()).ok
    assert await world.get("dst", "k") == {"x": "1"}
    assert not world.state()["dst", "k"].owned


async def test_if_not_exists_where_we_may_only_write(world: World) -> None:
    """Compare-and-set tells that a key exists; it is left alone, whatever the source says later."""
    world.store("dst", permissions="Write")
    world.job("- {name: app, query: {}}", writePolicy="IfNotExists")
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    await world.put("dst", "a", {"x": "theirs"})
    report = await world.sync()
    assert (counted(report), report.ok) == ({"created": 1, "skipped": 1}, True)
    await world.put("src", "b", {"x": "2"})
    assert counted(await world.sync()) == {"skipped": 2}
    assert await world.all("dst") == {"a": {"x": "theirs"}, "b": {"x": "1"}}
    assert world.ledger.runs.summary("job").failed_keys == 0
