"""A copy that this job deleted and that is there again is told, and deleted again only where that is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.world import FINGERPRINT_KEY, SEAL_KEY, actions, counted, reasons
from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import AccessDenied
from secretsync_core.model.inventory import Entry
from secretsync_core.model.state import Deleted
from secretsync_core.run.copy_returned import beside, weigh
from secretsync_core.run.fingerprint import owner_mark
from secretsync_core.stores import memory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from run.world import World

ALL = "- {name: all, query: {recursive: true}}"
DELETING = {"deletionPolicy": "Delete", "maxDelete": "100%"}
OURS = owner_mark("job", FINGERPRINT_KEY)
THEIRS = owner_mark("job", b"another installation")
GONE = Deleted("all", "3@x", "d", "f", "src", "k", "")


@pytest.mark.parametrize(
    ("version", "mark", "same", "told", "proven"),
    [
        ("3@x", OURS, True, True, True),
        ("3@x", None, True, True, True),
        (None, OURS, True, True, True),
        ("9@y", OURS, True, True, True),
        ("9@y", OURS, False, True, False),  # our mark, and somebody wrote there since
        ("3@x", OURS, None, True, False),  # deleted by an older version, which did not note the value
        (None, None, True, True, False),  # the same value, and nothing that says who wrote it
        (None, None, False, False, False),
        ("9@y", None, False, False, False),
        ("3@x", THEIRS, True, False, False),
    ],
)
def test_whose_it_is(version: str | None, mark: str | None, same: bool | None, told: bool, proven: bool) -> None:
    """Mark, version and value decide together; another owner's mark says that it is theirs."""
    found = weigh("k", GONE, Entry("k", version), mark=mark, ours={OURS}, same=same)
    assert (found is not None) is told
    assert found is None or found.proven is proven


@pytest.mark.parametrize(
    ("known", "near"),
    [
        ([], set()),
        (["app/a"], {"app/x", "app/b/y"}),
        (["app/b/1", "app/b/2"], {"app/b/y"}),
        (["app/a", "zoo"], {"app/x", "app/b/y", "other"}),
    ],
)
def test_what_a_look_sees_at_no_cost(known: list[str], near: set[str]) -> None:
    """Deleted keys below the folder that the known ones share are looked at with them."""
    assert beside(known, ["app/x", "app/b/y", "other"]) == near


async def _deleted(world: World, **spec: str) -> None:
    """Delete the copy of ``k``, whose source is gone; ``other`` stays."""
    world.job(ALL, **{**DELETING, **spec})
    await world.seed("src", {"k": {"x": "1"}, "other": {"x": "2"}})
    await world.sync()
    await world.remove("src", "k")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}


async def _back(world: World, value: str = "1", mark: str | None = OURS) -> None:
    await world.put("dst", "k", {"x": value})
    memory.set_metadata("dst", "k", {MARK_KEY: mark} if mark else {})


async def test_ours_is_deleted_again(world: World) -> None:
    """With our mark and the value that we left there: drift for a check, and a delete in plan and sync."""
    await _deleted(world)
    await _back(world)
    report = await world.check()
    assert (report.drifted_count, reasons(report.drifted)) == (1, {"k": "back-again"})
    planned = await world.plan()
    assert actions(planned)["k"] == "delete"
    assert reasons(planned.changes)["k"] == "back-again"
    report = await world.sync()
    assert (counted(report), report.ok, report.warnings) == ({"deleted": 1, "unchanged": 1}, True, [])
    assert set(await world.all("dst")) == {"other"}
    # And once more: what is recorded of this delete is as good as of the first.
    await _back(world)
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}
    report = await world.sync()
    assert (counted(report), report.warnings) == ({"unchanged": 1}, [])
    assert (await world.check()).ok
    assert world.sound()


async def test_another_value_is_refused(world: World) -> None:
    """With our mark and a value that we never left there it stays, and the run says so by name."""
    await _deleted(world)
    await _back(world, "changed")
    report = await world.sync()
    assert (counted(report), report.ok, report.returned) == ({"refused": 1, "unchanged": 1}, False, 1)
    assert reasons(report.failures) == {"k": "back-again"}
    assert any("k" in warning and "had deleted" in warning for warning in report.warnings)
    assert await world.get("dst", "k") == {"x": "changed"}


@pytest.mark.parametrize("mark", [THEIRS, None])
async def test_somebody_elses_is_left_alone(world: World, mark: str | None) -> None:
    """A secret that somebody made there since is none of our business, even with the same value."""
    await _deleted(world)
    await _back(world, mark=mark)
    report = await world.sync()
    assert (counted(report), report.ok, report.warnings) == ({"unchanged": 1}, True, [])
    assert (await world.check()).ok
    assert "k" in await world.all("dst")


