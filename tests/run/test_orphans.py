"""Ending orphans: on purpose, under the lease, and only what is one for sure at that moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.restoring import Servers

from run.test_places import ALL, files
from run.world import FAST, FINGERPRINT_KEY, counted
from secretsync_core.errors import StoreUnavailable
from secretsync_core.run import opening
from secretsync_core.run.ending import end_orphans
from secretsync_core.run.findings import findings, is_in_sync
from secretsync_core.run.orphans import Orphan, Why
from secretsync_core.stores.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from run.world import World
    from secretsync_core.run.ending import Ended


async def end(world: World, orphans: Sequence[Orphan], *, delete: bool = True) -> Ended:
    """End these orphans of the job."""
    documents = world.documents
    return await end_orphans(
        documents.jobs["job"], documents, world.ledger, orphans, delete=delete, environ={},
        fingerprint_key=FINGERPRINT_KEY, retry=FAST,
    )  # fmt: skip


def copies(world: World, folder: str = "copies") -> dict[str, str]:
    """The secrets in a folder."""
    root = world.path / folder
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


async def renamed_store(world: World) -> None:
    """A job whose one destination is called otherwise since its last run."""
    files(world, "old", "copies")
    world.job(ALL, dest="old")
    await world.seed("src", {"a/1": {"v": "1"}, "a/2": {"v": "2"}})
    await world.sync()
    (world.config / "store-old.yaml").unlink()
    files(world, "new", "copies")
    world.job(ALL, dest="new")


async def dropped(world: World) -> Sequence[Orphan]:
    """A job that has lost one of two destinations, and the orphans there."""
    files(world, "dst", "copies")
    files(world, "two", "two")
    world.job(ALL, dest="[dst, two]")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    world.job(ALL, dest="two")
    return (await world.plan()).orphans


async def test_nothing_is_an_orphan_while_a_destination_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be what the ledger knows under another name: plan and sync say nothing of orphans, and none is ended."""
    await renamed_store(world)
    orphans = [orphan._replace(dest="old") for orphan in await _listed_by_hand(world)]

    async def down(document: Any, context: Any) -> Any:
        if document.name == "new":
            raise StoreUnavailable("sealed", store="new")
        return await open_store(document, context)

    with monkeypatch.context() as patch:
        patch.setattr(opening, "open_store", down)
        assert (await world.plan()).orphans == []
        assert (await world.sync()).orphans == 0
        assert not (await end(world, orphans, delete=False)).forgotten
    ended = await end(world, orphans)
    assert (counted(ended.done.report), len(copies(world))) == ({}, 2)
    assert counted(await world.sync()) == {"unchanged": 2}


async def _listed_by_hand(world: World) -> Sequence[Orphan]:
    return [Orphan(dest, key, held.item, Why.DEST_GONE) for (dest, key), held in world.state().items()]


async def test_what_is_wanted_again_is_spared(world: World) -> None:
    """Its source came back, and a sync wrote the copy, after it was listed."""
    files(world, "dst", "copies")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}, "a/2": {"v": "2"}})
    await world.sync()
    await world.remove("src", "a/1")
    orphans = (await world.plan()).orphans
    await world.put("src", "a/1", {"v": "new"})
    await world.sync()
    ended = await end(world, orphans)
    assert counted(ended.done.report) == {}
    assert ended.done.report.warnings == ["1 copy of those listed are no longer orphans"]
    assert "a/1" in copies(world)


async def test_a_restored_source_makes_no_orphans(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows a version older than known, so what it does not show proves nothing."""
    servers = Servers(monkeypatch)
    servers.silent.add("src")
    files(world, "dst", "copies")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})
    snapshot = servers.snapshot("src")
    await world.seed("src", {"a/1": {"v": "1b"}, "a/2": {"v": "2"}})
    await world.sync()
    servers.restore("src", snapshot)
    assert (await world.plan()).orphans == []


async def test_other_destinations_are_settled_as_they_are(world: World) -> None:
    """An uncertain write elsewhere is looked at, and not given up because this run needed another store."""
    orphans = await dropped(world)
    await world.put("src", "a/2", {"v": "2"})
    for operation in ("write", "write_if", "create"):
        world.lose("a/2", operation, done=True, store="two")
    assert counted(await world.sync())["uncertain"] == 1
    world.faults.clear()
    assert counted((await end(world, orphans)).done.report) == {"deleted": 1}
    assert world.state()["two", "a/2"].owned
    assert copies(world) == {}


async def test_where_we_may_only_write_nobody_can_see_whose_it_is(world: World) -> None:
    """So it is refused."""
    orphans = await dropped(world)
    (world.path / "copies/a/1").write_text("theirs")
    files(world, "dst", "copies")
    world.store("dst", "file: {path: ../copies}", permissions="Write")
    assert counted((await end(world, orphans)).done.report) == {"refused": 1}
    assert copies(world) == {"a/1": "theirs"}


async def test_where_we_may_only_read_nothing_is_begun(world: World) -> None:
    """The error names what is missing, and no write is announced."""
    orphans = await dropped(world)
    world.store("dst", "file: {path: ../copies}", permissions="Read")
    ended = await end(world, orphans)
    assert [error.code for error in ended.done.report.errors] == ["out-of-reach"]
    assert world.ledger.runs.unsettled("job") == []


async def test_orphans_of_a_renamed_store_are_forgotten(world: World) -> None:
    """Whatever the ledger still calls it."""
    await renamed_store(world)
    await world.remove("src", "a/1")
    ended = await end(world, (await world.plan()).orphans, delete=False)
    assert ended.forgotten == 1
    assert (await world.plan()).orphans == []
    assert len(copies(world)) == 2


async def test_ending_orphans_says_nothing_of_how_the_job_stands(world: World) -> None:
    """A job whose last sync was killed is not in sync because somebody has cleaned up since."""
    orphans = await dropped(world)
    world.ledger.runs.start("job", "dead")
    before = world.ledger.runs.summary("job")
    assert counted((await end(world, orphans)).done.report) == {"deleted": 1}
    after = world.ledger.runs.summary("job")
    assert (after.last_run and after.last_run.run, after.last_success) == ("dead", before.last_success)
    found = findings(world.documents.jobs["job"], world.ledger)
    assert found is not None
    assert not is_in_sync(after.last_run, {each.item for each in found.out_of_sync})
    assert dict(world.ledger.runs.measures()[0].runs)["orphans"] == 1
