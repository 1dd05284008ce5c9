"""Numbers in stores of JSON: some make a float64 of every number, which is another number for large integers."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secretsync_core.secret import JsonValue

_EXACT = 2**53  # every integer up to here is a float64


def survives(field: JsonValue, *, exact_numbers: bool) -> bool:
    """Whether every number in a field is one that JSON has and, unless ``exact_numbers``, the same as a float64."""
    if field is None or isinstance(field, (str, bool)):
        return True
    if isinstance(field, float):
        return math.isfinite(field)
    if isinstance(field, int):
        return exact_numbers or -_EXACT <= field <= _EXACT or _same_digits(field)
    parts = field.values() if isinstance(field, dict) else field
    return all(survives(part, exact_numbers=exact_numbers) for part in parts)


def _same_digits(number: int) -> bool:
    """Whether a float64 prints as this integer again: 10**18 does, 2**60 is printed with its last digits as zeros."""
    try:
        return Decimal(repr(float(number))) == number
    except OverflowError:
        return False
