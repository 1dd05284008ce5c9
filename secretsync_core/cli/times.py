"""Times and durations, as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from secretsync_core.errors import UsageError

_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MINUTE = 60
_HOUR = 3600
_DAY = 86_400


def moment(text: str, now: datetime, *, of: str) -> datetime:
    """The moment that ``2h``, ``1d12h`` or ``2026-01-31T08:00`` (local time unless it says) means.

    Raises UsageError where it is none; ``of`` is the option that it was given for.
    """
    compact = text.strip().lower().removesuffix(" ago")
    if re.fullmatch(rf"(?:{_SPAN.pattern}\s*)+", compact):
        try:
            return now - sum((timedelta(**{_UNITS[u]: int(n)}) for n, u in _SPAN.findall(compact)), timedelta())
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{of} is not a time", hint="write 30m, 2h, 3d or 1w, or a date such as 2026-01-31T08:00"
        ) from None


def clock(seconds: float) -> str:
    """A moment in local time, to the second, with its zone."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def minute(seconds: float) -> str:
    """The same to the minute, where there is little room."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def iso(seconds: float) -> str:
    """A moment for machines: UTC, RFC 3339, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def ago(seconds: float, now: float) -> str:
    """How long ago a moment was: ``just now``, ``5 min ago``, ``3 h ago``, ``2 d ago``."""
    gone = now - seconds
    if gone < _MINUTE:
        return "just now"
    if gone < _HOUR:
        return f"{int(gone // _MINUTE)} min ago"
    if gone < 2 * _DAY:
        return f"{int(gone // _HOUR)} h ago"
    return f"{int(gone // _DAY)} d ago"
