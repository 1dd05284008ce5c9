"""A sync from end to end: what it writes, and that it writes nothing where there is nothing to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run.world import SEAL_KEY, actions, counted, reasons, wrote
from secretsync_core.audit.ledger import Ledger
from secretsync_core.model.change import Action

if TYPE_CHECKING:
    from run.world import World

APP = "- {name: app, query: {path: app, recursive: true}}"


async def _synced(world: World, **spec: str) -> None:
    world.job(APP, **spec)
    await world.seed("src", {"app/a": {"x": "1"}, "app/b": {"x": "2"}})
    assert counted(await world.sync()) == {"created": 2}


async def test_first_sync_copies_everything(world: World) -> None:
    """Every secret that the plan selects is created, with one listing, one look and one write each."""
    await _synced(world)
    assert await world.all("dst") == {"app/a": {"x": "1"}, "app/b": {"x": "2"}}
    assert world.sound()


async def test_second_sync_reads_and_writes_nothing(world: World) -> None:
    """With the ledger, nothing to do costs one listing and one look: no value is read."""
    await _synced(world)
    report = await world.sync()
    assert counted(report) == {"unchanged": 2}
    assert report.requests == {"src": {"list": 1}, "dst": {"stat": 1}}
    assert report.ok


async def test_a_lost_ledger_costs_reads_but_no_writes(world: World) -> None:
    """Without what the ledger knew, values are compared, nothing is written, and afterwards it is known again."""
    await _synced(world)
    world.ledger.close()
    world.ledger = Ledger.open(world.path / "fresh.db", seal_key=SEAL_KEY)
    report = await world.sync()
    assert counted(report) == {"unchanged": 2}
    assert wrote(report) == 0
    assert report.requests["dst"]["read"] == 2
    assert "read" not in (await world.sync()).requests["dst"]
    assert not any(held.owned for held in world.state().values())


async def test_a_changed_source_is_written_once(world: World) -> None:
    """Only what changed is read and written, as one new version."""
    await _synced(world)
    await world.put("src", "app/a", {"x": "new"})
    report = await world.sync()
    assert counted(report) == {"updated": 1, "unchanged": 1}
    assert (report.requests["src"]["read"], wrote(report)) == (1, 1)
    assert await world.get("dst", "app/a") == {"x": "new"}


async def test_a_source_written_with_the_same_value_is_not_written(world: World) -> None:
    """A new source version with the old value is compared, noted and not compared again."""
    await _synced(world)
    await world.put("src", "app/a", {"x": "1"})
    assert counted(report := await world.sync()) == {"unchanged": 2}
    assert wrote(report) == 0
    assert "read" not in (await world.sync()).requests["src"]


async def test_a_changed_definition_writes_what_it_changes(world: World) -> None:
    """A new transform makes every value anew; only those that come out different are written."""
    await _synced(world)
    world.job(APP[:-1] + ", valueTransform: [{fields: {exclude: [y]}}]}")
    assert wrote(await world.sync()) == 0
    world.job(APP[:-1] + ", valueTransform: [{fields: {rename: {x: z}}}]}")
    assert counted(await world.sync()) == {"updated": 2}
    assert await world.get("dst", "app/a") == {"z": "1"}


async def test_drift_is_put_right_and_reported(world: World) -> None:
    """What somebody changed or removed at the destination is named as drift, and is again what the source says."""
    await _synced(world)
    await world.put("dst", "app/a", {"x": "theirs"})
    await world.remove("dst", "app/b")
    report = await world.sync()
    assert counted(report) == {"updated": 1, "created": 1}
    assert {change.key: change.drift.value for change in report.drifted} == {"app/a": "changed", "app/b": "removed"}
    assert report.drifted_count == 2
    assert await world.all("dst") == {"app/a": {"x": "1"}, "app/b": {"x": "2"}}
    assert (await world.sync()).drifted_count == 0


async def test_touched_but_the_same_is_no_drift(world: World) -> None:
    """A new version of the destination that holds the same value is noted, not reported and not written."""
    await _synced(world)
    await world.put("dst", "app/a", {"x": "1"})
    report = await world.sync()
    assert (counted(report), report.drifted_count, wrote(report)) == ({"unchanged": 2}, 0, 0)
    assert "read" not in (await world.sync()).requests["dst"]


async def test_touched_and_then_changed_at_the_source_is_no_drift(world: World) -> None:
    """A touched destination whose source moved on is updated for the source's sake, not for drift's."""
    await _synced(world)
    await world.put("dst", "app/a", {"x": "1"})
    await world.put("src", "app/a", {"x": "new"})
    (change,) = [change for change in (await world.plan()).changes if change.action.value == "update"]
    assert (change.drift.value, change.reason.value) == ("none", "different-value")
    assert (await world.sync()).drifted_count == 0


async def test_an_existing_key_is_replaced_but_never_becomes_ours(world: World) -> None:
    """With Replace what was there before us is brought in line, and is not counted among what this job created."""
    await world.put("dst", "app/a", {"x": "before us"})
    await _synced_partly(world)
    assert await world.get("dst", "app/a") == {"x": "1"}
    assert not world.state()["dst", "app/a"].owned


async def _synced_partly(world: World) -> None:
    world.job(APP, writePolicy="Replace")
    await world.put("src", "app/a", {"x": "1"})
    assert counted(await world.sync()) == {"updated": 1}


async def test_verify_compares_although_versions_match(world: World) -> None:
    """With ``verify`` every value is read, and still nothing is written or recorded where they are the same."""
    await _synced(world)
    before = len(world.records())
    report = await world.sync(verify=True)
    assert (counted(report), wrote(report)) == ({"unchanged": 2}, 0)
    assert report.requests["dst"]["read"] == 2
    assert len(world.records()) == before + 2  # the run's beginning and end


async def test_nothing_found_is_a_warning(world: World) -> None:
    """A query without a match warns and is no failure."""
    world.job(APP)
    report = await world.sync()
    assert report.ok
    assert report.warnings == ["item app: the query for app/ in src matches nothing"]


async def test_nothing_found_beside_folders_names_recursive(world: World) -> None:
    """Where the listing has shown that there is more below, the warning says what to set, at no request more."""
    world.files("files")
    for source in ("src", "files"):
        await world.seed(source, {"app/deep/a": {"x": "1"} if source == "src" else b"1"})
        costs = []
        for path, told in (("app", ": there are folders below, which recursive: true searches too"), ("none", "")):
            world.job(f"- {{name: all, query: {{path: {path}}}}}", source=source)
            report = await world.sync()
            assert report.warnings == [f"item all: the query for {path}/ in {source} matches nothing{told}"]
            costs.append(report.requests[source])
        assert costs[0]["list"] <= costs[1]["list"] + (source == "files")  # what is not there is not walked
        world.job(f"- {{name: all, query: {{path: {path}, recursive: true}}}}", source=source)
        assert (await world.sync()).warnings == [f"item all: the query for {path}/ in {source} matches nothing"]


async def test_only_what_names_a_folder_is_told_of_recursive(world: World) -> None:
    """With globs for keys recursive would be an error; excludes leave a folder a folder."""
    world.files("files")
    other = "; its path names keys: end it with / for what is in such folders, or with /** for all that is below them"
    deeper = ": there are folders below, which recursive: true searches too"
    for source in ("src", "files"):
        await world.seed(source, {"app/deep/a": {"x": "1"} if source == "src" else b"1"})
        for query, told in (
            ("path: 'app/x*'", f"app/x* in {source} matches nothing{other}"),
            ("path: app, exclude: [app/x]", f"app/ in {source} matches nothing{deeper}"),
        ):
            world.job(f"- {{name: all, query: {{{query}}}}}", source=source)
            assert (await world.sync()).warnings == [f"item all: the query for {told}"]


async def test_a_missing_secret_fails_its_item_only(world: World) -> None:
    """A static key that the source does not have is refused by name; the rest is copied."""
    await world.put("src", "app/a", {"x": "1"})
    world.job(APP + "\n- {name: one, secret: {key: nope}}")
    report = await world.sync()
    assert counted(report) == {"created": 1, "refused": 1}
    assert reasons(report.failures) == {"nope": "not-found"}
    assert not report.ok


async def test_one_failure_does_not_stop_the_others(world: World) -> None:
    """A template that cannot be filled stops its own key: unsent, named, and the rest arrives."""
    await world.seed("src", {"app/a": {"x": "1"}, "app/b": {"y": "2"}})
    world.job(APP[:-1] + ", valueTransform: [{template: {data: {z: '{{ x }}'}}}]}")
    report = await world.sync()
    assert counted(report) == {"created": 1, "failed": 1}
    (failure,) = report.failures
    assert (failure.change.key, failure.code) == ("app/b", "transform-failed")
    assert await world.all("dst") == {"app/a": {"z": "1"}}
    assert counted(await world.sync()) == {"unchanged": 1, "failed": 1}


async def test_a_renamed_item_keeps_its_keys(world: World) -> None:
    """A new name for an item costs one comparison and no write, and the ledger learns the name."""
    await _synced(world)
    world.job(APP.replace("name: app", "name: new"))
    assert wrote(await world.sync()) == 0
    assert {held.item for held in world.state().values()} == {"new"}
    assert "read" not in (await world.sync()).requests["dst"]


async def test_two_sources_for_one_key_refuse_both_and_no_others(world: World) -> None:
    """Of two secrets for one key neither is copied, and what one of them was before stays; the others go on."""
    world.job(APP[:-1] + ", keyTransform: [{regexp: {source: '^app/[ab]$', target: one}}]}", deletionPolicy="Delete")
    await world.seed("src", {"app/a": {"x": "1"}, "app/c": {"x": "3"}})
    await world.sync()
    await world.seed("src", {"app/b": {"x": "2"}, "app/d": {"x": "4"}})
    for verify in (False, True):
        planned = await world.plan(verify=verify)
        refused = [change for change in planned.changes if change.action is Action.REFUSE]
        assert sorted((change.key, change.reason.value) for change in refused) == [
            ("app/a", "ambiguous"),
            ("app/b", "ambiguous"),
        ]
        assert {change.detail for change in refused} == {
            "one is claimed by item app (src:app/a), and by item app (src:app/b)"
        }
    report = await world.sync()
    assert counted(report) == {"refused": 2, "created": 1, "unchanged": 1}
    assert await world.all("dst") == {"one": {"x": "1"}, "app/c": {"x": "3"}, "app/d": {"x": "4"}}
    await world.remove("src", "app/b")
    assert counted(await world.sync()) == {"unchanged": 3}
    assert world.sound()


async def test_odd_source_keys_are_copied_under_good_names(world: World) -> None:
    """A source key with a line break fails nobody: a transform gives it a name that is fine."""
    await world.seed("src", {"app/a\nb": {"x": "1"}, "app/c": {"x": "2"}})
    world.job(APP[:-1] + ", keyTransform: [{regexp: {source: '\\s', target: '-'}}]}")
    assert counted(await world.sync()) == {"created": 2}
    assert set(await world.all("dst")) == {"app/a-b", "app/c"}


async def test_a_key_that_the_ledger_cannot_name_is_refused_alone(world: World) -> None:
    """A destination key with a control character is refused, and the rest arrives."""
    await world.seed("src", {"app/a\nb": {"x": "1"}, "app/c": {"x": "2"}})
    world.job(APP)
    report = await world.sync()
    assert counted(report) == {"created": 1, "refused": 1}
    assert reasons(report.failures) == {"app/a\nb": "invalid-key"}


async def test_files_are_blobs_and_behave_the_same(world: World) -> None:
    """From fields to files and back: JSON objects, plain texts, and nothing to do on the second run."""
    world.files("dst")
    world.store("back")
    world.job(APP)
    await world.seed("src", {"app/a": {"x": "1", "n": 2}, "app/b": {"value": "plain"}})
    assert counted(await world.sync()) == {"created": 2}
    assert await world.all("dst") == {"app/a": b'{"n":2,"x":"1"}', "app/b": b"plain"}
    assert (await world.sync()).requests["dst"] == {"stat": 1}
    world.job(APP, source="dst", dest="back")
    await world.sync()
    assert await world.all("back") == await world.all("src")


async def test_plan_says_the_same(world: World) -> None:
    """A plan names every key with what a sync would do to it."""
    await _synced(world)
    await world.put("src", "app/a", {"x": "new"})
    await world.put("src", "app/c", {"x": "3"})
    assert actions(await world.plan()) == {"app/a": "update", "app/b": "unchanged", "app/c": "create"}
