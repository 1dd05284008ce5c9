"""Deletes: only what this job created, never on a doubt, never too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run.world import actions, counted, reasons
from secretsync_core.errors import StoreUnavailable
from secretsync_core.model.inventory import Gap

if TYPE_CHECKING:
    from run.world import World

APP = "- {name: app, query: {path: app}}"
MORE = "- {name: more, query: {path: more}}"
TWO = f"{APP}\n{MORE}"


def _job(world: World, plan: str = TWO, max_delete: str = "5", **more: str) -> None:
    world.job(plan, deletionPolicy="Delete", maxDelete=max_delete, **more)


async def _synced(world: World, **more: str) -> None:
    _job(world, **more)
    await world.seed("src", {"app/a": {"x": "1"}, "app/b": {"x": "1"}, "more/c": {"x": "1"}})
    await world.sync()


async def test_what_left_the_source_goes(world: World) -> None:
    """A secret that is gone at the source is deleted, once; what is not ours stays where it is."""
    await world.put("dst", "app/foreign", {"x": "theirs"})
    await _synced(world)
    await world.remove("src", "app/a")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 2}
    assert set(await world.all("dst")) == {"app/b", "more/c", "app/foreign"}
    assert counted(await world.sync()) == {"unchanged": 2}
    assert world.sound()


async def test_retain_keeps_everything(world: World) -> None:
    """Without ``deletionPolicy: Delete`` nothing is ever deleted."""
    await _synced(world)
    world.job(TWO)
    await world.remove("src", "app/a")
    assert counted(await world.sync()) == {"unchanged": 2}
    assert "app/a" in await world.all("dst")


async def test_what_we_did_not_create_stays(world: World) -> None:
    """A key that was there before us is brought in line where Replace is named, and outlives its source."""
    await world.put("dst", "app/a", {"x": "before us"})
    await _synced(world, writePolicy="Replace")
    await world.remove("src", "app/a")
    assert counted(await world.sync()) == {"unchanged": 2}
    assert await world.get("dst", "app/a") == {"x": "1"}


async def test_max_delete_blocks_all_of_them(world: World) -> None:
    """Beyond ``maxDelete`` not one is deleted, the run fails and says why; the rest of it is done."""
    await _synced(world)
    await world.remove("src", "app/a")
    await world.remove("src", "app/b")
    await world.put("src", "more/d", {"x": "1"})
    _job(world, max_delete="1")
    report = await world.sync()
    assert counted(report) == {"refused": 2, "created": 1, "unchanged": 1}
    assert set(reasons(report.failures).values()) == {"max-delete"}
    (error,) = report.errors
    assert (error.code, error.exit_code) == ("max-delete", 1)
    assert error.message.startswith("maxDelete 1 holds back 2 deletes in dst: it allows 1 of the 3")
    _job(world, max_delete="70%")
    assert counted(await world.sync()) == {"deleted": 2, "unchanged": 2}


async def test_max_delete_for_one_run(world: World) -> None:
    """What is allowed for one run takes the place of the document's ``maxDelete``, in that run alone."""
    await _synced(world)
    _job(world, max_delete="0")
    await world.remove("src", "app/a")
    report = await world.sync()
    assert counted(report) == {"refused": 1, "unchanged": 2}
    assert "run `secretsync sync job --max-delete 1` once" in report.errors[0].hint
    assert counted(await world.sync(max_delete=1)) == {"deleted": 1, "unchanged": 2}
    await world.remove("src", "app/b")
    assert counted(await world.sync()) == {"refused": 1, "unchanged": 1}


async def test_a_share_lets_a_small_job_delete_one(world: World) -> None:
    """By default one of three copies goes with its source, and two at once are kept."""
    await _synced(world)
    world.job(TWO, deletionPolicy="Delete")
    await world.remove("src", "app/a")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 2}
    await world.remove("src", "app/b")
    await world.remove("src", "more/c")
    assert counted(await world.sync()) == {"refused": 2}


