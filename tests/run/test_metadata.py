"""Metadata beside values: what documents ask for is set on the job's own secrets, planned, recorded, and no more."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from run.world import actions, counted
from secretsync_core.audit.record import Event
from secretsync_core.errors import AccessDenied, PlanRefused, StoreUnavailable
from secretsync_core.metadata_rules import ANNOTATION, LABEL, TIME
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.change import Reason
from secretsync_core.model.inventory import Entry
from secretsync_core.model.metadata import Kind, MetadataFacts, MetadataRule, Slot
from secretsync_core.run.items import build_plan
from secretsync_core.run.metadata import carried, wanted_at
from secretsync_core.stores import memory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from run.world import World

ALL = "- {name: all, query: {recursive: true}}"
COPY = "- {name: all, query: {recursive: true}, metadata: {copy: [team, 'acme.com/*']}}"


def asking(world: World, **custom: str) -> None:
    """Let the destination's document ask for custom metadata."""
    given = ", ".join(f"{name}: '{text}'" for name, text in custom.items())
    world.store("dst", f"memory: {{customMetadata: {{{given}}}}}")


async def on(world: World, key: str, store: str = "dst") -> dict[str, str]:
    """The metadata of a secret, without our mark."""
    found = [entry async for entry in (await world.handle(store)).describe([key])]
    return {name: text for name, text in found[0].metadata.items() if name != MARK_KEY}


def _pieces(**custom: str) -> dict[Slot, str]:
    return {Slot(Kind.CUSTOM, name): text for name, text in custom.items()}


async def two(world: World, plan: str = ALL, **spec: str) -> None:
    """Two secrets that the job has copied."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "2"}})
    world.job(plan, **spec)
    assert counted(await world.sync()) == {"created": 2}


async def test_what_the_document_asks_for_is_set_on_what_is_there(world: World) -> None:
    """It is planned as an update that names it, set without a new version, recorded, and then nothing is left to do."""
    await two(world)
    before = await world.versions("dst")
    asking(world, team="blue")
    planned = await world.plan()
    assert actions(planned) == {"a": "update", "b": "update"}
    assert {change.metadata for change in planned.changes} == {("custom metadata team",)}
    assert {change.reason for change in planned.changes} == {Reason.METADATA}
    report = await world.sync()
    assert (counted(report), report.ok, report.drifted_count) == ({"updated": 2}, True, 0)
    assert report.requests["dst"] == {"stat": 3, "metadata": 2}
    assert await on(world, "a") == {"team": "blue"}
    assert await world.versions("dst") == before
    done = [r.draft for r in world.records() if r.draft.run == report.run and r.draft.event is Event.DONE]
    assert {(one.key, one.action, one.reason) for one in done} == {
        ("a", "update", "metadata"),
        ("b", "update", "metadata"),
    }
    assert counted(await world.sync()) == {"unchanged": 2}
    assert counted(await world.check()) == {"unchanged": 2}
    assert world.sound()


async def test_without_a_wish_nothing_is_asked_for_it(world: World) -> None:
    """A run that changes nothing costs what it costs, with and without metadata that is in place."""
    await two(world)
    plain = (await world.sync()).requests
    asking(world, team="blue")
    await world.sync()
    assert (await world.sync()).requests == plain == {"src": {"list": 1}, "dst": {"stat": 1}}


async def test_other_peoples_metadata_stays(world: World) -> None:
    """Only what is asked for is set; what is asked for no more stays, for nothing proves whose it is."""
    asking(world, team="blue", env="test")
    await two(world)
    handle = await world.handle("dst")
    await handle.set_metadata("a", _pieces(theirs="1", team="red"), None)
    asking(world, team="blue")
    assert counted(await world.sync()) == {"updated": 1, "unchanged": 1}
    assert await on(world, "a") == {"theirs": "1", "team": "blue", "env": "test"}


async def test_a_secret_that_is_not_the_jobs_is_left_alone(world: World) -> None:
    """One that was there with the right value before has its metadata left alone until it is taken over."""
    await world.seed("src", {"a": {"x": "1"}})
    await world.seed("dst", {"a": {"x": "1"}})
    asking(world, team="blue")
    world.job(ALL)
    assert counted(await world.sync()) == {"unchanged": 1}
    assert await on(world, "a") == {}
    planned = await world.plan(adopt=["a"])
    assert [(change.action, change.metadata) for change in planned.changes] == [("update", ("custom metadata team",))]
    assert counted(await world.sync(adopt=["a"])) == {"updated": 1}
    assert await on(world, "a") == {"team": "blue"}
    assert counted(await world.sync()) == {"unchanged": 1}


@pytest.mark.parametrize("policy", ["IfNotExists", "Merge", "Replace"])
async def test_the_write_policy_decides_about_metadata_too(world: World, policy: str) -> None:
    """IfNotExists leaves an existing secret's metadata alone; the others set it on what the job created."""
    await two(world, writePolicy=policy)
    asking(world, team="blue")
    assert counted(await world.sync()) == ({"unchanged": 2} if policy == "IfNotExists" else {"updated": 2})
    assert await on(world, "a") == ({} if policy == "IfNotExists" else {"team": "blue"})


