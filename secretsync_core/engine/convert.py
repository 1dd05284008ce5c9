"""Between named fields and one blob of bytes: one rule each way, and never lossy in silence.

========================================  ====================================================================
blob to fields                            fields to blob
========================================  ====================================================================
a JSON object: its fields                 its JSON object, keys sorted, in UTF-8
any other text: the field ``value``       only the field ``value``, a text that is no JSON object: that text
with ``encoding: base64``: the field      with ``encoding: base64``: only the field ``value``: the bytes that
``value``, the bytes in base64            its base64 stands for
========================================  ====================================================================

The two undo each other. What cannot come back as it was is refused: bytes that are not UTF-8 (without ``encoding:
base64``), and the one JSON object that would come back as plain text, ``{"value": "some text"}``.
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
    from secretsync_core.secret import JsonValue

VALUE = "value"
"""The field that stands for a blob which has no fields of its own."""


def to_shape(value: SecretValue, shape: Shape, encoding: Encoding) -> SecretValue:
    """The same secret in the shape that a store holds. Raises InvalidSecret where it would lose something."""
    payload = value.reveal()
    if isinstance(payload, bytes):
        return value if shape is Shape.BLOB else SecretValue(blob_to_fields(payload, encoding))
    return value if shape is Shape.FIELDS else SecretValue(fields_to_blob(payload, encoding))


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


def fields_to_blob(fields: dict[str, JsonValue], encoding: Encoding) -> bytes:
    """The blob that fields stand for."""
    only = fields[VALUE] if set(fields) == {VALUE} else None
    if encoding is Encoding.BASE64:
        if not isinstance(only, str):
            raise InvalidSecret("encoding: base64 needs a secret whose only field is `value`, a text")
        try:
            return base64.b64decode(only, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidSecret("encoding: base64 is set, and the field `value` is not base64") from None
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
