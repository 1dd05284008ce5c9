"""How bytes and text become each other: in one way for a whole secret, or for some of its fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema


class Encoding(StrEnum):
    """How bytes are represented where a store holds JSON."""

    UTF_8 = "utf-8"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class FieldEncoding:
    """The names of the fields that are base64 where a store holds JSON; the others are text in UTF-8."""

    base64: frozenset[str]


def parse_encoding(value: object) -> Encoding | FieldEncoding:
    """Read ``utf-8``, ``base64`` or ``{base64: [NAME, ...]}``. Raises ValueError."""
    if isinstance(value, (Encoding, FieldEncoding)):
        return value
    if isinstance(value, str) and value in list(Encoding):
        return Encoding(value)
    if isinstance(value, dict) and set(value) == {"base64"} and isinstance(names := value["base64"], list):
        if names and all(isinstance(name, str) and name for name in names):
            return FieldEncoding(frozenset(names))
        raise ValueError("base64 must be a list of the names of fields, at least one")
    raise ValueError("must be utf-8, base64, or the names of the fields that are base64: {base64: [NAME]}")


def dumped(encoding: Encoding | FieldEncoding) -> str | dict[str, list[str]]:
    """An encoding as a document has it."""
    return encoding.value if isinstance(encoding, Encoding) else {"base64": sorted(encoding.base64)}


Encodings: TypeAlias = Annotated[
    Encoding | FieldEncoding,
    PlainValidator(parse_encoding),
    PlainSerializer(dumped),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(Encoding)},
                {
                    "type": "object",
                    "properties": {
                        "base64": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
                    },
                    "required": ["base64"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""The encoding of a whole secret, or of some of its fields."""


def encoding_of(encoding: Encoding | FieldEncoding, name: str) -> Encoding:
    """The encoding of the field with this name."""
    if isinstance(encoding, Encoding):
        return encoding
    return Encoding.BASE64 if name in encoding.base64 else Encoding.UTF_8
