"""Between named fields, named runs of bytes, and one blob: one rule each way, and never lossy in silence.

========================================  ====================================================================
blob to fields                            fields to blob
========================================  ====================================================================
a JSON object: its fields                 its JSON object, keys sorted, in UTF-8
any other text: the field ``value``       only the field ``value``, a text that is no JSON object: that text
with ``encoding: base64``: the field      with ``encoding: base64``: only the field ``value``: the bytes that
``value``, the bytes in base64            its base64 stands for
========================================  ====================================================================

Fields of bytes (Kubernetes) become text in UTF-8 in a store of JSON fields, and base64 where ``encoding`` says so: all
of them, or those that it names. Only text becomes bytes: a number, true, null or a list is refused, by the name of its
field. Between fields of bytes and a blob the rules are those of the table, except that bytes which are not UTF-8 are
the field ``value`` as they are.

The directions undo each other, or it is refused: bytes that are not UTF-8 (without ``encoding: base64``). There is one
exception: from the JSON object ``{"value": "text"}`` come fields that another store takes for the text alone. On the
way from a blob to a blob it stays that object (see :data:`~secretsync_core.secret.OBJECT`).
"""

from __future__ import annotations

import base64
import binascii
import json
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

from secretsync_core.endurance import is_too_deep
from secretsync_core.errors import InvalidSecret
from secretsync_core.model.capabilities import Shape
from secretsync_core.model.field_names import listed, quoted
from secretsync_core.schema.encoding import Encoding, encoding_of
from secretsync_core.secret import OBJECT, SecretValue
from secretsync_core.stores.answers import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.schema.encoding import Encodings
    from secretsync_core.secret import FieldValue, JsonValue

VALUE = "value"
"""The field that stands for a blob which has no fields of its own."""


class Base64(str):
    """A text that is the base64 of bytes, known as such whatever its field is called by now."""

    __slots__ = ()


def to_shape(value: SecretValue, shape: Shape, encoding: Encodings) -> SecretValue:
    """The same secret in the shape that a store holds. Raises InvalidSecret where it would lose something.

    What keeps its shape keeps its kind.
    """
    payload = value.reveal()
    if shape is Shape.BLOB:
        if isinstance(payload, bytes):
            return value
        return SecretValue(fields_to_blob(payload, encoding, as_object=value.kind == OBJECT))
    if shape is Shape.BINARY_FIELDS:
        if isinstance(payload, bytes):
            return SecretValue(blob_to_binary(payload, encoding))
        return SecretValue(binary_fields(payload, encoding), "" if value.kind == OBJECT else value.kind)
    if isinstance(payload, bytes):
        return SecretValue(_plain(blob_to_fields(payload, encoding)))
    as_it_is = not value.kind and not any(isinstance(field, (bytes, Base64)) for field in payload.values())
    return value if as_it_is else SecretValue(_plain(json_fields(payload)))


