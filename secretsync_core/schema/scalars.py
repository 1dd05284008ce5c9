"""What a plain scalar means, by YAML 1.2's core schema: ``on``, ``yes``, ``1:30`` and dates are just text."""

from __future__ import annotations

import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_MOST_DIGITS = 18


class TooManyDigits(ValueError):
    """A number that no field could hold, and that most readers would not read back as it is written."""


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar. Raises TooManyDigits."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.match(text):
            if len(text) > _MOST_DIGITS:
                raise TooManyDigits
            return int(text, base)
    if _FLOAT.match(text):
        if len(text) > 4 * _MOST_DIGITS:
            raise TooManyDigits
        return float(text)
    special = _SPECIAL.get(text.lower())
    return float(special) if special else text
