"""Keys and values that stores get wrong, and the states that a secret can be in on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.slow import one_in

from secretsync_core.model.change import Action, Reason
from secretsync_core.model.report import Result
from survival.world import exit_code, failure

if TYPE_CHECKING:
    from survival.conftest import MakeWorld
    from survival.world import World

KEYS = (
    "with space", " around ", "two  spaces", "ünïcode/schlüssel/値/🔑", "e\u0301", "dots.in.it", ".hidden", "trailing.",
    "...", "100%", "a%2Fb", "%25", "plus+plus", "hash#tag", "what?x=1&y=2", "semi;colon", "quote'\"`", "back\\slash",
    "star*[a]{b}", "-dash", "~tilde", "$HOME", "UPPER/lower", "metadata/data", "config", "data/data/data", "l" * 200,
)  # fmt: skip

VALUES: dict[str, dict[str, Any]] = {
    "empty": {},
    "empty-text": {"value": ""},
    "nested": {"a": {"b": {"c": [1, [2, {"d": None}]]}}, "e": [], "f": {}},
    "not-text": {"yes": True, "no": False, "none": None, "one": 1, "zero": 0, "minus": -7, "half": 0.5},
    "text-like": {"true": "true", "null": "null", "number": "0012", "float": "1e5", "date": "2026-01-01"},
    "unicode": {"schlüssel": "値 🔑 Ω", "combining": "e\u0301", "nul": "a\u0000b", "lines": "a\r\nb\n\tc\u2028"},
    "names": {"": "empty", "a.b": "dot", "a/b": "slash", "$x": "dollar", "data": "d", "metadata": "m", "options": "o"},
    "templates": {"jinja": "{{ 7 * 7 }}", "percent": "%s %(x)s", "shell": "$(id) `id`"},
    "498-fields": {f"field-{number}": str(number) for number in range(498)},
    "large": {"value": "x" * 300_000},
}


@pytest.mark.parametrize(("source_kv", "dest_kv"), one_in(3, [(2, 2), (1, 2), (2, 1), (1, 1)]))
async def test_keys_and_values(make_world: MakeWorld, source_kv: int, dest_kv: int) -> None:
    """Odd keys and odd values are copied exactly, and a second sync finds nothing to do."""
    world = make_world(source_kv, dest_kv)
    for number, key in enumerate(KEYS):
        world.source.put(key, {"number": str(number)})
    values = {name: value for name, value in VALUES.items() if value or 1 not in (source_kv, dest_kv)}
    for name, fields in values.items():
        world.source.put(f"values/{name}", fields)
    report = await world.sync()
    assert report.ok, (report.errors, report.failures)
    assert world.dest.contents() == world.source.contents()
    assert len(world.dest.contents()) == len(KEYS) + len(values)
    before = world.dest.versions() if dest_kv == 2 else {}
    report = await world.sync()
    assert report.total(Result.UNCHANGED) == len(KEYS) + len(values)
    assert "write" not in report.requests["dest"]
    assert (world.dest.versions() if dest_kv == 2 else {}) == before
    world.assert_sound()


async def test_keys_that_are_refused(world: World) -> None:
    """Keys that the destination cannot hold are refused in the plan, by name, and the others are copied."""
    world.source.fill(3, "good/")
    world.source.fill(3, "bad/")
    world.spec["plan"] = [
        {
            "name": "all",
            "query": {"path": "", "recursive": True},
            "keyTransform": [{"regexp": {"source": "^bad/(.*)$", "target": "../$1/"}}],
        }
    ]
    planned = await world.plan()
    refused = [change for change in planned.changes if change.action is Action.REFUSE]
    assert [change.key for change in refused] == ["../0000/", "../0001/", "../0002/"]
    assert {change.reason for change in refused} == {Reason.INVALID_KEY}
    assert all(change.detail for change in refused)
    report = await world.sync()
    assert report.total(Result.CREATED) == 3
    assert report.total(Result.REFUSED) == 3
    assert exit_code(report) == 1
    assert set(world.dest.contents()) == {"good/0000", "good/0001", "good/0002"}


@pytest.mark.parametrize("kv", [1, 2])
async def test_most_fields(make_world: MakeWorld, kv: int) -> None:
    """The most fields that a server takes are copied, though compare-and-set does not fit beside them."""
    world = make_world(dest_kv=kv)
    world.source.put("many", {f"field-{number}": str(number) for number in range(499)})
    assert (await world.sync()).ok
    assert world.dest.contents() == world.source.contents()


async def test_too_many_fields(world: World) -> None:
    """A secret with more fields than the server takes fails alone, with words that say why."""
    for half in "ab":
        world.source.put(f"half/{half}", {f"{half}{number}": "x" for number in range(300)})
    world.source.fill(3)
    world.spec["plan"] = [
        {"name": "all", "query": {"path": "app/"}},
        {"name": "both", "combine": [{"name": "all", "query": {"path": "half/"}}], "key": "joined"},
    ]
    report = await world.sync()
    assert report.total(Result.CREATED) == 3
    assert failure(report, "joined").code == "invalid-secret"
    assert "too many fields" in failure(report, "joined").message
    world.assert_sound()


async def test_empty_store(world: World) -> None:
    """An empty source is no error, and a warning says that nothing was found."""
    world.spec |= {"deletionPolicy": "Delete", "maxDelete": "100%"}
    world.dest.fill(2, "foreign/")
    report = await world.sync()
    assert report.ok
    assert len(report.warnings) == 1
    assert "matches nothing" in report.warnings[0]
    assert len(world.dest.contents()) == 2


async def test_deleted_and_destroyed_at_the_source(world: World) -> None:
    """A deleted or destroyed version at the source is as good as none: an error where it is named, else left out."""
    keys = world.source.fill(3)
    world.source.delete(keys[0])
    world.source.api.call("PUT", f"{world.source.mount}/destroy/{keys[1]}", {"versions": [1]})
    report = await world.sync()
    assert report.ok
    assert set(world.dest.contents()) == {keys[2]}
    world.spec["plan"] = [{"name": f"item-{number}", "secret": {"key": key}} for number, key in enumerate(keys)]
    report = await world.sync()
    assert {outcome.change.key for outcome in report.failures} == set(keys[:2])
    assert {outcome.change.reason for outcome in report.failures} == {Reason.NOT_FOUND}
    assert exit_code(report) == 1


async def test_deleted_after_it_was_copied(world: World) -> None:
    """A version that is deleted at the source takes the copy with it only where the policy says so."""
    keys = world.source.fill(3)
    await world.sync()
    world.source.delete(keys[0])
    assert (await world.sync()).ok
    assert len(world.dest.contents()) == 3
    world.spec |= {"deletionPolicy": "Delete", "maxDelete": 1}
    report = await world.sync()
    assert report.total(Result.DELETED) == 1
    assert set(world.dest.contents()) == set(keys[1:])
    world.source.api.call("POST", f"{world.source.mount}/undelete/{keys[0]}", {"versions": [1]})
    report = await world.sync()
    assert report.total(Result.CREATED) == 1
    assert world.dest.versions()[keys[0]] == 2
    world.assert_sound()


@pytest.mark.parametrize("how", ["deleted", "destroyed", "forgotten"])
async def test_removed_at_the_destination(world: World, how: str) -> None:
    """A copy that somebody removed is drift, and is written again on top of what is left of it."""
    keys = world.source.fill(3)
    await world.sync()
    if how == "deleted":
        world.dest.delete(keys[0])
    elif how == "destroyed":
        world.dest.api.call("PUT", f"{world.dest.mount}/destroy/{keys[0]}", {"versions": [1]})
    else:
        world.dest.forget(keys[0])
    checked = await world.check()
    assert [change.key for change in checked.drifted] == [keys[0]]
    report = await world.sync()
    assert report.ok
    assert report.total(Result.CREATED) == 1
    assert [change.key for change in report.drifted] == [keys[0]]
    assert world.dest.contents() == world.source.contents()
    assert world.dest.versions()[keys[0]] == (1 if how == "forgotten" else 2)
    assert not (await world.check()).drifted


async def test_removed_before_the_first_sync(world: World) -> None:
    """A destination key that holds a deleted version of somebody else's is written with the right version."""
    keys = world.source.fill(1)
    for text in ("one", "two"):
        world.dest.put(keys[0], {"password": text})
    world.dest.delete(keys[0])
    report = await world.sync()
    assert report.total(Result.CREATED) == 1
    assert world.dest.versions() == {keys[0]: 3}


async def test_made_anew_with_the_same_number(world: World) -> None:
    """A secret that was deleted for good and made anew is noticed on either side, though its number is the same."""
    keys = world.source.fill(3)
    await world.sync()
    world.source.forget(keys[0])
    world.source.put(keys[0], {"password": "new"})
    report = await world.sync()
    assert report.total(Result.UPDATED) == 1
    assert world.dest.get(keys[0]) == {"password": "new"}
    world.dest.forget(keys[1])
    world.dest.put(keys[1], {"password": "somebody else's"})
    report = await world.sync()
    assert report.total(Result.UPDATED) == 1
    assert [change.key for change in report.drifted] == [keys[1]]
    assert world.dest.get(keys[1]) == world.source.get(keys[1])
