"""A destination that shows which secrets there are, and at which versions, and no values: as CI services do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from run.dying import killed
from run.test_orphans import end
from run.test_saved_plans import carry_out, save
from run.world import actions, counted, reasons, wrote
from secretsync_core.errors import PlanRefused, StoreUnavailable
from secretsync_core.model.capabilities import StoreFacts
from secretsync_core.model.change import Drift
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.run import compare
from secretsync_core.stores import memory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from run.world import World

ONE = "- {name: one, query: {}}"
PLAIN, WHOLE = "{plain: true}", "{}"


@pytest.fixture(params=[PLAIN, WHOLE], ids=["plain", "whole"])
def ci(world: World, request: pytest.FixtureRequest) -> World:
    """The destination can be looked at and not read: with nothing besides, and with all that needs no value."""
    world.unread("dst", request.param)
    world.job(ONE)
    return world


async def _synced(world: World, **spec: str) -> None:
    """Two secrets that the job has copied."""
    world.job(ONE, **spec)
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "2"}})
    assert counted(await world.sync()) == {"created": 2}


# -- What is there ----------------------------------------------------------------------------------------------------


async def test_what_nobody_knows_is_refused(ci: World) -> None:
    """A key that exists and is not in the ledger stays, whatever it holds; the plan says why, and what to do."""
    await ci.put("dst", "a", {"x": "theirs"})
    await ci.seed("src", {"a": {"x": "1"}, "b": {"x": "2"}})
    planned = await ci.plan()
    assert actions(planned) == {"a": "refuse", "b": "create"}
    (change,) = [change for change in planned.changes if change.key == "a"]
    assert (change.reason, change.detail) == (
        "not-managed",
        "it exists, is not managed by this job, and its value cannot be read to compare",
    )
    assert [told for told in planned.warnings if "whose values cannot be read" in told]
    report = await ci.sync()
    assert (counted(report), report.ok) == ({"refused": 1, "created": 1}, False)
    assert "`secretsync sync job --adopt a` takes it over and writes it" in report.failures[0].hint
    assert await ci.get("dst", "a") == {"x": "theirs"}


async def test_the_same_value_is_refused_too(ci: World) -> None:
    """Whether a value is the same cannot be seen, so it is not taken for ours by that."""
    await ci.seed("dst", {"a": {"x": "1"}})
    await ci.seed("src", {"a": {"x": "1"}})
    assert reasons((await ci.sync()).failures) == {"a": "not-managed"}
    assert ci.state() == {}


async def test_if_not_exists_leaves_it(ci: World) -> None:
    """IfNotExists needs no value: what exists is skipped, and what is absent is created."""
    ci.job(ONE, writePolicy="IfNotExists")
    await ci.put("dst", "a", {"x": "theirs"})
    await ci.seed("src", {"a": {"x": "1"}, "b": {"x": "2"}})
    report = await ci.sync()
    assert (counted(report), report.ok) == ({"skipped": 1, "created": 1}, True)
    assert await ci.get("dst", "a") == {"x": "theirs"}


async def test_replace_writes_it_without_a_claim_about_values(ci: World) -> None:
    """Replace overwrites; no reason says that values were compared. It is never counted as the job's own."""
    ci.job(ONE, writePolicy="Replace")
    await ci.put("dst", "a", {"x": "theirs"})
    await ci.put("src", "a", {"x": "1"})
    planned = await ci.plan()
    assert [(change.action, change.reason) for change in planned.changes] == [("update", "not-compared")]
    assert counted(await ci.sync()) == {"updated": 1}
    assert (await ci.get("dst", "a"), ci.state()["dst", "a"].owned) == ({"x": "1"}, False)


