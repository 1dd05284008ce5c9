"""How much, how long, how often, and when: the small languages of the fields that hold quantities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema
from pydantic_core import core_schema

from secretsync_core.schema import cron

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

_COUNT = re.compile(r"[0-9]{1,12}\Z")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%\Z")


@dataclass(frozen=True, slots=True)
class Amount:
    """A count, or a share of some whole: ``5`` or ``10%``. Exactly one of the two is set."""

    count: int | None = None
    share: Fraction | None = None  # exact, since 0.29 * 100 is less than 29 in floating point

    @classmethod
    def parse(cls, value: object) -> Amount:
        """Read ``5``, ``"5"`` or ``"10%"``. Raises ValueError."""
        if isinstance(value, Amount):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12:
            return cls(count=value)
        if isinstance(value, str):
            text = value.strip()
            if _COUNT.match(text):
                return cls(count=int(text))
            match = _SHARE.match(text)
            if match and Fraction(match[1]) <= 100:
                return cls(share=Fraction(match[1]) / 100)
        raise ValueError("must be a count such as 5, or a share from 0% to 100% such as 10%")

    def allowed(self, owned: int) -> int:
        """How many of ``owned`` this allows: the count, or the share rounded down, but at least one unless it is 0%."""
        if self.share is not None:
            return max(int(self.share * owned), 1) if self.share and owned else 0
        return self.count or 0

    def __str__(self) -> str:
        if self.share is None:
            return str(self.count)
        percent = self.share * 100
        return f"{percent.numerator if percent.denominator == 1 else format(float(percent), '.10g')}%"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return _parsed(cls.parse)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*([0-9]{1,12}|(100(\.0{1,6})?|[0-9]{1,2}(\.[0-9]{1,6})?)\s*%)\s*$"},
            ]
        }


def _parsed(parse: Any) -> core_schema.CoreSchema:
    return core_schema.no_info_plain_validator_function(
        parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
    )


_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = r"(?:[0-9]{1,9}d)?(?:[0-9]{1,9}h)?(?:[0-9]{1,9}m)?(?:[0-9]{1,9}s)?(?:[0-9]{1,9}ms)?"
_LONGEST = 366 * 86400.0


def parse_duration(value: object) -> float:
    """Read ``90s``, ``5m`` or ``1h30m`` as seconds. Raises ValueError."""
    if isinstance(value, str) and value and re.fullmatch(_DURATION, value):
        pairs = re.findall(r"([0-9]+)(ms|[dhms])", value)
        seconds = sum(int(number) * _UNITS[unit] for number, unit in pairs)
        if 0 < seconds <= _LONGEST:
            return seconds
    raise ValueError("must be a duration such as 60s, 5m or 1h30m, greater than 0 and at most 366d")


def _duration(value: object, info: ValidationInfo) -> float:
    if _was_read(value, info) and 0 < value <= _LONGEST:
        return value
    return parse_duration(value)


def _was_read(value: object, info: ValidationInfo) -> TypeGuard[float]:
    """Whether this is no text of a document, which is always validated as JSON, but of a model that was dumped."""
    return isinstance(value, float) and info.mode == "python"


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": f"^(?=.*[1-9]){_DURATION}$", "examples": ["60s", "1h30m"]}),
]
"""A length of time, in seconds."""

_FASTEST = 10.0**9
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*/\s*(s|m|h)\Z")


_SLOWEST = Fraction(1, 60)
"""A run lasts as long as its rate says. With less than one request a minute none of them would end."""


def parse_rate(value: object) -> float:
    """Read ``200/s`` or ``1000/m`` as requests a second. Raises ValueError."""
    match = _RATE.match(value) if isinstance(value, str) else None
    if match is None or Fraction(match[1]) / int(_UNITS[match[2]]) < _SLOWEST:
        raise ValueError("must be a rate such as 200/s, 1000/m or 5000/h, at least 1/m")
    return float(match[1]) / _UNITS[match[2]]


def _rate(value: object, info: ValidationInfo) -> float:
    if _was_read(value, info) and 0 < value < _FASTEST:
        return value
    return parse_rate(value)


Rate = Annotated[
    float,
    BeforeValidator(_rate),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(?=[0-9.]*[1-9])[0-9]{1,9}(\.[0-9]{1,6})?\s*/\s*[smh]$",
            "examples": ["200/s", "1000/m"],
        }
    ),
]
"""Requests a second."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something runs: ``text`` as written, and ``cron``, its form in five fields."""

    text: str
    cron: str

    @classmethod
    def parse(cls, value: object) -> Schedule:
        """Read a cron expression, a macro such as ``@hourly``, or ``@every 15m``. Raises ValueError."""
        if isinstance(value, Schedule):
            return value
        if not isinstance(value, str):
            raise ValueError("must be a schedule in quotes, such as '0 * * * *', @hourly or @every 15m")  # noqa: TRY004
        words = value.lower().split()
        if words and words[0] == "@every":
            return cls(value, _every(words[1] if len(words) == 2 else ""))
        if words and words[0].startswith("@"):
            if len(words) > 1 or words[0] not in cron.MACROS:
                raise ValueError(f"an unknown macro: there are {', '.join(cron.MACROS)} and @every 15m")
            return cls(value, cron.MACROS[words[0]])
        return cls(value, cron.normalize(value))

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return _parsed(cls.parse)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        macros = "|".join(macro.removeprefix("@") for macro in cron.MACROS)
        return {
            "type": "string",
            "pattern": rf"^\s*(@({macros})|@every\s+[0-9]+[hms0-9]*|[^@\s]+(\s+[^@\s]+){{4}})\s*$",
            "examples": ["0 * * * *", "@hourly", "@every 15m"],
        }


def _every(text: str) -> str:
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise ValueError("@every takes a duration, such as @every 15m") from None
    minutes, rest = divmod(seconds, 60)
    expression = None if rest else cron.every(int(minutes))
    if expression is None:
        raise ValueError(
            "cron cannot express this interval; it can express 1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30 minutes,"
            " and 1, 2, 3, 4, 6, 8, 12 or 24 hours; onChange accepts any interval"
        )
    return expression


_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}\Z")


def check_timezone(value: str) -> str:
    """A time zone's IANA name, unchanged. Raises ValueError where there is none of that name."""
    if _ZONE.match(value) and value not in ("localtime", "posixrules", "Factory"):  # other things in the same folder
        from zoneinfo import ZoneInfo  # here, since nearly every document keeps the default

        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            pass
        else:
            return value
    raise ValueError("must be the name of a time zone, such as Europe/Berlin or UTC")


Timezone = Annotated[
    str,
    AfterValidator(check_timezone),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_+/-]+$", "examples": ["Europe/Berlin", "UTC"]}),
]
"""A time zone's IANA name."""
