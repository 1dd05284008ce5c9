"""Metadata in documents: what is copied, by which names, and the bounds of custom metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from yaml_samples import STORES, job, load, problems, store

from secretsync_core.metadata_rules import ANNOTATION, AWS_TAG, CUSTOM_METADATA, LABEL, takes, text_fault
from secretsync_core.model.metadata import Kind, MetadataRule, Slot

if TYPE_CHECKING:
    from pathlib import Path

ITEM = "- {query: {}, metadata: {copy: %s}}"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (
            ITEM % "[secretsync.io/owner]",
            "names that begin with secretsync.io/, kubectl.kubernetes.io/, aws: are never",
        ),
        (ITEM % "[kubectl.kubernetes.io/last-applied-configuration]", "are never copied"),
        (ITEM % "['aws:x']", "are never copied"),
        (ITEM % "[]", "copy must not be empty"),
        (ITEM % "team", "copy must be a list"),
        ("- {query: {}, metadata: {as: Labels}}", "say what is copied"),
        ("- {query: {}, metadata: {settings: []}}", "settings must not be empty"),
        ("- {query: {}, metadata: {settings: [tags]}}", "settings[0] must be 'contentType', 'enabled', 'expires'"),
        ("- {query: {}, metadata: {copy: [a], as: Tags}}", "as must be 'Labels' or 'Annotations'"),
        (
            "- {key: k, combine: [{name: a, query: {}}], metadata: {copy: [a]}}",
            "metadata cannot be copied with combine",
        ),
    ],
)
def test_what_cannot_be_copied_is_told_at_its_line(tmp_path: Path, plan: str, message: str) -> None:
    """Marks, kubectl's copy of a Secret and AWS's own tags have no place in a document, nor has a copy of many."""
    (problem,) = problems(tmp_path, STORES + job(plan))
    assert message in problem.message
    assert problem.line == 19


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ("{secretsync.io/owner: x}", "set by SecretSync alone"),
        (f"{{a: {'é' * 257}}}", "it is longer than 512 bytes"),
        ("{a: ''}", "must not be empty"),
        ('{a: "\\n"}', "it must be printable, and not empty, and has at most 512 bytes"),
        (f"{{{'é' * 65}: x}}", "has at most 128 bytes"),
        ("{" + ", ".join(f"t{number}: x" for number in range(65)) + "}", "is too long: at most 64"),
    ],
)
def test_custom_metadata_has_the_bounds_of_vault(tmp_path: Path, custom: str, message: str) -> None:
    """64 pieces, names of 128 bytes, texts of 512, all of them printable."""
    vault = f"vault: {{address: 'http://127.0.0.1', auth: {{token: {{env: A}}}}, customMetadata: {custom}}}"
    (problem,) = problems(tmp_path, store("one", provider=vault))
    assert message in problem.message
    assert problem.line == 5


KUBERNETES = "kubernetes: {namespace: n, %s}"


@pytest.mark.parametrize(
    ("provider", "message", "hint"),
    [
        (
            KUBERNETES % "labels: {'bad name': x}",
            "labels.… has an invalid format",
            "at most 63 letters, digits, - _ and .",
        ),
        (
            KUBERNETES % "labels: {ok: 'bad value!'}",
            "labels.… has an invalid format",
            "label is at most 63 letters, digits",
        ),
        (
            KUBERNETES % "annotations: {'bad name': x}",
            "annotations.… has an invalid",
            "at most 63 letters, digits, - _",
        ),
        ("awsSecretsManager: {tags: {'bad#': x}}", "tags.… has an invalid format", "= + - @, at most 128 characters."),
        ("awsParameterStore: {tags: {ok: 'a;b'}}", "tags.… has an invalid format", "= + - @, at most 256 characters."),
        (f"awsParameterStore: {{tags: {{ok: {'a' * 257}}}}}", "tags.… is too long: at most 256 characters", ""),
        (f"awsSecretsManager: {{tags: {{{'a' * 129}: ok}}}}", "is too long: at most 128 characters", ""),
    ],
)
def test_what_is_allowed_is_told(tmp_path: Path, provider: str, message: str, hint: str) -> None:
    """Of labels, annotations and tags: which characters, and how many; never what stands there."""
    (problem,) = problems(tmp_path, store("one", provider=provider))
    assert message in problem.message
    assert hint in problem.hint
    assert "bad" not in f"{problem.message} {problem.hint}"


def test_what_is_copied_and_asked_for_is_understood(tmp_path: Path) -> None:
    """Names, patterns, and the kind in Kubernetes."""
    plan = "- {query: {}, metadata: {copy: [team, 'acme.com/*'], as: Annotations}}"
    (item,) = load(tmp_path, STORES + job(plan)).jobs["job"].spec.plan
    assert item.metadata is not None
    assert item.metadata.copy_ == ("team", "acme.com/*")


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("team", ["team"], ["teams", "Team", "a/team", ""]),
        ("*", ["team", "a.b", ""], ["a/b", "/"]),
        ("*/*", ["a/b", "/"], ["a", "a/b/c"]),
        ("acme.com/*", ["acme.com/x", "acme.com/"], ["acme.com", "acme.com/x/y", "other/x"]),
        ("a*b*c", ["abc", "axbxc", "abbc", "abcbc"], ["ab", "ac", "abx", "xabc"]),
        ("a**a", ["aa", "aba"], ["a"]),
        ("[ab]?", ["[ab]?"], ["a", "ax"]),
    ],
)
def test_a_star_stands_for_anything_but_a_slash(pattern: str, taken: list[str], left: list[str]) -> None:
    """So that no pattern takes a name with another domain by accident; no other character means anything."""
    assert [name for name in (*taken, *left) if takes(pattern, name)] == taken


@pytest.mark.parametrize(
    ("kind", "rule", "good", "bad"),
    [
        (Kind.TAG, AWS_TAG, [("cost center", "a+b@c"), ("é" * 128, "é" * 256)], [("a" * 129, ""), ("a", "b" * 257)]),
        (Kind.TAG, AWS_TAG, [("a", "")], [("a", "what?"), ("Aws:x", ""), ("", "a")]),
        (
            Kind.LABEL,
            LABEL,
            [("a", ""), ("a.b/c", "x_Y.z")],
            [("a", "b c"), ("a", "b" * 64), ("-a", ""), ("a/b/c", "")],
        ),
        (Kind.ANNOTATION, ANNOTATION, [("a", "any \n text")], [("a b", ""), ("a" * 64, "")]),
        (Kind.CUSTOM, CUSTOM_METADATA, [("a b", "c d")], [(" a", "b"), ("a", ""), ("a", "\x00"), ("a" * 129, "b")]),
    ],
)
def test_each_kind_has_its_bounds(
    kind: Kind, rule: MetadataRule, good: list[tuple[str, str]], bad: list[tuple[str, str]]
) -> None:
    """What a store would refuse is refused before, by name and rule; the text is not shown."""
    assert [text_fault(Slot(kind, name), text, rule) for name, text in good] == [""] * len(good)
    for name, text in bad:
        fault = text_fault(Slot(kind, name), text, rule)
        assert fault
        assert len(text) < 2 or text not in fault
