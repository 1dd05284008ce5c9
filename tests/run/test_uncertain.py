"""A write whose answer was lost, at a destination that cannot be looked at, is uncertain until a look settles it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from audit.lab import intended

from run.dying import Dying
from run.world import FINGERPRINT_KEY, counted, reasons, wrote
from secretsync_core.audit.record import Event
from secretsync_core.cli.results import of_sync
from secretsync_core.errors import AccessDenied, Conflict, LedgerError, SecretNotFound, StoreUnavailable
from secretsync_core.notify import ending, wording
from secretsync_core.run.fingerprint import Fingerprinter, owner_mark
from secretsync_core.run.settling import Fate, judge
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores import memory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.errors import SecretSyncError

ONE = "- {name: one, query: {}}"
OURS, THEIRS = SecretValue({"x": "ours"}), SecretValue({"x": "theirs"})
MAKER = Fingerprinter(FINGERPRINT_KEY)
NAMES = MAKER.field_names("dst", "k", ["x"])


def _announced(action: str, before: str | None, fields: str = "") -> Any:
    value = MAKER.value("dst", "k", OURS, fields)
    return intended("k", action=action, dest="dst", dest_version=before, fingerprint=value, fields=fields)


@pytest.mark.parametrize(
    ("action", "before", "fields", "looked", "fate"),
    [
        ("create", None, "", SecretNotFound("no"), Fate.NOT_MADE),
        ("create", None, "", Secret(OURS, "1"), Fate.MADE),
        ("create", None, "", Secret(OURS, None), Fate.MADE),
        ("create", None, "", Secret(THEIRS, "1"), Fate.THEIRS),
        ("create", None, "", Secret(THEIRS, None), Fate.THEIRS),
        ("create", None, "", StoreUnavailable("down"), Fate.UNSEEN),
        ("create", None, "", AccessDenied("no"), Fate.UNSEEN),
        ("update", "1", "", SecretNotFound("no"), Fate.NOT_MADE),
        ("update", "1", "", Secret(OURS, "2"), Fate.MADE),
        ("update", "1", "", Secret(THEIRS, "1"), Fate.NOT_MADE),  # what was there before
        ("update", "1", "", Secret(OURS, "1"), Fate.NOT_MADE),  # no version came after the one that was there
        ("update", "1", "", Secret(THEIRS, "2"), Fate.THEIRS),
        ("update", None, "", Secret(THEIRS, None), Fate.NOT_MADE),  # without versions it may be what was there
        ("update", None, "", Secret(OURS, None), Fate.MADE),
        ("update", "1", "", StoreUnavailable("down"), Fate.UNSEEN),
        ("update", "1", NAMES, Secret(SecretValue({"x": "ours", "y": "theirs"}), "2"), Fate.MADE),
        ("update", "1", NAMES, Secret(SecretValue({"x": "other"}), "2"), Fate.THEIRS),
        ("delete", "1", "", SecretNotFound("no"), Fate.MADE),
        ("delete", "1", "", Secret(OURS, "1"), Fate.NOT_MADE),
        ("delete", "1", "", Secret(THEIRS, "2"), Fate.NOT_MADE),  # what stands there now is not deleted
        ("delete", "1", "", AccessDenied("no"), Fate.UNSEEN),
        ("delete", "1", NAMES, Secret(SecretValue({"y": "theirs"}), "2"), Fate.MADE),  # only our fields were to go
        ("delete", "1", NAMES, Secret(SecretValue({"x": "ours", "y": "theirs"}), "1"), Fate.NOT_MADE),
    ],
)
def test_what_a_look_says(
    action: str, before: str | None, fields: str, looked: Secret | SecretSyncError, fate: Fate
) -> None:
    """Each thing that a look may find decides what became of the write, or that nobody knows."""
    found = judge(_announced(action, before, fields), looked, MAKER)
    assert found.fate is fate
    expected = looked.version if fate is Fate.MADE and isinstance(looked, Secret) and action != "delete" else None
    assert found.version == expected


async def _first(world: World, value: str = "1", **settings: str) -> None:
    world.job(ONE, deletionPolicy="Delete", maxDelete="100%", **settings)
    await world.put("src", "k", {"x": value})


def _story(world: World) -> list[str]:
    """What the ledger tells of the key, as ``event action reason``."""
    told = [record.draft for record in world.records() if record.draft.key == "k"]
    return [" ".join(filter(None, (draft.event, draft.action, draft.reason))) for draft in told]


async def test_a_create_that_was_made_is_ours(world: World) -> None:
    """It is told as uncertain, nothing else; the next run finds it made, writes nothing, and it is deleted as ours."""
    await _first(world)
    world.lose("k", done=True)
    report = await world.sync()
    assert (counted(report), of_sync(report), report.out_of_sync) == ({"uncertain": 1}, 1, {"one"})
    assert [(told.code, told.hint) for told in report.failures] == [
        ("uncertain", "the next run finds out whether it was made")
    ]
    assert _story(world) == ["intended create new"]
    last = world.ledger.runs.summary("job").last_run
    assert last is not None
    assert (last.ok, dict(last.counts), last.reason) == (False, {"uncertain": 1}, "failed")
    world.fault("dst").clear()
    report = await world.sync()
    assert (counted(report), wrote(report), report.ok) == ({"unchanged": 1}, 0, True)
    assert _story(world) == ["intended create new", "done create settled"]
    assert world.state()["dst", "k"].owned
    assert world.ledger.runs.unsettled_runs("job") == {}
    await world.remove("src", "k")
    assert counted(await world.sync()) == {"deleted": 1}
    assert world.sound()


async def test_a_create_that_was_not_made_is_made(world: World) -> None:
    """The next run finds nothing there, says so, and writes it as ours."""
    await _first(world)
    world.lose("k", done=False)
    assert counted(await world.sync()) == {"uncertain": 1}
    world.fault("dst").clear()
    assert counted(await world.sync()) == {"created": 1}
    assert _story(world) == ["intended create new", "failed create settled", "intended create new", "done create new"]
    assert world.state()["dst", "k"].owned


@pytest.mark.parametrize("done", [True, False])
async def test_an_update(world: World, done: bool) -> None:
    """Made or not, the next run ends with the new value and no false drift."""
    await _first(world)
    await world.sync()
    await world.put("src", "k", {"x": "2"})
    world.lose("k", done=done)
    assert counted(await world.sync()) == {"uncertain": 1}
    world.fault("dst").clear()
    report = await world.sync()
    assert (counted(report), report.drifted_count) == ({"unchanged" if done else "updated": 1}, 0)
    assert await world.get("dst", "k") == {"x": "2"}
    assert world.state()["dst", "k"].owned


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("policy", ["Replace", "Merge"])
async def test_a_delete(world: World, done: bool, policy: str) -> None:
    """Made or not, the next run ends with the secret gone and no false drift; with Merge, with our field gone."""
    world.job(ONE, deletionPolicy="Delete", maxDelete="100%", writePolicy=policy)
    await world.put("src", "k", {"x": "1"})
    await world.sync()
    left = {}
    if policy == "Merge":
        left = {"k": {"y": "theirs"}}
        await world.put("dst", "k", {"x": "1", "y": "theirs"})
        await world.sync()
    await world.remove("src", "k")
    world.lose("k", "write_if" if policy == "Merge" else "delete", done=done)
    report = await world.sync()
    assert (counted(report), report.ok) == ({"uncertain": 1}, False)
    world.fault("dst").clear()
    report = await world.sync()
    assert (counted(report), report.drifted_count, report.ok) == ({} if done else {"deleted": 1}, 0, True)
    assert (await world.all("dst"), world.state()) == (left, {})
    assert world.sound()


@pytest.mark.parametrize("operation", ["write_if", "delete"])
async def test_a_look_that_is_answered_decides_at_once(world: World, operation: str) -> None:
    """Where only the answer was lost and the look succeeds, what was done is done, and nobody waits for another run."""
    await _first(world)
    if operation == "delete":
        await world.sync()
        await world.remove("src", "k")
    world.fault("dst").fail(operation, StoreUnavailable("no answer"), times=1, after=True)
    report = await world.sync()
    assert counted(report) == ({"created": 1} if operation == "write_if" else {"deleted": 1})
    assert (await world.sync()).drifted_count == 0


async def test_a_conflict_after_a_lost_answer_is_not_tried_again_blindly(world: World) -> None:
    """An attempt that met what the first one may have written is uncertain where nobody can look, and no conflict."""
    await _first(world)
    faults = world.fault("dst")

    async def met(_: str) -> None:
        faults.fail("read", AccessDenied("out of sight"))
        error = Conflict("moved")
        error.unanswered = True
        raise error

    faults.run("write_if", met, after=True)
    assert counted(await world.sync()) == {"uncertain": 1}
    assert faults.calls["write_if"] == 1
    faults.clear()
    assert counted(await world.sync()) == {"unchanged": 1}
    assert world.state()["dst", "k"].owned


@pytest.mark.parametrize("operation", ["write_if", "delete"])
async def test_a_look_that_finds_nothing_is_no_proof(world: World, operation: str) -> None:
    """A server without its quorum reads what was before, and carries the write out once it is whole: it is ours."""
    await _first(world)
    if operation == "delete":
        await world.sync()
        await world.remove("src", "k")
    world.fault("dst").fail(operation, StoreUnavailable("no answer"), times=1)
    assert counted(await world.sync()) == {"uncertain": 1}
    if operation == "delete":
        await world.remove("dst", "k")
    else:
        await world.put("dst", "k", {"x": "1"})
    report = await world.sync()
    assert (report.ok, wrote(report), report.drifted_count) == (True, 0, 0)
    assert [held.owned for held in world.state().values()] == ([] if operation == "delete" else [True])


async def test_what_was_refused_is_no_uncertainty(world: World) -> None:
    """A request that was answered failed, whether or not the destination can be looked at."""
    await _first(world)
    world.fault("dst").fail("write_if", AccessDenied("no"))
    world.fault("dst").fail("read", StoreUnavailable("down"))
    assert counted(await world.sync()) == {"failed": 1}
    assert world.ledger.runs.unsettled_runs("job") == {}


async def test_nothing_is_written_where_an_earlier_write_is_uncertain(world: World) -> None:
    """As long as nobody can look, each run says so and leaves the key alone, also with a new value at the source."""
    await _first(world)
    await world.put("src", "other", {"x": "1"})
    world.lose("k", done=True)
    assert counted(await world.sync()) == {"uncertain": 1, "created": 1}
    await world.put("src", "k", {"x": "2"})
    for _ in range(3):
        report = await world.sync()
        assert (counted(report), wrote(report), report.ok) == ({"uncertain": 1, "unchanged": 1}, 0, False)
        assert _story(world) == ["intended create new"]
    world.fault("dst").clear()
    assert counted(await world.sync()) == {"updated": 1, "unchanged": 1}
    assert await world.get("dst", "k") == {"x": "2"}
    assert world.state()["dst", "k"].owned
    assert world.ledger.runs.unsettled_runs("job") == {}


async def test_the_source_is_gone_before_it_is_settled(world: World) -> None:
    """A key that no item asks for any more is settled all the same: told while uncertain, then deleted as ours."""
    await _first(world)
    world.lose("k", done=True)
    await world.sync()
    await world.remove("src", "k")
    assert (counted(await world.sync()), await world.all("dst")) == ({"uncertain": 1}, {"k": {"x": "1"}})
    world.fault("dst").clear()
    assert (counted(await world.sync()), await world.all("dst")) == ({"deleted": 1}, {})


async def test_a_write_that_is_carried_out_late(world: World) -> None:
    """A server that hung may do it once the look has found nothing: the same value, met by our next write, is ours."""
    await _first(world)
    world.lose("k", done=False)
    await world.sync()
    world.fault("dst").clear()
    world.fault("dst").run("write_if", lambda key: world.put("dst", key, {"x": "1"}))
    assert counted(await world.sync()) == {"created": 1}
    assert world.state()["dst", "k"].owned
    await world.remove("src", "k")
    assert counted(await world.sync()) == {"deleted": 1}


async def test_somebody_else_wrote_there(world: World) -> None:
    """What is not what was announced is theirs: told, never counted as ours, and never deleted by us."""
    await _first(world)
    world.lose("k", done=False)
    await world.sync()
    world.fault("dst").clear()
    await world.put("dst", "k", {"x": "theirs"})
    await world.remove("src", "k")
    report = await world.sync()
    assert report.ok
    assert any("k" in warning and "to somebody else" in warning for warning in report.warnings)
    assert (_story(world), world.state()) == (["intended create new", "failed create settled"], {})
    assert await world.all("dst") == {"k": {"x": "theirs"}}


async def test_another_owners_mark(world: World) -> None:
    """The same value with another owner's mark is theirs: they wrote it, and ours never arrived."""
    await _first(world)
    world.lose("k", done=False)
    await world.sync()
    world.fault("dst").clear()
    await world.put("dst", "k", {"x": "1"})
    memory.set_metadata("dst", "k", {MARK_KEY: owner_mark("job", b"another installation")})
    assert (await world.sync()).ok
    assert not world.state()["dst", "k"].owned
    await world.remove("src", "k")
    await world.sync()
    assert await world.all("dst") == {"k": {"x": "1"}}


