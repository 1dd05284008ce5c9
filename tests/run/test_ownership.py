"""Whose a secret in the destination is: marks, the ledger, and taking over what was there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from run.world import World, actions, counted, reasons, wrote
from secretsync_core.errors import AccessDenied, PlanRefused, StoreUnavailable
from secretsync_core.run.fingerprint import owner_mark
from secretsync_core.stores import memory
from secretsync_core.stores.base import MARK_KEY
from secretsync_core.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ALL = "- {name: all, query: {recursive: true}}"
DELETING = {"deletionPolicy": "Delete", "maxDelete": "100%"}


async def _marks(world: World, *keys: str) -> Mapping[str, str]:
    marks: Mapping[str, str] = await (await world.handle("dst")).marks(keys)
    return marks


async def test_what_a_job_creates_carries_its_mark(world: World) -> None:
    """A created secret is marked as this job's, and one that was there is not, until it is adopted."""
    await world.seed("src", {"new": {"x": "1"}, "old": {"x": "2"}})
    await world.put("dst", "old", {"x": "0"})
    world.job(ALL, writePolicy="Replace")
    assert (await world.sync()).ok
    marks = await _marks(world, "new", "old")
    assert set(marks) == {"new"}
    assert re.fullmatch(r"job\.[0-9a-f]{16}", marks["new"])


async def test_no_marks_where_none_are_wanted(world: World) -> None:
    """With ownership.mark: false nothing is marked."""
    await world.put("src", "a", {"x": "1"})
    world.job(ALL, ownership="{mark: false}")
    assert (await world.sync()).ok
    assert await _marks(world, "a") == {}


async def test_another_owners_secret_is_not_deleted(world: World) -> None:
    """Where a mark says that somebody else created a secret, the ledger alone is not enough to delete it."""
    await world.seed("src", {"ours": {"x": "1"}, "theirs": {"x": "2"}, "unmarked": {"x": "3"}})
    world.job(ALL, **DELETING)
    assert (await world.sync()).ok
    memory.set_metadata("dst", "theirs", {MARK_KEY: owner_mark("job", b"another installation")})
    memory.set_metadata("dst", "unmarked", {})
    for key in ("ours", "theirs", "unmarked"):
        await world.remove("src", key)
    assert actions(await world.plan()) == {"ours": "delete", "theirs": "refuse", "unmarked": "delete"}
    report = await world.sync()
    assert not report.ok
    assert reasons(report.failures) == {"theirs": "not-ours"}
    assert set(await world.all("dst")) == {"theirs"}


async def test_marks_that_cannot_be_read_keep_everything(world: World) -> None:
    """Where the store does not tell its marks nothing is deleted, the report says why, and it is asked once."""
    keys = await _gone(world, 5)
    world.fault("dst").fail("marks", StoreUnavailable("down"))
    report = await world.sync()
    assert reasons(report.failures) == dict.fromkeys(keys, "cannot-see")
    assert set(await world.all("dst")) == {*keys, "stays"}
    assert world.fault("dst").calls["marks"] == 1


async def _gone(world: World, count: int) -> list[str]:
    """So many copies whose sources are gone; one more stays."""
    keys = [f"k{number:02}" for number in range(count)]
    await world.seed("src", {key: {"x": "1"} for key in [*keys, "stays"]})
    world.job(ALL, **DELETING | {"maxDelete": "99"})
    await world.sync()
    for key in keys:
        await world.remove("src", key)
    return keys


@pytest.mark.parametrize("hidden", [1, 2, 5])
async def test_marks_of_some_that_cannot_be_read_keep_those(world: World, hidden: int) -> None:
    """A mark that nobody may see keeps its secret from being deleted, and no other one."""
    keys = await _gone(world, 8)
    marks, asked = MemoryStore.marks, list[int]()

    async def told(store: MemoryStore, wanted: Collection[str]) -> Mapping[str, str]:
        asked.append(len(wanted))
        for key in wanted:
            if key in keys[:hidden]:
                raise AccessDenied(f"the mark of {key} may not be seen", store="dst", key=key)
        return await marks(store, wanted)

    world.patch.setattr(MemoryStore, "marks", told)
    report = await world.sync()
    assert {each.change.key: (each.change.reason.value, each.message) for each in report.failures} == {
        key: ("cannot-see", f"the mark of {key} may not be seen") for key in keys[:hidden]
    }
    assert set(await world.all("dst")) == {*keys[:hidden], "stays"}
    assert len(asked) <= 1 + 2 * 3 * hidden


