"""What the ledger knows of a destination goes by its place: stores may be renamed, and must not be mistaken."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from run.world import FINGERPRINT_KEY, counted
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.live_keys import LiveKeys
from secretsync_core.audit.places import binding_of
from secretsync_core.audit.record import Draft, Event
from secretsync_core.errors import LedgerError, UsageError
from secretsync_core.model.place import Place
from secretsync_core.run.binding import judge
from secretsync_core.run.ending import end_orphans
from secretsync_core.run.rebinding import rename_job
from secretsync_core.run.record import Recorder
from secretsync_core.stores.memory import MemoryStore

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.run.orphans import Orphan

ALL = "- {name: all, query: {path: a, recursive: true}}"


def files(world: World, name: str, folder: str) -> None:
    """A store that is a folder of files, whatever it is called."""
    (world.path / folder).mkdir(exist_ok=True)
    world.store(name, f"file: {{path: ../{folder}}}")


def at(root: str, *, server: str = "https://vault:8200", identity: str = "c1") -> Place:
    """A place in a Vault."""
    return Place("vault", server, root, identity)


def test_a_place_that_is_new_is_to_be_recorded() -> None:
    """Of a name that the ledger does not know, whatever else it knows."""
    found = judge("job", {"dst": at("kv/")}, {"other": at("x/")})
    assert (found.places, found.former, found.refused) == ({"dst": at("kv/")}, {}, {})


def test_a_place_that_is_as_recorded_needs_nothing() -> None:
    """Nothing is recorded, renamed or refused; a server that tells less of itself than before is no news."""
    for now in (at("kv/"), at("kv/", identity="")):
        found = judge("job", {"dst": now}, {"dst": at("kv/")})
        assert (found.places, found.former, found.refused) == ({}, {}, {})


def test_a_server_that_moved_to_another_address_is_followed() -> None:
    """It calls itself what it did before."""
    found = judge("job", {"dst": at("kv/", server="https://new:8200")}, {"dst": at("kv/")})
    assert found.places == {"dst": at("kv/", server="https://new:8200")}
    assert not found.refused


def test_a_server_that_tells_its_identity_from_now_on_is_recorded_with_it() -> None:
    """So that the next change of its address is understood."""
    assert judge("job", {"dst": at("kv/")}, {"dst": at("kv/", identity="")}).places == {"dst": at("kv/")}


def test_a_name_that_stands_for_another_place_is_refused() -> None:
    """Nobody can tell a moved server from a typing error; the commands that say which are in the hint."""
    for now in (at("other/"), at("kv/", identity="c2")):
        found = judge("job", {"dst": now}, {"dst": at("kv/")})
        assert list(found.refused) == ["dst"]
        assert "secretsync rebind job dst --moved" in found.refused["dst"].hint
        assert not found.places


def test_two_names_for_one_place_are_refused() -> None:
    """They would take turns in writing one key."""
    found = judge("job", {"a": at("kv/"), "b": at("kv/", server="https://alias:8200")}, {})
    assert {dest: error.message.partition(":")[0] for dest, error in found.refused.items()} == {
        "a": "a and b are the same place", "b": "b and a are the same place",
    }  # fmt: skip


def test_names_that_were_exchanged_are_followed() -> None:
    """Each place keeps its keys."""
    found = judge("job", {"a": at("two/"), "b": at("one/")}, {"a": at("one/"), "b": at("two/")})
    assert found.former == {"a": ("b",), "b": ("a",)}
    assert not found.refused


async def test_a_store_that_is_renamed_keeps_its_keys(world: World) -> None:
    """Plan, check and sync find them as they were left, and one whose source goes is deleted under the new name."""
    files(world, "dst", "copies")
    world.job(ALL, dest="dst", deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"a/1": {"v": "1"}, "a/2": {"v": "2"}})
    assert counted(await world.sync()) == {"created": 2}
    (world.config / "store-dst.yaml").unlink()
    files(world, "renamed", "copies")
    world.job(ALL, dest="renamed", deletionPolicy="Delete", maxDelete="5")
    before = len(world.records())
    assert {change.reason.value for change in (await world.plan()).changes} == {"versions-match"}
    assert counted(await world.check(verify=True)) == {"unchanged": 2}
    assert len(world.records()) == before
    assert counted(await world.sync()) == {"unchanged": 2}
    assert {dest for dest, _ in world.state()} == {"renamed"}
    assert world.sound()
    assert counted(await world.check(verify=True)) == {"unchanged": 2}
    await world.remove("src", "a/1")
    assert counted(await world.sync()) == {"deleted": 1, "unchanged": 1}
    assert list(await world.all("renamed")) == ["a/2"]
    assert world.sound()


async def test_a_run_is_undone_under_the_new_name_of_its_store(world: World) -> None:
    """What a run created in a store that is called otherwise now is undone, before and after its keys have moved."""
    files(world, "dst", "copies")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    await world.seed("src", {"a/2": {"v": "2"}, "a/3": {"v": "3"}})
    run = (await world.sync()).run
    (world.config / "store-dst.yaml").unlink()
    files(world, "renamed", "copies")
    world.job(ALL, dest="renamed")
    assert {(change.dest, change.action.value) for change in (await world.plan_undo(run)).changes} == {
        ("renamed", "delete")
    }
    assert counted(await world.undo(run, "a/2")) == {"deleted": 1}
    assert {key for _, key in world.state()} == {"a/1", "a/3"}
    assert {dest for dest, _ in world.state()} == {"renamed"}
    assert counted(await world.undo(run, "a/3")) == {"deleted": 1}
    assert list(await world.all("renamed")) == ["a/1"]
    assert world.sound()


async def test_a_store_whose_place_changed_is_left_alone(world: World) -> None:
    """Nothing is written there or taken for removed; the other destination goes on."""
    files(world, "dst", "copies")
    files(world, "two", "two")
    world.job(ALL, dest="[dst, two]")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    files(world, "dst", "elsewhere")
    await world.seed("src", {"a/2": {"v": "2"}})
    planned = await world.plan()
    assert [error.code for error in planned.errors] == ["place-changed"]
    report = await world.sync()
    assert [error.code for error in report.errors] == ["place-changed"]
    assert counted(report)["created"] == 1
    assert list((world.path / "elsewhere").iterdir()) == []
    assert [error.code for error in (await world.check()).errors] == ["place-changed"]


async def test_the_place_of_a_destination_is_recorded_once(world: World) -> None:
    """With the first run, in the chain; the next one has nothing to add."""
    files(world, "dst", "copies")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    await world.sync()
    placed = [record.draft for record in world.records() if record.draft.reason == "placed"]
    assert [(draft.event, draft.dest) for draft in placed] == [(Event.SKIPPED, "dst")]


@pytest.mark.parametrize("action", ["write", "delete"])
async def test_what_a_dead_run_announced_is_settled_under_the_new_name(world: World, action: str) -> None:
    """A store that was renamed after a run was killed is looked at all the same."""

    files(world, "dst", "copies")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    kind = "update" if action == "write" else "delete"
    world.ledger.runs.start("job", "dead")
    state = world.state()["dst", "a/1"]
    world.ledger.append(
        "job", [Draft(Event.INTENDED, "dead", "dead:1", "all", "dst", "a/1", kind, dest_version=state.dest_version)]
    )
    (world.config / "store-dst.yaml").unlink()
    files(world, "renamed", "copies")
    world.job(ALL, dest="renamed")
    await world.sync()
    settled = [record.draft for record in world.records() if record.draft.intent == "dead:1"][1:]
    assert [(draft.event, draft.dest) for draft in settled] == [(Event.FAILED, "renamed")]
    assert world.ledger.runs.unsettled("job") == []
    assert world.sound()


async def test_what_was_deleted_is_known_under_the_new_name(world: World) -> None:
    """So that a copy which is back after its store was renamed is looked at where it is."""
    world.job(ALL, deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    await world.remove("src", "a/1")
    await world.sync()
    recorder = Recorder(world.ledger, "job")
    assert list(await recorder.deleted()) == [("dst", "a/1")]
    recorder.former = {"renamed": ("dst",)}
    assert list(await recorder.deleted()) == [("renamed", "a/1")]
    await recorder.aclose()


# -- One holder a key -------------------------------------------------------------------------------------------------


def other_job(world: World, dest: str, folder: str, *keys: str) -> None:
    """Let the ledger say that a job ``other`` made these keys in a folder."""
    place = Place("file", "", f"{(world.path / folder).resolve()}/")
    found = binding_of("run-1", dest, place)
    assert found is not None
    done = Draft(Event.DONE, "run-1", item="all", dest=dest, action="create", dest_version="1", owned=True)
    world.ledger.append("other", [found, *(done._replace(key=key) for key in keys)])


async def test_a_key_that_another_job_holds_is_refused(world: World) -> None:
    """By plan and sync alike, naming the job; the rest is copied, and the other job's hold stays."""
    files(world, "dst", "copies")
    other_job(world, "theirs", "copies", "a/1")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}, "a/2": {"v": "2"}})
    refused = [change for change in (await world.plan()).changes if change.action.value == "refuse"]
    assert [(change.key, change.reason.value) for change in refused] == [("a/1", "held")]
    assert "job other holds it" in refused[0].detail
    assert "secretsync rename other job" in refused[0].detail
    assert counted(await world.sync()) == {"created": 1, "refused": 1}
    assert list(await world.all("dst")) == ["a/2"]
    assert len(list(world.ledger.state.keys("other"))) == 1


