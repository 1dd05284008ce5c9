"""The default policy: update what is the job's, refuse what is not, and take over what is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run.plain import Plain
from run.world import FINGERPRINT_KEY, SEAL_KEY, World, actions, counted, reasons, wrote
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Event
from secretsync_core.cli.results import of_plan, of_sync
from secretsync_core.errors import AccessDenied, PlanRefused, StoreUnavailable
from secretsync_core.model.change import Difference
from secretsync_core.run import opening
from secretsync_core.run.fingerprint import owner_mark
from secretsync_core.stores import memory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from secretsync_core.model.change import Change
    from secretsync_core.run.done import Planned

ALL = "- {name: all, query: {recursive: true}}"
DELETING = {"deletionPolicy": "Delete", "maxDelete": "100%"}


def _lose_the_ledger(world: World) -> None:
    """Begin with an empty ledger that has the same key."""
    world.ledger.close()
    for file in world.path.glob("ledger*"):
        file.unlink()
    world.ledger = Ledger.open(world.path / "another.db", seal_key=SEAL_KEY)


def _change(planned: Planned, key: str) -> Change:
    (found,) = (change for change in planned.changes if change.key == key)
    return found


async def test_what_is_not_ours_is_refused_and_the_rest_is_copied(world: World) -> None:
    """A secret that was there with another value stays, plan and sync say so with exit code 1, the others go."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}, "c": {"x": "1"}})
    await world.seed("dst", {"a": {"x": "theirs"}, "b": {"x": "1"}})
    world.job(ALL)
    before = await world.versions("dst")
    planned = await world.plan()
    assert actions(planned) == {"a": "refuse", "b": "unchanged", "c": "create"}
    assert of_plan(planned, detailed=False) == 1
    assert any("`secretsync sync job --adopt a` takes it over" in warning for warning in planned.warnings)
    report = await world.sync()
    assert (counted(report), of_sync(report)) == ({"refused": 1, "unchanged": 1, "created": 1}, 1)
    assert reasons(report.failures) == {"a": "not-managed"}
    assert await world.all("dst") == {"a": {"x": "theirs"}, "b": {"x": "1"}, "c": {"x": "1"}}
    after = await world.versions("dst")
    assert (after["a"], after["b"]) == (before["a"], before["b"])
    assert {key for _, key in world.state()} == {"b", "c"}
    assert reasons((await world.sync()).failures) == {"a": "not-managed"}  # it stays red until somebody decides


async def test_the_same_value_is_managed_and_never_deleted(world: World) -> None:
    """What holds the wanted value at first sight is updated from then on, and outlives its source."""
    await world.put("src", "a", {"x": "1"})
    await world.put("dst", "a", {"x": "1"})
    world.job(ALL, **DELETING)
    assert counted(await world.sync()) == {"unchanged": 1}
    await world.put("src", "a", {"x": "2"})
    assert counted(await world.sync()) == {"updated": 1}
    await world.remove("src", "a")
    assert counted(await world.sync()) == {}
    assert await world.get("dst", "a") == {"x": "2"}


async def test_what_an_earlier_version_replaced_is_managed(world: World) -> None:
    """Keys that a ledger holds as not created by the job, because Replace overwrote them once, are updated."""
    await world.put("src", "a", {"x": "1"})
    await world.put("dst", "a", {"x": "theirs"})
    world.job(ALL, writePolicy="Replace", **DELETING)
    await world.sync()
    assert not world.state()["dst", "a"].owned
    world.job(ALL, **DELETING)  # as the document was before the default changed
    assert counted(await world.sync()) == {"unchanged": 1}
    await world.put("src", "a", {"x": "2"})
    assert counted(await world.sync()) == {"updated": 1}
    await world.put("dst", "a", {"x": "drifted"})
    assert counted(await world.sync()) == {"updated": 1}
    await world.remove("src", "a")
    await world.sync()
    assert await world.get("dst", "a") == {"x": "2"}