async def test_a_store_that_shows_no_marks_is_not_asked_for_each(world: World) -> None:
    """After ten marks that cannot be seen the others count as unseen, too."""
    keys = await _gone(world, 64)
    asked = list[int]()

    async def told(_: MemoryStore, wanted: Collection[str]) -> Mapping[str, str]:
        asked.append(len(wanted))
        raise AccessDenied("no marks for you", store="dst", key=next(iter(wanted)))

    world.patch.setattr(MemoryStore, "marks", told)
    report = await world.sync()
    assert {each.change.reason.value for each in report.failures} == {"cannot-see"}
    assert len(await world.all("dst")) == len(keys) + 1
    assert len(asked) < 30


async def test_two_installations_never_delete_each_others_keys(world: World) -> None:
    """Two ledgers that write one destination: what the other one created stays, also if both know of it."""
    await world.seed("src", {"shared": {"x": "1"}})
    world.job(ALL, **DELETING)
    await world.sync()
    # A second installation had created the same key once: its ledger still says so.
    mark = owner_mark("job", b"the other installation's key")
    memory.set_metadata("dst", "shared", {MARK_KEY: mark})
    await world.remove("src", "shared")
    assert reasons((await world.sync()).failures) == {"shared": "not-ours"}
    assert await _marks(world, "shared") == {"shared": mark}


@pytest.mark.parametrize("value", ["1", "0"])
async def test_adopting_makes_it_ours(world: World, value: str) -> None:
    """With ownership.adopt what was there is marked, counted as created by us, and goes when its source goes."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    await world.put("dst", "a", {"x": value})
    world.job(ALL, **DELETING, writePolicy="Replace")
    assert (await world.sync()).ok
    assert not world.state()["dst", "a"].owned
    world.job(ALL, **DELETING, ownership="{adopt: true}")
    planned = await world.plan()
    assert any("taking over 1 secret that dst holds" in warning for warning in planned.warnings)
    report = await world.sync()
    assert report.ok
    assert world.state()["dst", "a"].owned
    assert set(await _marks(world, "a", "b")) == {"a", "b"}
    assert any(record.draft.reason == "adopted" for record in world.records())
    again = await world.sync()
    assert (counted(again), wrote(again), again.warnings) == ({"unchanged": 2}, 0, [])
    await world.remove("src", "a")
    assert (await world.sync()).ok
    assert set(await world.all("dst")) == {"b"}
    assert world.sound()


async def test_adopting_replaces_another_mark(world: World) -> None:
    """Who adopts takes the mark over, so that the installation before does not delete it any more."""
    await world.put("src", "a", {"x": "1"})
    await world.put("dst", "a", {"x": "1"})
    memory.set_metadata("dst", "a", {MARK_KEY: "somebody.0000000000000000"})
    world.job(ALL, ownership="{adopt: true}")
    assert (await world.sync()).ok
    marks = await _marks(world, "a")
    assert marks["a"].startswith("job.")


async def test_what_fails_at_the_source_is_not_adopted(world: World) -> None:
    """A secret whose source cannot be read keeps its mark and its owner."""
    await world.put("src", "a", {"x": "1"})
    await world.put("dst", "a", {"x": "1"})
    world.fault("src").fail("read", StoreUnavailable("down"))
    world.job(ALL, ownership="{adopt: true}")
    assert not (await world.sync()).ok
    assert await _marks(world, "a") == {}
    assert ("dst", "a") not in world.state()


async def test_marks_are_asked_of_stores_that_have_them(world: World) -> None:
    """ownership.mark: true and a store without marks is a plan that is refused."""
    await world.put("src", "a", {"x": "1"})
    world.files("dst")
    world.job(ALL, ownership="{mark: true}")
    with pytest.raises(PlanRefused, match="destination dst has no marks"):
        await world.sync()


def test_a_mark_says_nothing_of_the_key() -> None:
    """Marks differ by job and by installation, are short, and fit a label."""
    marks = {owner_mark(job, key) for job in ("a", "b", "x" * 63) for key in (b"1" * 32, b"2" * 32)}
    assert len(marks) == 6
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", mark) for mark in marks)
