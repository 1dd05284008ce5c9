"""YAML as it is read: what scalars mean, where fields stand, and what is refused before it does harm."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from secretsync_core.schema import yaml_tree
from secretsync_core.schema.yaml_tree import MAX_DEPTH, MAX_NODES, read_documents

CANARY = "s3cr3t-CANARY/v4lue"


@pytest.fixture(params=["fast", "pure"], autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here runs with libyaml, and with the parser that PyYAML falls back to."""
    if request.param == "pure":
        monkeypatch.setattr(yaml_tree, "_Loader", yaml.BaseLoader)


def data(text: str) -> Any:
    documents, problems = read_documents("f.yaml", text)
    assert not problems
    return documents[0].data


def told(text: str) -> list[str]:
    _, problems = read_documents("f.yaml", text)
    assert CANARY not in str(problems)
    return [f"{problem.line}: {problem.message}" for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("1:30", "1:30"),
        ("22:22:22", "22:22:22"),
        ("2026-01-01", "2026-01-01"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("|\n  a\n  b", "a\nb\n"),
        (">-\n  a\n  b", "a b"),
        ("=", "="),
    ],
)
def test_what_a_scalar_means(text: str, value: object) -> None:
    """Plain scalars mean what YAML 1.2 says; what YAML 1.1 saw in them besides is text."""
    read = data(f"a: {text}\n")["a"]
    assert (read, type(read)) == (value, type(value))


def test_where_fields_stand() -> None:
    """Each field knows its line in the file, a missing one that of the nearest field around it."""
    text = "# first\n---\na: 1\nb:\n  - c: 2\n  -\n    d: 3\n---\n\ne: {f: 1,\n  g: 2}\n"
    first, second = read_documents("f.yaml", text)[0]
    assert first.line == 3
    lines = [
        first.positions.line(path) for path in [("a",), ("b",), ("b", 0, "c"), ("b", 1, "d"), ("b", 1, "x"), ("x",)]
    ]
    assert lines == [3, 4, 5, 7, 7, 3]
    assert (second.line, second.positions.line(("e", "f")), second.positions.line(("e", "g"))) == (10, 10, 11)
    assert second.text == "e: {f: 1,\n  g: 2}\n"


def test_several_documents_and_empty_ones() -> None:
    """Documents are divided by lines of three dashes; empty ones, comments and a version line are no documents."""
    text = "%YAML 1.2\n---\na: 1\n---\n---\n# nothing\n--- \nb: |\n  x\n...\n---\nc: 3\n...\n"
    documents, problems = read_documents("f.yaml", text)
    assert [document.data for document in documents] == [{"a": 1}, {"b": "x\n"}, {"c": 3}]
    assert problems == []


def test_a_broken_document_does_not_take_the_others_down() -> None:
    """What comes after a document that is no YAML is read all the same, and its lines are right."""
    documents, problems = read_documents("f.yaml", "a: 1\n---\nb: [\n---\nc:\n  d: 1\n")
    assert [document.data for document in documents] == [{"a": 1}, {"c": {"d": 1}}]
    assert documents[1].positions.line(("c", "d")) == 6
    assert len(problems) == 1