async def test_a_source_that_is_suddenly_empty(world: World) -> None:
    """A source that shrinks to nothing runs into the guard, by default too."""
    await _synced(world)
    world.job(TWO, deletionPolicy="Delete")
    for key in ("app/a", "app/b", "more/c"):
        await world.remove("src", key)
    assert counted(await world.sync()) == {"refused": 3}
    assert len(await world.all("dst")) == 3


async def test_a_failed_listing_deletes_nothing(world: World) -> None:
    """A listing that fails blocks every delete of its item, and of no other."""
    await _synced(world)
    await world.remove("src", "app/a")
    await world.remove("src", "more/c")
    world.fault("src").fail("list", StoreUnavailable("down"), key="app/")
    report = await world.sync()
    assert counted(report) == {"deleted": 1}
    assert set(await world.all("dst")) == {"app/a", "app/b"}
    assert [error.item for error in report.errors] == ["app"]
    assert not report.ok


async def test_a_listing_with_holes_deletes_nothing(world: World) -> None:
    """What a listing could not see may be there: nothing of its items is deleted, what it did see is copied."""
    await _synced(world)
    await world.remove("src", "app/a")
    await world.put("src", "app/new", {"x": "1"})
    world.fault("src").gap("list", Gap("app/b", "access-denied", "no"))
    report = await world.sync()
    assert counted(report) == {"created": 1, "unchanged": 1}
    assert {error.code for error in report.errors} == {"access-denied"}
    assert set(await world.all("dst")) == {"app/a", "app/b", "app/new", "more/c"}


async def test_a_failed_read_in_the_item_deletes_nothing(world: World) -> None:
    """While one secret of an item cannot be read, none of the item's is deleted."""
    await _synced(world)
    await world.remove("src", "app/a")
    await world.put("src", "app/b", {"x": "2"})
    world.fault("src").fail("read", StoreUnavailable("down"), key="app/b")
    report = await world.sync()
    assert reasons(report.failures) == {"app/b": "source-changed", "app/a": "item-failed"}
    assert "app/a" in await world.all("dst")


async def test_a_failing_key_transform_deletes_nothing(world: World) -> None:
    """A key whose new name cannot be made may still stand under its old one: that stays."""
    await _synced(world)
    _job(world, TWO.replace("{path: app}", "{path: app}, keyTransform: [{template: '{{ parts[7] }}'}]"))
    report = await world.sync()
    assert counted(report) == {"refused": 2, "unchanged": 1}
    assert len(await world.all("dst")) == 3


async def test_a_new_name_that_cannot_be_stored_deletes_nothing(world: World) -> None:
    """A key that the destination cannot hold under its new name stays under its old one."""
    await _synced(world)
    _job(world, TWO.replace("{path: app}", "{path: app}, keyTransform: [{regexp: {source: a$, target: a//}}]"))
    report = await world.sync()
    assert "deleted" not in counted(report)
    assert len(await world.all("dst")) == 3


async def test_changed_outside_is_not_deleted(world: World) -> None:
    """What somebody changed since our last write is not ours to delete any more."""
    await _synced(world)
    await world.remove("src", "app/a")
    await world.put("dst", "app/a", {"x": "theirs"})
    report = await world.sync()
    assert reasons(report.failures) == {"app/a": "changed-outside"}
    assert await world.get("dst", "app/a") == {"x": "theirs"}


async def test_removed_outside_is_forgotten(world: World) -> None:
    """What somebody deleted before us needs no delete, and no place in the ledger."""
    await _synced(world)
    await world.remove("src", "app/a")
    await world.remove("dst", "app/a")
    report = await world.sync()
    assert counted(report) == {"skipped": 1, "unchanged": 2}
    assert report.requests["dst"] == {"stat": 1}
    assert ("dst", "app/a") not in world.state()
    assert report.ok