async def test_adopt_takes_over_just_what_it_names(world: World) -> None:
    """One run with --adopt KEY: that key is marked, written, recorded as adopted, and ours to delete; no other is."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}, "same": {"x": "1"}})
    await world.seed("dst", {"a": {"x": "theirs"}, "b": {"x": "theirs"}, "same": {"x": "1"}})
    world.job(ALL, **DELETING)
    planned = await world.plan(adopt=["a", "same"])
    assert actions(planned) == {"a": "update", "b": "refuse", "same": "unchanged"}
    assert {key: _change(planned, key).reason for key in ("a", "same")} == {"a": "adopted", "same": "adopted"}
    report = await world.sync(adopt=["a", "same"])
    assert (counted(report), reasons(report.failures)) == (
        {"updated": 1, "unchanged": 1, "refused": 1},
        {"b": "not-managed"},
    )
    assert {key: held.owned for (_, key), held in world.state().items()} == {"a": True, "same": True}
    marks = await (await world.handle("dst")).marks(["a", "b", "same"])
    assert set(marks) == {"a", "same"}
    told = [(r.draft.event, r.draft.key) for r in world.records() if r.draft.reason == "adopted"]
    assert told[0][0] is Event.SKIPPED
    assert {key for _, key in told} == {"a", "same"}
    again = await world.sync(adopt=["a"])
    assert any(warning.startswith("nothing to take over at a: it is this job's") for warning in again.warnings)
    await world.remove("src", "b")
    await world.remove("src", "a")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}
    assert set(await world.all("dst")) == {"b", "same"}
    assert world.sound()


async def test_adopt_where_nothing_is_marked(world: World) -> None:
    """Taking over is in the ledger also where the destination has no marks."""
    world.files("dst")
    await world.put("src", "a", {"x": "1"})
    await world.put("dst", "a", b'{"x": "theirs"}')
    world.job(ALL)
    assert (await world.sync(adopt=["a"])).ok
    assert [r.draft.event for r in world.records() if r.draft.reason == "adopted"][:1] == [Event.SKIPPED]
    assert world.state()["dst", "a"].owned


async def test_adopt_names_what_is_not_there(world: World) -> None:
    """A key that no item writes is told, and nothing else happens."""
    await world.put("src", "a", {"x": "1"})
    world.job(ALL)
    report = await world.sync(adopt=["typo"])
    assert report.warnings == ["nothing to take over at a key that was given: no plan item of this run writes to it"]
    assert counted(report) == {"created": 1}


async def test_adopt_in_one_of_two_destinations(world: World) -> None:
    """DEST:KEY takes over in that destination alone, and the hint of the other one names it so."""
    world.store("other")
    await world.put("src", "a", {"x": "1"})
    await world.seed("dst", {"a": {"x": "theirs"}})
    await world.seed("other", {"a": {"x": "theirs"}})
    world.job(ALL, dest="[dst, other]")
    report = await world.sync(adopt=["dst:a"])
    assert counted(report) == {"updated": 1, "refused": 1}
    assert report.failures[0].hint.startswith("`secretsync sync job --adopt other:a` takes it over")
    assert await world.get("other", "a") == {"x": "theirs"}


async def test_the_command_can_be_pasted(world: World) -> None:
    """A key with spaces, or one that looks like an option, is quoted for the shell."""
    await world.seed("src", {"a b": {"x": "1"}, "-c": {"x": "1"}})
    await world.seed("dst", {"a b": {"x": "2"}, "-c": {"x": "2"}})
    world.job(ALL)
    hints = {failure.change.key: failure.hint for failure in (await world.sync()).failures}
    assert hints["a b"].startswith("`secretsync sync job --adopt 'a b'` ")
    assert hints["-c"].startswith("`secretsync sync job --adopt=-c` ")


async def test_adopt_needs_to_see(world: World) -> None:
    """A destination that may only be written takes nothing over: the plan is refused."""
    world.store("dst", permissions="Write")
    await world.put("src", "a", {"x": "1"})
    world.job(ALL)
    with pytest.raises(PlanRefused, match="--adopt must see what it takes over"):
        await world.sync(adopt=["a"])


async def test_write_only_never_replaces_what_it_cannot_see(world: World) -> None:
    """A key that turns out to exist is refused, with the policy that would write it."""
    world.store("dst", permissions="Write")
    await world.put("src", "k", {"x": "1"})
    await world.put("dst", "k", {"x": "theirs"})
    world.job(ALL)
    report = await world.sync()
    assert reasons(report.failures) == {"k": "not-managed"}
    assert "writePolicy: Replace" in report.failures[0].hint
    assert await world.get("dst", "k") == {"x": "theirs"}


# -- A lost ledger ----------------------------------------------------------------------------------------------------


async def test_marks_prove_what_is_ours_without_a_ledger(world: World) -> None:
    """Copies with this job's mark are updated when the ledger is lost, and are not deleted until they are adopted."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}, "c": {"x": "1"}})
    world.job(ALL, **DELETING)
    await world.sync()
    memory.set_metadata("dst", "b", {})
    memory.set_metadata("dst", "c", {MARK_KEY: owner_mark("job", b"another installation")})
    _lose_the_ledger(world)
    await world.seed("src", {"a": {"x": "2"}, "b": {"x": "2"}, "c": {"x": "2"}})
    planned = await world.plan()
    assert {change.key: change.reason.value for change in planned.changes} == {
        "a": "marked",
        "b": "not-managed",
        "c": "not-managed",
    }
    report = await world.sync()
    assert (counted(report), reasons(report.failures)) == (
        {"updated": 1, "refused": 2},
        {"b": "not-managed", "c": "not-managed"},
    )
    assert not world.state()["dst", "a"].owned
    assert counted(await world.sync(adopt=["b", "c"])) == {"updated": 2, "unchanged": 1}
    for key in "abc":
        await world.remove("src", key)
    assert counted(await world.sync()) == {"deleted": 2}
    assert await world.all("dst") == {"a": {"x": "2"}}


