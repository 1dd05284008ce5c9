"""Which keys a query's names select, and which folders need not be looked into."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.regexp import compile_regexp
from secretsync_core.model.inventory import Gap
from secretsync_core.selection import Exclusion, Rule, Selection, beginning_of, folder_rule, names_keys, pattern_of

TREE = ("db", "teams/db", "teams/a/db", "teams/a/prod", "teams/a/prod/db", "teams/a/prod/deep/er/db",
        "teams/a/dev/prod/db", "teams/team-b/prod/db",
        "teams/team-b/prod/tmp-1", "teams/team-b/prod/tmp/x")  # fmt: skip


def rule(path: str, *, recursive: bool = False, exclude: tuple[str, ...] = (), **expressions: str) -> Rule:
    """What a query of this path says."""
    found = {name: compile_regexp(text) for name, text in expressions.items()}
    return Rule(
        pattern_of(path, recursive=recursive),
        tuple(map(Exclusion, exclude)),
        found.get("include"),
        (found["leave"],) if "leave" in found else (),
    )


@pytest.mark.parametrize(
    ("path", "recursive", "taken"),
    [
        ("teams/*/prod/**", False, {"teams/a/prod/db", "teams/a/prod/deep/er/db", "teams/team-b/prod/db",
                                    "teams/team-b/prod/tmp-1", "teams/team-b/prod/tmp/x"}),
        ("teams/*/prod/", True, {"teams/a/prod/db", "teams/a/prod/deep/er/db", "teams/team-b/prod/db",
                                 "teams/team-b/prod/tmp-1", "teams/team-b/prod/tmp/x"}),
        ("teams/*/prod/", False, {"teams/a/prod/db", "teams/team-b/prod/db", "teams/team-b/prod/tmp-1"}),
        ("teams/*/prod/*", False, {"teams/a/prod/db", "teams/team-b/prod/db", "teams/team-b/prod/tmp-1"}),
        ("teams/*/prod", False, {"teams/a/prod"}),
        ("/teams/team-?/**/tmp*", False, {"teams/team-b/prod/tmp-1"}),
        ("**/prod/db", False, {"teams/a/prod/db", "teams/a/dev/prod/db", "teams/team-b/prod/db"}),
        ("*", False, {"db"}),
        ("**", False, set(TREE)),
        ("*/", False, {"teams/db"}),
        ("teams", False, {"teams/db"}),
        ("teams/a", True, {key for key in TREE if key.startswith("teams/a/")}),
    ],
)  # fmt: skip
def test_a_path_is_a_folder_or_a_glob_for_whole_keys(path: str, recursive: bool, taken: set[str]) -> None:
    """A glob names keys part by part, with a slash at its end folders; a path without one is a folder."""
    one = rule(path, recursive=recursive)
    assert {key for key in TREE if one.takes(key)} == taken


@pytest.mark.parametrize("path", ["teams/*", "teams/*/db", "db-?"])
def test_a_path_that_names_keys_is_not_recursive(path: str) -> None:
    """Where a path names keys, ``recursive`` would have no clear meaning: the query is refused (see the documents)."""
    assert names_keys(path)
    assert not names_keys(f"{path}/")
    assert not names_keys(f"{path}/**")


@pytest.mark.parametrize(
    ("glob", "covered", "left"),
    [
        ("teams/*/prod/tmp", ["teams/a/prod/tmp", "teams/a/prod/tmp/", "teams/a/prod/tmp/x/y"], ["teams/a/prod/tmp-1"]),
        ("teams/*/prod/tmp/", ["teams/a/prod/tmp/", "teams/a/prod/tmp/x"], ["teams/a/prod/tmp"]),
        ("teams/*/prod/tmp/**", ["teams/a/prod/tmp/", "teams/a/prod/tmp/x"], ["teams/a/prod/tmp"]),
        ("**/tmp-*", ["tmp-1", "a/b/tmp-2/", "a/tmp-/x"], ["a/tmp", "atmp-1"]),
        ("a", ["a", "a/", "a/b"], ["ab", "b/a"]),
    ],
)
def test_what_is_excluded_is_a_key_or_a_whole_folder(glob: str, covered: list[str], left: list[str]) -> None:
    """A glob in ``exclude`` leaves out the keys that it names, and the folders with all that is below them."""
    one = Exclusion(glob)
    assert [path for path in (*covered, *left) if one.covers(path)] == covered


GLOBS = st.lists(st.sampled_from(["a", "b", "*", "**", "a*", "?"]), min_size=1, max_size=5).map("/".join)
KEYS = ["/".join(parts) for size in (1, 2, 3, 4) for parts in itertools.product(("a", "b", "ab"), repeat=size)]


def _folders(keys: list[str]) -> set[str]:
    return {"", *(key[: at + 1] for key in keys for at, letter in enumerate(key) if letter == "/")}


@given(
    st.lists(
        st.tuples(GLOBS, st.booleans(), st.lists(GLOBS, max_size=2), st.sampled_from(["", "^a/", "b$"])), min_size=1,
        max_size=3,
    )
)  # fmt: skip
def test_a_walk_that_asks_the_selection_finds_all_and_no_more(
    queries: list[tuple[str, bool, list[str], str]],
) -> None:
    """Whoever walks as the selection says, from its folder on, comes to every key that it takes."""
    rules = []
    for path, slash, exclude, leave in queries:
        one = rule(path + "/" * slash, exclude=tuple(exclude))
        rules.append(replace(one, exclude=(compile_regexp(leave),)) if leave else one)
    wanted = Selection(rules)
    found, pending, listed = set(), [wanted.folder], set()
    while pending:
        folder = pending.pop()
        if folder != wanted.folder and not wanted.needs_list(folder):
            found |= {key for key in wanted.named_keys(folder) if key in KEYS}
            pending += wanted.named_folders(folder)
            continue
        listed.add(folder)
        inner = {key[len(folder) :].partition("/") for key in KEYS if key.startswith(folder)}
        found |= {folder + name for name, slash, _ in inner if not slash and wanted.takes(folder + name)}
        pending += {f"{folder}{name}/" for name, slash, _ in inner if slash and wanted.enters(f"{folder}{name}/")}
    assert found == {key for key in KEYS if wanted.takes(key)}
    assert all(folder == wanted.folder or wanted.enters(folder) for folder in listed)


@given(GLOBS, st.booleans())
def test_all_folders_are_taken_only_where_each_may_hold_something(path: str, slash: bool) -> None:
    """Where one request may ask for all that is below a folder, every folder below would be entered anyway."""
    wanted = Selection([rule(path + "/" * slash)])
    for folder in _folders(KEYS):
        if wanted.takes_all_folders(folder):
            assert all(wanted.enters(below) for below in _folders(KEYS) if below.startswith(folder))


@pytest.mark.parametrize(
    ("regexp", "beginning"),
    [("^prod/ok", "prod/ok"), ("^prod/ok*", "prod/o"), ("^prod/ok+", "prod/ok"), (r"^a\.b\d", "a.b"), ("^a|b", ""),
     ("prod", ""), ("(?i)^prod", ""), ("^pro.d", "pro"), ("^[ab]", ""), ("^ab{0,1}", "a"), ("^", "")],
)  # fmt: skip
def test_the_beginning_of_what_an_expression_finds_is_told_where_it_is_sure(regexp: str, beginning: str) -> None:
    """Only the letters behind ``^`` that must be there count."""
    assert beginning_of(regexp) == beginning


@pytest.mark.parametrize(
    ("leave", "entered"), [("^b/", False), ("^b", False), ("^b/$", True), (r"^b/\b", True), ("^a", True)]
)
def test_an_expression_leaves_out_a_folder_where_nothing_below_can_escape_it(leave: str, entered: bool) -> None:
    """What is found in a folder's name is found in all that is below it, unless the expression looks at the end."""
    assert rule("", recursive=True, leave=leave).enters("b/") is entered