async def test_adopting_writes_it_once(ci: World) -> None:
    """What is taken over is written, since nobody can tell whether it is the same; from then on it is unchanged."""
    await ci.put("dst", "a", {"x": "theirs"})
    await ci.put("src", "a", {"x": "1"})
    (change,) = (await ci.plan(adopt=["a"])).changes
    assert (change.action, change.reason, change.detail) == (
        "update",
        "adopted",
        "its value cannot be read to compare",
    )
    assert counted(await ci.sync(adopt=["a"])) == {"updated": 1}
    assert (await ci.get("dst", "a"), ci.state()["dst", "a"].owned) == ({"x": "1"}, True)
    assert wrote(await ci.sync()) == 0


async def test_a_mark_says_whose_it_is(world: World) -> None:
    """With the ledger gone, what carries the job's mark is written again, and what does not is refused."""
    world.unread("dst", WHOLE)
    await _synced(world)
    await world.put("dst", "c", {"x": "theirs"})
    await world.put("src", "c", {"x": "3"})
    world.close()
    (world.path / "ledger.db").unlink()
    world.ledger = world.another_ledger()
    report = await world.sync()
    assert counted(report) == {"updated": 2, "refused": 1}
    assert reasons(report.failures) == {"c": "not-managed"}
    assert await world.get("dst", "c") == {"x": "theirs"}


# -- What has moved ---------------------------------------------------------------------------------------------------


async def test_unchanged_is_not_written_and_nothing_is_read(ci: World) -> None:
    """A run with nothing to do looks once at each side; its source is not read."""
    await _synced(ci)
    before = await ci.versions("dst")
    report = await ci.sync()
    assert (counted(report), report.ok) == ({"unchanged": 2}, True)
    assert {name: dict(kinds) for name, kinds in report.requests.items()} == {"src": {"list": 1}, "dst": {"stat": 1}}
    assert await ci.versions("dst") == before


async def test_what_was_deleted_outside_is_drift_and_comes_back(ci: World) -> None:
    """Check tells that it is gone, the next sync creates it again."""
    await _synced(ci)
    await ci.remove("dst", "a")
    report = await ci.check()
    assert (reasons(report.failures), report.drift_unknown) == ({"a": "removed-outside"}, 0)
    planned = await ci.plan()
    assert [(change.key, change.action, change.drift) for change in planned.changes] == [
        ("a", "create", Drift.REMOVED),
        ("b", "unchanged", Drift.NONE),
    ]
    assert counted(await ci.sync()) == {"created": 1, "unchanged": 1}
    assert await ci.get("dst", "a") == {"x": "1"}
    assert (await ci.check()).failures == []


@pytest.mark.parametrize("verify", [False, True])
async def test_what_was_changed_outside_is_drift_and_written_again(ci: World, verify: bool) -> None:
    """Another version counts as another value: nobody can tell. Check, plan and sync say so."""
    await _synced(ci)
    await ci.put("dst", "a", {"x": "by hand"})
    report = await ci.check(verify=verify)
    assert reasons(report.failures) == {"a": "drifted"}
    assert report.failures[0].message == "it was written, and its value cannot be read to compare"
    change = (await ci.plan()).changes[0]
    assert (change.action, change.reason, change.drift, change.detail) == (
        "update",
        "drifted",
        Drift.CHANGED,
        "its value cannot be read to compare",
    )
    assert counted(await ci.sync(verify=verify)) == {"updated": 1, "unchanged": 1}
    assert await ci.get("dst", "a") == {"x": "1"}
    assert counted(await ci.sync()) == {"unchanged": 2}


async def test_if_not_exists_leaves_what_was_changed(ci: World) -> None:
    """What the job created with IfNotExists and others changed stays; check tells of it."""
    await _synced(ci, writePolicy="IfNotExists")
    await ci.put("dst", "a", {"x": "by hand"})
    assert reasons((await ci.check()).failures) == {"a": "drifted"}
    assert counted(await ci.sync()) == {"skipped": 1, "unchanged": 1}
    assert await ci.get("dst", "a") == {"x": "by hand"}