async def test_marks_of_a_former_key_prove_it_too(world: World) -> None:
    """After the ledger's key was replaced, what was marked with the former one is still this job's."""
    await world.put("src", "a", {"x": "1"})
    await world.put("dst", "a", {"x": "0"})
    memory.set_metadata("dst", "a", {MARK_KEY: owner_mark("job", FINGERPRINT_KEY)})
    world.job(ALL)
    assert counted(await world.sync()) == {"updated": 1}


@pytest.mark.parametrize(("error", "result"), [(AccessDenied("no"), "refused"), (StoreUnavailable("down"), "failed")])
async def test_marks_that_cannot_be_read_prove_nothing(world: World, error: Exception, result: str) -> None:
    """Where marks may not be read nothing is written, and where they cannot be the next run tries again."""
    await world.put("src", "a", {"x": "1"})
    await world.put("dst", "a", {"x": "0"})
    memory.set_metadata("dst", "a", {MARK_KEY: owner_mark("job", FINGERPRINT_KEY)})
    world.fault("dst").fail("marks", error)
    world.job(ALL)
    assert counted(await world.sync()) == {result: 1}
    assert await world.get("dst", "a") == {"x": "0"}


async def test_marks_are_asked_only_where_values_differ(world: World) -> None:
    """A first sight of equal values costs no look at marks, and a run with nothing to do asks for nothing more."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    await world.seed("dst", {"a": {"x": "1"}, "b": {"x": "1"}})
    world.job(ALL)
    world.fault("dst")  # counts calls
    assert (await world.sync()).ok
    assert world.fault("dst").calls["marks"] == 0
    report = await world.sync()
    assert report.requests == {"src": {"list": 1}, "dst": {"stat": 1}}


# -- What would change ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours", "found"),
    [
        ({"a": "1", "b": "2"}, {"a": "9", "c": "3"}, Difference(("c",), ("a",), ("b",))),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}, Difference(changed=("a",))),
        ({"n": True}, {"n": 1}, Difference(changed=("n",))),
    ],
)
async def test_the_plan_names_fields_that_differ(
    world: World, theirs: dict[str, Any], ours: dict[str, Any], found: Difference
) -> None:
    """Fields that a write would add, change and drop are named, and their values are nowhere."""
    await world.put("src", "k", ours)
    await world.put("dst", "k", theirs)
    world.job(ALL)
    assert _change(await world.plan(), "k").differs == found
    assert (await world.sync()).failures[0].change.differs == found


@pytest.mark.parametrize(
    ("theirs", "found"),
    [
        (b'{"a": "9",\n "c": "3"}', Difference(formatting_only=True)),
        (b'{"c":"3","a":"9"}', Difference(formatting_only=True)),
        (b'{"a":"9","c":"3","old":"1"}', Difference(dropped=("old",))),
        (b'{"a":"9","c":3}', Difference(changed=("c",))),
        (b'{"a":"9","c":"3","c":"3"}', None),  # a name twice: which is it?
        (b"plain text", None),
        (b'["a", "c"]', None),
        (b'"s3cret"', None),
        (b"\xff\xfe", None),
        (b'{"a":' * 100_000, None),
    ],
)
async def test_fields_of_json_text(world: World, theirs: bytes, found: Difference | None) -> None:
    """In a store of blobs only what is one JSON object has fields; spacing and order alone are told apart."""
    world.files("dst")
    await world.put("src", "k", {"a": "9", "c": "3"})
    await world.put("dst", "k", theirs)
    world.job(ALL)
    change = _change(await world.plan(), "k")
    assert (change.reason.value, change.differs) == ("not-managed", found)
    assert await world.get("dst", "k") == theirs


async def test_numbers_that_are_written_otherwise_differ(world: World) -> None:
    """1 and 1.0 are not a matter of spacing: a program may read one and refuse the other."""
    world.files("src")
    world.files("dst")
    await world.put("src", "k", b'{"n":1.0}')
    await world.put("dst", "k", b'{"n": 1}')
    world.job(ALL)
    assert _change(await world.plan(), "k").differs == Difference(changed=("n",))


async def test_fields_are_compared_at_first_sight_only(world: World) -> None:
    """What the ledger knows is told by its reason alone, and under Replace a first sight names fields as well."""
    await world.put("src", "k", {"a": "1"})
    await world.put("dst", "k", {"b": "1"})
    world.job(ALL, writePolicy="Replace")
    assert _change(await world.plan(), "k").differs == Difference(("a",), (), ("b",))
    await world.sync()
    await world.put("src", "k", {"a": "2"})
    assert _change(await world.plan(), "k").differs is None


# -- Deletes beside refusals, and policies of items -------------------------------------------------------------------


async def test_deletes_wait_while_a_copy_of_the_item_is_refused(world: World) -> None:
    """A key that moved to one that somebody else holds keeps its old copy: plan and sync agree."""
    await world.put("src", "a", {"x": "1"})
    world.job("- {name: all, query: {}, keyTransform: [{prefix: old-}]}", **DELETING)
    await world.sync()
    await world.put("dst", "new-a", {"x": "theirs"})
    world.job("- {name: all, query: {}, keyTransform: [{prefix: new-}]}", **DELETING)
    assert actions(await world.plan()) == {"new-a": "refuse", "old-a": "refuse"}
    report = await world.sync()
    assert reasons(report.failures) == {"new-a": "not-managed", "old-a": "item-failed"}
    assert await world.all("dst") == {"new-a": {"x": "theirs"}, "old-a": {"x": "1"}}


async def test_policies_of_an_item_come_before_the_jobs(world: World) -> None:
    """Each item writes, merges, leaves alone and takes over as it says itself."""
    names = ("managed", "replaced", "left", "merged", "adopted")
    for name in names:
        await world.put("src", f"{name}/k", {"x": "1"})
        await world.put("dst", f"{name}/k", {"x": "0", "theirs": "t"})
    world.job(
        """
        - {name: managed, query: {path: managed}}
        - {name: replaced, query: {path: replaced}, writePolicy: Replace}
        - {name: left, query: {path: left}, writePolicy: IfNotExists}
        - {name: merged, query: {path: merged}, writePolicy: Merge}
        - {name: adopted, query: {path: adopted}, ownership: {adopt: true}}
        """
    )
    assert counted(await world.sync()) == {"refused": 1, "updated": 3, "skipped": 1}
    assert await world.all("dst") == {
        "managed/k": {"x": "0", "theirs": "t"},
        "replaced/k": {"x": "1"},
        "left/k": {"x": "0", "theirs": "t"},
        "merged/k": {"x": "1", "theirs": "t"},
        "adopted/k": {"x": "1"},
    }
    assert {key for (_, key), held in world.state().items() if held.owned} == {"adopted/k"}


async def test_an_item_can_keep_what_the_job_takes_over(world: World) -> None:
    """adopt: false on an item holds against the job's adopt: true."""
    await world.seed("src", {"a/k": {"x": "1"}, "b/k": {"x": "1"}})
    await world.seed("dst", {"a/k": {"x": "0"}, "b/k": {"x": "0"}})
    world.job(
        "- {name: a, query: {path: a}}\n- {name: b, query: {path: b}, ownership: {adopt: false}}",
        ownership="{adopt: true}",
    )
    report = await world.sync()
    assert (counted(report), reasons(report.failures)) == ({"updated": 1, "refused": 1}, {"b/k": "not-managed"})


