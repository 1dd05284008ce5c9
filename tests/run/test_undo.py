"""Undoing a run: only what is still as the run left it, planned first, recorded as a run, and true in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.world import FINGERPRINT_KEY, actions, counted, reasons, wrote
from secretsync_core.audit.record import Draft, Event
from secretsync_core.errors import AccessDenied, LeaseHeld, StoreUnavailable, UsageError
from secretsync_core.model.change import Action
from secretsync_core.run import undo_steps
from secretsync_core.run.fingerprint import Fingerprinter
from secretsync_core.secret import SecretValue
from secretsync_core.stores import memory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.run.done import Planned

APP = "- {name: app, query: {path: app}}"
THREE = {f"app/{name}": {"x": f"{name} 1"} for name in "abc"}


async def _rotated(world: World, **spec: str) -> str:
    """A job whose last run updated ``a``, deleted ``b``, left ``c`` and created ``d``; gives that run."""
    world.job(APP, deletionPolicy="Delete", maxDelete="5", **spec)
    await world.seed("src", THREE)
    await world.sync()
    await world.put("src", "app/a", {"x": "a 2"})
    await world.put("src", "app/d", {"x": "d 1"})
    await world.remove("src", "app/b")
    report = await world.sync()
    assert counted(report) == {"updated": 1, "created": 1, "deleted": 1, "unchanged": 1}
    return report.run


def _why(planned: Planned) -> dict[str, str]:
    """The reason of each key that cannot be undone."""
    return {change.key: change.reason.value for change in planned.changes if change.action is Action.REFUSE}


async def test_a_plan_says_what_goes_back_and_writes_nothing(world: World) -> None:
    """Each key that the run wrote is in the plan with what becomes of it; stores and ledger stay as they are."""
    run = await _rotated(world)
    before, records = await world.versions("dst"), world.records()
    planned = await world.plan_undo(run)
    assert actions(planned) == {"app/a": "update", "app/b": "create", "app/d": "delete"}
    assert [change.detail for change in planned.changes] == ["version 1", "brought back", "it was not there"]
    assert "the next sync of job makes these changes again" in planned.warnings[0]
    assert await world.versions("dst") == before
    assert world.records() == records


async def test_what_a_run_did_goes_back(world: World) -> None:
    """What it updated has its former value, what it deleted is back, what it created is gone; the rest stays."""
    run = await _rotated(world)
    report = await world.undo(run)
    assert report.ok
    assert counted(report) == {"updated": 1, "created": 1, "deleted": 1}
    assert await world.all("dst") == THREE
    assert world.sound()


async def test_an_undo_is_a_run_in_the_ledger(world: World) -> None:
    """It begins by saying which run it undoes, announces each write, and ends as no success of the job."""
    run = await _rotated(world)
    success = world.ledger.runs.summary("job").last_success
    report = await world.undo(run)
    told = [record.draft for record in world.records() if record.draft.run == report.run]
    assert (told[0].event, told[0].reason, told[0].intent) == (Event.RUN_STARTED, "undo", run)
    assert sorted((draft.event, draft.action) for draft in told[1:-1]) == [
        (event, action) for event in ("done", "intended") for action in ("create", "delete", "update")
    ]
    assert {draft.reason for draft in told[1:-1]} == {"undone"}
    assert (told[-1].event, told[-1].reason) == (Event.RUN_FINISHED, "undo")
    summary = world.ledger.runs.summary("job")
    assert summary.last_run is not None
    assert (summary.last_run.run, summary.last_run.ok) == (report.run, False)
    assert summary.last_success == success
    assert [each.item for each in world.ledger.items.out_of_sync("job")] == ["app"]
    assert world.ledger.leases.held() == []


async def test_the_next_sync_makes_it_again(world: World) -> None:
    """The ledger knows that the copies are old: no drift, and the next plan has all of the run's changes again."""
    run = await _rotated(world)
    await world.undo(run)
    assert (await world.check()).drifted_count == 0
    planned = await world.plan()
    assert actions(planned) == {"app/a": "update", "app/b": "delete", "app/c": "unchanged", "app/d": "create"}
    assert {change.drift for change in planned.changes} == {"none"}
    assert (await world.sync()).ok
    assert await world.all("dst") == {"app/a": {"x": "a 2"}, "app/c": {"x": "c 1"}, "app/d": {"x": "d 1"}}
    assert world.ledger.items.out_of_sync("job") == []