async def test_value_and_metadata_change_together(world: World) -> None:
    """One update in the plan and the report, a record for each write, and what was created has its metadata at once."""
    await two(world)
    asking(world, team="blue")
    await world.seed("src", {"a": {"x": "new"}, "c": {"x": "3"}})
    planned = await world.plan()
    assert actions(planned) == {"a": "update", "b": "update", "c": "create"}
    assert {change.key: change.reason for change in planned.changes}["a"] == Reason.SOURCE_CHANGED
    assert counted(await world.sync()) == {"updated": 2, "created": 1}
    assert [await on(world, key) for key in "abc"] == [{"team": "blue"}] * 3
    assert await world.get("dst", "a") == {"x": "new"}
    assert counted(await world.sync(verify=True)) == {"unchanged": 3}


async def test_metadata_is_copied_as_named(world: World) -> None:
    """Names and patterns; a * takes no name with a slash, and no mark and nothing of others' tools comes along."""
    await world.seed("src", {"a": {"x": "1"}})
    memory.set_metadata(
        "src",
        "a",
        {
            "team": "blue",
            "tea": "no",
            "acme.com/owner": "ada",
            "acme.com/deep/er": "no",
            MARK_KEY: "other.0123",
            "argocd.argoproj.io/instance": "no",
        },
    )
    world.job(COPY)
    assert [change.metadata for change in (await world.plan()).changes] == [
        ("custom metadata acme.com/owner", "custom metadata team")
    ]
    assert counted(await world.sync()) == {"created": 1}
    assert await on(world, "a") == {"team": "blue", "acme.com/owner": "ada"}
    world.job("- {name: all, query: {recursive: true}, metadata: {copy: ['*']}}")
    assert counted(await world.sync()) == {"updated": 1}
    assert await on(world, "a") == {"team": "blue", "acme.com/owner": "ada", "tea": "no"}
    handle = await world.handle("dst")
    assert (await handle.marks(["a"]))["a"].startswith("job.")
    memory.set_metadata("src", "a", {"team": "red"})
    assert counted(await world.sync()) == {"updated": 1}
    assert (await on(world, "a"))["team"] == "red"
    assert counted(await world.sync()) == {"unchanged": 1}


