"""Queries with globs, from the document to what is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.making import item_of, keys_of, listed
from run.world import counted
from secretsync_core.errors import DocumentError
from secretsync_core.schema.keys import folder

if TYPE_CHECKING:
    from run.world import World

KEYS = ("db", "teams/a/db", "teams/a/prod/db", "teams/a/prod/deep/api", "teams/b/prod/db", "teams/b*/prod/db")


@pytest.mark.parametrize(
    ("query", "taken"),
    [
        ("{path: 'teams/*/prod/**'}", KEYS[2:]),
        ("{path: 'teams/*/prod/', recursive: true}", KEYS[2:]),
        ("{path: 'teams/*/prod/**', recursive: true}", KEYS[2:]),
        ("{path: 'teams/*/prod/*', key: {regexp: ^a/}}", ("teams/a/prod/db",)),
        (r"{path: 'teams/b\*/**'}", ("teams/b*/prod/db",)),
        (r"{path: 'teams/b\*', recursive: true}", ("teams/b*/prod/db",)),
        ("{recursive: true, exclude: ['teams/*/prod', db]}", ("teams/a/db",)),
        ("{path: teams, recursive: true, exclude: ['**/deep/'], key: {exclude: [^b]}}", KEYS[1:3]),
    ],
)
async def test_what_is_copied(world: World, query: str, taken: tuple[str, ...]) -> None:
    """A store that cannot choose folders by itself lists more, and the query takes just what its globs say."""
    await world.seed("src", {key: {"v": key} for key in KEYS})
    world.job(f"- {{name: some, query: {query}}}")
    report = await world.sync()
    assert (report.ok, sorted(await world.all("dst"))) == (True, sorted(taken))
    assert counted(await world.sync()) == {"unchanged": len(taken)}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("{path: 'teams/*/prod', recursive: true}", "spec.plan[0].query: recursive goes with folders"),
        ("{path: 'teams/**b'}", "spec.plan[0].query.path: ** stands alone"),
        (r"{path: 'a\b'}", "spec.plan[0].query.path: a \\ stands only before"),
        ("{exclude: ['/']}", "spec.plan[0].query.exclude[0]: it names nothing"),
        ("{exclude: ['a/***']}", "spec.plan[0].query.exclude[0]: ** stands alone"),
    ],
)
def test_what_is_wrong_with_a_glob_is_told_with_its_line(world: World, query: str, told: str) -> None:
    """The document is refused, with file, line and what to write instead."""
    world.job(f"- name: some\n  query: {query}")
    with pytest.raises(DocumentError) as refused:
        _ = world.documents
    (problem,) = refused.value.problems
    assert told in problem.message
    assert problem.where == f"{world.config / 'job.yaml'}:9"


def test_expressions_and_transforms_see_the_same_keys_as_ever() -> None:
    """Expressions see what follows the fixed folders of a path, transforms the whole key."""
    assert folder("teams/*/prod/**") == "teams/"
    assert folder(r"a\*b/c") == "a*b/c/"
    assert folder("**") == ""
    item = item_of("query: {path: 'teams/*/prod/**', key: {regexp: ^a/prod/}}\nkeyTransform: [{prefix: copy/}]")
    assert keys_of(item, listed(*KEYS)) == [f"copy/{key}" for key in KEYS[2:4]]


async def test_a_path_that_matches_nothing_tells_its_other_reading(world: World) -> None:
    """Whoever writes a folder where keys are meant learns how to say it."""
    await world.seed("src", {"teams/a/prod/db": {"v": "1"}})
    world.job("- {name: some, query: {path: 'teams/*/prod'}}")
    (warning,) = (await world.sync()).warnings
    assert "the query for teams/*/prod in src matches nothing; its path names keys" in warning
    assert "/**" in warning


async def test_inputs_of_a_combined_secret_are_named_below_the_fixed_folders(world: World) -> None:
    """Two teams' secrets of one name stay apart in a template."""
    await world.seed("src", {f"teams/{team}/prod/db": {"v": team} for team in "ab"})
    world.job(
        "- {name: all, key: one, combine: [{name: db, query: {path: 'teams/*/prod/db'}}],"
        """ valueTransform: [{template: {data: {both: '{{ db["a/prod/db"].v }}{{ db["b/prod/db"].v }}'}}}]}"""
    )
    assert (await world.sync()).ok
    assert await world.get("dst", "one") == {"both": "ab"}