async def test_an_undo_can_be_undone(world: World) -> None:
    """The undo of an undo leaves what the first run left, and the next sync finds nothing to do."""
    run = await _rotated(world)
    first = await world.undo(run)
    second = await world.undo(first.run)
    assert counted(second) == {"updated": 1, "created": 1, "deleted": 1}
    assert await world.all("dst") == {"app/a": {"x": "a 2"}, "app/c": {"x": "c 1"}, "app/d": {"x": "d 1"}}
    assert counted(await world.sync()) == {"unchanged": 3}
    assert world.sound()


async def test_only_some_keys(world: World) -> None:
    """With keys named, no other is touched."""
    run = await _rotated(world)
    assert actions(await world.plan_undo(run, "app/d")) == {"app/d": "delete"}
    assert counted(await world.undo(run, "app/d")) == {"deleted": 1}
    assert await world.all("dst") == {"app/a": {"x": "a 2"}, "app/c": {"x": "c 1"}}


async def test_what_was_not_shown_is_not_done(world: World) -> None:
    """Told what the plan showed, it does no more than that, and says that there is more."""
    run = await _rotated(world)
    report = await world.undo(run, only={("dst", "app/a")})
    assert counted(report) == {"updated": 1}
    assert report.warnings == ["2 secrets that the plan refused can be undone now: run undo again"]


async def test_what_somebody_wrote_since_stays(world: World) -> None:
    """A key that is not as the run left it is refused, with what became of it, and is not touched."""
    run = await _rotated(world)
    await world.put("dst", "app/a", {"x": "theirs"})
    await world.put("dst", "app/b", {"x": "theirs"})
    await world.remove("dst", "app/d")
    planned = await world.plan_undo(run)
    assert _why(planned) == {"app/a": "changed-outside", "app/b": "changed-outside", "app/d": "removed-outside"}
    assert planned.warnings == []
    report = await world.undo(run)
    assert counted(report) == {"refused": 3}
    assert wrote(report) == 0
    assert await world.all("dst") == {"app/a": {"x": "theirs"}, "app/b": {"x": "theirs"}, "app/c": {"x": "c 1"}}


async def test_what_a_later_run_wrote_stays(world: World) -> None:
    """A key that a later run has written is refused, and that run is named; it can be undone in its turn."""
    run = await _rotated(world)
    await world.put("src", "app/a", {"x": "a 3"})
    later = (await world.sync()).run
    planned = await world.plan_undo(run)
    assert _why(planned) == {"app/a": "changed-since"}
    assert planned.changes[0].detail == f"run {later} has written it since"
    await world.undo(later)
    assert await world.get("dst", "app/a") == {"x": "a 2"}


async def test_what_the_job_holds_no_longer_stays(world: World) -> None:
    """A key that the ledger was told to forget since is not this job's to put back."""
    run = await _rotated(world)
    world.ledger.state.forget("job", "somebody", "dst", ["app/a", "app/d"])
    assert _why(await world.plan_undo(run)) == {"app/a": "changed-since", "app/d": "changed-since"}


async def test_what_a_later_run_left_open_waits(world: World) -> None:
    """A key that another run may be writing is not touched before it is known whether it did: the undo looks first."""
    run = await _rotated(world)
    announced = Draft(
        Event.INTENDED, "killed", "killed:1", "app", "dst", "app/a", "update", dest_version="e", fingerprint="0" * 64
    )
    world.ledger.append("job", [Draft(Event.RUN_STARTED, "killed"), announced])
    assert _why(await world.plan_undo(run)) == {"app/a": "interrupted"}
    world.fault("dst").fail("read", StoreUnavailable("down"), key="app/a", times=1)
    assert counted(await world.undo(run, "app/a")) == {"refused": 1}
    assert counted(await world.undo(run, "app/a")) == {"updated": 1}