def _plain(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Fields as a store of JSON has them, which does not know what is base64."""
    return {name: str(field) if isinstance(field, Base64) else field for name, field in fields.items()}


def opened(value: SecretValue, encoding: Encodings) -> SecretValue:
    """A source's value as transforms see it: fields of bytes become text, in base64 where the item says so.

    Without it, bytes that are not UTF-8 stay bytes: they can be passed on, picked and renamed, and nothing else.
    """
    payload = value.reveal()
    if isinstance(payload, bytes) or not _has_bytes(payload):
        return value
    fields = {name: _text_of(field, encoding_of(encoding, name)) for name, field in payload.items()}
    return SecretValue(fields, value.kind)


def is_lone_object(blob: bytes) -> bool:
    """Whether a blob is a JSON object whose only field is ``value``."""
    text = _decoded(blob)
    fields = json_object(text) if text is not None else None
    return fields is not None and set(fields) == {VALUE}


def is_object(value: SecretValue) -> bool:
    """Whether a blob is a JSON object."""
    payload = value.reveal()
    text = _decoded(payload) if isinstance(payload, bytes) else None
    return text is not None and json_object(text) is not None


def fields_to_split(value: SecretValue, encoding: Encodings) -> dict[str, FieldValue] | None:
    """The fields that a secret can be split into: a blob's where it is a JSON object; None where there are none."""
    payload = value.reveal()
    if not isinstance(payload, bytes):
        return payload
    if encoding_of(encoding, VALUE) is Encoding.BASE64 or not is_object(value):
        return None
    return dict(blob_to_fields(payload, encoding))


def is_text(blob: bytes) -> bool:
    """Whether bytes are text in UTF-8."""
    return _decoded(blob) is not None


def _has_bytes(fields: Mapping[str, FieldValue]) -> bool:
    return any(isinstance(field, bytes) for field in fields.values())


def _text_of(field: FieldValue, encoding: Encoding) -> FieldValue:
    if not isinstance(field, bytes):
        return field
    if encoding is Encoding.BASE64:
        return as_base64(field)
    text = _decoded(field)
    return field if text is None else text


def as_base64(blob: bytes) -> Base64:
    """The base64 of some bytes."""
    return Base64(base64.b64encode(blob).decode("ascii"))


def json_fields(fields: Mapping[str, FieldValue]) -> dict[str, JsonValue]:
    """Fields that JSON can hold: those of bytes as the text that they are in UTF-8."""
    kept: dict[str, JsonValue] = {}
    bare: list[str] = []
    for name, field in fields.items():
        held = _text_of(field, Encoding.UTF_8)
        if isinstance(held, bytes):
            bare.append(name)
        else:
            kept[name] = held
    if bare:
        raise InvalidSecret(
            f"{listed(bare)} of the secret: bytes that are not UTF-8 text, and JSON has no bytes",
            hint="set encoding: base64 on the plan item, for all fields or as {base64: [NAME]}, or leave them out by a "
            "valueTransform",
        )
    return kept


def binary_fields(fields: Mapping[str, FieldValue], encoding: Encodings) -> dict[str, bytes]:
    """Fields as bytes: text in UTF-8, or what its base64 stands for where the item says so."""
    made: dict[str, bytes] = {}
    other: list[str] = []
    for name, field in fields.items():
        if isinstance(field, bytes):
            made[name] = field
        elif not isinstance(field, str):
            other.append(name)
        elif isinstance(field, Base64) or encoding_of(encoding, name) is Encoding.BASE64:
            made[name] = _from_base64(field, name)
        else:
            blob = encoded(field)
            if blob is None:
                raise InvalidSecret(
                    f"the field {quoted(name)} holds text that is not valid Unicode, and the destination holds bytes"
                )
            made[name] = blob
    if other:
        raise _no_text(fields, other)
    return made


def _no_text(fields: Mapping[str, FieldValue], names: list[str]) -> InvalidSecret:
    """The error for fields that bytes cannot hold: each by its name, with what it is."""
    told = f"the secret has what is not text, and the destination holds bytes: {listed(names, _words(fields))}"
    nulls = [name for name in names if fields[name] is None]
    if not nulls:
        return InvalidSecret(told, hint="make it text by valueTransform: [{fields: {asText: true}}]")
    if len(nulls) < len(names):
        return InvalidSecret(
            told,
            hint="make it text by valueTransform: [{fields: {dropNull: true, asText: true}}], which drops what is null",
        )
    return InvalidSecret(
        told,
        hint="drop what is null by valueTransform: [{fields: {dropNull: true}}], "
        "or write the text null by asText: true",
    )


def _words(fields: Mapping[str, FieldValue]) -> dict[str, str]:
    return {name: kind_of(field) for name, field in fields.items()}


def blob_to_binary(blob: bytes, encoding: Encodings) -> dict[str, bytes]:
    """The fields of bytes that a blob stands for."""
    if encoding_of(encoding, VALUE) is Encoding.BASE64 or _decoded(blob) is None:
        return {VALUE: blob}
    return binary_fields(blob_to_fields(blob, encoding), encoding)


def _from_base64(text: str, name: str) -> bytes:
    """What a base64 stands for. White space in it is nothing, as in RFC 2045: tools break its lines, and end them."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        pass
    # Out here, where no error that shows the text hangs on to it.
    raise InvalidSecret(
        f"encoding: base64 is set, and the field {quoted(name)} is not base64",
        hint="name the fields that are, as encoding: {base64: [NAME]}; the others are written as the text they are",
    )


def blob_to_fields(blob: bytes, encoding: Encodings, name: str = VALUE) -> dict[str, JsonValue]:
    """The fields that a blob stands for; ``name`` is what ``encoding`` calls it where it has no fields of its own."""
    if encoding_of(encoding, name) is Encoding.BASE64:
        return {VALUE: as_base64(blob)}
    text = _decoded(blob)
    if text is None:
        raise InvalidSecret(
            "the secret is bytes that are not UTF-8 text, and the destination holds named fields",
            hint="set encoding: base64 on the plan item",
        )
    fields = json_object(text)
    return {VALUE: text} if fields is None else fields


def fields_to_blob(given: Mapping[str, FieldValue], encoding: Encodings, *, as_object: bool = False) -> bytes:
    """The blob that fields stand for; ``as_object``: a JSON object also where there is nothing but ``value``."""
    if set(given) == {VALUE} and isinstance(raw := given[VALUE], bytes) and _decoded(raw) is None:
        return raw
    fields = json_fields(given)
    alone = set(fields) == {VALUE} and not as_object
    only = fields[VALUE] if alone else None
    if isinstance(only, Base64) or (alone and encoding_of(encoding, VALUE) is Encoding.BASE64):
        if not isinstance(only, str):
            raise InvalidSecret("encoding: base64 is set, and the field 'value' is not text")
        return _from_base64(only, VALUE)
    if encoding is Encoding.BASE64:
        raise InvalidSecret(
            f"encoding: base64 is set, and the secret has more to it than the field 'value': {listed(fields)}"
            if fields
            else "encoding: base64 is set, and the secret has no fields",
            hint="name the fields that are base64, as encoding: {base64: [NAME]}, or leave only one and rename it to "
            "value by a valueTransform",
        )
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
    return parsed if isinstance(parsed, dict) and not is_too_deep(parsed) else None


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