async def test_a_source_that_moved_is_written(ci: World) -> None:
    """One look more than a run with nothing to do, and the write."""
    await _synced(ci)
    await ci.put("src", "a", {"x": "new"})
    report = await ci.sync()
    assert counted(report) == {"updated": 1, "unchanged": 1}
    assert dict(report.requests["dst"]) == {"stat": 2, "write": 1}
    assert (await ci.get("dst", "a"), reasons(report.failures)) == ({"x": "new"}, {})


async def test_a_source_that_moved_with_the_same_value_is_not(ci: World) -> None:
    """The ledger names what was written, and the version says that it is still there: no write, and no claim more."""
    await _synced(ci)
    await ci.put("src", "a", {"x": "1"})
    change = (await ci.plan()).changes[0]
    assert (change.action, change.reason, change.detail) == (
        "unchanged",
        "same-value",
        "as this job wrote it, and its version is the same",
    )
    assert wrote(await ci.sync()) == 0
    assert dict((await ci.sync()).requests["dst"]) == {"stat": 1}, "the ledger has the source's version"


async def test_what_moves_between_look_and_write_is_seen(ci: World) -> None:
    """Somebody creates a key right before the job would: it is looked at once more, and stays."""
    await ci.put("src", "a", {"x": "1"})
    ci.fault("src").run("read", lambda _: ci.put("dst", "a", {"x": "theirs"}))
    report = await ci.sync()
    assert reasons(report.failures) == {"a": "not-managed"}
    assert await ci.get("dst", "a") == {"x": "theirs"}


async def test_what_may_not_be_looked_at_is_refused(ci: World) -> None:
    """A key that a look hides is neither written nor taken for unchanged; check says that it could not see it."""
    await _synced(ci)
    ci.fault("dst").gap("stat", Gap("a", "access-denied", "no", is_key=True))
    report = await ci.sync()
    assert (counted(report), reasons(report.failures)) == ({"refused": 1, "unchanged": 1}, {"a": "cannot-see"})
    assert reasons((await ci.check()).failures) == {"a": "cannot-see"}


async def test_what_a_second_look_hides_is_not_written(ci: World) -> None:
    """The look right before a write may be refused where the first one was not: then nothing is written."""
    await _synced(ci)
    await ci.put("src", "a", {"x": "new"})
    await ci.put("src", "c", {"x": "3"})
    faults = ci.fault("dst")

    async def hide(key: str) -> None:
        faults.gap("stat", Gap(key, "access-denied", "no", is_key=True))

    ci.fault("src").run("read", hide, times=2)
    report = await ci.sync()
    assert await ci.get("dst", "a") == {"x": "1"}
    looks_first = await ci.get("dst", "c") is None  # what can be told to create only needs no look
    assert {outcome.change.key: outcome.code for outcome in report.failures} == dict.fromkeys(
        "ac" if looks_first else "a", "access-denied"
    )
    assert looks_first is ("plain: true" in (ci.config / "store-dst.yaml").read_text())


async def test_to_verify_says_what_was_not_compared(ci: World) -> None:
    """Asked to compare values, a run says that it has not read the destination's; sources are read and compared."""
    await _synced(ci)
    for report in (await ci.sync(verify=True), await ci.check(verify=True)):
        assert (counted(report), report.ok) == ({"unchanged": 2}, True)
        assert [told for told in report.warnings if told.startswith("dst shows no values: ")]
    assert "read" not in report.requests.get("src", {})
    report = await ci.sync(verify=True)
    assert (report.requests["src"]["read"], dict(report.requests["dst"])) == (2, {"stat": 3})
    assert (await ci.sync()).warnings == []


# -- Deletes ----------------------------------------------------------------------------------------------------------


async def test_only_what_is_as_it_was_left_is_deleted(ci: World) -> None:
    """Of two copies whose sources went, the one that was changed outside stays."""
    await _synced(ci, deletionPolicy="Delete", maxDelete="5")
    await ci.put("dst", "b", {"x": "by hand"})
    await ci.remove("src", "a")
    await ci.remove("src", "b")
    report = await ci.sync()
    assert (counted(report), reasons(report.failures)) == ({"deleted": 1, "refused": 1}, {"b": "changed-outside"})
    assert await ci.all("dst") == {"b": {"x": "by hand"}}


