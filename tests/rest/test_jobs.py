"""Whole SyncJobs with a service that a document describes as the destination, and as the source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from run.world import World, actions, counted, reasons, wrote
from support.rest.described import ALL, BY_ID, FULL

from secretsync_core.errors import DocumentError, PlanRefused

if TYPE_CHECKING:
    from support.rest.inhouse import InHouse

    from rest.conftest import Section

PLAN = "- {name: all, query: {recursive: true}}"
DELETES = {"deletionPolicy": "Delete", "maxDelete": "100%"}
UPSERT = {
    "list": {"version": None}, "look": {"version": None}, "read": {"version": None}, "create": None, "update": None,
    "write": {"method": "POST", "path": ALL, "body": {"name": "{{ key }}", "value": "{{ value }}"}},
    "delete": {"headers": None},
}  # fmt: skip
"""Without versions. The service takes such a write for what is not there alone."""


@pytest.fixture
def dst(world: World, inhouse: InHouse, section: Section) -> InHouse:
    """The service, to which the world's job copies by ids, reading nothing."""
    world.store("dst", f"http: {json.dumps(section(BY_ID))}")
    world.job(PLAN, **DELETES)
    return inhouse


async def test_plan_sync_drift_delete_and_undo(world: World, dst: InHouse) -> None:
    """A plan writes nothing; what is copied arrives; what others change is drift; what leaves the source goes."""
    dst.put("theirs", "x")
    await world.seed("src", {"app/token": {"value": "t"}, "db": {"user": "u", "pass": "p"}})
    assert actions(await world.plan()) == {"app/token": "create", "db": "create"}
    assert dst.held() == {"theirs": "x"}
    first = await world.sync()
    assert first.ok, first.errors
    held = dst.held()
    assert (held["app/token"], json.loads(held["db"]), held["theirs"]) == ("t", {"user": "u", "pass": "p"}, "x")
    dst.requests.clear()
    again = await world.sync()
    assert (again.ok, wrote(again), dst.count(), dst.count("^(POST|PATCH|DELETE)")) == (True, 0, 2, 0)
    dst.put("db", "by hand")
    assert reasons((await world.check()).drifted) == {"db": "drifted"}
    await world.put("src", "app/token", {"value": "t2"})
    assert counted(await world.sync()) == {"updated": 2}
    assert dst.held()["app/token"] == "t2"
    await world.remove("src", "db")
    assert counted(await world.sync())["deleted"] == 1
    assert dst.held() == {"app/token": "t2", "theirs": "x"}
    assert (await world.undo(first.run)).ok is False  # what moved since stays, and the undo says so
    assert dst.held() == {"app/token": "t2", "theirs": "x"}


async def test_what_a_run_created_is_undone(world: World, dst: InHouse) -> None:
    """An undo deletes what the run created, by its id, and leaves what others have written over it since."""
    await world.seed("src", {"a": {"value": "1"}, "b": {"value": "1"}})
    run = (await world.sync()).run
    dst.put("b", "theirs")
    undone = await world.undo(run)
    assert set(reasons(undone.failures)) == {"b"}
    assert dst.held() == {"b": "theirs"}


async def test_what_somebody_made_anew_is_not_deleted(world: World, dst: InHouse) -> None:
    """The id that was looked at is the one that is changed: a namesake that came since is somebody else's."""
    await world.seed("src", {"a": {"value": "1"}, "b": {"value": "1"}})
    assert (await world.sync()).ok

    def anew(name: str) -> None:
        dst.remove(name)
        dst.add(name, "theirs")

    dst.before("^DELETE", lambda: anew("a"))
    await world.remove("src", "a")
    assert reasons((await world.sync()).failures) == {"a": "changed-outside"}
    anew("b")
    await world.remove("src", "b")
    assert reasons((await world.sync()).failures).keys() == {"a", "b"}
    assert dst.held() == {"a": "theirs", "b": "theirs"}


async def test_what_somebody_made_anew_and_was_written_over_stays_theirs(world: World, dst: InHouse) -> None:
    """The key is the job's to write; what others have created is not deleted as its own one day."""
    await world.seed("src", {"a": {"value": "1"}})
    assert (await world.sync()).ok
    dst.remove("a")
    dst.add("a", "theirs")
    assert counted(await world.sync()) == {"updated": 1}
    await world.remove("src", "a")
    await world.sync()
    assert dst.held() == {"a": "1"}


