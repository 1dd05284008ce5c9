"""Between named fields, named runs of bytes, and one blob: one rule each way, and never lossy in silence.

========================================  ====================================================================
blob to fields                            fields to blob
========================================  ====================================================================
a JSON object: its fields                 its JSON object, keys sorted, in UTF-8
any other text: the field ``value``       only the field ``value``, a text that is no JSON object: that text
with ``encoding: base64``: the field      with ``encoding: base64``: only the field ``value``: the bytes that
``value``, the bytes in base64            its base64 stands for
========================================  ====================================================================

Fields of bytes (Kubernetes) become text in UTF-8 in a store of JSON fields, and with ``encoding: base64`` all of them
base64. Only text becomes bytes: a number, true, null or a list is refused (``fields: {asText: true}`` makes it text).
Between fields of bytes and a blob the rules are those of the table, except that bytes which are not UTF-8 are the field
``value`` as they are.

The directions undo each other. What cannot come back as it was is refused: bytes that are not UTF-8 (without
``encoding: base64``), and the one JSON object that would come back as plain text, ``{"value": "some text"}``.
"""

from __future__ import annotations

import base64
import binascii
import json
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.capabilities import Shape
from secretsync_core.schema.job import Encoding
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.secret import FieldValue, JsonValue

VALUE = "value"
"""The field that stands for a blob which has no fields of its own."""


def to_shape(value: SecretValue, shape: Shape, encoding: Encoding) -> SecretValue:
    """The same secret in the shape that a store holds. Raises InvalidSecret where it would lose something."""
    payload = value.reveal()
    if shape is Shape.BLOB:
        return value if isinstance(payload, bytes) else SecretValue(fields_to_blob(payload, encoding))
    if shape is Shape.BINARY_FIELDS:
        fields = blob_to_binary(payload, encoding) if isinstance(payload, bytes) else binary_fields(payload, encoding)
        return SecretValue(fields)
    if isinstance(payload, bytes):
        return SecretValue(blob_to_fields(payload, encoding))
    return SecretValue(json_fields(payload)) if _has_bytes(payload) else value


def opened(value: SecretValue, encoding: Encoding) -> SecretValue:
    """A source's value as transforms see it: fields of bytes become text, in base64 where the item says so.

    Without it, bytes that are not UTF-8 stay bytes: they can be passed on, picked and renamed, and nothing else.
    """
    payload = value.reveal()
    if isinstance(payload, bytes) or not _has_bytes(payload):
        return value
    return SecretValue({name: _text_of(field, encoding) for name, field in payload.items()})


def _has_bytes(fields: Mapping[str, FieldValue]) -> bool:
    return any(isinstance(field, bytes) for field in fields.values())


def _text_of(field: FieldValue, encoding: Encoding) -> FieldValue:
    if not isinstance(field, bytes):
        return field
    if encoding is Encoding.BASE64:
        return base64.b64encode(field).decode("ascii")
    text = _decoded(field)
    return field if text is None else text


def json_fields(fields: Mapping[str, FieldValue]) -> dict[str, JsonValue]:
    """Fields that JSON can hold: those of bytes as the text that they are in UTF-8."""
    kept: dict[str, JsonValue] = {}
    for name, field in fields.items():
        held = _text_of(field, Encoding.UTF_8)
        if isinstance(held, bytes):
            raise InvalidSecret(
                "a field of the secret is bytes that are not UTF-8 text, and JSON has no bytes",
                hint="set encoding: base64 on the plan item, or leave that field out",
            )
        kept[name] = held
    return kept


def binary_fields(fields: Mapping[str, FieldValue], encoding: Encoding) -> dict[str, bytes]:
    """Fields as bytes: text in UTF-8, or what its base64 stands for where the item says so."""
    made: dict[str, bytes] = {}
    for name, field in fields.items():
        if isinstance(field, bytes):
            made[name] = field
        elif not isinstance(field, str):
            raise InvalidSecret(
                "a field of the secret is not text, and the destination holds bytes",
                hint="make it text by valueTransform: [{fields: {asText: true}}]",
            )
        elif encoding is Encoding.BASE64:
            made[name] = _from_base64(field, "a field")
        else:
            blob = encoded(field)
            if blob is None:
                raise InvalidSecret("the secret holds text that is not valid Unicode, and the destination holds bytes")
            made[name] = blob
    return made


def blob_to_binary(blob: bytes, encoding: Encoding) -> dict[str, bytes]:
    """The fields of bytes that a blob stands for."""
    if encoding is Encoding.BASE64 or _decoded(blob) is None:
        return {VALUE: blob}
    return binary_fields(blob_to_fields(blob, Encoding.UTF_8), Encoding.UTF_8)


def _from_base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret(f"encoding: base64 is set, and {what} is not base64") from None


def blob_to_fields(blob: bytes, encoding: Encoding) -> dict[str, JsonValue]:
    """The fields that a blob stands for."""
    if encoding is Encoding.BASE64:
        return {VALUE: base64.b64encode(blob).decode("ascii")}
    text = _decoded(blob)
    if text is None:
        raise InvalidSecret(
            "the secret is bytes that are not UTF-8 text, and the destination holds named fields",
            hint="set encoding: base64 on the plan item",
        )
    fields = json_object(text)
    if fields is None:
        return {VALUE: text}
    if set(fields) == {VALUE} and isinstance(only := fields[VALUE], str) and json_object(only) is None:
        raise InvalidSecret(
            "the secret is a JSON object whose only field is `value`: copied back, it would become plain text",
            hint="set encoding: base64 on the plan item to copy it byte by byte",
        )
    return fields


def fields_to_blob(given: Mapping[str, FieldValue], encoding: Encoding) -> bytes:
    """The blob that fields stand for."""
    if set(given) == {VALUE} and isinstance(raw := given[VALUE], bytes) and _decoded(raw) is None:
        return raw
    fields = json_fields(given)
    only = fields[VALUE] if set(fields) == {VALUE} else None
    if encoding is Encoding.BASE64:
        if not isinstance(only, str):
            raise InvalidSecret("encoding: base64 needs a secret whose only field is `value`, a text")
        return _from_base64(only, "the field `value`")
    if isinstance(only, str) and json_object(only) is None:
        text = only
    else:
        text = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    blob = encoded(text)
    if blob is None:
        raise InvalidSecret("the secret holds text that is not valid Unicode, and the destination holds bytes")
    return blob


# What goes wrong here carries the value with it, so it is caught before anything else is raised.


def encoded(text: str) -> bytes | None:
    """The text in UTF-8; None where it holds half a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def _decoded(blob: bytes) -> str | None:
    try:
        return blob.decode()
    except UnicodeDecodeError:
        return None


def json_object(text: str) -> dict[str, JsonValue] | None:
    """The JSON object that a text is; None where it is anything else, or one that fields cannot hold exactly."""
    if not text.lstrip(" \t\r\n").startswith("{"):
        return None
    try:
        parsed = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_json, parse_float=_exact_float)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        _no_json("a repeated key")
    return fields


def _exact_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")) or Decimal(text) != Decimal(repr(number)):
        _no_json(text)
    return number


def _no_json(_: str) -> NoReturn:
    raise ValueError("not a JSON object that fields can hold")