async def test_what_moves_right_before_its_delete_stays(ci: World) -> None:
    """The last look is at the version, right before the delete."""
    await _synced(ci, deletionPolicy="Delete", maxDelete="5")
    await ci.remove("src", "a")
    ci.fault("dst").run("stat", lambda _: ci.put("dst", "a", {"x": "theirs"}), key="a", first=2)
    report = await ci.sync()
    assert reasons(report.failures) == {"a": "changed-outside"}
    assert await ci.get("dst", "a") == {"x": "theirs"}


async def test_what_is_back_again_is_told_and_kept(world: World) -> None:
    """A deleted copy that is there once more, at its very version, is told and stays."""
    world.unread("dst", WHOLE)
    await _synced(world, deletionPolicy="Delete", maxDelete="5")
    await world.remove("src", "a")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}
    token = (await world.versions("dst"))["a"]
    await (await world.handle("dst")).undelete("a", token)
    assert reasons((await world.check()).drifted) == {"a": "back-again"}
    report = await world.sync()
    assert (counted(report), reasons(report.failures)) == ({"refused": 1, "unchanged": 1}, {"a": "back-again"})
    assert await world.get("dst", "a") == {"x": "1"}


@pytest.mark.parametrize(("changed", "result"), [(False, {"deleted": 1}), (True, {"refused": 1})])
async def test_orphans_go_if_they_are_as_they_were_left(ci: World, changed: bool, result: dict[str, int]) -> None:
    """Ending an orphan looks at its version, as a sync would."""
    await _synced(ci)
    await ci.remove("src", "a")
    if changed:
        await ci.put("dst", "a", {"x": "by hand"})
    ended = await end(ci, (await ci.plan()).orphans)
    assert counted(ended.done.report) == result
    assert ("a" in await ci.all("dst")) is changed


# -- Saved plans, metadata --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [False, True])
async def test_a_saved_plan_holds_by_versions(ci: World, moved: bool) -> None:
    """What it names is done while the destination is at the version that the plan saw, taken over keys included."""
    await _synced(ci)
    await ci.put("dst", "new", {"x": "theirs"})
    await ci.seed("src", {"a": {"x": "2"}, "new": {"x": "3"}})
    data = await save(ci, adopt=frozenset({"new"}))
    if moved:
        await ci.seed("dst", {"a": {"x": "by hand"}, "new": {"x": "by hand"}})
    report = await carry_out(ci, data)
    assert reasons(report.failures) == (dict.fromkeys(("a", "new"), "moved-since-plan") if moved else {})
    assert (await ci.get("dst", "a"), await ci.get("dst", "new")) == (
        ({"x": "by hand"}, {"x": "by hand"}) if moved else ({"x": "2"}, {"x": "3"})
    )


async def test_what_moves_while_a_saved_plan_takes_it_over_stays(world: World) -> None:
    """Between its last look and its mark somebody writes it: the plan has not seen that, and no value tells."""
    world.unread("dst", WHOLE)
    world.job(ONE)
    await world.put("dst", "a", {"x": "theirs"})
    await world.put("src", "a", {"x": "1"})
    data = await save(world, adopt=frozenset({"a"}))
    world.fault("dst").run("mark", lambda _: world.put("dst", "a", {"x": "newer"}), after=True)
    assert reasons((await carry_out(world, data)).failures) == {"a": "moved-since-plan"}
    assert await world.get("dst", "a") == {"x": "newer"}


