"""What keys are called at the destination."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run.making import item_of, listed, made
from secretsync_core.errors import TransformFailed
from secretsync_core.model.plan import Target
from secretsync_core.run.targets import Impossible
from secretsync_core.schema.keys import KeyMapper


def _map(steps: str, key: str) -> str:
    return item_of(f"{{query: {{}}, keyTransform: {steps}}}").keys.map(key)


@pytest.mark.parametrize(
    ("steps", "key", "mapped"),
    [
        ("[]", "a/b", "a/b"),
        ("[{regexp: {source: '^app/(.*)$', target: prod/$1}}]", "app/x", "prod/x"),
        ("[{regexp: {source: '^app/(.*)$', target: 'prod/\\1'}}]", "app/x", "prod/x"),
        ("[{regexp: {source: '^app/', target: prod/}}]", "other/app/x", "other/app/x"),
        ("[{regexp: {source: a, target: b}}]", "banana", "bbnbnb"),
        ("[{regexp: {source: ^a/, target: ''}}]", "a/a/x", "a/x"),
        ("[{regexp: {source: a, target: b}}, {regexp: {source: b, target: c}}]", "ab", "cc"),
        ("[{template: '{{ folder }}-{{ name }}'}]", "x/y/z", "x/y-z"),
        ("[{template: '{{ item }}/{{ parts[0] }}'}]", "x/y", "it/x"),
        ("[{template: '{{ name }}'}, {regexp: {source: $, target: '!'}}]", "x/y", "y!"),
        ("[{case: Lower}]", "App/DB_Main", "app/db_main"),
        ("[{case: Upper}]", "app/db", "APP/DB"),
        ("[{replace: {characters: '/_ ', with: '-'}}]", "app/db_main x", "app-db-main-x"),
        ("[{replace: {characters: '.-[', with: ''}}]", "a.b-c[d", "abcd"),
        ("[{prefix: team-a-}]", "db", "team-a-db"),
        ("[{case: Lower}, {replace: {characters: /_, with: .}}, {prefix: x.}]", "App/DB_1", "x.app.db.1"),
    ],
)
def test_steps_run_one_after_the_other(steps: str, key: str, mapped: str) -> None:
    """Each step sees what the one before made; an expression that is not found leaves the key as it is."""
    assert _map(steps, key) == mapped


@pytest.mark.parametrize("step", ["{regexp: {source: '.*', target: ''}}", "{template: '{{ folder }}'}"])
def test_an_empty_key_is_an_error(step: str) -> None:
    """A transform that leaves nothing fails, and says which item it belongs to."""
    with pytest.raises(TransformFailed, match="item it leaves an empty key"):
        _map(f"[{step}]", "x")


def test_a_failing_template_stops_its_key_alone() -> None:
    """The key that a template cannot be filled for becomes Impossible; the others go on."""
    item = item_of("{query: {}, keyTransform: [{template: '{{ parts[1] }}'}]}")
    results = made(item, listed("a/x", "b", "c/y"))
    assert [target.key for target in results if isinstance(target, Target)] == ["x", "y"]
    (failed,) = [result for result in results if isinstance(result, Impossible)]
    assert failed.sources[0].key == "b"
    assert "keyTransform[0] of item it" in failed.message


@given(st.text(min_size=1, max_size=20))
def test_without_steps_a_key_is_kept(key: str) -> None:
    """No transform, no change, whatever the key holds."""
    assert KeyMapper((), item="it").map(key) == key