async def test_a_key_is_held_wherever_the_other_job_begins_its_keys(world: World) -> None:
    """A destination within the other's folder has the same secrets under shorter names."""
    (world.path / "copies").mkdir()
    files(world, "dst", "copies/a")
    other_job(world, "theirs", "copies", "a/1")
    world.job("- {name: all, query: {path: a}, keyTransform: [{regexp: {source: ^a/, target: ''}}]}", dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}, "a/2": {"v": "2"}})
    assert counted(await world.sync()) == {"created": 1, "refused": 1}


async def test_what_another_job_holds_is_taken_over_on_purpose(world: World) -> None:
    """The other job's hold ends in its own chain, and the next run of this one finds nothing to do."""
    files(world, "dst", "copies")
    other_job(world, "theirs", "copies", "a/1", "b")
    await world.put("dst", "a/1", b"theirs")
    world.job(ALL, dest="dst", ownership="{adopt: true}")
    await world.seed("src", {"a/1": {"v": "1"}})
    assert counted(await world.sync()) == {"updated": 1}
    assert [place for place, _ in world.ledger.state.keys("other")] == [("theirs", "b")]
    assert counted(await world.sync()) == {"unchanged": 1}
    assert all(report.sound for report in world.ledger.verify())


async def test_a_renamed_job_knows_the_marks_that_it_made(world: World) -> None:
    """A copy that carries the mark of what the job was called before is deleted when its source goes."""
    world.job(ALL, deletionPolicy="Delete", maxDelete="5")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    assert (await (await world.handle("dst")).marks(["a/1"])) != {}
    document = world.config / "job.yaml"
    document.write_text(document.read_text().replace("{name: job}", "{name: other}"))
    assert await rename_job("job", "other", world.documents, world.ledger) == 1
    await world.remove("src", "a/1")
    report = await world.sync(job="other")
    assert counted(report) == {"deleted": 1}
    assert await world.all("dst") == {}