@pytest.mark.parametrize(("of_job", "of_item"), [("Delete", "Retain"), ("Retain", "Delete")])
async def test_deletion_policy_of_an_item(world: World, of_job: str, of_item: str) -> None:
    """An item's own deletion policy decides about its keys; the job's about the others, and about items that left."""
    await world.seed("src", {"own/k": {"x": "1"}, "job/k": {"x": "1"}, "gone/k": {"x": "1"}})
    items = [
        f"- {{name: own, query: {{path: own}}, deletionPolicy: {of_item}}}",
        "- {name: job, query: {path: job}}",
        "- {name: gone, query: {path: gone}}",
    ]
    world.job("\n".join(items), deletionPolicy=of_job, maxDelete="100%")
    await world.sync()
    await world.remove("src", "own/k")
    await world.remove("src", "job/k")
    world.job("\n".join(items[:2]), deletionPolicy=of_job, maxDelete="100%")
    await world.sync()
    kept = {"own/k"} if of_job == "Delete" else {"job/k", "gone/k"}
    assert set(await world.all("dst")) == kept


async def test_a_merged_item_that_left_gives_back_only_its_own(world: World) -> None:
    """Fields of others stay although nothing in the document says Merge any more."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    await world.put("dst", "a", {"theirs": "t"})
    items = ["- {name: keep, secret: {key: b}}", "- {name: merged, secret: {key: a}, writePolicy: Merge}"]
    world.job("\n".join(items), **DELETING)
    await world.sync(adopt=["a"])
    assert await world.get("dst", "a") == {"theirs": "t", "x": "1"}
    world.job(items[0], **DELETING)
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}
    assert await world.all("dst") == {"a": {"theirs": "t"}, "b": {"x": "1"}}


@pytest.mark.parametrize("policy", ["Managed", "IfNotExists"])
async def test_a_store_without_conditions_is_looked_at_before_it_is_created(
    world: World, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """Where a store cannot create only, what somebody made since the listing is seen, and is left to him."""

    async def opened(document: Any, context: Any) -> Any:
        store = await world._open(document, context)
        return Plain(store) if document.name == "dst" else store

    monkeypatch.setattr(opening, "open_store", opened)
    await world.put("src", "k", {"x": "1"})
    world.job(ALL, writePolicy=policy)
    # Between our look at the destination and the write we read the source.
    world.fault("src").run("read", lambda _: world.put("dst", "k", {"x": "theirs"}))
    report = await world.sync()
    assert counted(report) == ({"refused": 1} if policy == "Managed" else {"skipped": 1})
    assert await world.get("dst", "k") == {"x": "theirs"}
    assert wrote(report) == 0