@pytest.mark.parametrize("lags", [True, False])
async def test_a_look_that_lags_is_no_change_of_others(world: World, lags: bool) -> None:
    """Right before a write it may show what our own latest write has replaced; elsewhere that is another version."""
    world.patch.setattr(memory, "StoreFacts", partial(StoreFacts, lags=lags))
    world.unread("dst", WHOLE)
    await _synced(world)
    old = (await world.versions("dst"))["a"]
    await world.put("src", "a", {"x": "2"})
    assert counted(await world.sync()) == {"updated": 1, "unchanged": 1}
    await world.put("src", "a", {"x": "3"})

    async def look(_: object, __: str, key: str) -> Entry:
        return Entry(key, old)

    world.patch.setattr(compare, "look_at_key", look)
    report = await world.sync()
    assert counted(report) == ({"updated": 1, "unchanged": 1} if lags else {"failed": 1, "unchanged": 1})
    assert await world.get("dst", "a") == {"x": "3" if lags else "2"}


async def test_metadata_is_compared_and_set(world: World) -> None:
    """What stands beside values is seen without them: it is copied, and set again where others changed it."""
    world.unread("dst", WHOLE)
    world.job("- {name: all, query: {}, metadata: {copy: [team]}}")
    await world.put("src", "a", {"x": "1"})
    memory.set_metadata("src", "a", {"team": "one"})
    assert counted(await world.sync()) == {"created": 1}
    memory.set_metadata("dst", "a", {"team": "two"})
    assert [change.reason for change in (await world.plan()).changes] == ["metadata"]
    assert (await world.sync()).ok
    assert [entry.metadata["team"] async for entry in (await world.handle("dst")).describe(["a"])] == ["one"]


# -- Writes of which nobody has the answer ----------------------------------------------------------------------------


def _settled(world: World) -> bool:
    return world.ledger.runs.unfinished("job") == [] and world.ledger.runs.unsettled("job") == [] and world.sound()


async def test_killed_before_a_write(ci: World) -> None:
    """The key is as it was, so it was not made: the next run writes it."""
    await ci.put("src", "a", {"x": "1"})
    await killed(ci, written=False)
    assert counted(await ci.sync()) == {"created": 1}
    await ci.put("src", "a", {"x": "2"})
    await killed(ci, written=False)
    report = await ci.sync()
    assert (counted(report), report.warnings) == ({"updated": 1}, [])
    assert _settled(ci)


async def test_killed_after_an_update(ci: World) -> None:
    """A new version is there, ours or not: it counts as changed outside, and is written again."""
    await _synced(ci)
    await ci.put("src", "a", {"x": "new"})
    await killed(ci, written=True)
    report = await ci.sync()
    assert counted(report) == {"updated": 1, "unchanged": 1}
    assert [told for told in report.warnings if "whether that run wrote it is unknown" in told]
    assert await ci.get("dst", "a") == {"x": "new"}
    assert (counted(await ci.sync()), _settled(ci)) == ({"unchanged": 2}, True)


async def test_killed_after_a_create_that_nothing_marks(world: World) -> None:
    """What is there is nobody's, until somebody says that it is the job's."""
    world.unread("dst", PLAIN)
    world.job(ONE)
    await world.put("src", "a", {"x": "1"})
    await killed(world, written=True)
    report = await world.sync()
    assert (reasons(report.failures), _settled(world)) == ({"a": "not-managed"}, True)
    assert "--adopt a" in report.failures[0].hint
    assert counted(await world.sync(adopt=["a"])) == {"updated": 1}
    assert (await world.sync()).ok


async def test_killed_after_a_create_with_a_mark(world: World) -> None:
    """The job's mark on it says that it was made: recorded as done and as ours, and written again to be sure."""
    world.unread("dst", WHOLE)
    world.job(ONE)
    await world.put("src", "a", {"x": "1"})
    await killed(world, written=True)
    report = await world.sync()
    assert (counted(report), report.drifted) == ({"updated": 1}, []), "nobody knows that it has moved"
    assert (world.state()["dst", "a"].owned, _settled(world)) == (True, True)
    assert wrote(await world.sync()) == 0


