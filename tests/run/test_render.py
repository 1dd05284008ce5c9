"""From source values to the destination's value: property, fields, templates, combine."""

from __future__ import annotations

from typing import Any

import pytest

from run.making import item_of
from secretsync_core.errors import InvalidSecret, SecretNotFound, SecretSyncError, TransformFailed
from secretsync_core.model.plan import SourceRef
from secretsync_core.run.render import render
from secretsync_core.secret import SecretValue
from secretsync_core.testing.canaries import canary, find_in

DB: dict[str, Any] = {"user": "u", "pass": "p", "debug": True, "deep": {"host": "h"}, "a.b": "dotted", "port": 5432}


def _render(item: str, value: Any) -> Any:
    return render(item_of(item), [(SourceRef("src", "x"), SecretValue(value))]).reveal()


def _steps(steps: str, value: Any = DB) -> Any:
    return _render(f"{{secret: {{key: x}}, valueTransform: {steps}}}", value)


@pytest.mark.parametrize(
    ("prop", "value", "made"),
    [
        ("user", DB, {"user": "u"}),
        ("deep.host", DB, {"host": "h"}),
        ("a.b", DB, {"a.b": "dotted"}),
        ("deep", DB, {"deep": {"host": "h"}}),
        ("user", b'{"user": "u"}', {"user": "u"}),
        ("value", b"plain", {"value": "plain"}),
    ],
)
def test_property(prop: str, value: Any, made: dict[str, Any]) -> None:
    """One field under its own name; a dotted path reaches inside unless a field has that very name."""
    assert _render(f"secret: {{key: x, property: {prop}}}", value) == made


@pytest.mark.parametrize("prop", ["nope", "deep.nope", "user.x", "deep.host.x"])
def test_a_missing_property_is_not_found(prop: str) -> None:
    """A property that is not there is an absence, named, and never an empty value."""
    with pytest.raises(SecretNotFound, match=f"no property {prop!r}"):
        _render(f"secret: {{key: x, property: {prop}}}", DB)


@pytest.mark.parametrize(
    ("steps", "made"),
    [
        ("[{fields: {include: [user, pass]}}]", {"user": "u", "pass": "p"}),
        ("[{fields: {include: [user, pass], exclude: [pass]}}]", {"user": "u"}),
        ("[{fields: {include: [user, nope]}}]", {"user": "u"}),
        ("[{fields: {include: [user], rename: {user: name}}}]", {"name": "u"}),
        ("[{fields: {include: [user, pass], rename: {user: pass, pass: user}}}]", {"user": "p", "pass": "u"}),
        (
            "[{template: {data: {dsn: '{{ user }}:{{ fields.pass }}@{{ deep.host }}:{{ port }}'}}}]",
            {"dsn": "u:p@h:5432"},
        ),
        ("[{template: {text: 'U={{ user }}'}}]", b"U=u"),
        (
            "[{fields: {include: [user]}}, {template: {data: {a: '{{ user }}'}}}, {fields: {rename: {a: b}}}]",
            {"b": "u"},
        ),
        ('[{template: {text: \'{"a": "{{ user }}"}\'}}, {fields: {rename: {a: b}}}]', {"b": "u"}),
    ],
)
def test_steps(steps: str, made: Any) -> None:
    """Include, then exclude, then rename; a template makes the whole value; each step sees the one before."""
    assert _steps(steps) == made


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ("[{fields: {include: [nope]}}]", "valueTransform[0] of item it leaves no field"),
        ("[{fields: {rename: {user: pass}}}]", "rename gives two fields the same name: 'pass'"),
        ("[{fields: {}}, {template: {data: {a: '{{ nope }}'}}}]", "valueTransform[1] of item it, data.a: line 1: "),
        ("[{template: {text: '{{ user.nope }}'}}]", "valueTransform[0] of item it, text: line 1: "),
        ("[{template: {data: {a: '{{ deep }}'}}}]", "a list or mapping has no text form"),
    ],
)
def test_a_step_that_fails(steps: str, error: str) -> None:
    """A step that cannot be done names itself and its item."""
    with pytest.raises(TransformFailed) as caught:
        _steps(steps)
    assert error in str(caught.value)