async def test_what_a_later_run_found_gone_is_told_as_gone(world: World) -> None:
    """Where a later run only noted that a copy was removed, it is told as removed, not as written by that run."""
    run = await _rotated(world)
    await world.remove("dst", "app/d")
    await world.remove("src", "app/d")
    await world.sync()
    assert _why(await world.plan_undo(run))["app/d"] == "removed-outside"


async def test_who_writes_in_between_wins(world: World) -> None:
    """A write between the look and ours is not overwritten: compare-and-set refuses, and the key is told as changed."""
    run = await _rotated(world)

    async def meanwhile(key: str) -> None:
        await world.put("dst", key, {"x": "theirs"})

    world.fault("dst").run("write_if", meanwhile, key="app/a")
    world.fault("dst").run("stat", meanwhile, key="app/d", first=2)
    report = await world.undo(run)
    assert counted(report) == {"created": 1, "refused": 2}
    assert reasons(report.failures) == {"app/a": "changed-outside", "app/d": "changed-outside"}
    assert await world.get("dst", "app/a") == {"x": "theirs"}
    assert await world.get("dst", "app/d") == {"x": "theirs"}
    assert world.sound()


async def test_a_store_without_versions_says_so(world: World) -> None:
    """Of files only what the run created can be undone; the rest is listed with why."""
    world.files("dst")
    run = await _rotated(world)
    planned = await world.plan_undo(run)
    assert _why(planned) == {"app/a": "no-former-version", "app/b": "no-former-version"}
    report = await world.undo(run)
    assert counted(report) == {"deleted": 1, "refused": 2}
    assert set(await world.all("dst")) == {"app/a", "app/c"}


async def test_a_former_version_that_is_gone(world: World) -> None:
    """Where the store has dropped the version before, the plan says so, and nothing is written."""
    world.job(APP)
    await world.seed("src", {"app/a": {"x": "1"}})
    await world.sync()
    await world.put("src", "app/a", {"x": "2"})
    run = (await world.sync()).run
    memory._stores["dst"].secrets["app/a"].versions.popleft()
    planned = await world.plan_undo(run)
    assert _why(planned) == {"app/a": "no-former-version"}
    assert planned.changes[0].detail == "app/a has no version 1"
    assert counted(await world.undo(run)) == {"refused": 1}


async def test_another_version_of_the_same_number(world: World) -> None:
    """A version that has the number and is another one is not put back."""
    world.job(APP)
    await world.seed("src", {"app/a": {"x": "1"}})
    await world.sync()
    await world.put("src", "app/a", {"x": "2"})
    run = (await world.sync()).run
    versions = memory._stores["dst"].secrets["app/a"].versions
    versions[0] = ("1@0f", {"x": "another"}, "")
    planned = await world.plan_undo(run)
    assert _why(planned) == {"app/a": "no-former-version"}
    assert planned.changes[0].detail == "version 1 of app/a is another one than it was"


async def test_what_carries_another_owners_mark_is_not_deleted(world: World) -> None:
    """A secret that the run created and that somebody else has marked since as theirs stays."""
    run = await _rotated(world)
    memory.set_metadata("dst", "app/d", {MARK_KEY: "another.0123456789abcdef"})
    assert _why(await world.plan_undo(run)) == {"app/d": "not-ours"}
    assert counted(await world.undo(run)) == {"updated": 1, "created": 1, "refused": 1}
    assert await world.get("dst", "app/d") == {"x": "d 1"}


