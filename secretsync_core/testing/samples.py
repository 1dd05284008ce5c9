"""What the conformance suite writes: values and keys that stores get wrong."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Shape
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from secretsync_core.secret import FieldValue, JsonValue

FIELDS: Mapping[str, dict[str, JsonValue]] = {
    "one": {"value": "x"},
    "empty": {},
    "empty-text": {"value": ""},
    "nested": {"a": {"b": {"c": [1, [2, {"d": None}]]}}, "e": []},
    "not-text": {"yes": True, "no": False, "none": None, "one": 1, "zero": 0, "minus": -7},
    "text-like": {"true": "true", "null": "null", "number": "0012", "float": "1e5", "date": "2026-01-01"},
    "unicode": {"schlüssel": "値 🔑 Ω", "combining": "e\u0301", "nul": "a\u0000b", "lines": "a\r\nb\n\tc\u2028"},
    "names": {"": "empty", "a.b": "dot", "a/b": "slash", "a b": "space", "$x": "dollar", "data": "d", "metadata": "m"},
    "spaces": {"value": "  a  \n"},
    "many": {f"field-{number}": str(number) for number in range(500)},
    "large": {"value": "x" * 100_000},
}

BLOBS: Mapping[str, bytes] = {
    "one": b"x",
    "empty": b"",
    "all-bytes": bytes(range(256)),
    "not-utf-8": b"\xff\xfe\x80",
    "nul": b"a\0b",
    "newline": b"a\n",
    "json": b'{ "a" : 1.0 }\n',
    "unicode": "値 🔑 e\u0301".encode(),
    "large": bytes(range(256)) * 400,
}

BINARY_FIELDS: Mapping[str, dict[str, bytes]] = {
    "one": {"value": b"x"},
    "empty": {},
    "empty-text": {"value": b""},
    "all-bytes": {"value": bytes(range(256))},
    "not-utf-8": {"keystore.jks": b"\xff\xfe\x80", "password": b"text"},
    "unicode": {"text": "値 🔑 e\u0301".encode(), "lines": b"a\r\nb\n\tc\n"},
    "names": {"": b"empty", "a.b": b"dot", "a/b": b"slash", "a b": b"space", "$x": b"dollar", "_data": b"d"},
    "many": {f"field-{number}": str(number).encode() for number in range(500)},
    "large": {"value": bytes(range(256)) * 400},
}

NUMBERS: Mapping[str, JsonValue] = {
    "2**53+1": 2**53 + 1,
    "-2**63": -(2**63),
    "2**64-1": 2**64 - 1,
    "10**30": 10**30,
    "0.1": 0.1,
    "1.0": 1.0,
    "1e300": 1e300,
    "5e-324": 5e-324,
}

FIELD_NAMES = (
    "plain",
    "UPPER",
    "dots.and-dashes_",
    ".hidden",
    "-",
    ".",
    "..",
    "..a",
    "",
    "a b",
    "a/b",
    "$x",
    "ünï",
    "a\n",
    "x" * 253,
    "." + "x" * 252,
    "x" * 254,
)
"""Names of fields, of which every rule takes some."""

ODD_KEYS = (
    "name",
    "folder/name",
    "a/b/c",
    "with-dash",
    "double..dot",
    "with space",
    " around ",
    "ünïcode/値/🔑",
    "e\u0301",
    "dots.in.it",
    ".hidden",
    "...",
    "trailing.",
    "a%2Fb",
    "%",
    "100%25",
    "plus+plus",
    "hash#tag",
    "what?x=1&y=2",
    "semi;colon",
    "colon:at@",
    "quote'\"`",
    "back\\slash",
    "star*[a]{b}",
    "-dash",
    "~tilde",
    "$HOME",
    "UPPER/lower",
    "con.json",
    "new\nline",
    "tab\tkey",
    "metadata/data",
    "config",
    "list",
    "very/deep/" + "/".join("d" * 3 for _ in range(20)),
    "l" * 200,
)

ESCAPES = (
    "",
    ".",
    "..",
    "/",
    "/witness",
    "witness/",
    "../witness",
    "folder/../witness",
    "folder/../../witness",
    "folder/..",
    "folder//witness",
    "folder/./witness",
    "./witness",
    "witness\0",
    "folder/\0/witness",
)
"""Keys that are none. ``witness`` and ``folder/witness`` stand beside them and must not be touched."""


def sample(shape: Shape, number: int = 0) -> SecretValue:
    """Make a small value that ``number`` tells apart from others."""
    return from_text(shape, f"the-value-{number}")


def from_text(shape: Shape, text: str) -> SecretValue:
    """Make a value of any shape that holds this text."""
    if shape is Shape.BLOB:
        return SecretValue(text.encode())
    return SecretValue({"value": text if shape is Shape.FIELDS else text.encode()})


def with_field(shape: Shape, name: str) -> SecretValue:
    """Make a value of fields, of which one has this name."""
    return SecretValue({name: b"x" if shape is Shape.BINARY_FIELDS else "x"})


def other_shape(shape: Shape) -> Shape:
    """Give a shape that a store of ``shape`` must refuse."""
    return Shape.FIELDS if shape is Shape.BLOB else Shape.BLOB


def samples_of(shape: Shape) -> Mapping[str, SecretValue]:
    """Give every sample of a shape by name."""
    if shape is Shape.BLOB:
        return {name: SecretValue(blob) for name, blob in BLOBS.items()}
    fields: Mapping[str, Mapping[str, FieldValue]] = FIELDS if shape is Shape.FIELDS else BINARY_FIELDS
    return {name: SecretValue(each) for name, each in fields.items()}


def form(value: SecretValue, *, exact_numbers: bool = True) -> str:
    """Give a text that is the same for equal values only: unlike ``==``, it tells 1 from True, and 1 from 1.0.

    Without ``exact_numbers``, numbers are the same if JSON writes the same number: 1 and 1.0, 10**30 and 1e30.
    """
    revealed = value.reveal()
    return revealed.hex() if isinstance(revealed, bytes) else _form(revealed, exact_numbers)


def _form(item: FieldValue | Mapping[str, FieldValue], exact_numbers: bool) -> str:
    if isinstance(item, Mapping):
        return "{" + ",".join(f"{name!r}:{_form(item[name], exact_numbers)}" for name in sorted(item)) + "}"
    if isinstance(item, list):
        return "[" + ",".join(_form(part, exact_numbers) for part in item) + "]"
    if isinstance(item, (int, float)) and not isinstance(item, bool) and not exact_numbers:
        return f"number:{Decimal(repr(item)).normalize(Context(prec=400))}"
    return f"{type(item).__name__}:{item!r}"
