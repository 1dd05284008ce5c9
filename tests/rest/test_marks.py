"""Marks in a field of the service's own: who created a secret is seen there, and kept to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from run.world import actions, counted
from support.rest.described import MARKED, MARKED_BY_ID

from secretsync_core.stores.rest.marks import mark_at, text_of_mark

if TYPE_CHECKING:
    from run.world import World
    from support.rest.inhouse import InHouse, Secret

    from rest.conftest import Section

PLAN = "- {name: all, query: {recursive: true}}"
DELETES = {"deletionPolicy": "Delete", "maxDelete": "100%"}


def one(inhouse: InHouse, name: str) -> Secret:
    """What the service has under a name."""
    return next(each for each in inhouse.teams["web"].values() if each.name == name)


@pytest.fixture(params=[MARKED, MARKED_BY_ID], ids=["read", "by id"])
def dst(request: pytest.FixtureRequest, world: World, inhouse: InHouse, section: Section) -> InHouse:
    """The service, to which the world's job copies."""
    world.store("dst", f"http: {json.dumps(section(request.param))}")
    world.job(PLAN, **DELETES)
    return inhouse


async def test_what_is_created_is_marked_and_stays_so(world: World, dst: InHouse) -> None:
    """In the request that creates it, also once it is updated; an update of others' marks nothing."""
    dst.put("theirs", "x")
    await world.seed("src", {"db": {"value": "1"}, "theirs": {"value": "y"}})
    world.job(PLAN, writePolicy="Replace", **DELETES)
    assert counted(await world.sync()) == {"created": 1, "updated": 1}
    assert "secretsync.io/owner=job." in one(dst, "db").comment
    assert dst.count("^(POST|PATCH|PUT)") == 2
    comment = one(dst, "db").comment
    await world.put("src", "db", {"value": "2"})
    assert counted(await world.sync()) == {"updated": 1, "unchanged": 1}
    assert mark_at("$", comment) == mark_at("$", one(dst, "db").comment) != ""
    assert one(dst, "theirs").comment == ""
    assert counted(await world.sync()) == {"unchanged": 2}


async def test_what_carries_anothers_mark_is_not_deleted(world: World, dst: InHouse) -> None:
    """The service itself says that somebody else has it now, whatever our ledger says."""
    await world.seed("src", {"db": {"value": "1"}, "gone": {"value": "1"}})
    await world.sync()
    one(dst, "db").comment = "ours: secretsync.io/owner=other.0123456789abcdef"
    await world.remove("src", "db")
    await world.remove("src", "gone")
    report = await world.sync()
    assert not report.ok
    assert dst.held() == {"db": "1"}


async def test_what_is_taken_over_is_marked(world: World, dst: InHouse) -> None:
    """By a request of its own, which leaves the value; then it is written, and is the job's."""
    dst.put("db", "theirs")
    await world.seed("src", {"db": {"value": "1"}})
    assert actions(await world.plan()) == {"db": "refuse"}
    assert not (await world.sync()).ok
    assert (await world.sync(adopt=["db"])).ok
    assert dst.held() == {"db": "1"}
    assert "secretsync.io/owner=job." in one(dst, "db").comment
    assert counted(await world.sync()) == {"unchanged": 1}
    await world.remove("src", "db")
    assert (await world.sync()).ok
    assert dst.held() == {}


async def test_without_marks_nothing_is_said_there(world: World, dst: InHouse) -> None:
    """With ownership.mark: false a document's placeholder stands for nothing."""
    await world.seed("src", {"db": {"value": "1"}})
    world.job(PLAN, ownership="{mark: false}", **DELETES)
    assert (await world.sync()).ok
    assert "secretsync" not in one(dst, "db").comment


@pytest.mark.parametrize(
    ("path", "answer", "mark"),
    [
        ("$.c", {"c": "secretsync.io/owner=a.0f"}, "a.0f"),
        ("$.c", {"c": "Ask (secretsync.io/owner=a.0f), please"}, "a.0f"),
        ("$.tags[*]", {"tags": ["x", 7, None, "secretsync.io/owner=a.0f"]}, "a.0f"),
        ("$.tags[*].v", {"tags": [{"v": "secretsync.io/owner=a.0f"}, {"v": "b"}]}, "a.0f"),
        ("$.c", {}, ""),
        ("$.c.d", {"c": None}, ""),
        ("$.c", {"c": {"secretsync.io/owner=a": 1}}, ""),
        ("$.c", {"c": "secretsync.io/owner="}, ""),
        ("$.c", {"c": f"secretsync.io/owner={'a' * 64}"}, ""),
        ("$.c", {"c": "notsecretsync.io/owner=a"}, ""),
        ("$.c", {"c": "secretsync.io/owner=a secretsync.io/owner=a"}, "a"),
        ("$.c", {"c": "secretsync.io/owner=a secretsync.io/owner=b"}, "a,b"),
    ],
)
def test_a_mark_says_itself_what_it_is(path: str, answer: Any, mark: str) -> None:
    """Among other words and tags; what is not there, or no text, is no mark, and of two that differ none is ours."""
    assert mark_at(path, answer) == mark


def test_a_mark_is_found_as_it_was_written() -> None:
    """And none is nothing at all."""
    assert mark_at("$", f"x {text_of_mark('job.5f0c')}") == "job.5f0c"
    assert text_of_mark("") == ""


def test_marks_that_differ_stay_so_when_they_are_repeated() -> None:
    """An update repeats what is there: of two marks it must not make one, which would be somebody's again."""
    found = mark_at("$", "secretsync.io/owner=job.5f0c secretsync.io/owner=other.0f")
    assert mark_at("$", text_of_mark(found)) == found == "job.5f0c,other.0f"