async def test_a_destination_that_we_may_only_write(world: World) -> None:
    """Where nobody may ever look, a lost answer is a failure, and the next run writes again, as it does anyhow."""
    world.store("dst", permissions="Write")
    await _first(world, writePolicy="Replace")
    world.lose("k", done=True)
    assert counted(await world.sync()) == {"failed": 1}
    world.fault("dst").clear()
    assert (await world.sync()).ok
    assert await world.get("dst", "k") == {"x": "1"}
    assert not world.state()["dst", "k"].owned


async def test_a_destination_that_we_may_only_write_and_not_replace(world: World) -> None:
    """There what a lost answer left is refused as anybody's, with the policy that would write it."""
    world.store("dst", permissions="Write")
    await _first(world)
    world.lose("k", done=True)
    assert counted(await world.sync()) == {"failed": 1}
    world.fault("dst").clear()
    report = await world.sync()
    assert reasons(report.failures) == {"k": "not-managed"}
    assert "writePolicy: Replace" in report.failures[0].hint
    assert ("dst", "k") not in world.state()


async def test_the_whole_destination_is_away(world: World) -> None:
    """Its uncertain keys are told beside its error by every run, so that nobody forgets them."""
    await _first(world)
    world.lose("k", done=True)
    await world.sync()
    world.fault("dst").fail("stat", StoreUnavailable("down", store="dst"))
    report = await world.sync()
    assert (counted(report), of_sync(report)) == ({"uncertain": 1}, 3)
    world.fault("dst").clear()
    assert (await world.sync()).ok


