"""Whole SyncJobs with GitHub as the destination, and with its variables as the source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from run.world import World, actions, counted, reasons, wrote
from support.github.refusals import not_found, secondary_limit

from secretsync_core.errors import DocumentError

if TYPE_CHECKING:
    from support.github.service import GitHub
    from support.github.shelves import Shelf

    from github.conftest import Section

PLAN = """
- name: all
  query: {recursive: true}
  keyTransform: [{case: Upper}, {replace: {characters: "/.-", with: _}}]
"""


@pytest.fixture
def shelf(github: GitHub, world: World, section: Section) -> Shelf:
    """The secrets of acme/app, to which the world's job copies."""
    world.store("dst", f"githubSecrets: {json.dumps(section())}")
    world.job(PLAN, deletionPolicy="Delete", maxDelete="100%")
    return github.accounts.repository("acme/app").shelf()


async def test_plan_sync_and_nothing_to_do(world: World, github: GitHub, shelf: Shelf) -> None:
    """What is copied arrives as text; a run in which nothing changed asks twice and writes nothing."""
    await world.seed("src", {"app/token": {"value": "t"}, "app/db.main": {"user": "u", "pass": "p"}})
    planned = await world.plan()
    assert actions(planned) == {"APP_TOKEN": "create", "APP_DB_MAIN": "create"}
    assert shelf.held == {}
    assert (await world.sync()).ok
    held = shelf.values()
    assert (held["APP_TOKEN"], json.loads(held["APP_DB_MAIN"])) == ("t", {"user": "u", "pass": "p"})
    github.requests.clear()
    again = await world.sync()
    assert again.ok
    assert wrote(again) == 0
    assert github.count() == 2
    assert (await world.check()).ok


async def test_a_new_value_is_written_and_an_old_one_is_not(world: World, shelf: Shelf) -> None:
    """The ledger knows what was written: only what differs goes there, though nobody can read what is there."""
    await world.seed("src", {"a": {"value": "1"}, "b": {"value": "1"}})
    assert (await world.sync()).ok
    await world.put("src", "a", {"value": "2"})
    await world.put("src", "b", {"value": "1"})
    report = await world.sync()
    assert report.ok
    assert wrote(report) == 1
    assert shelf.values() == {"A": "2", "B": "1"}


async def test_drift_shows_by_the_time(world: World, shelf: Shelf) -> None:
    """What somebody writes or deletes at GitHub is seen and written again; within one second it is not seen."""
    await world.seed("src", {"a": {"value": "1"}, "b": {"value": "1"}})
    assert (await world.sync()).ok
    shelf.put("A", "theirs")
    shelf.remove("B")
    assert reasons((await world.check()).drifted) == {"A": "drifted", "B": "removed-outside"}
    assert (await world.sync()).ok
    assert shelf.values() == {"A": "1", "B": "1"}
    shelf.held["A"].value = "theirs, at the very second"
    assert (await world.check()).ok


async def test_only_what_is_ours_is_deleted(world: World, shelf: Shelf) -> None:
    """What left the source goes; what others have written there, or over ours, stays."""
    shelf.put("THEIRS", "x")
    await world.seed("src", {"a": {"value": "1"}, "b": {"value": "1"}, "c": {"value": "1"}})
    assert (await world.sync()).ok
    for key in ("a", "b"):
        await world.remove("src", key)
    shelf.put("B", "written by others since")
    report = await world.sync()
    assert counted(report)["deleted"] == 1
    assert shelf.values() == {"THEIRS": "x", "B": "written by others since", "C": "1"}


async def test_what_is_not_ours_is_refused_until_it_is_adopted(world: World, shelf: Shelf) -> None:
    """A secret that was there is neither read nor overwritten; IfNotExists leaves it, --adopt takes it over."""
    shelf.put("A", "theirs")
    await world.seed("src", {"a": {"value": "1"}})
    report = await world.sync()
    assert not report.ok
    assert reasons(report.failures) == {"A": "not-managed"}
    world.job(PLAN, writePolicy="IfNotExists")
    assert (await world.sync()).ok
    assert shelf.values() == {"A": "theirs"}
    world.job(PLAN)
    assert (await world.sync(adopt=["A"])).ok
    assert shelf.values() == {"A": "1"}


async def test_a_plan_refuses_what_github_would(world: World, shelf: Shelf) -> None:
    """Names with the keyTransform that mends them, keys that become one, values that do not fit, a full repository."""
    await world.seed("src", {"Ok": {"value": "1"}, "large": {"value": "x" * 50_000}, "github/x": {"value": "1"}})
    await world.seed("src", {"empty": {"value": ""}, "a-b": {"value": "1"}, "a_b": {"value": "1"}})
    refused = {change.key: change.detail for change in (await world.plan()).changes if change.action.value == "refuse"}
    assert refused.keys() == {"LARGE", "GITHUB_X", "EMPTY", "a-b", "a_b"}
    assert "belong to GitHub" in refused["GITHUB_X"]
    world.job("- {name: all, query: {}}")
    plain = {change.key: change.detail for change in (await world.plan()).changes if change.action.value == "refuse"}
    assert "case: Upper" in plain["Ok"]
    for number in range(100):
        shelf.put(f"K{number}", "x")
    world.job(PLAN)
    full = {change.key: change.detail for change in (await world.plan()).changes if change.action.value == "refuse"}
    assert "GitHub allows 100" in full["OK"]
    assert len(shelf.held) == 100