def test_half_a_character_cannot_become_bytes() -> None:
    """A template's text that is no Unicode is an invalid secret."""
    with pytest.raises(InvalidSecret, match="not valid Unicode"):
        _steps("[{template: {text: '{{ a }}'}}]", {"a": "\ud800"})


COMBINE = "key: k, combine: [{name: db, secret: {key: db}}, {name: apps, query: {path: apps}}]"
FOUND = [
    (SourceRef("src", "db", "db"), {"pass": "p"}),
    (SourceRef("src", "apps/one", "apps", "one"), {"token": "1"}),
    (SourceRef("src", "apps/sub/two", "apps", "sub/two"), b"blob"),
]


def _combine(more: str, found: list[tuple[SourceRef, Any]] = FOUND) -> Any:
    item = item_of(f"{{{COMBINE}{more}}}")
    return render(item, [(ref, SecretValue(value)) for ref, value in found]).reveal()


def test_combine_without_a_template_is_a_union() -> None:
    """All fields of all parts side by side; a blob brings its field ``value``."""
    assert _combine("") == {"pass": "p", "token": "1", "two": "blob"}


def test_combine_with_a_template() -> None:
    """A template calls a single part by its name, and what a query found by the key below its path."""
    text = "{{ db.pass }} {{ apps.one.token }} {{ apps['sub/two'].value }}"
    assert _combine(f', valueTransform: [{{template: {{data: {{x: "{text}"}}}}}}]') == {"x": "p 1 blob"}


def test_combine_then_fields() -> None:
    """Without a template first, the steps work on the union."""
    assert _combine(", valueTransform: [{fields: {include: [pass], rename: {pass: P}}}]") == {"P": "p"}


def test_combine_of_a_query_without_a_match() -> None:
    """A query that found nothing is an empty mapping to a template."""
    more = ", valueTransform: [{template: {data: {n: '{{ apps | length }}'}}}]"
    assert _combine(more, FOUND[:1]) == {"n": "0"}


def test_combine_with_a_collision() -> None:
    """Two parts with a field of one name are refused: nobody said which one wins."""
    with pytest.raises(TransformFailed, match="two of its secrets have a field with the same name"):
        _combine("", [*FOUND, (SourceRef("src", "apps/x", "apps", "x"), {"pass": "other"})])


def test_combine_with_a_property() -> None:
    """A part may be one property of its secret."""
    item = item_of("{key: k, combine: [{name: db, secret: {key: db, property: deep.host}}]}")
    assert render(item, [(SourceRef("src", "db", "db"), SecretValue(DB))]).reveal() == {"host": "h"}


SECRET = canary()


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("{secret: {key: x, property: nope}}", {"a": SECRET.text}),
        ("{secret: {key: x, property: a.b}}", {"a": SECRET.text}),
        ("{secret: {key: x}, valueTransform: [{template: {data: {z: '{{ nope }}'}}}]}", {"a": SECRET.text}),
        ("{secret: {key: x}, valueTransform: [{template: {data: {z: '{{ a.b }}'}}}]}", {"a": SECRET.text}),
        ("{secret: {key: x}, valueTransform: [{template: {data: {z: '{{ a - 1 }}'}}}]}", {"a": SECRET.text}),
        ("{secret: {key: x}, valueTransform: [{template: {data: {z: '{{ a }}'}}}]}", {"a": {SECRET.text: 1}}),
        ("{secret: {key: x}, valueTransform: [{template: {text: '{{ a }}'}}]}", {"a": SECRET.text + "\ud800"}),
        ("{secret: {key: x}, valueTransform: [{fields: {include: [b]}}]}", {SECRET.text: 1}),
        ("{secret: {key: x}, valueTransform: [{template: {data: {z: '{{ value }}'}}}]}", SECRET.data + b"\xff"),
    ],
    ids=range(9),
)
def test_no_error_tells_a_value(item: str, value: Any) -> None:
    """Neither the text of a failure nor anything that hangs on to it holds the value or the name of a field."""
    with pytest.raises(SecretSyncError) as caught:
        _render(item, value)
    error: BaseException | None = caught.value
    while error is not None:
        assert find_in(f"{error} {error!r} {error.args!r} {vars(error)!r}", [SECRET]) == []
        error = error.__cause__ or error.__context__
