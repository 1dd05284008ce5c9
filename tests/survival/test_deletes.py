"""What may be deleted, and what never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.slow import one_in

from secretsync_core.model.report import Result
from survival.world import exit_code

if TYPE_CHECKING:
    from survival.conftest import MakeWorld
    from survival.world import World


@pytest.mark.parametrize("kv", one_in(2, [2, 1]))
async def test_source_that_shrinks_to_nothing(make_world: MakeWorld, kv: int) -> None:
    """maxDelete holds when a source is suddenly empty, and raised it deletes what the job created and nothing else."""
    world = make_world(dest_kv=kv)
    keys = world.source.fill(20)
    world.spec["deletionPolicy"] = "Delete"
    foreign = {"app/foreign": {"x": "1"}, "other": {"x": "2"}, "app/both": {"password": "same"}}
    for key, fields in foreign.items():
        world.dest.put(key, fields)
    world.source.put("app/both", {"password": "same"})  # ours and theirs: it was there before us
    report = await world.sync()
    assert report.total(Result.CREATED) == 20
    for key in [*keys, "app/both"]:
        world.source.forget(key)

    report = await world.sync()
    assert exit_code(report) == 1
    assert report.total(Result.DELETED) == 0
    assert [error.code for error in report.errors] == ["max-delete"]
    assert "holds back 20 deletes" in report.errors[0].message
    assert "maxDelete" in report.errors[0].hint
    assert set(world.dest.contents()) == {*keys, *foreign}

    world.spec["maxDelete"] = 19
    assert (await world.sync()).total(Result.DELETED) == 0
    world.spec["maxDelete"] = 20
    report = await world.sync()
    assert report.ok, (report.errors, report.failures)
    assert report.total(Result.DELETED) == 20
    assert world.dest.contents() == foreign
    assert (await world.sync()).ok
    world.assert_sound()


async def test_item_that_is_taken_out_of_the_document(world: World) -> None:
    """An item that leaves the document takes its copies with it, within maxDelete, and no other item's."""
    world.source.fill(4, "a/")
    world.source.fill(4, "b/")
    items = [{"name": name, "query": {"path": f"{name}/"}} for name in "ab"]
    world.spec |= {"deletionPolicy": "Delete", "maxDelete": "50%", "plan": items}
    await world.sync()
    world.spec["plan"] = items[:1]
    report = await world.sync()
    assert report.total(Result.DELETED) == 4
    assert {key[0] for key in world.dest.contents()} == {"a"}


async def test_copy_that_somebody_changed(world: World) -> None:
    """A copy that somebody changed since is not deleted with its source."""
    keys = world.source.fill(3)
    world.spec |= {"deletionPolicy": "Delete", "maxDelete": "100%"}
    await world.sync()
    world.dest.put(keys[0], {"password": "theirs now"})
    for key in keys:
        world.source.forget(key)
    report = await world.sync()
    assert report.total(Result.DELETED) == 2
    assert world.dest.contents() == {keys[0]: {"password": "theirs now"}}


async def test_two_jobs_one_destination(world: World) -> None:
    """Two jobs that delete in one destination never delete each other's keys; one that both want is the first one's."""
    world.source.fill(4, "a/")
    world.source.fill(4, "b/")
    world.source.put("shared/key", {"password": "shared"})
    policy = {"deletionPolicy": "Delete", "maxDelete": "100%"}
    match = {name: {"regexp": f"^({name}|shared)/"} for name in "ab"}
    for name, spec in (("a", world.spec), ("b", world.jobs.setdefault("other", {}))):
        spec |= policy | {"plan": [{"name": "all", "query": {"path": "", "recursive": True, "key": match[name]}}]}
    refused = {"job": {}, "other": {"shared/key": "held"}}
    for name in ("job", "other", "job"):
        report = await world.sync(name)
        assert {failure.change.key: failure.change.reason.value for failure in report.failures} == refused[name]
        assert report.errors == []
    assert len(world.dest.contents()) == 9
    # The first job wants nothing of it any more: what it created goes, and what the other one created stays.
    for number in range(4):
        world.source.forget(f"a/{number:04}")
    for name in ("job", "other", "job"):
        report = await world.sync(name)
        assert {failure.change.key: failure.change.reason.value for failure in report.failures} == refused[name]
        assert report.errors == []
    assert {key[0] for key in world.dest.contents()} == {"b", "s"}
    # The other one does not hold the shared key, so it is not the one to delete it.
    world.jobs["other"]["plan"][0]["query"]["key"] = {"regexp": "^b/"}
    assert (await world.sync("other")).ok
    assert world.dest.get("shared/key") == {"password": "shared"}
    world.assert_sound()


async def test_lost_ledger(world: World) -> None:
    """With its ledger gone a job owns nothing: the first sync compares, rewrites nothing and deletes nothing."""
    keys = world.source.fill(10)
    world.spec |= {"deletionPolicy": "Delete", "maxDelete": "100%"}
    await world.sync()
    for file in world.home.iterdir():
        file.unlink()
    world.source.forget(keys[0])
    report = await world.sync()
    assert report.ok
    assert report.total(Result.UNCHANGED) == 9
    assert world.dest.versions() == dict.fromkeys(keys, 1)