async def test_what_is_there_twice_is_left_alone(world: World, dst: InHouse) -> None:
    """Nobody can tell which of two is meant: neither is written, and neither is deleted."""
    await world.seed("src", {"a": {"value": "1"}, "b": {"value": "1"}})
    assert (await world.sync()).ok
    dst.add("a", "a second one")
    await world.put("src", "a", {"value": "2"})
    await world.remove("src", "b")
    report = await world.sync()
    assert not report.ok
    assert reasons(report.failures) == {"a": "cannot-see"}
    assert sorted(secret.value for secret in dst.teams["web"].values() if secret.name == "a") == ["1", "a second one"]
    await world.remove("src", "a")
    await world.sync()
    assert len([secret for secret in dst.teams["web"].values() if secret.name == "a"]) == 2


async def test_what_is_not_ours_is_refused_until_it_is_adopted(world: World, dst: InHouse) -> None:
    """A secret that was there is not overwritten; IfNotExists leaves it, --adopt takes it over."""
    dst.put("a", "theirs")
    await world.seed("src", {"a": {"value": "1"}})
    assert reasons((await world.sync()).failures) == {"a": "not-managed"}
    world.job(PLAN, writePolicy="IfNotExists")
    assert (await world.sync()).ok
    assert dst.held() == {"a": "theirs"}
    world.job(PLAN)
    assert (await world.sync(adopt=["a"])).ok
    assert dst.held() == {"a": "1"}


async def test_it_is_a_source_with_compare_and_set_at_the_other_end(
    world: World, inhouse: InHouse, section: Section
) -> None:
    """What is read is copied to another team; somebody's write between look and write wins; a change is found."""
    world.store("one", f"http: {json.dumps(section(FULL))}")
    world.store("two", f"http: {json.dumps(section(FULL, vars={'team': 'ops'}))}")
    world.job(PLAN, source="one", dest="two", **DELETES)
    inhouse.put("a", "1")
    inhouse.put("b", "1")
    assert (await world.sync()).ok
    assert inhouse.held("ops") == {"a": "1", "b": "1"}
    inhouse.put("a", "2")
    inhouse.remove("b")
    inhouse.before("^PUT .*/ops/", lambda: inhouse.put("a", "theirs", "ops"))
    inhouse.before("^DELETE .*/ops/", lambda: inhouse.put("b", "theirs", "ops"))
    report = await world.sync()
    assert reasons(report.failures) == {"b": "changed-outside"}
    assert inhouse.held("ops") == {"a": "2", "b": "theirs"}
    assert inhouse.count("^PUT .*/ops/") == 2, "what somebody wrote meanwhile was overwritten unseen"


async def test_a_listing_that_fails_or_is_another_one_deletes_nothing(
    world: World, inhouse: InHouse, section: Section
) -> None:
    """A 404 for the whole place, a page of something else, a listing that is cut short: the copies stay."""
    world.store("src", f"http: {json.dumps(section(FULL))}")
    world.job(f"{PLAN}\n- {{name: one, secret: {{key: a}}, keyTransform: [{{prefix: one-}}]}}", **DELETES)
    inhouse.put("a", "1")
    inhouse.put("b", "1")
    assert (await world.sync()).ok
    for status, body in (
        (404, b"{}"), (200, b"{}"), (200, b"<html>"), (200, b'{"secrets": null, "total": 0}'), (200, b"[]"),
        (200, b'{"secrets": [], "total": 2, "next": null}'), (200, b'{"secrets": {}, "next": null}'), (204, b""),
        (200, b'{"secrets": [{"name": "", "etag": "1"}], "total": 1, "next": null}'), (302, b""), (403, b"{}"),
    ):  # fmt: skip
        inhouse.answer("^GET ", status, body)
        report = await world.sync()
        assert not report.ok, (status, body)
        assert "deleted" not in counted(report)
        assert len(await world.all("dst")) == 3
        inhouse.heal()
    # A single key is believed to be absent only where the service still shows the place.
    inhouse.answer("^GET .*/a(/value)?$", 404)
    inhouse.answer("^GET .*/secrets($|\\?)", 500)
    assert "deleted" not in counted(await world.sync())


