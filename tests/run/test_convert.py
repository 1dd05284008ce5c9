"""Between fields and blobs: one rule each way, which undo each other or refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.capabilities import Shape
from secretsync_core.run.convert import blob_to_fields, fields_to_blob, to_shape
from secretsync_core.run.fingerprint import same
from secretsync_core.schema.encoding import Encoding
from secretsync_core.secret import SecretValue

UTF_8, BASE64 = Encoding.UTF_8, Encoding.BASE64


@pytest.mark.parametrize(
    ("blob", "fields"),
    [
        (b'{"b": 1, "a": "x"}', {"a": "x", "b": 1}),
        (b' \n{"a": {"b": [null, true]}}\n', {"a": {"b": [None, True]}}),
        (b"{}", {}),
        (b"plain", {"value": "plain"}),
        (b"", {"value": ""}),
        ("ünï".encode(), {"value": "ünï"}),
        (b"[1, 2]", {"value": "[1, 2]"}),
        (b'"text"', {"value": '"text"'}),
        (b"{not json", {"value": "{not json"}),
        (b'{"value": 5}', {"value": 5}),
        (b'{"value": "{}"}', {"value": "{}"}),
        (b'{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
    ],
)
def test_blob_to_fields(blob: bytes, fields: dict[str, Any]) -> None:
    """A JSON object is its fields; any other text is the field ``value``."""
    assert blob_to_fields(blob, UTF_8) == fields


@pytest.mark.parametrize(
    "blob",
    [
        b'{"a": 1, "a": 2}',
        b'{"o": {"a": 1, "a": 2}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": 0.1234567890123456789}',
        b'{"a": 1e-999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * 100_000,
    ],
)
def test_what_fields_cannot_hold_exactly_stays_text(blob: bytes) -> None:
    """Repeated keys, numbers beyond float64 and bottomless nesting would be lost: the text is kept as it stands."""
    fields = blob_to_fields(blob, UTF_8)
    assert fields == {"value": blob.decode()}
    assert fields_to_blob(fields, UTF_8) == blob


@pytest.mark.parametrize(
    ("fields", "blob"),
    [
        ({"b": 1, "a": "ü"}, '{"a":"ü","b":1}'.encode()),
        ({"value": "plain"}, b"plain"),
        ({"value": '{"a": 1}'}, b'{"value":"{\\"a\\": 1}"}'),
        ({"value": 5}, b'{"value":5}'),
        ({"value": "x", "more": 1}, b'{"more":1,"value":"x"}'),
        ({}, b"{}"),
    ],
)
def test_fields_to_blob(fields: dict[str, Any], blob: bytes) -> None:
    """A lone text ``value`` is that text; everything else is a JSON object with sorted keys."""
    assert fields_to_blob(fields, UTF_8) == blob


@pytest.mark.parametrize("blob", [b"\xff", b"\xed\xa0\x80"])
def test_what_would_not_come_back_is_refused(blob: bytes) -> None:
    """Bytes that are no text need ``encoding: base64``."""
    with pytest.raises(InvalidSecret) as caught:
        blob_to_fields(blob, UTF_8)
    assert "base64" in caught.value.hint
    assert fields_to_blob(blob_to_fields(blob, BASE64), BASE64) == blob


@pytest.mark.parametrize("fields", [{"value": "not base64!"}, {"value": 5}, {"value": "eA==", "b": "x"}, {}])
def test_base64_takes_only_base64(fields: dict[str, Any]) -> None:
    """With ``encoding: base64`` anything but one field of base64 is refused."""
    with pytest.raises(InvalidSecret, match="base64"):
        fields_to_blob(fields, BASE64)


@pytest.mark.parametrize("fields", [{"value": "\ud800"}, {"a": "\ud800"}, {"\udfff": "a"}])
def test_half_a_character_is_refused(fields: dict[str, Any]) -> None:
    """JSON can spell half a surrogate pair; bytes cannot hold it."""
    with pytest.raises(InvalidSecret, match="not valid Unicode"):
        fields_to_blob(fields, UTF_8)


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode), st.sampled_from(Encoding))
def test_a_blob_comes_back(blob: bytes, encoding: Encoding) -> None:
    """To fields and back: the same bytes (a JSON object: the same object), or a refusal."""
    try:
        there = blob_to_fields(blob, encoding)
    except InvalidSecret:
        return
    back = fields_to_blob(there, encoding)
    assert back == blob or (set(there) != {"value"} and json.loads(back) == json.loads(blob))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from(["value", "a", "ü", ""]), JSON | st.sampled_from(["{}", "eA=="]), max_size=3)


@given(FIELDS, st.sampled_from(Encoding))
def test_fields_come_back(fields: dict[str, Any], encoding: Encoding) -> None:
    """To a blob and back: the same value, or a refusal; half a value never."""
    value = SecretValue(fields)
    try:
        there = to_shape(value, Shape.BLOB, encoding)
        back = to_shape(there, Shape.FIELDS, encoding)
    except InvalidSecret:
        return
    assert same(back, value)