def test_an_anchored_expression_enters_only_what_it_may_lead_to() -> None:
    """Folders that begin otherwise than the expression asks are not entered."""
    one = rule("teams", recursive=True, include="^a/prod/")
    assert [f for f in ("", "teams/", "teams/a/", "teams/a/prod/x/", "teams/b/", "x/") if one.enters(f)] == [
        "", "teams/", "teams/a/", "teams/a/prod/x/",
    ]  # fmt: skip


def test_a_gap_concerns_a_query_that_might_select_what_is_in_it() -> None:
    """A name is its own affair; a folder is everybody's who may want something below it, however it is written."""
    wanted = Selection([rule("teams/*/prod/**")])
    assert wanted.concerns(Gap("teams/a/prod/", "access-denied", ""))
    assert wanted.concerns(Gap("teams/a", "access-denied", ""))
    assert not wanted.concerns(Gap("teams/a", "access-denied", "", is_key=True))
    assert not wanted.concerns(Gap("teams/a/dev/", "access-denied", ""))
    assert wanted.concerns(Gap("", "access-denied", ""))


def test_a_folder_is_taken_by_its_letters() -> None:
    """What a store is asked to list is no glob, whatever it is called."""
    one = folder_rule("a*b/", recursive=False)
    assert one.takes("a*b/x")
    assert not one.takes("axb/x")


def test_a_long_glob_is_matched_without_trying_all_ways() -> None:
    """Many stars cost no more than the text is long."""
    one = rule("*a" * 25 + "/" + "**/a/" * 10 + "x")
    assert not one.takes("a" * 200 + "/" + "a/" * 60)


def test_a_selection_of_several_begins_where_all_do() -> None:
    """The common letters, and the deepest folder that holds all."""
    wanted = Selection([rule("teams/team-a*/x"), rule("teams/team-b/*")])
    assert (wanted.beginning, wanted.folder) == ("teams/team-", "teams/")


def test_globs_that_do_not_compile_are_errors() -> None:
    """An exclusion is read as a path is."""
    with pytest.raises(ExpressionError):
        Exclusion("a/**b")