async def test_a_policy_that_keeps_it(world: World) -> None:
    """Where nothing is deleted any more it is told, by each run, and is no failure."""
    await _deleted(world)
    await _back(world)
    world.job(ALL, deletionPolicy="Retain")
    report = await world.sync()
    assert (counted(report), report.ok, report.returned) == ({"skipped": 1, "unchanged": 1}, True, 1)
    assert any("k" in warning for warning in report.warnings)
    assert "returned=1" in world.records()[-1].draft.counts


async def test_a_source_that_is_only_hidden(world: World) -> None:
    """It is deleted again only if its source is proven to be gone: a listing that hides it is no proof."""
    await _deleted(world)
    await _back(world)
    await world.put("src", "k", {"x": "1"})
    world.fault("src").fail("read", AccessDenied("no"), key="k")
    world.job("- {name: all, query: {recursive: true, key: {exclude: ['^k$']}}}", **DELETING)
    report = await world.sync()
    assert not report.ok
    assert "k" in await world.all("dst")


async def test_a_source_that_comes_back_while_others_are_copied(world: World) -> None:
    """It is asked for once more right before the delete, and where it is there again its copy stays."""
    await _deleted(world)
    await _back(world)
    await world.put("src", "new", {"x": "3"})
    world.fault("dst").run("write_if", lambda _: world.put("src", "k", {"x": "1"}))
    report = await world.sync()
    assert counted(report) == {"created": 1, "refused": 1, "unchanged": 1}
    assert [failure.message for failure in report.failures] == ["its source is there again"]
    assert await world.get("dst", "k") == {"x": "1"}
    world.faults["dst"].clear()
    assert (await world.sync()).ok


async def test_a_source_that_is_there_and_selected_no_more(world: World) -> None:
    """Nothing asks for the copy then, so it is deleted again."""
    await _deleted(world)
    await _back(world)
    await world.put("src", "k", {"x": "1"})
    world.job("- {name: all, query: {recursive: true, key: {exclude: ['^k$']}}}", **DELETING)
    assert counted(await world.sync())["deleted"] == 1
    assert set(await world.all("dst")) == {"other"}


async def test_the_source_is_back_too(world: World) -> None:
    """Then it is wanted, compared and left, like anything that is there before us."""
    await _deleted(world)
    await _back(world)
    await world.put("src", "k", {"x": "1"})
    report = await world.sync()
    assert (counted(report), report.warnings) == ({"unchanged": 2}, [])
    assert (await world.check()).ok


async def test_max_delete_holds(world: World) -> None:
    """A whole backup that is put back is not deleted in one go."""
    world.job(ALL, **DELETING)
    keys = [f"k{number}" for number in range(9)]
    await world.seed("src", {key: {"x": "1"} for key in [*keys, "other"]})
    await world.sync()
    for key in keys:
        await world.remove("src", key)
    assert counted(await world.sync())["deleted"] == 9
    for key in keys:
        await world.put("dst", key, {"x": "1"})
        memory.set_metadata("dst", key, {MARK_KEY: OURS})
    world.job(ALL, **{**DELETING, "maxDelete": "10%"})
    report = await world.sync()
    assert [error.code for error in report.errors] == ["max-delete"]
    assert len(await world.all("dst")) == 10
    assert counted(await world.sync(max_delete=9))["deleted"] == 9


async def test_fields_that_went(world: World) -> None:
    """With Merge the secret itself stays when our fields go: it is back only where these are, and only told."""
    await _deleted(world, writePolicy="Merge")
    await world.put("dst", "k", {"theirs": "t"})
    memory.set_metadata("dst", "k", {MARK_KEY: OURS})
    report = await world.sync()
    assert (counted(report), report.warnings) == ({"unchanged": 1}, [])


async def test_it_costs_no_request(world: World) -> None:
    """A job that deleted asks for no more than one that never did, as long as nothing is back."""
    world.job(ALL, **DELETING)
    await world.seed("src", {"app/k": {"x": "1"}, "app/other": {"x": "2"}})
    await world.sync()
    before = (await world.sync()).requests
    await world.remove("src", "app/k")
    await world.sync()
    assert (await world.sync()).requests == before


def test_only_runs_that_deleted_are_read(tmp_path: object) -> None:
    """What the ledger remembers comes of the runs whose ends say that they deleted, the last delete of each key."""
    from audit.lab import done, finished, intended, started

    with Ledger.open(f"{tmp_path}/ledger.db", seal_key=SEAL_KEY) as ledger:
        for number, counts in enumerate(["deleted=1", "created=1", "deleted=1"]):
            run = f"run-{number}"
            went = {"run": run, "action": "delete", "dest": "dst", "intent": f"i{number}"}
            ledger.append(
                "job",
                [
                    started(run),
                    intended(f"k{number % 2}", dest_version=str(number), **went),
                    done(f"k{number % 2}", **went)._replace(dest_version=None),
                    finished(run, counts),
                ],
            )
        found = ledger.state.deleted("job")
    assert {place: told.version for place, told in found.items()} == {("dst", "k0"): "2"}
