"""What is copied between all stores: secrets of each shape, those that travel well and those that do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from secretsync_core.model.capabilities import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.secret import FieldValue

Payload: TypeAlias = "Mapping[str, FieldValue] | bytes"

FIELDS: dict[str, Payload] = {
    "text": {"user": "alice", "pass": "p4ss ü 値", "empty": ""},
    "only-value": {"value": "plain text"},
    "only-value-json": {"value": '{"a": "b"}'},
    "only-value-odd": {"value": '{"value": "x"}'},
    "number": {"port": 5432, "ratio": 0.5},
    "large-number": {"id": 2**60 + 1},
    "nested": {"db": {"host": "h", "ports": [1, 2]}, "on": True, "none": None},
    "names": {"with space": "1", "dots.and-dashes_": "2"},
    "lines": {"pem": "-----BEGIN X-----\nYWJj\n-----END X-----\n"},
    "no-field": {},
}
BINARY: dict[str, Payload] = {
    "text": {"user": b"alice", "pass": "p4ss ü".encode(), "empty": b""},
    "only-value": {"value": b"plain text"},
    "binary": {"keystore.jks": b"\xfe\xed\xfe\xed", "password": b"x"},
    "only-value-binary": {"value": b"\x00\xff"},
    "only-value-odd": {"value": b'{"value": "x"}'},
    "json-text": {"config": b'{"a": 1}'},
}
BLOBS: dict[str, Payload] = {
    "text": b"plain text",
    "json": b'{"pass":"p4ss","user":"alice"}',
    "json-number": b'{"port":5432}',
    "json-large-number": b'{"id":9007199254740993}',
    "json-exact": b'{"price":0.1000000000000000055511151231257827}',
    "json-odd": b'{"value":"x"}',
    "json-list": b'["a"]',
    "json-twice": b'{"a":"1","a":"2"}',
    "binary": b"\x00\xff\xfe",
    "unicode": "ü 値 🔑".encode(),
    "template": b"{{ not a parameter }}",
    "one-byte": b"x",
    "empty": b"",
}


def samples(shape: Shape) -> dict[str, Payload]:
    """The samples of a store's shape, by name."""
    return {Shape.FIELDS: FIELDS, Shape.BINARY_FIELDS: BINARY, Shape.BLOB: BLOBS}[shape]


def same_payload(one: object, other: object) -> bool:
    """Whether a secret came back as it was. The spaces and the order of a JSON object in a blob are its form alone."""
    if isinstance(one, bytes) and isinstance(other, bytes):
        return one == other or (_pairs(one) is not None and _pairs(one) == _pairs(other))
    return type(one) is type(other) and repr(_ordered(one)) == repr(_ordered(other))


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_ordered(inner) for inner in value]
    # JSON has one kind of number: a store may give 1.0 as 1.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _pairs(blob: bytes) -> list[tuple[str, str]] | None:
    """The members of a JSON object, numbers as they are written; None for anything else."""
    try:
        found = json.loads(blob, parse_float=str, parse_int=str, object_pairs_hook=list)
    except ValueError:
        return None
    return sorted((str(name), repr(value)) for name, value in found) if blob.lstrip().startswith(b"{") else None
