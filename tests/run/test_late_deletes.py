"""A delete that comes late: what is written between the look and the delete, at either end, is not deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.world import counted, reasons
from secretsync_core.errors import StoreUnavailable

if TYPE_CHECKING:
    from run.world import World

APP = "- {name: app, query: {path: app}}"


@pytest.fixture
async def due(world: World) -> World:
    """A copy whose source is gone, so that it is to be deleted."""
    world.job(APP, deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"app/a": {"x": "1"}, "app/b": {"x": "1"}})
    await world.sync()
    await world.remove("src", "app/a")
    return world


async def test_written_right_before_the_delete(due: World) -> None:
    """What somebody writes there after the last look stays; the delete is refused, and told."""
    due.fault("dst").run("delete", lambda key: due.put("dst", key, {"x": "theirs"}))
    report = await due.sync()
    assert counted(report) == {"refused": 1, "unchanged": 1}
    assert reasons(report.failures) == {"app/a": "changed-outside"}
    assert await due.get("dst", "app/a") == {"x": "theirs"}
    assert due.sound()


async def test_written_right_before_the_delete_of_a_file(world: World) -> None:
    """The same where the destination is a directory, of which nothing would come back."""
    world.files("dst")
    world.job(APP, deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"app/a": {"x": "1"}, "app/b": {"x": "1"}})
    await world.sync()
    await world.remove("src", "app/a")
    world.fault("dst").run("delete", lambda key: world.put("dst", key, b"theirs"))
    assert reasons((await world.sync()).failures) == {"app/a": "changed-outside"}
    assert await world.get("dst", "app/a") == b"theirs"


async def test_back_at_the_source_while_others_were_copied(due: World) -> None:
    """A secret that comes back at the source after the survey keeps its copy; the next run finds all well."""
    await due.put("src", "app/c", {"x": "1"})
    due.fault("dst").run("write_if", lambda _: due.put("src", "app/a", {"x": "1"}))
    report = await due.sync()
    assert counted(report) == {"created": 1, "refused": 1, "unchanged": 1}
    (failure,) = report.failures
    assert (failure.change.key, failure.message) == ("app/a", "its source is there again")
    assert await due.get("dst", "app/a") == {"x": "1"}
    assert (await due.sync()).ok


async def test_a_source_that_cannot_be_seen_any_more(due: World) -> None:
    """Where nobody can tell by then whether the source is back, the copy stays."""
    due.fault("src").fail("read", StoreUnavailable("down", store="src"), key="app/a", first=2)
    report = await due.sync()
    assert counted(report) == {"refused": 1, "unchanged": 1}
    assert reasons(report.failures) == {"app/a": "cannot-see"}
    assert "app/a" in await due.all("dst")


async def test_nobody_came_in_between(due: World) -> None:
    """Otherwise it is deleted, for two questions about the source key and one look at the copy."""
    report = await due.sync()
    assert counted(report) == {"deleted": 1, "unchanged": 1}
    assert report.requests["src"]["read"] == 2
    assert report.requests["dst"]["delete"] == 1