async def test_without_versions_values_are_compared(world: World, inhouse: InHouse, section: Section) -> None:
    """A service that shows values and no versions: what is as it was left is not written again."""
    world.store("dst", f"http: {json.dumps(section(FULL, **UPSERT))}")
    world.job(PLAN, **DELETES)
    await world.seed("src", {"a": {"value": "1"}, "b": {"value": "1"}})
    assert (await world.sync()).ok
    inhouse.requests.clear()
    report = await world.sync()
    assert (report.ok, wrote(report)) == (True, 0)
    inhouse.put("a", "by hand")
    assert reasons((await world.check()).drifted) == {"a": "drifted"}
    await world.remove("src", "b")
    await world.remove("src", "a")
    report = await world.sync()
    assert inhouse.held() == {"a": "by hand"}


async def test_a_create_whose_answer_is_lost_is_settled_by_a_look(
    world: World, inhouse: InHouse, section: Section
) -> None:
    """A POST that may have created is not sent twice, and what became of it is found out."""
    create = {"exists": None, "version": None}
    world.store("dst", f"http: {json.dumps(section(BY_ID, create=create))}")
    world.job(PLAN, **DELETES)
    await world.seed("src", {"a": {"value": "1"}})
    inhouse.answer("^POST", 502, does=True)
    await world.sync()
    assert inhouse.count("^POST") == 1
    assert inhouse.held() == {"a": "1"}
    inhouse.heal()
    await world.sync()
    assert inhouse.count("^POST") == 1
    assert inhouse.held() == {"a": "1"}


async def test_what_cannot_be_read_is_no_source(world: World, inhouse: InHouse, section: Section) -> None:
    """The documents are refused, by file and line."""
    world.store("src", f"http: {json.dumps(section(BY_ID))}")
    world.job(PLAN)
    with pytest.raises(DocumentError) as refused:
        await world.plan()
    (problem,) = refused.value.problems
    assert problem.message == "spec.source names src, which shows no values"


async def test_a_plan_refuses_what_the_document_says_that_the_service_would(
    world: World, inhouse: InHouse, section: Section
) -> None:
    """Names by the pattern and its rule, names that no service takes, sizes, empty values."""
    keys = {"pattern": "[A-Z_]+|.*%.*", "rule": "capital letters, by the rules of the house"}
    values = {"maxBytes": 10, "empty": False}
    world.store("dst", f"http: {json.dumps(section(FULL, keys=keys, values=values))}")
    world.job(PLAN)
    await world.seed("src", {"GOOD": {"value": "1"}, "bad": {"value": "1"}, "A%2FB": {"value": "1"}})
    await world.seed("src", {"LARGE": {"value": "x" * 11}, "EMPTY": {"value": ""}})
    refused = {change.key: change.detail for change in (await world.plan()).changes if change.action.value == "refuse"}
    assert refused.keys() == {"bad", "A%2FB", "LARGE", "EMPTY"}
    assert "rules of the house" in refused["bad"]
    assert "no key has a backslash, %" in refused["A%2FB"]


async def test_a_store_that_has_no_delete_deletes_nothing(world: World, inhouse: InHouse, section: Section) -> None:
    """What the document does not describe cannot be done: a plan that needs it is refused."""
    world.store("dst", f"http: {json.dumps(section(FULL, delete=None))}")
    world.job(PLAN, **DELETES)
    await world.seed("src", {"a": {"value": "1"}})
    with pytest.raises(PlanRefused, match="cannot delete"):
        await world.sync()
    world.job(PLAN)
    assert (await world.sync()).ok


async def test_queries_need_a_list(world: World, inhouse: InHouse, section: Section) -> None:
    """Without it keys are named one by one."""
    world.store("src", f"http: {json.dumps(section(FULL, list=None))}")
    world.job(PLAN)
    with pytest.raises(PlanRefused, match="cannot be listed"):
        await world.sync()
    inhouse.put("a", "1")
    world.job("- {secret: {key: a}}", **DELETES)
    assert (await world.sync()).ok
    assert await world.get("dst", "a") == {"value": "1"}
    inhouse.remove("a")
    assert counted(await world.sync())["deleted"] == 1