async def test_what_was_there_before_the_job_is_known_no_more(world: World) -> None:
    """A secret of somebody else's that a run replaced has their value again, and the ledger forgets it."""
    await world.put("dst", "app/a", {"x": "theirs"})
    world.job(APP, writePolicy="Replace")
    await world.seed("src", {"app/a": {"x": "ours"}})
    run = (await world.sync()).run
    report = await world.undo(run)
    assert counted(report) == {"updated": 1}
    assert await world.get("dst", "app/a") == {"x": "theirs"}
    assert world.state() == {}
    assert (await world.check()).drifted_count == 0
    assert world.sound()
    again = await world.undo(report.run)
    assert counted(again) == {"updated": 1}
    assert await world.get("dst", "app/a") == {"x": "ours"}
    assert ("dst", "app/a") in world.state()


async def test_healed_drift_is_no_copy(world: World) -> None:
    """Where the run healed drift, undo puts the stranger's value back, and the next plan heals it again."""
    world.job(APP)
    await world.seed("src", {"app/a": {"x": "ours"}})
    await world.sync()
    await world.put("dst", "app/a", {"x": "theirs"})
    run = (await world.sync()).run
    await world.undo(run)
    assert await world.get("dst", "app/a") == {"x": "theirs"}
    assert actions(await world.plan()) == {"app/a": "update"}
    await world.sync()
    assert await world.get("dst", "app/a") == {"x": "ours"}


async def test_a_definition_that_changed(world: World) -> None:
    """A copy that a changed plan item replaced goes back, and the next plan has the change again."""
    world.job(APP)
    await world.seed("src", {"app/a": {"x": "1"}})
    await world.sync()
    world.job(APP[:-1] + ", valueTransform: [{fields: {rename: {x: wrong}}}]}")
    run = (await world.sync()).run
    assert await world.get("dst", "app/a") == {"wrong": "1"}
    await world.undo(run)
    assert await world.get("dst", "app/a") == {"x": "1"}
    assert actions(await world.plan()) == {"app/a": "update"}
    world.job(APP)
    assert actions(await world.plan()) == {"app/a": "unchanged"}


async def test_merge_goes_back_whole(world: World) -> None:
    """With Merge the whole secret of before is put back, their fields and ours, and ours are still known as ours."""
    world.job(APP, writePolicy="Merge")
    await world.put("dst", "app/a", {"theirs": "t"})
    await world.seed("src", {"app/a": {"ours": "1"}})
    await world.sync()
    await world.put("src", "app/a", {"ours": "2", "more": "2"})
    run = (await world.sync()).run
    await world.undo(run)
    assert await world.get("dst", "app/a") == {"theirs": "t", "ours": "1"}
    await world.put("src", "app/a", {"other": "3"})
    await world.sync()
    assert await world.get("dst", "app/a") == {"theirs": "t", "other": "3"}


async def test_fields_that_a_merge_deleted_are_not_guessed(world: World) -> None:
    """A delete of our fields out of a secret that stays left a version that the ledger does not know: refused."""
    world.job(APP, writePolicy="Merge", deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"app/a": {"ours": "1"}})
    await world.sync()
    held = await world.get("dst", "app/a")
    assert isinstance(held, dict)
    await world.put("dst", "app/a", {**held, "theirs": "t"})
    await world.sync()
    await world.remove("src", "app/a")
    report = await world.sync()
    assert counted(report) == {"deleted": 1}
    assert await world.get("dst", "app/a") == {"theirs": "t"}
    assert _why(await world.plan_undo(report.run)) == {"app/a": "not-recorded"}


async def test_a_destination_that_cannot_be_seen(world: World) -> None:
    """Where the destination fails nothing is undone: every key is refused, and the failure is told with its code."""
    run = await _rotated(world)
    world.fault("dst").fail("stat", StoreUnavailable("down"))
    planned = await world.plan_undo(run)
    assert set(_why(planned).values()) == {"cannot-see"}
    assert [error.code for error in planned.errors] == ["unavailable"]
    report = await world.undo(run)
    assert not report.ok
    assert counted(report) == {"refused": 3}


