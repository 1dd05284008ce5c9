"""Cron expressions of five fields, checked by the rules of cron(5): what passes here means the same everywhere.

Left out on purpose are the things that one cron knows and the next does not: seconds, years, ``L``, ``W``, ``#``,
``?``, and a step without a range (``5/15``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_SUNDAY = 7  # or 0
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(
    r"(?:(?P<all>\*)|(?P<low>\d{1,2}|[A-Z]{3})(?:-(?P<high>\d{1,2}|[A-Z]{3}))?)(?:/(?P<step>\d{1,2}))?\Z", re.ASCII
)


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # the first of them stands for ``low``


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, tuple(_MONTHS)),
    _Field("day of the week", 0, 7, tuple(_DAYS)),
)


def normalize(expression: str) -> str:
    """The expression in capitals with single spaces, and in a form that every cron reads alike.

    A range of one number becomes that number, since Dagster takes ``3-3`` for every day. What stands for all numbers
    becomes the star, as Dagster takes it, be it ``*/1`` or ``0-6``: to others that is a restriction, and with one of
    the other days it makes a schedule of every day. A day that none of the months has gives way to the weekday, which
    suffices; Dagster would look for it in vain, and fail. Raises ValueError where it is not a cron expression.
    """
    fields = expression.upper().split()
    if len(fields) != len(_FIELDS):
        raise ValueError("a cron expression has five fields: minute, hour, day of the month, month, day of the week")
    sets = [_numbers(field, text) for field, text in zip(_FIELDS, fields, strict=True)]
    plain = [_plain(*each) for each in zip(_FIELDS, fields, sets, strict=True)]
    days, months = sets[2], sets[3]
    if not any(day <= _LONGEST[month - 1] for month in months for day in days):
        if plain[4] == "*":
            raise ValueError("the schedule would never run: none of its months has that day")
        plain[2] = "*"
    return " ".join(plain)


def _plain(field: _Field, text: str, numbers: set[int]) -> str:
    every = set(range(field.low, field.high + 1))
    if numbers >= every or (field.high == _SUNDAY and {number % _SUNDAY for number in numbers} == every - {_SUNDAY}):
        return "*"
    parts = text.split(",")
    return ",".join(first if first == last else part for part, first, last in map(_ends, parts))


def _ends(part: str) -> tuple[str, str, str]:
    first, _, last = part.partition("/")[0].partition("-")
    return part, first, last


def _numbers(field: _Field, text: str) -> set[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        match = _PART.match(part)
        if match is None:
            raise ValueError(f"the {field.name} is not *, a number, a range such as 1-5, a step such as */5, or a list")
        low, high = field.low, field.high
        if not match["all"]:
            low = _number(field, match["low"])
            high = _number(field, match["high"]) if match["high"] else low
            if match["step"] and not match["high"]:
                raise ValueError(f"a step in the {field.name} needs a range: {field.low}-{field.high}/5, or */5")
            if low > high:
                raise ValueError(f"a range in the {field.name} runs backwards; write it as two, with a comma")
        step = int(match["step"]) if match["step"] else 1
        if not 1 <= step <= field.high:
            raise ValueError(f"a step in the {field.name} must be from 1 to {field.high}")
        numbers.update(range(low, high + 1, step))
    return numbers


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.low
    number = int(text) if text.isdigit() else -1
    if not field.low <= number <= field.high:
        names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise ValueError(f"the {field.name} must be from {field.low} to {field.high}{names}")
    return number


def every(minutes: int) -> str | None:
    """The cron expression for "every so many minutes", ``None`` where cron cannot keep even steps."""
    if 0 < minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
    hours, rest = divmod(minutes, 60)
    if rest or not hours or 24 % hours:
        return None
    return {1: "0 * * * *", 24: "0 0 * * *"}.get(hours, f"0 */{hours} * * *")