async def test_what_was_edited_after_a_create_that_was_killed_is_put_right(world: World) -> None:
    """The mark says who has created it, and not whose value it holds: it is written again, and not deleted as ours."""
    world.unread("dst", WHOLE)
    world.job(ONE, deletionPolicy="Delete", maxDelete="5")
    await world.put("src", "a", {"x": "1"})
    await killed(world, written=True)
    await world.put("dst", "a", {"x": "by hand"})
    await world.remove("src", "a")
    report = await world.sync()
    assert reasons(report.failures) == {"a": "changed-outside"}
    await world.put("src", "a", {"x": "1"})
    assert (await world.sync()).ok
    assert await world.get("dst", "a") == {"x": "1"}


async def test_what_came_with_another_s_mark_meanwhile_is_theirs(world: World) -> None:
    """The run that was killed had not written it: what stands there says whose it is, and stays."""
    world.unread("dst", WHOLE)
    world.job(ONE)
    await world.put("src", "a", {"x": "1"})
    await killed(world, written=False)
    await world.put("dst", "a", {"x": "theirs"})
    memory.set_metadata("dst", "a", {MARK_KEY: "another-job"})
    report = await world.sync()
    assert [told for told in report.warnings if "it belongs to somebody else" in told]
    assert (reasons(report.failures), _settled(world)) == ({"a": "not-managed"}, True)
    assert await world.get("dst", "a") == {"x": "theirs"}


async def test_killed_after_a_delete(ci: World) -> None:
    """What is gone was deleted, whoever did it."""
    await _synced(ci, deletionPolicy="Delete", maxDelete="5")
    await ci.remove("src", "a")
    await killed(ci, written=True)
    assert (await ci.sync()).ok
    assert (("dst", "a") in ci.state(), _settled(ci)) == (False, True)


async def test_an_answer_that_was_lost_is_uncertain_and_settled_by_the_next_run(ci: World) -> None:
    """Right after it nobody can say whose the new version is; the next run writes it again."""
    await _synced(ci)
    await ci.put("src", "a", {"x": "new"})
    lost = StoreUnavailable("no answer", store="dst")
    lost.unanswered = True
    for operation in ("write", "write_if"):
        ci.fault("dst").fail(operation, lost, after=True)
    report = await ci.sync()
    assert counted(report) == {"uncertain": 1, "unchanged": 1}
    assert "what is there cannot be read to tell" in report.failures[0].message
    ci.fault("dst").clear()
    assert counted(await ci.sync()) == {"updated": 1, "unchanged": 1}
    assert (await ci.get("dst", "a"), _settled(ci)) == ({"x": "new"}, True)


# -- What takes a value -----------------------------------------------------------------------------------------------


async def test_merge_is_refused(ci: World) -> None:
    """Merge needs what it merges with: refused before anything is read or written."""
    ci.job(ONE, writePolicy="Merge")
    with pytest.raises(PlanRefused) as refused:
        await ci.sync()
    assert "destination dst cannot be read, and writePolicy Merge must read what it merges with" in str(refused.value)


async def test_it_is_no_source(ci: World) -> None:
    """What shows no values has none to copy."""
    ci.job(ONE, source="dst", dest="src")
    with pytest.raises(PlanRefused) as refused:
        await ci.sync()
    assert "store dst cannot be read" in str(refused.value)


async def test_an_undo_takes_back_what_needs_no_value(world: World) -> None:
    """What a run created is deleted, if it is as it was left; a value from before cannot be put back."""
    world.unread("dst", WHOLE)
    world.job(ONE)
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "2"}})
    first = (await world.sync()).run
    await world.put("dst", "b", {"x": "by hand"})
    undone = await world.undo(first)
    assert (counted(undone), reasons(undone.failures)) == ({"deleted": 1, "refused": 1}, {"b": "changed-outside"})
    assert await world.all("dst") == {"b": {"x": "by hand"}}
    await world.sync()
    await world.put("src", "a", {"x": "new"})
    second = (await world.sync()).run
    (change,) = (await world.plan_undo(second)).changes
    assert (change.action, change.reason, change.detail) == (
        "refuse",
        "no-former-version",
        "the store shows no values",
    )
