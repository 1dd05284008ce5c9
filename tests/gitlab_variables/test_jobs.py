"""Whole SyncJobs with GitLab as the destination, and as the source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from run.world import World, actions, counted, reasons, wrote
from support.gitlab.refusals import not_found

from secretsync_core.errors import DocumentError

if TYPE_CHECKING:
    from support.gitlab.holders import Holder
    from support.gitlab.service import GitLab

    from gitlab_variables.conftest import Section

PLAN = """
- name: all
  query: {recursive: true}
  keyTransform: [{case: Upper}, {replace: {characters: "/.-", with: _}}]
"""
ONE, TWO, THREE = ({"value": f"value-number-{number}"} for number in (1, 2, 3))


@pytest.fixture
def project(gitlab: GitLab, world: World, section: Section) -> Holder:
    """The variables of acme/app, to which the world's job copies."""
    world.store("dst", f"gitlabVariables: {json.dumps(section())}")
    world.job(PLAN, deletionPolicy="Delete", maxDelete="100%")
    return gitlab.holders.project("acme/app")


async def test_plan_sync_and_nothing_to_do(world: World, gitlab: GitLab, project: Holder) -> None:
    """What is copied arrives masked and marked; a run in which nothing changed reads each value, and writes nothing."""
    await world.seed("src", {"app/token": ONE, "app/db.main": {"user": "u", "pass": "p"}})
    planned = await world.plan()
    assert actions(planned) == {"APP_TOKEN": "create", "APP_DB_MAIN": "create"}
    assert project.variables == []
    assert (await world.sync()).ok
    held = project.values()
    assert (held["APP_TOKEN"], json.loads(held["APP_DB_MAIN"])) == (ONE["value"], {"user": "u", "pass": "p"})
    assert all(
        each.masked and each.raw and "secretsync.io/owner=" in (each.description or "") for each in project.variables
    )
    gitlab.requests.clear()
    again = await world.sync()
    assert again.ok
    assert wrote(again) == 0
    assert gitlab.count() == gitlab.count("^GET") == 4, "the project, a listing, and two values"
    assert (await world.check()).ok


async def test_drift_shows_by_the_value(world: World, project: Holder) -> None:
    """What somebody changes or deletes at GitLab is seen and written again."""
    await world.seed("src", {"a": ONE, "b": ONE, "c": ONE})
    assert (await world.sync()).ok
    project.get("A").value = "theirs-since"
    project.remove("B")
    assert reasons((await world.check()).drifted) == {"A": "drifted", "B": "removed-outside"}
    assert (await world.sync()).ok
    assert project.values() == dict.fromkeys("ABC", ONE["value"])


async def test_only_what_is_ours_and_as_we_left_it_is_deleted(world: World, project: Holder) -> None:
    """What left the source goes; what others have written there, or over ours, and other scopes, stay."""
    project.put("THEIRS", "theirs")
    project.put("A", "of another scope", environment_scope="production")
    await world.seed("src", {"a": ONE, "b": ONE, "c": ONE})
    assert (await world.sync()).ok
    for key in ("a", "b"):
        await world.remove("src", key)
    project.get("B").value = "written by others since"
    report = await world.sync()
    assert counted(report)["deleted"] == 1
    assert project.values() == {"THEIRS": "theirs", "B": "written by others since", "C": ONE["value"]}
    assert project.values("production") == {"A": "of another scope"}


async def test_what_is_not_ours_is_refused_until_it_is_adopted(world: World, project: Holder) -> None:
    """A variable that was there is not overwritten; IfNotExists leaves it, --adopt takes it over and marks it."""
    project.put("A", "theirs")
    await world.seed("src", {"a": ONE})
    report = await world.sync()
    assert not report.ok
    assert reasons(report.failures) == {"A": "not-managed"}
    world.job(PLAN, writePolicy="IfNotExists")
    assert (await world.sync()).ok
    assert project.values() == {"A": "theirs"}
    world.job(PLAN)
    assert (await world.sync(adopt=["A"])).ok
    assert project.values() == {"A": ONE["value"]}
    assert "secretsync.io/owner=" in (project.get("A").description or "")


async def test_a_lost_ledger_and_the_mark(world: World, project: Holder) -> None:
    """What carries the job's mark is updated, and not deleted; what carries none is refused."""
    await world.seed("src", {"a": ONE, "b": ONE})
    assert (await world.sync()).ok
    project.get("B").description = None
    world.ledger.close()
    for kept in world.path.glob("ledger.db*"):
        kept.unlink()
    world.ledger = world.another_ledger()
    await world.put("src", "a", TWO)
    await world.put("src", "b", TWO)
    report = await world.sync()
    assert reasons(report.failures) == {"B": "not-managed"}
    assert project.values() == {"A": TWO["value"], "B": ONE["value"]}