@pytest.mark.parametrize("kind", [Kind.CUSTOM, Kind.TAG, Kind.LABEL, Kind.ANNOTATION])
@pytest.mark.parametrize("carried", [Kind.CUSTOM, Kind.ANNOTATION])
def test_what_the_store_asks_for_wins_over_what_is_copied(world: World, kind: Kind, carried: Kind) -> None:
    """Of one name, in whatever kind of metadata: what its document says is on every secret of a SecretStore."""
    item = "- {name: all, query: {}, metadata: {copy: ['*']%s}}"
    world.job(item % (", as: Annotations" if kind is Kind.ANNOTATION else ", as: Labels" if kind is Kind.LABEL else ""))
    (only,) = build_plan(world.documents.jobs["job"]).items
    facts = StoreFacts(
        "dst", "any", Shape.FIELDS, versioned=True,
        metadata=MetadataFacts({kind: MetadataRule()}, {Slot(kind, "team"): "store", Slot(kind, "more"): "store"}),
    )  # fmt: skip
    copied = {Slot(carried, "team"): "copied", Slot(carried, "other"): "copied"}
    assert wanted_at(only, copied, facts) == {
        Slot(kind, "team"): "store", Slot(kind, "more"): "store", Slot(kind, "other"): "copied",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "facts", "there"),
    [
        ("", MetadataFacts({Kind.TAG: MetadataRule()}, settings={Kind.EXPIRES: TIME}), Slot(Kind.EXPIRES)),
        ("", MetadataFacts({Kind.TAG: MetadataRule()}), Slot(Kind.TAG, "expires")),
        ("", MetadataFacts({Kind.LABEL: LABEL, Kind.ANNOTATION: ANNOTATION}), Slot(Kind.ANNOTATION, "expires")),
        (", as: Labels", MetadataFacts({Kind.LABEL: LABEL, Kind.ANNOTATION: ANNOTATION}), Slot(Kind.LABEL, "expires")),
        ("", MetadataFacts(), None),
    ],
)
@pytest.mark.parametrize(
    "entry",
    [
        Entry("a", metadata={"other": "1"}, notes={Slot(Kind.EXPIRES): "2030-01-01T00:00:00Z"}),
        Entry("a", metadata={"expires": "2030-01-01T01:00:00+01:00"}),
        Entry("a", metadata={}, notes={Slot(Kind.ANNOTATION, "expires"): "2030-01-01T00:00:00Z"}),
        Entry("a", metadata={"expires": "x"}, notes={Slot(Kind.EXPIRES): "2030-01-01T00:00:00Z"}),
    ],
)
def test_a_setting_is_one_where_the_store_has_it(
    world: World, given: str, facts: MetadataFacts, there: Slot | None, entry: Entry
) -> None:
    """Elsewhere it is metadata of its name: an annotation where there are any, for a label takes no time."""
    world.job(f"- {{name: all, query: {{}}, metadata: {{settings: [expires, enabled]{given}}}}}")
    (item,) = build_plan(world.documents.jobs["job"]).items
    store = StoreFacts("dst", "any", Shape.FIELDS, versioned=True, metadata=facts)
    assert wanted_at(item, carried(entry, item), store) == ({} if there is None else {there: "2030-01-01T00:00:00Z"})