async def test_a_key_that_is_left_alone_stays_the_other_jobs(world: World) -> None:
    """IfNotExists with adopt writes nothing there, so the other job's hold does not end."""
    files(world, "dst", "copies")
    other_job(world, "theirs", "copies", "a/1")
    await world.put("dst", "a/1", b"theirs")
    world.job(ALL, dest="dst", ownership="{adopt: true}", writePolicy="IfNotExists")
    await world.seed("src", {"a/1": {"v": "1"}})
    assert counted(await world.sync()) == {"skipped": 1}
    assert len(list(world.ledger.state.keys("other"))) == 1


# -- Names that were exchanged ----------------------------------------------------------------------------------------


async def exchanged(world: World) -> None:
    """Two stores that have exchanged their names after they got other secrets of one key."""
    files(world, "one", "first")
    files(world, "two", "second")
    world.job(ALL, dest="[one, two]")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    (world.path / "second/a/1").unlink()
    await world.sync()  # the copies have versions of their own
    files(world, "one", "second")
    files(world, "two", "first")


async def test_stores_that_exchange_their_names_keep_their_keys(world: World) -> None:
    """Plan, check and sync find each copy as it was left, and so does the next run."""
    await exchanged(world)
    assert {change.reason.value for change in (await world.plan()).changes} == {"versions-match"}
    assert counted(await world.check(verify=True)) == {"unchanged": 2}
    for _ in range(2):
        assert counted(await world.sync(verify=True)) == {"unchanged": 2}
    assert {place for place, _ in world.state()} == {"one", "two"}
    assert counted(await world.check(verify=True)) == {"unchanged": 2}
    assert world.sound()