async def test_settings_are_reconciled(world: World, project: Holder, section: Section) -> None:
    """A document that asks for other settings changes them, without the value; what is right is left alone."""
    project.put("THEIRS", "theirs")
    await world.seed("src", {"a": ONE})
    assert (await world.sync()).ok
    given = section(visibility="Visible", protected=True, type="File", description="from the vault", raw=False)
    world.store("dst", f"gitlabVariables: {json.dumps(given)}")
    planned = await world.plan()
    (change,) = [each for each in planned.changes if each.action.value != "unchanged"]
    assert set(change.metadata) == {"description", "masked", "protected", "raw", "variable type"}
    assert (await world.sync()).ok
    there = project.get("A")
    assert (there.masked, there.protected, there.variable_type, there.raw) == (False, True, "file", False)
    assert (there.description or "").startswith("from the vault [secretsync.io/owner=")
    assert wrote(await world.sync()) == 0
    there = project.get("A")
    there.protected = False
    assert counted(await world.sync()) == {"updated": 1}
    assert project.get("A").protected
    assert (project.get("THEIRS").protected, project.get("THEIRS").description) == (False, None)


async def test_a_plan_refuses_what_gitlab_would(world: World, project: Holder, section: Section) -> None:
    """Names with the keyTransform that mends them, and values that cannot be masked, with what to do."""
    await world.seed(
        "src", {"short": {"value": "x"}, "pem": {"value": "a\nb\nc\nd\ne"}, "empty": {"value": ""}, "a-b": ONE}
    )
    refused = {change.key: change.detail for change in (await world.plan()).changes if change.action.value == "refuse"}
    assert refused.keys() == {"SHORT", "PEM", "EMPTY"}
    assert "visibility: Visible" in refused["PEM"]
    report = await world.sync()
    assert {outcome.change.key for outcome in report.failures} == refused.keys()
    assert project.values() == {"A_B": ONE["value"]}
    world.job("- {name: all, query: {}}")
    plain = {change.key: change.detail for change in (await world.plan()).changes if change.action.value == "refuse"}
    assert "case: Upper" in plain["a-b"]
    world.store("dst", f"gitlabVariables: {json.dumps(section(visibility='Visible'))}")
    world.job(PLAN)
    assert set(reasons((await world.sync()).failures)) == {"EMPTY"}


async def test_writes_whose_answers_are_lost_are_found_out(world: World, gitlab: GitLab, project: Holder) -> None:
    """A variable that is there although nobody heard of it is the job's own: created once, updated, and deleted."""
    for method, value in (("POST", ONE), ("PUT", TWO)):
        await world.seed("src", {"a": value})
        gitlab.lose(f"^{method}")
        await world.sync()
        assert (await world.sync()).ok
        assert project.values() == {"A": value["value"]}
        assert (await world.check()).ok
    await world.remove("src", "a")
    gitlab.lose("^DELETE")
    await world.sync()
    await world.sync()
    assert project.variables == []
    assert gitlab.count("^POST") <= 2


async def test_what_a_run_wrote_is_undone(world: World, project: Holder) -> None:
    """What it created goes, unless somebody changed it since; GitLab has no former values, and the undo says so."""
    await world.seed("src", {"a": ONE})
    assert (await world.sync()).ok
    await world.seed("src", {"a": TWO, "b": ONE, "c": ONE})
    run = (await world.sync()).run
    project.get("C").value = "theirs-since"
    undone = await world.undo(run)
    assert set(reasons(undone.failures)) == {"A", "C"}
    assert project.values() == {"A": TWO["value"], "C": "theirs-since"}


async def test_variables_come_back(world: World, gitlab: GitLab, section: Section, project: Holder) -> None:
    """Variables are a source: what was copied to them is copied on, a change too, and a hidden one is an error."""
    await world.seed("src", {"a": ONE, "b": {"user": "u"}})
    assert (await world.sync()).ok
    world.store("vars", f"gitlabVariables: {json.dumps(section())}")
    world.store("back", "memory: {}")
    world.job("- {name: all, query: {}}", source="vars", dest="back", deletionPolicy="Delete", maxDelete="100%")
    assert (await world.sync()).ok
    assert await world.all("back") == {"A": ONE, "B": {"user": "u"}}
    project.get("A").value = TWO["value"]
    assert (await world.sync()).ok
    assert await world.get("back", "A") == TWO
    hidden = project.get("A")
    hidden.hidden = hidden.masked = True
    report = await world.sync()
    assert not report.ok
    assert await world.all("back") == {"A": TWO, "B": {"user": "u"}}
    gitlab.refuse("/variables", not_found("Project"))
    assert "deleted" not in counted(await world.sync())
    assert set(await world.all("back")) == {"A", "B"}


