"""A job never reads what it writes: the keys that a source would select are found, whatever the stores are called."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from run.making import plan_of
from secretsync_core.model.place import Place, place_of_name
from secretsync_core.run.feeding import Feeding, find_feeding

if TYPE_CHECKING:
    from collections.abc import Collection

TOP = Place("vault", "https://a:8200", "secret/")
PLACES = {
    "elsewhere": Place("vault", "https://b:8200", "secret/"),
    "same": TOP,
    "inner": Place("vault", "https://a:8200", "secret/copy/"),
    "outer": Place("vault", "https://a:8200", ""),
    "neighbour": Place("vault", "https://a:8200", "secret/cop/"),
}


def _found(
    plan: str | list[dict[str, Any]], dst: Place, keys: Collection[str], src: Place = TOP
) -> list[tuple[str, str]]:
    found = find_feeding(plan_of(plan).items, {"src": src, "dst": dst}, ["dst"], set(keys))
    assert {(each.dest, each.source) for each in found} <= {("dst", "src")}
    return sorted((each.key, each.source_key) for each in found)


ALL = "[{name: q, query: {recursive: true}}]"


@pytest.mark.parametrize(
    ("dest", "keys", "fed"),
    [
        ("elsewhere", ["a"], []),
        ("same", ["a", "copy/a"], [("a", "a"), ("copy/a", "copy/a")]),
        ("inner", ["a", "b/c"], [("a", "copy/a"), ("b/c", "copy/b/c")]),
        ("outer", ["a", "secret/", "secret/x", "secrets/x"], [("secret/x", "x")]),
        ("neighbour", ["y/x"], [("y/x", "cop/y/x")]),
    ],
)
def test_by_place(dest: str, keys: list[str], fed: list[tuple[str, str]]) -> None:
    """A prefix in a prefix, the same place under two names, and one that has nothing to do with it."""
    assert _found(ALL, PLACES[dest], keys) == fed


@pytest.mark.parametrize(
    ("query", "fed"),
    [
        ({}, ["a"]),
        ({"recursive": True}, ["a", "copy/a", "copy/deep/a"]),
        ({"path": "/copy/"}, ["copy/a"]),
        ({"path": "copy", "recursive": True}, ["copy/a", "copy/deep/a"]),
        ({"path": "cop", "recursive": True}, []),
        ({"path": "copy/deep"}, ["copy/deep/a"]),
        ({"recursive": True, "key": {"exclude": ["^copy/"]}}, ["a"]),
        ({"recursive": True, "key": {"regexp": "^copy/d"}}, ["copy/deep/a"]),
        ({"path": "copy", "recursive": True, "key": {"regexp": "^deep"}}, ["copy/deep/a"]),
        ({"recursive": True, "metadata": {"team": "x"}}, ["a", "copy/a", "copy/deep/a"]),
    ],
)
def test_by_query(query: dict[str, Any], fed: list[str]) -> None:
    """As the query selects: its folder, its depth and its expressions; any query for metadata counts."""
    keys = ["a", "copy/a", "copy/deep/a"]
    assert _found([{"name": "q", "query": query}], TOP, keys) == [(key, key) for key in fed]


def test_by_name() -> None:
    """A single key that another item reads, a part of a combined secret, and one that nobody reads."""
    plan = "[{name: a, secret: {key: x}}, {name: b, combine: [{name: p, secret: {key: copy/y}}], key: z}]"
    assert _found(plan, TOP, ["x", "copy/y", "z"]) == [("copy/y", "copy/y"), ("x", "x")]
    assert _found(plan, PLACES["inner"], ["x", "y", "z"]) == [("y", "copy/y")]


def test_stores_without_a_place_are_known_by_name() -> None:
    """One such store is itself, and no other."""
    one = place_of_name("src")
    assert _found(ALL, one, ["a"], src=one) == [("a", "a")]
    assert _found(ALL, place_of_name("dst"), ["a"], src=one) == []
    assert _found(ALL, TOP, ["a"], src=one) == []


def test_one_server_by_its_identity() -> None:
    """Two addresses of one cluster are one, and one address of two clusters is two."""
    public, private = TOP._replace(identity="c1"), PLACES["elsewhere"]._replace(identity="c1")
    assert _found(ALL, public, ["a"], src=private) == [("a", "a")]
    assert _found(ALL, public, ["a"], src=TOP._replace(identity="c2")) == []


def test_only_the_destination_that_overlaps() -> None:
    """Of several destinations each is looked at by itself; one that is not open is none."""
    places = {"src": TOP, "dst": PLACES["inner"], "far": PLACES["elsewhere"]}
    found = find_feeding(plan_of(ALL).items, places, ["far", "dst", "closed"], {"a"})
    assert found == [Feeding("a", "dst", "q", "src", "copy/a")]
    assert str(found[0]) == "a in dst: item q would read it as a source (src: copy/a)"


def test_many_keys_cost_little() -> None:
    """Nothing where the stores do not overlap, and one look at each key where they do, however many items there are."""
    keys = {f"copy/folder-{number % 100}/secret-{number}" for number in range(100_000)}
    plan = [{"name": f"q{number}", "query": {"path": f"team-{number}", "recursive": True}} for number in range(1000)]
    started = time.process_time()
    assert _found(plan, TOP, keys) == []
    looked = time.process_time() - started
    started = time.process_time()
    list(map(str.upper, (key for key in keys for _ in range(40))))
    assert looked < time.process_time() - started  # that of work beside it, and not that of 1000 times as much
