"""The hash of an item's definition changes exactly when the value that it makes could."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run.making import plan_of

BASE: dict[str, Any] = {"name": "it", "secret": {"key": "x"}}
QUERY: dict[str, Any] = {"name": "it", "query": {"path": "f"}}
COMBINE: dict[str, Any] = {"name": "it", "key": "k", "combine": [{"name": "p", "query": {"path": "f"}}]}


def _hash(item: dict[str, Any], **spec: Any) -> str:
    return plan_of([item], **spec).items[0].definition


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BASE, {"secret": {"key": "y"}}),
        (BASE, {"secret": {"key": "x", "property": "p"}}),
        (BASE, {"secret": {"key": "x", "version": "3"}}),
        (BASE, {"source": "other"}),
        (BASE, {"encoding": "base64"}),
        (BASE, {"encoding": {"base64": ["a"]}}),
        (BASE, {"valueTransform": [{"fields": {"dropNull": True}}]}),
        (COMBINE, {"combine": [{"name": "p", "query": {"path": "f", "type": "t"}}]}),
        (BASE, {"valueTransform": [{"fields": {"exclude": ["a"]}}]}),
        (BASE, {"valueTransform": [{"template": {"text": "{{ a }}"}}]}),
        (COMBINE, {"combine": [{"name": "other", "query": {"path": "f"}}]}),
        (COMBINE, {"combine": [{"name": "p", "query": {"path": "f", "recursive": True}}]}),
    ],
)
def test_what_makes_the_value_is_in_it(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Source, property, pin, transforms, encoding, and what a combine selects all change the hash."""
    assert _hash(before) != _hash({**before, **after})


@pytest.mark.parametrize(
    ("before", "after", "spec"),
    [
        (BASE, {"name": "renamed"}, {}),
        (BASE, {"keyTransform": [{"template": "k"}]}, {}),
        (QUERY, {"query": {"path": "g", "recursive": True}}, {}),
        (QUERY, {"query": {"path": "f", "key": {"exclude": ["x"]}, "metadata": {"a": "b"}}}, {}),
        (COMBINE, {"key": "other"}, {}),
        (BASE, {}, {"dest": ["dst", "more"], "deletionPolicy": "Delete", "maxDelete": 3, "schedule": "@daily"}),
        (BASE, {}, {"writePolicy": "IfNotExists"}),
    ],
)
def test_what_only_selects_or_names_is_not(before: dict[str, Any], after: dict[str, Any], spec: dict[str, Any]) -> None:
    """Names, keys, what a query takes, and settings that touch no value leave the hash alone: nothing is read again."""
    assert _hash(before) == _hash({**before, **after}, **spec)


@pytest.mark.parametrize(
    ("item", "before"),
    [
        (BASE, "810b71262ec9dbb478b350687970aea8b19e12224aa97d13974c177903894d54"),
        ({**BASE, "encoding": "base64"}, "80284ce6f1a62a910253828930af1504212c9958d23283fadadb5d9f1740c54d"),
        (
            {**BASE, "valueTransform": [{"fields": {"exclude": ["a"], "asText": True}}]},
            "e8bb11d5a2f8a5d71aedf1a1272ac6ee655bcf047debf28786f14ca471dbb803",
        ),
        (COMBINE, "eed17e2abd076f56fffe526caebea71e687c1c6509da2ba249b836c5dadf3cf4"),
    ],
)
def test_it_is_what_the_ledger_has_of_it(item: dict[str, Any], before: str) -> None:
    """What a document of version 0.1 says has the hash that it had then: an upgrade makes nothing look changed."""
    assert _hash(item) == before


def test_merging_is_in_it() -> None:
    """Merge makes another value than Replace."""
    assert _hash(BASE) != _hash(BASE, writePolicy="Merge")


_steps = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"fields": st.fixed_dictionaries({"exclude": st.lists(st.sampled_from("abc"), max_size=2, unique=True)})}
        ),
        st.fixed_dictionaries({"template": st.fixed_dictionaries({"text": st.sampled_from(["a", "b", "{{ a }}"])})}),
    ),
    max_size=3,
)


@given(_steps, _steps)
def test_equal_transforms_and_only_they_hash_equal(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """Two lists of steps give the same hash if and only if they are the same, in the same order."""
    same = _hash({**BASE, "valueTransform": one}) == _hash({**BASE, "valueTransform": other})
    assert same is (one == other)