@pytest.fixture
def hidden(project: Holder, world: World, section: Section) -> Holder:
    """The same, for variables that are hidden."""
    world.store("dst", f"gitlabVariables: {json.dumps(section(visibility='Hidden'))}")
    return project


async def test_hidden_variables_are_written_and_claimed_no_more_of(
    world: World, gitlab: GitLab, hidden: Holder
) -> None:
    """New values go there, and old ones are not written again; what others changed is not seen, and stays unclaimed."""
    await world.seed("src", {"a": ONE, "b": ONE})
    gitlab.lose("^POST")  # the mark tells then whose it is
    await world.sync()
    assert (await world.sync()).ok
    assert all(each.hidden for each in hidden.variables)
    gitlab.requests.clear()
    again = await world.sync()
    assert (again.ok, wrote(again)) == (True, 0)
    assert gitlab.count() == gitlab.count("^GET")
    await world.put("src", "a", TWO)
    assert wrote(await world.sync()) == 1
    assert hidden.values() == {"A": TWO["value"], "B": ONE["value"]}
    hidden.get("B").value = "theirs-since"
    hidden.remove("A")
    assert reasons((await world.check()).drifted) == {"A": "removed-outside"}
    assert (await world.sync()).ok
    assert hidden.values() == {"A": TWO["value"], "B": "theirs-since"}


async def test_nothing_hidden_is_deleted_or_taken(world: World, hidden: Holder) -> None:
    """Nothing proves that a hidden variable is as it was left, or whose one is that was there."""
    hidden.put("C", "theirs-and-hidden", masked=True, hidden=True)
    hidden.put("D", "theirs-and-readable")
    await world.seed("src", {"a": ONE})
    assert (await world.sync()).ok
    await world.remove("src", "a")
    report = await world.sync()
    assert reasons(report.failures) == {"A": "cannot-see"}
    await world.seed("src", {"a": ONE, "c": ONE, "d": ONE})
    assert reasons((await world.sync()).failures) == {"C": "not-managed", "D": "not-managed"}
    report = await world.sync(adopt=["D"])
    assert set(reasons(report.failures)) == {"C", "D"}
    assert hidden.values() == {"A": ONE["value"], "C": "theirs-and-hidden", "D": "theirs-and-readable"}


async def test_a_variable_of_ours_that_is_to_be_hidden_is_told(
    world: World, gitlab: GitLab, project: Holder, section: Section
) -> None:
    """What the job made readable cannot be hidden: plan and sync refuse it with what to do, and write nothing."""
    await world.seed("src", {"a": ONE})
    assert (await world.sync()).ok
    world.store("dst", f"gitlabVariables: {json.dumps(section(visibility='Hidden'))}")
    gitlab.requests.clear()
    (change,) = (await world.plan()).changes
    assert (change.action.value, change.reason.value) == ("refuse", "invalid-secret")
    assert "delete it there" in change.detail
    report = await world.sync()
    assert reasons(report.failures) == {"A": "invalid-secret"}
    assert gitlab.count() == gitlab.count("^GET")
    project.remove("A")
    assert (await world.sync()).ok
    assert project.get("A").hidden


async def test_hidden_variables_are_no_source(world: World, hidden: Holder, section: Section) -> None:
    """Nobody can read them: the documents are refused, by file and line."""
    world.store("src", f"gitlabVariables: {json.dumps(section(visibility='Hidden'))}")
    world.store("dst", "memory: {}")
    world.job("- {name: all, query: {}}")
    with pytest.raises(DocumentError) as refused:
        await world.plan()
    (problem,) = refused.value.problems
    assert problem.message == "spec.source names src, which shows no values"


async def test_what_cannot_be_masked_any_more_is_told_by_the_plan(
    world: World, project: Holder, section: Section
) -> None:
    """A document that asks for masking where a value is there that cannot be: the plan says so, as the sync does."""
    world.store("dst", f"gitlabVariables: {json.dumps(section(visibility='Visible'))}")
    await world.seed("src", {"a": {"value": "short"}, "b": ONE})
    assert (await world.sync()).ok
    world.store("dst", f"gitlabVariables: {json.dumps(section())}")
    planned = actions(await world.plan())
    report = await world.sync()
    assert planned == {"A": "refuse", "B": "update"}
    assert set(reasons(report.failures)) == {"A"}
    assert [project.get(key).masked for key in "AB"] == [False, True]