@pytest.mark.parametrize("after", range(6))
async def test_a_run_that_dies_while_names_are_exchanged_mixes_nothing_up(
    world: World, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Wherever it dies, the next run finds each copy where it is."""
    await exchanged(world)
    left = [after]

    def dying(real: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            if left[0] == 0:
                raise LedgerError("killed")
            left[0] -= 1
            return real(*args, **more)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(LiveKeys, "rename", dying(LiveKeys.rename))
        append = Ledger.append

        def appending(ledger: Ledger, job: str, drafts: Any, **more: Any) -> Any:
            if any(draft.reason == "placed" for draft in drafts):
                return dying(append)(ledger, job, drafts, **more)
            return append(ledger, job, drafts, **more)

        patch.setattr(Ledger, "append", appending)
        with contextlib.suppress(LedgerError):
            await world.sync()
    assert {change.reason.value for change in (await world.plan()).changes} == {"versions-match"}
    assert counted(await world.sync(verify=True)) == {"unchanged": 2}
    assert world.sound()


async def test_a_name_whose_place_was_taken_by_one_that_is_refused_is_refused_too(world: World) -> None:
    """One name leads where another did, and that one to a new place: the keys of the second have nowhere to go."""
    files(world, "one", "first")
    files(world, "two", "second")
    world.job(ALL, dest="[one, two]")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    (world.path / "third/a").mkdir(parents=True)
    (world.path / "third/a/1").write_text("theirs")
    files(world, "one", "second")
    files(world, "two", "third")
    report = await world.sync()
    assert [error.code for error in report.errors] == ["place-changed", "place-changed"]
    assert (world.path / "third/a/1").read_text() == "theirs"
    assert {dest for dest, _ in world.state()} == {"one", "two"}


async def test_names_that_move_up_take_their_keys_along(world: World) -> None:
    """The first store is called as the second was, and the second has a new name."""
    files(world, "one", "first")
    files(world, "two", "second")
    world.job(ALL, dest="[one, two]")
    await world.put("two", "a/1", b"theirs")
    await world.seed("src", {"a/1": {"v": "1"}})
    assert counted(await world.sync()) == {"created": 1, "refused": 1}
    (world.config / "store-one.yaml").unlink()
    files(world, "two", "first")
    files(world, "three", "second")
    world.job(ALL, dest="[two, three]")
    for _ in range(2):
        assert counted(await world.sync()) == {"unchanged": 1, "refused": 1}
    assert (world.path / "second/a/1").read_text() == "theirs"
    assert set(world.state()) == {("two", "a/1")}


async def test_an_address_that_was_never_reached_is_not_bound(world: World) -> None:
    """A typing error in the first documents is no place that the ledger would hold against the right one."""
    world.store("dst", "file: {path: ../nowhere}")
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})
    assert not (await world.sync()).ok
    assert world.ledger.places.of("job") == {}
    files(world, "dst", "copies")
    assert counted(await world.sync()) == {"created": 1}


# -- A job that was renamed -------------------------------------------------------------------------------------------


async def test_a_renamed_job_confuses_no_places(world: World) -> None:
    """What the old job had at a destination of one name is not taken for the new job's, which is another place."""
    files(world, "dst", "copies")
    other_job(world, "dst", "elsewhere", "a/1")
    world.job(ALL, dest="dst")
    await world.seed("src", {"b": {"v": "1"}})
    await world.sync()
    (world.path / "elsewhere").mkdir()
    assert await rename_job("other", "job", world.documents, world.ledger) == 1
    assert [dest.partition("@")[0] for dest, _ in world.state()] == ["dst"]
    assert ("dst", "a/1") not in world.state()
    await world.put("dst", "a/1", b"theirs")
    await world.seed("src", {"a/1": {"v": "1"}})
    assert counted(await world.sync()) == {"refused": 1}
    assert world.sound()


async def test_a_renamed_job_whose_places_are_not_known_is_refused(world: World) -> None:
    """The old job never ran since the ledger keeps places: nobody can tell whether its destination is the new one's."""
    files(world, "dst", "copies")
    world.ledger.append("other", [Draft(Event.DONE, "r", item="i", dest="dst", key="k", action="create", owned=True)])
    world.job(ALL, dest="dst")
    await world.seed("src", {"a/1": {"v": "1"}})
    await world.sync()
    with pytest.raises(UsageError, match="does not say where dst was"):
        await rename_job("other", "job", world.documents, world.ledger)
    assert len(list(world.ledger.state.keys("other"))) == 1


# -- Orphans ----------------------------------------------------------------------------------------------------------


async def retained(world: World) -> list[Orphan]:
    """Two copies whose sources no listing shows any more; one of the two is there all the same."""
    world.job(ALL)
    await world.seed("src", {"a/1": {"v": "1"}, "a/2": {"v": "2"}})
    await world.sync()
    await world.remove("src", "a/1")
    real = MemoryStore.list

    async def listed(store: MemoryStore, *args: Any, **more: Any) -> Any:
        async for entry in real(store, *args, **more):
            if getattr(entry, "key", "") != "a/2":
                yield entry

    world.patch.setattr(MemoryStore, "list", listed)
    return (await world.plan()).orphans


async def test_an_orphan_is_deleted_only_if_its_source_says_that_it_is_gone(world: World) -> None:
    """A listing that hides a secret makes no orphan of its copy, however it looks."""
    orphans = await retained(world)
    assert {orphan.key for orphan in orphans} == {"a/1", "a/2"}
    documents = world.documents
    ended = await end_orphans(
        documents.jobs["job"], documents, world.ledger, orphans, delete=True, environ={},
        fingerprint_key=FINGERPRINT_KEY,
    )  # fmt: skip
    assert counted(ended.done.report) == {"deleted": 1, "refused": 1}
    assert await world.get("dst", "a/1") is None
    assert await world.get("dst", "a/2") == {"v": "2"}