async def test_a_run_of_other_items(world: World) -> None:
    """A run that leaves an item out says nothing of its uncertain keys, and settles them where it can."""
    world.job("- {name: one, query: {path: one}}\n- {name: two, query: {path: two}}")
    await world.seed("src", {"one/k": {"x": "1"}, "two/k": {"x": "1"}})
    world.lose("one/k", done=True)
    assert counted(await world.sync("one")) == {"uncertain": 1}
    report = await world.sync("two")
    assert (counted(report), report.ok) == ({"created": 1}, True)
    world.fault("dst").clear()
    assert (await world.sync("two")).ok
    assert world.state()["dst", "one/k"].owned


async def test_the_ledger_keeps_it_open(world: World) -> None:
    """The run has ended, and its write has not: both are what the ledger says, until it is settled, in two records."""
    await _first(world)
    world.lose("k", done=True)
    run = (await world.sync()).run
    runs = world.ledger.runs
    assert (runs.unfinished("job"), runs.unsettled_runs("job")) == ([], {run: True})
    assert [record.draft.key for record in runs.unsettled("job")] == ["k"]
    world.fault("dst").clear()
    before = len(world.records())
    last = (await world.sync()).run
    added = [record.draft for record in world.records()[before:]]
    assert [(draft.event, draft.run, draft.reason, draft.counts) for draft in added] == [
        (Event.DONE, last, "settled", ""),
        (Event.RUN_FINISHED, run, "settled", "created=1"),
        (Event.RUN_STARTED, last, "", ""),
        (Event.RUN_FINISHED, last, "", "unchanged=1"),
    ]
    (measure,) = runs.measures()
    assert dict(measure.runs) == {"failed": 1, "ok": 1}
    assert measure.results["created"] == 1
    summary = runs.summary("job").last_run
    assert summary is not None
    assert (summary.run, summary.ok) == (last, True)