async def test_a_stores_own_metadata_wins_on_what_is_there_and_on_what_is_new(world: World) -> None:
    """In the plan as in the sync, and the next run finds nothing to do."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "2"}})
    memory.set_metadata("src", "a", {"team": "copied"})
    world.job("- {name: all, query: {recursive: true}, metadata: {copy: [team]}}")
    await world.sync()
    asking(world, team="store")
    memory.set_metadata("src", "b", {"team": "copied"})
    await world.seed("src", {"c": {"x": "3"}})
    memory.set_metadata("src", "c", {"team": "copied"})
    assert (await world.sync()).ok
    assert [await on(world, key) for key in "abc"] == [{"team": "store"}] * 3
    assert counted(await world.sync()) == {"unchanged": 3}


async def test_single_secrets_and_their_fields_carry_metadata(world: World) -> None:
    """Items with one secret, and the secrets that its fields become, have what the secret carries at its source."""
    await world.seed("src", {"a": {"x": "1", "y": "2"}})
    memory.set_metadata("src", "a", {"team": "blue"})
    world.job(
        "- {name: one, secret: {key: a}, metadata: {copy: [team]}}\n"
        "- {name: each, secret: {key: a}, split: fields, metadata: {copy: [team]}}"
    )
    assert counted(await world.sync()) == {"created": 3}
    assert [await on(world, key) for key in ("a", "a/x", "a/y")] == [{"team": "blue"}] * 3
    assert counted(await world.sync()) == {"unchanged": 3}


async def test_what_the_destination_cannot_hold_is_refused_in_the_plan(world: World) -> None:
    """By its limits in length and number, naming the piece and never its text; nothing of that secret is written."""
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}, "c": {"x": "1"}})
    memory.set_metadata("src", "a", {"team": "secretive" * 60})
    memory.set_metadata("src", "b", {f"acme.com/{number}": "x" for number in range(65)})
    world.job(COPY)
    planned = await world.plan()
    assert actions(planned) == {"a": "refuse", "b": "refuse", "c": "create"}
    told = {change.key: change.detail for change in planned.changes}
    assert told["a"] == "custom metadata team: it is longer than 512 bytes"
    assert "65 pieces of custom metadata, and the store takes 64" in told["b"]
    assert "secretive" not in str(planned)
    report = await world.sync()
    assert (counted(report), report.ok) == ({"refused": 2, "created": 1}, False)
    assert set(await world.all("dst")) == {"c"}


async def test_a_destination_that_may_only_be_written_gets_no_copies_of_metadata(world: World) -> None:
    """What stands there cannot be compared: refused before any write."""
    world.store("dst", permissions="Write")
    world.job(COPY)
    with pytest.raises(PlanRefused, match="cannot be looked at"):
        await world.sync()


@pytest.mark.parametrize(
    ("error", "result"),
    [(AccessDenied("no", store="dst"), "failed"), (StoreUnavailable("no answer", store="dst"), "uncertain")],
)
async def test_metadata_that_could_not_be_set_is_told_and_set_by_the_next_run(
    world: World, error: Exception, result: str
) -> None:
    """The value is in place and the item out of sync; the next run sets what is missing, and nothing else."""
    asking(world, team="blue")
    world.job(ALL)
    await world.seed("src", {"a": {"x": "1"}})
    faults = world.fault("dst")
    faults.fail("set_metadata", error)
    report = await world.sync()
    assert (counted(report), report.ok) == ({result: 1}, False)
    assert await world.get("dst", "a") == {"x": "1"}
    faults.clear()
    assert counted(await world.sync()) == {"updated": 1}
    assert await on(world, "a") == {"team": "blue"}
    assert counted(await world.sync()) == {"unchanged": 1}


async def test_an_undo_leaves_metadata_and_says_so(world: World) -> None:
    """No store keeps former metadata: the run's values go back, and what it set beside values is told as kept."""
    await two(world)
    asking(world, team="blue")
    await world.put("src", "b", {"x": "new"})
    run = (await world.sync()).run
    planned = await world.plan_undo(run)
    assert actions(planned) == {"a": "refuse", "b": "update"}
    assert "metadata alone" in next(change.detail for change in planned.changes if change.key == "a")


async def test_no_text_of_metadata_leaves_the_step(world: World) -> None:
    """What goes from one step of a run to another, and into the ledger, names metadata and does not quote it."""
    await world.seed("src", {"a": {"x": "1"}})
    memory.set_metadata("src", "a", {"team": "text-of-metadata"})
    world.job(COPY)
    planned = await world.plan()
    assert b"text-of-metadata" not in pickle.dumps(planned.changes)
    assert (await world.sync()).ok
    assert await on(world, "a") == {"team": "text-of-metadata"}
    assert b"text-of-metadata" not in b"".join(path.read_bytes() for path in world.path.glob("ledger.db*"))
