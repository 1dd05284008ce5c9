"""A name at the source for which there is no key concerns only who selects it, and only itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from run.world import actions, counted, reasons
from secretsync_core.model.inventory import Gap
from secretsync_core.run.watch import Watch

if TYPE_CHECKING:
    from run.world import World

ODD = Gap("prod//x", "invalid-secret", "src has the name 'prod//x', for which there is no key", is_key=True)
DELETING = {"deletionPolicy": "Delete", "maxDelete": "5"}


async def _synced(world: World, plan: str, odd: Gap = ODD) -> None:
    """A job that has copied ``prod/ok`` and ``prod/gone``, of which the second is no more, and an odd name."""
    await world.seed("src", {"prod/ok": {"v": "1"}, "prod/gone": {"v": "1"}})
    world.job(plan, **DELETING)
    assert (await world.sync()).ok
    await world.remove("src", "prod/gone")
    world.fault("src").gap("list", odd)


@pytest.mark.parametrize(
    "query",
    ["{path: prod, key: {regexp: ^ok|^gone}}", "{recursive: true, key: {exclude: [//]}}", "{path: 'prod/?*'}",
     "{recursive: true, exclude: ['**/x']}"],
)  # fmt: skip
async def test_a_name_that_the_query_rules_out_is_none_of_its_business(world: World, query: str) -> None:
    """By its path, its expressions or what it excludes: the run is green, and deletes what it should."""
    odd = ODD._replace(prefix="prod//x") if "?" not in query else ODD._replace(prefix="prod/")
    await _synced(world, f"- {{name: all, query: {query}}}", odd)
    report = await world.sync()
    assert (report.errors, counted(report)) == ([], {"unchanged": 1, "deleted": 1})
    assert report.ok


async def test_a_name_that_is_selected_is_refused_for_itself(world: World) -> None:
    """The plan has a line for it, the run is not ok, and what is gone elsewhere is deleted all the same."""
    await _synced(world, "- {name: all, query: {recursive: true}}")
    planned = await world.plan()
    assert actions(planned) == {"prod/ok": "unchanged", "prod//x": "refuse", "prod/gone": "delete"}
    assert planned.errors == []
    report = await world.sync()
    assert not report.ok
    assert counted(report) == {"unchanged": 1, "deleted": 1, "refused": 1}
    assert reasons(report.failures) == {"prod//x": "no-key"}
    assert "no key" in report.failures[0].message
    assert world.sound()


async def test_another_refusal_still_holds_its_items_deletes_back(world: World) -> None:
    """Only the odd name is without consequence: a copy that is refused beside it holds back what may replace it."""
    await _synced(world, "- {name: all, query: {recursive: true}}")
    await world.seed("src", {"prod/new": {"v": "1"}})
    await world.seed("dst", {"prod/new": {"v": "somebody else's"}})
    assert counted(await world.sync()) == {"unchanged": 1, "refused": 3}
    assert "prod/gone" in await world.all("dst")


async def test_the_key_that_an_odd_name_would_become_is_not_deleted(world: World) -> None:
    """Where a transform makes a key of it that the job has copied before, its absence is no reason to delete that."""
    transform = "keyTransform: [{regexp: {source: '//', target: '/'}}]"
    await _synced(world, f"- {{name: all, query: {{recursive: true}}, {transform}}}", ODD._replace(prefix="prod//gone"))
    assert counted(await world.sync()) == {"unchanged": 1, "refused": 1}
    assert "prod/gone" in await world.all("dst")


async def test_what_is_combined_lacks_it(world: World) -> None:
    """All inputs of a combined secret count, so one that has no key keeps it from being made."""
    await world.seed("src", {"prod/ok": {"v": "1"}})
    world.job(
        "- {name: all, key: one, combine: [{name: a, query: {recursive: true}}],"
        " valueTransform: [{template: {text: '{{ a | length }}'}}]}"
    )
    world.fault("src").gap("list", ODD)
    report = await world.sync()
    assert [error.code for error in report.errors] == ["invalid-secret"]
    assert await world.all("dst") == {}


async def test_odd_files(world: World) -> None:
    """Links, pipes and names that are not UTF-8 are refused one by one, where the query selects them."""
    world.files("src")
    world.files("dst")
    root = world.path / "src"
    await world.seed("src", {"prod/ok": b"1", "prod/gone": b"1"})
    world.job("- {name: all, query: {recursive: true}}", **DELETING)
    assert (await world.sync()).ok
    await world.remove("src", "prod/gone")
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to(root / "prod")
    (root / os.fsdecode(b"odd\xff")).write_bytes(b"x")
    report = await world.sync()
    assert counted(report) == {"unchanged": 1, "deleted": 1, "refused": 3}
    assert set(reasons(report.failures)) == {"pipe", "link", "odd\ufffd"}
    world.job("- {name: all, query: {path: 'prod/**'}}", **DELETING)
    assert (await world.sync()).ok


async def test_a_link_in_the_place_of_a_folder_is_a_hole(world: World) -> None:
    """What a query would look for behind a link is hidden, and its copies stay."""
    world.files("src")
    world.files("dst")
    await world.seed("src", {"a/prod/x": b"1", "b/prod/y": b"1"})
    world.job("- {name: all, query: {path: '*/prod/**'}}", **DELETING)
    assert (await world.sync()).ok
    (world.path / "src" / "a").rename(world.path / "elsewhere")
    (world.path / "src" / "a").symlink_to(world.path / "elsewhere")
    report = await world.sync()
    assert [error.code for error in report.errors] == ["invalid-secret"]
    assert set(await world.all("dst")) == {"a/prod/x", "b/prod/y"}


async def test_folders_of_files_are_passed_without_being_read(world: World) -> None:
    """A glob goes through folders that may not be listed, as long as it names the way."""
    world.files("src")
    await world.seed("src", {"teams/a/prod/x": b"1", "teams/a/dev/y": b"1", "teams/b/dev/z": b"1"})
    root = world.path / "src" / "teams"
    (root / "a").chmod(0o311)
    (root / "b" / "dev").chmod(0)
    try:
        world.job("- {name: all, query: {path: 'teams/*/prod/*'}}")
        report = await world.sync()
        assert (report.errors, counted(report)) == ([], {"created": 1})
    finally:
        (root / "a").chmod(0o700)
        (root / "b" / "dev").chmod(0o700)


async def test_sensors_ask_no_more_for_it(world: World) -> None:
    """An odd name is told along with the answer that others share: no folder is asked for again because of it."""
    await world.seed("src", {"prod/ok": {"v": "1"}})
    world.job(
        "- {name: all, query: {recursive: true}}\n- {name: prod, query: {path: prod}, keyTransform: [{prefix: p/}]}"
    )
    world.fault("src").gap("list", ODD)
    await world.sync()
    faults = world.fault("src")
    before = faults.calls["list"]
    documents = world.documents
    sights = await Watch().look([documents.jobs["job"]], documents, world.ledger, environ={})
    assert (sights["job"].touched, sights["job"].errors) == ({}, [])
    assert faults.calls["list"] == before + 1