@pytest.mark.parametrize("event", [Event.RUN_FINISHED, Event.DONE, Event.RUN_STARTED])
async def test_a_process_that_is_killed_on_the_way(world: World, event: Event) -> None:
    """Killed before a run's end is recorded, before the outcome of the look, or after it: a later run completes it."""
    await _first(world)
    world.lose("k", done=True)
    whole = world.ledger
    if event is Event.RUN_FINISHED:
        world.ledger = Dying(whole, event)  # type: ignore[assignment]
        with pytest.raises(LedgerError):
            await world.sync()
    else:
        await world.sync()
        world.fault("dst").clear()
        # A run is started in another way than its records are appended: there it dies with its own end.
        world.ledger = Dying(whole, Event.RUN_FINISHED if event is Event.RUN_STARTED else event)  # type: ignore[assignment]
        with pytest.raises(LedgerError):
            await world.sync()
    world.ledger = whole
    world.fault("dst").clear()
    assert (await world.sync()).ok
    assert [line.split()[0] for line in _story(world)] == ["intended", "done"]
    assert world.state()["dst", "k"].owned
    assert (whole.runs.unsettled_runs("job"), whole.runs.unfinished("job")) == ({}, [])
    assert world.sound()


async def test_a_plan_and_a_check_know_of_it(world: World) -> None:
    """A plan says that a sync will look first; a check, which may meet it half written, calls it no drift."""
    await _first(world)
    await world.sync()
    await world.put("src", "k", {"x": "2"})
    world.lose("k", done=True)
    await world.sync()
    world.fault("dst").clear()
    planned = await world.plan()
    assert any("1 write of an earlier run is uncertain" in warning for warning in planned.warnings)
    report = await world.check()
    assert (report.ok, report.drifted_count) == (True, 0)
    assert any("uncertain" in warning for warning in report.warnings)


async def test_a_message_tells_of_it(world: World) -> None:
    """A notification counts and names it, from the report as from the ledger."""
    await _first(world)
    world.lose("k", done=True)
    report = await world.sync()
    told = ending.of_report(report)
    kept = ending.of_run(world.ledger, "job", report.run, ok=False)
    assert told == kept
    assert (told.counts, told.uncertain_count, [key.key for key in told.uncertain]) == ({"uncertain": 1}, 1, ["k"])
    assert "Uncertain until the next run looks (1):\n- k in dst: uncertain" in wording.text(told)