async def test_an_item_that_left_the_document(world: World) -> None:
    """Its keys go, unless anything at all is in doubt: they might be another's under a new name."""
    await _synced(world)
    _job(world, APP)
    world.fault("src").fail("list", StoreUnavailable("down"), times=1)
    assert "deleted" not in counted(await world.sync())
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 2}


async def test_a_renamed_item_whose_new_keys_fail_keeps_the_old(world: World) -> None:
    """An item that got a new name and new keys loses the old ones only once the new ones are there."""
    await _synced(world)
    new = "- {name: new, query: {path: app}, keyTransform: [{regexp: {source: ^app, target: new}}]}"
    _job(world, f"{new}\n{MORE}")
    world.fault("dst").fail("write_if", StoreUnavailable("down"), key="new/a", times=1)
    report = await world.sync()
    assert "deleted" not in counted(report)
    assert {"app/a", "app/b", "new/b"} <= set(await world.all("dst"))
    assert counted(await world.sync()) == {"created": 1, "unchanged": 2, "deleted": 2}
    assert set(await world.all("dst")) == {"new/a", "new/b", "more/c"}


async def test_a_partial_run_leaves_other_items_alone(world: World) -> None:
    """A run of one item deletes only that item's keys, also after items have swapped their names."""
    await _synced(world)
    await world.remove("src", "app/a")
    await world.remove("src", "more/c")
    assert counted(await world.sync("app")) == {"deleted": 1, "unchanged": 1}
    assert set(await world.all("dst")) == {"app/b", "more/c"}
    _job(world, "- {name: renamed, query: {path: app}}\n- {name: app, query: {path: other}}")
    await world.sync("renamed")
    assert counted(await world.sync("app")) == {}
    assert "app/b" in await world.all("dst")


async def test_a_combined_secret_outlives_a_missing_part(world: World) -> None:
    """A part that is gone refuses the combined secret and never deletes it; an empty query does."""
    plan = "- {name: all, key: all, combine: [{name: a, secret: {key: a}}, {name: q, query: {path: q}}]}"
    _job(world, plan)
    await world.seed("src", {"a": {"x": "1"}, "q/b": {"y": "1"}})
    await world.sync()
    await world.remove("src", "a")
    report = await world.sync()
    assert reasons(report.failures) == {"all": "not-found"}
    assert await world.get("dst", "all") == {"x": "1", "y": "1"}
    _job(world, "- {name: all, key: all, combine: [{name: q, query: {path: q}}]}")
    assert counted(await world.sync()) == {"updated": 1}
    await world.remove("src", "q/b")
    assert counted(await world.sync()) == {"deleted": 1}


async def test_a_static_key_that_is_gone(world: World) -> None:
    """With ``Delete`` a missing static source is what deletes its copy; with ``Retain`` it is an error."""
    plan = "- {name: one, secret: {key: k}, keyTransform: [{template: 'copy/{{ key }}'}]}"
    _job(world, plan)
    await world.put("src", "k", {"x": "1"})
    await world.sync()
    await world.remove("src", "k")
    assert actions(await world.plan()) == {"copy/k": "delete"}
    assert counted(await world.sync()) == {"deleted": 1}
    assert reasons((await world.sync()).failures) == {"copy/k": "not-found"}


async def test_deleting_in_files(world: World) -> None:
    """The file store is versioned by its files; the same rules hold there."""
    world.files("dst")
    await _synced(world)
    await world.remove("src", "app/a")
    await world.remove("src", "app/b")
    await world.put("dst", "app/b", b"theirs")
    assert counted(await world.sync()) == {"deleted": 1, "refused": 1, "unchanged": 1}
    assert set(await world.all("dst")) == {"app/b", "more/c"}


async def test_a_deleted_key_comes_back(world: World) -> None:
    """A source that comes back after its copy was deleted is created again, over the deleted version."""
    await _synced(world)
    await world.remove("src", "app/a")
    await world.sync()
    await world.put("src", "app/a", {"x": "again"})
    assert counted(await world.sync()) == {"created": 1, "unchanged": 2}
    assert await world.get("dst", "app/a") == {"x": "again"}
