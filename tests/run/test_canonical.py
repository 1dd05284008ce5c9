"""When two values are the same, and the fingerprints that stand for them in the ledger."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run.test_convert import FIELDS
from secretsync_core.run.fingerprint import Fingerprinter, canonical, same
from secretsync_core.secret import SecretValue
from secretsync_core.testing.canaries import canary, find_in

PRINTS = Fingerprinter(b"k" * 32)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": [1.0, {"b": 2}]}, {"a": [1, {"b": 2.0}]}, True),
        ({"a": 0.0}, {"a": -0.0}, True),
        ({"a": 1e300}, {"a": int(1e300)}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": None}, {}, False),
        ({"a": 2**53}, {"a": 2**53 + 1}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": "é"}, {"a": "e\u0301"}, False),
        ({"value": "x"}, b"x", False),
        ({}, b"{}", False),
        (b"x", b"x", True),
        (b"x", b"x\n", False),
    ],
)
def test_same(one: Any, other: Any, equal: bool) -> None:
    """Order and the form of a number mean nothing; types, text and the order of a list mean everything."""
    assert same(SecretValue(one), SecretValue(other)) is equal


@given(FIELDS)
def test_json_and_back_is_the_same(fields: dict[str, Any]) -> None:
    """What a store does that keeps JSON, in whatever order of keys, is no change."""
    back = dict(reversed(json.loads(json.dumps(fields)).items()))
    assert same(SecretValue(fields), SecretValue(back))


@given(FIELDS, FIELDS)
def test_canonical_tells_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal byte strings mean equal values."""
    if canonical(SecretValue(one)) == canonical(SecretValue(other)):
        assert one == other


def test_fingerprints_differ_by_place_and_key() -> None:
    """The same value looks different at another key, in another store, and under another fingerprint key."""
    value = SecretValue({"p": "hunter2"})
    prints = {
        PRINTS.value("dst", "a", value),
        PRINTS.value("dst", "b", value),
        PRINTS.value("dsta", "", value),
        PRINTS.value("other", "a", value),
        Fingerprinter(b"x" * 32).value("dst", "a", value),
    }
    assert len(prints) == 5
    assert PRINTS.value("dst", "a", SecretValue({"p": "hunter2"})) in prints


def test_fingerprints_show_nothing() -> None:
    """Neither a value nor the name of a field stands in its fingerprint, and the plain digest does not either."""
    secret = canary()
    text = PRINTS.value("d", "k", SecretValue({secret.text: secret.text})) + PRINTS.field_names("d", "k", [secret.text])
    assert find_in(text, [secret]) == []
    assert len(PRINTS.field_names("d", "k", ["a", "b"])) == 32


def test_our_fields_alone() -> None:
    """With Merge a fingerprint covers our fields and no sibling, in fields and in a file's JSON alike."""
    ours = PRINTS.field_names("d", "k", ["a", "b"])
    mark = PRINTS.value("d", "k", SecretValue({"a": 1, "b": 2}), ours)
    assert mark == PRINTS.value("d", "k", SecretValue({"a": 1, "b": 2, "theirs": 3}), ours)
    assert mark != PRINTS.value("d", "k", SecretValue({"a": 1, "theirs": 3}), ours)
    assert mark == PRINTS.value("d", "k", SecretValue(b'{"b":2,"theirs":3,"a":1}'), ours)
    assert PRINTS.named_by("d", "k", ours, ["a", "theirs"]) == {"a"}
    assert PRINTS.named_by("d", "other", ours, ["a", "theirs"]) == set()


@given(st.binary(max_size=8), st.text(max_size=4))
def test_any_blob_has_a_fingerprint(blob: bytes, ours: str) -> None:
    """A file that is not JSON, or no text at all, is fingerprinted as a whole rather than failing."""
    assert len(PRINTS.value("d", "k", SecretValue(blob), ours)) == 64