def test_small_aliases_work() -> None:
    """An anchor and its aliases give the same value, each field of it with the line where it stands."""
    documents, problems = read_documents("f.yaml", "a: &x {b: 1}\nc: *x\nd: [*x, *x]\n")
    assert documents[0].data == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}
    assert documents[0].positions.line(("c",)) == 2
    assert problems == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a: 1\na: {CANARY}\n", "2: a field is set twice"),
        (f"a: {{b: 1, c: 2, b: {CANARY}}}\n", "1: a field is set twice"),
        (f"a: !secret {CANARY}\n", "1: a tag (!...) is not supported"),
        (f"a: !!binary {CANARY}\n", "1: a tag (!...) is not supported"),
        ("a: !!python/object/apply:os.system ['true']\n", "1: a tag (!...) is not supported"),
        (f"x: &x {{k: {CANARY}}}\na:\n  <<: *x\n", "3: merging mappings (<<) is not supported"),
        (f"a: *{CANARY.partition('/')[0]}\n", "1: an alias (*...) refers to an anchor that is not defined before it"),
        ("a: &x [1, *x]\n", "1: an alias (*...) refers to itself"),
        ("1: a\n", "1: the name of a field is not text"),
        ("true: a\n", "1: the name of a field is not text"),
        ("a: {{ b }}\n", "1: the name of a field is a list or mapping"),
        ("? [a]\n: b\n", "1: the name of a field is a list or mapping"),
        ("- a\n", "1: the document is not a mapping"),
        (f"{CANARY}\n", "1: the document is not a mapping"),
        ("a: 9999999999999999999999\n", "1: a number has too many digits"),
    ],
)
def test_what_is_refused_in_readable_yaml(text: str, expected: str) -> None:
    """Repeated fields, tags, merges, odd names and the rest are problems at their line, without the value."""
    assert any(line.startswith(expected) for line in told(text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"a:\n\tb: {CANARY}\n", 2),
        (f"a: b: {CANARY}\n", 1),
        (f"a: '{CANARY}\n", None),
        (f'a: "{CANARY}\\q"\n', 1),
        (f"a: [{CANARY}\nb: 1\n", None),
        (f"a: 1\n  {CANARY}: 2\n", 2),
        (f"a: @{CANARY}\n", 1),
        (f"a: %{CANARY}\n", None),
        (f"a: `{CANARY}`\n", 1),
        (f"%TAG ! {CANARY}\n---\na: 1\n", None),
        (f"a: &{CANARY} 1\n", None),
        (f"a: !<{CANARY} 1\n", None),
        (f"a: |{CANARY}\n", 1),
        ("}\n", 1),
        ("a: 1\n]\n", 2),
    ],
)
def test_what_is_no_yaml(text: str, line: int | None) -> None:
    """A file that is no YAML gives a problem at its line, in words that quote nothing of it."""
    lines = told(text)
    assert lines
    assert "CANARY" not in str(read_documents("f.yaml", text)[1])
    assert line is None or any(told_line.startswith(f"{line}: not readable as YAML") for told_line in lines)


def test_a_tab_gets_the_hint_that_people_need() -> None:
    """Indentation by tabs is told as what it is."""
    _, problems = read_documents("f.yaml", "a:\n\tb: 1\n")
    assert problems[0].hint == "Indent with spaces; YAML does not allow tabs."


@pytest.mark.parametrize("text", ["[" * 200_000, "a: " + "{a: " * 50_000, "- " * 10_000, "? " * 5000])
def test_depth_is_bounded_early(text: str) -> None:
    """A document nested too deep is refused long before it could exhaust the stack."""
    started = time.thread_time()
    assert told(text)[0].endswith(f"fields are nested more than {MAX_DEPTH} deep")
    assert time.thread_time() - started < 5


def test_depth_by_aliases_is_bounded() -> None:
    """Aliases cannot nest deeper than fields may be."""
    text = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}}}\n" for n in range(1, 200))
    assert told(text)[0].endswith(f"nested more than {MAX_DEPTH} deep")


def test_a_billion_laughs_are_not_expanded() -> None:
    """Anchors that multiply are counted as what they stand for, and stopped at the budget."""
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    started = time.thread_time()
    assert f"more than {MAX_NODES} fields and values" in told(text)[0]
    assert time.thread_time() - started < 5


def test_half_of_a_character_is_refused() -> None:
    """An escape for half of a character never gets into a text, whichever parser reads it."""
    assert told('a: "\\ud800"\n')


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"x: &a {'A' * 100_000}\ny: [{', '.join(['*a'] * 3_000)}]\n", "2: the file's aliases (*...) stand for more"),
        ("".join("---\na: &a [1, 1]\nb: [" + "*a, " * 3000 + "]\n" for _ in range(5)), "9: the file's aliases"),
        (f"x: &b\n  ? {'B' * 100_000}\n  : 1\nz: [{'*b, ' * 20}]\n", "4: the file's aliases"),
    ],
    ids=["text", "documents", "names"],
)
def test_what_aliases_stand_for_is_bounded_in_a_file(text: str, what: str) -> None:
    """What aliases stand for is counted, characters too and over all documents, before any of it is built."""
    assert any(what in problem for problem in told(text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 'x", 1),
        ('a: 1\nb: "x', 2),
        ("a: 1\nb: [1, 2", 2),
        ("a: 1\nb: {c", 2),
        ("a:\n  - 'x", 2),
        ("a: 1\n---\nb: 'x", 3),
        ("a: 1\n# c\nb: 'x", 3),
        ("a: 'x\u2028y\x85z'\nb: 1\nb: 2", 3),
        ("a: 'x\u2028y\x85z'\nb: [", 2),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r", "\n\n\n"], ids=repr)
def test_an_error_at_the_end_is_in_a_line_that_is_there(text: str, line: int, end: str) -> None:
    """What is missing at the end of a file is told at its last line that says anything, as an editor counts lines."""
    break_of = end[:2] if end.startswith("\r") else "\n"
    _, problems = read_documents("f", text.replace("\n", break_of) + end)
    assert [problem.line for problem in problems] == [line]