async def test_a_destination_that_may_not_be_read(world: World) -> None:
    """Where the document lets us only write the destination, nobody can tell how it stands: every key is refused."""
    run = await _rotated(world)
    world.store("dst", permissions="Write")
    planned = await world.plan_undo(run)
    assert {change.detail for change in planned.changes} == {"the destination may only be written"}


async def test_a_destination_that_left_the_document(world: World) -> None:
    """A store that the job writes to no more is left alone, and named."""
    run = await _rotated(world)
    world.store("elsewhere")
    world.job(APP, dest="elsewhere")
    planned = await world.plan_undo(run)
    assert {change.detail for change in planned.changes} == {"the job does not write to dst any more"}


async def test_a_lost_answer_is_looked_after(world: World) -> None:
    """Where the answer to a write, or to bringing back, is lost, a look tells that it was done."""
    run = await _rotated(world)
    lost = StoreUnavailable("no answer")
    lost.unanswered = True
    world.fault("dst").fail("write_if", lost, times=1, after=True)
    world.fault("dst").fail("undelete", lost, times=1, after=True)
    report = await world.undo(run)
    assert report.ok
    assert await world.all("dst") == THREE
    assert (await world.check()).drifted_count == 0


async def test_what_a_killed_run_left_open(world: World) -> None:
    """A write whose outcome nobody knows is told as such in the plan; the undo settles it first, and puts it back."""
    world.job(APP)
    await world.seed("src", {"app/a": {"x": "1"}})
    await world.sync()
    (held,) = world.state().values()
    value = SecretValue({"x": "2"})
    named = Fingerprinter(FINGERPRINT_KEY).value("dst", "app/a", value)
    announced = Draft(
        Event.INTENDED, "killed", "killed:1", "app", "dst", "app/a", "update", "source-changed", "src", "app/a",
        "2@e", held.dest_version, held.definition, named,
    )  # fmt: skip
    world.ledger.append("job", [Draft(Event.RUN_STARTED, "killed"), announced])
    await world.put("dst", "app/a", {"x": "2"})
    planned = await world.plan_undo("killed")
    assert _why(planned) == {"app/a": "interrupted"}
    assert undo_steps.to_do(planned) == {("dst", "app/a")}
    assert counted(await world.undo("killed", only=undo_steps.to_do(planned))) == {"updated": 1}
    assert await world.get("dst", "app/a") == {"x": "1"}
    assert world.ledger.runs.unfinished("job") == []


async def test_an_undo_that_was_done_in_part(world: World) -> None:
    """The same run may try again after a failure: what it has undone already counts as undone by it."""
    run = await _rotated(world)
    documents = world.documents
    world.fault("dst").fail("undelete", AccessDenied("no"), times=1)

    async def attempt() -> dict[str, int]:
        done = await undo_steps.undo(
            documents.jobs["job"], documents, world.ledger, run, environ={}, fingerprint_key=FINGERPRINT_KEY, name="u"
        )
        return counted(done.report)

    assert await attempt() == {"updated": 1, "deleted": 1, "failed": 1}
    assert await attempt() == {"updated": 1, "deleted": 1, "created": 1}
    assert await world.all("dst") == THREE


async def test_it_takes_the_lease(world: World) -> None:
    """While another run of the job is going on nothing is undone."""
    run = await _rotated(world)
    world.ledger.leases.acquire("job", "somebody", 60)
    with pytest.raises(LeaseHeld):
        await world.undo(run)
    assert await world.get("dst", "app/a") == {"x": "a 2"}


async def test_a_run_that_is_none(world: World) -> None:
    """A run that the ledger does not know, and a key that the run did not write, are wrong calls."""
    run = await _rotated(world)
    with pytest.raises(UsageError, match="the ledger has no run with that id"):
        undo_steps.find_jobs(world.ledger, "nope")
    with pytest.raises(UsageError, match="wrote no key of that name"):
        undo_steps.find_jobs(world.ledger, run, ["app/a", "app/c"])
    assert undo_steps.find_jobs(world.ledger, run, ["app/a"]) == ["job"]