async def test_variables_come_back(world: World, github: GitHub, section: Section) -> None:
    """Variables are a source: what was copied to them is copied on, and a change is found by its time."""
    world.store("vars", f"githubSecrets: {json.dumps(section(kind='Variables'))}")
    world.job(PLAN, dest="vars")
    await world.seed("src", {"a": {"value": "1"}, "b": {"user": "u"}})
    assert (await world.sync()).ok
    world.job("- {name: all, query: {}}", source="vars", dest="dst")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"A": {"value": "1"}, "B": {"user": "u"}}
    github.accounts.repository("acme/app").shelf("actions", "variables").put("A", "2")
    assert (await world.sync()).ok
    assert await world.get("dst", "A") == {"value": "2"}


async def test_a_repository_that_is_gone_deletes_nothing(world: World, github: GitHub, section: Section) -> None:
    """GitHub's 404 for a whole repository says nothing of a single variable: the copies stay."""
    world.store("src", f"githubSecrets: {json.dumps(section(kind='Variables'))}")
    repository = github.accounts.repository("acme/app")
    repository.shelf("actions", "variables").put("A", "1")
    world.job("- {name: all, query: {}}\n- {name: one, secret: {key: A}, keyTransform: [{prefix: one-}]}",
              deletionPolicy="Delete", maxDelete="100%")  # fmt: skip
    assert (await world.sync()).ok
    github.refuse("/variables", not_found())
    report = await world.sync()
    assert not report.ok
    assert "deleted" not in counted(report)
    github.heal()
    repository.shelf("actions", "variables").remove("A")
    assert counted(await world.sync())["deleted"] == 2


async def test_a_renamed_repository_keeps_what_the_ledger_knows(
    world: World, github: GitHub, section: Section, shelf: Shelf
) -> None:
    """Refused under the old name; under the new one nothing is copied again, and a namesake is another place."""
    await world.seed("src", {"a": {"value": "1"}})
    assert (await world.sync()).ok
    github.accounts.rename("acme/app", "acme/new")
    assert not (await world.sync()).ok
    world.store("dst", f"githubSecrets: {json.dumps(section(repository='acme/new'))}")
    report = await world.sync()
    assert report.ok, report.errors
    assert wrote(report) == 0
    assert shelf.values() == {"A": "1"}
    namesake = github.accounts.repository("acme/app")
    world.store("dst", f"githubSecrets: {json.dumps(section())}")
    refused = await world.sync()
    assert {error.code for error in refused.errors} == {"place-changed"}
    assert namesake.shelf().held == {}


async def test_secrets_are_no_source(world: World, section: Section) -> None:
    """Nobody can read them: the documents are refused, by file and line."""
    world.store("src", f"githubSecrets: {json.dumps(section())}")
    world.job("- {name: all, query: {}}")
    with pytest.raises(DocumentError) as refused:
        await world.plan()
    (problem,) = refused.value.problems
    assert problem.message == "spec.source names src, which shows no values"


async def test_a_look_after_a_write_that_fails_leaves_the_secret_ours(
    world: World, github: GitHub, shelf: Shelf
) -> None:
    """GitHub has said that it is written: that it then asks us to wait makes it nobody else's."""
    await world.seed("src", {"a": {"value": "1"}})
    github.before("^PUT ", lambda: github.refuse("^GET .*/secrets/A$", secondary_limit(3600)))
    assert counted(await world.sync()) == {"created": 1}
    github.heal()
    assert (await world.check()).ok
    await world.put("src", "a", {"value": "2"})
    assert counted(await world.sync()) == {"updated": 1}
    assert shelf.values() == {"A": "2"}


async def test_what_a_run_created_is_undone(world: World, shelf: Shelf) -> None:
    """GitHub has no former values, so that what it replaced stays, and the undo says so; so does what moved since."""
    await world.seed("src", {"a": {"value": "1"}})
    assert (await world.sync()).ok
    await world.seed("src", {"a": {"value": "2"}, "b": {"value": "1"}, "c": {"value": "1"}})
    run = (await world.sync()).run
    shelf.put("C", "theirs")
    undone = await world.undo(run)
    assert set(reasons(undone.failures)) == {"A", "C"}
    assert shelf.values() == {"A": "2", "C": "theirs"}
