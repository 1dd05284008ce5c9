"""When a schedule was last due and will be due next, for ``secretsync status`` and ``metrics``."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_DAYS = 366 * 9  # a 29 February may be eight years off


def previous(cron: str, timezone: str, now: datetime) -> datetime | None:
    """The last moment up to ``now`` at which ``cron``, a checked expression, was due; in UTC."""
    return _find(cron, ZoneInfo(timezone), now, -1, lambda moment: moment <= now)


def following(cron: str, timezone: str, now: datetime) -> datetime | None:
    """The first moment after ``now`` at which ``cron`` will be due; in UTC."""
    return _find(cron, ZoneInfo(timezone), now, 1, lambda moment: moment > now)


def lag(cron: str, timezone: str, started: datetime, now: datetime) -> float:
    """For how many seconds a job whose last run began at ``started`` has missed its schedule; 0 where it has not."""
    missed = following(cron, timezone, started)
    return max(0.0, (now - missed).total_seconds()) if missed is not None else 0.0


def _find(cron: str, zone: ZoneInfo, now: datetime, step: int, wanted: Callable[[datetime], bool]) -> datetime | None:
    minutes, hours, days, months, weekdays = (
        _numbers(text, low, high) for text, (low, high) in zip(cron.split(), _RANGES, strict=True)
    )
    _, _, day_text, _, weekday_text = cron.split()
    either = day_text != "*" and weekday_text != "*"

    def runs_on(day: date) -> bool:
        if day.month not in months:
            return False
        by_day, by_weekday = day.day in days, day.isoweekday() % 7 in weekdays
        return by_day or by_weekday if either else by_day and by_weekday

    for day in _days(now.astimezone(zone).date(), step):
        if runs_on(day):
            for hour in sorted(hours, reverse=step < 0):
                for minute in sorted(minutes, reverse=step < 0):
                    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                    if wanted(local.astimezone(UTC)):
                        return local.astimezone(UTC)
    return None


def _days(start: date, step: int) -> Iterator[date]:
    for offset in range(_DAYS):
        yield start + timedelta(days=step * offset)


def _numbers(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else _number(first)
        end = high if first == "*" else _number(last or first)
        found.update(range(start, end + 1, int(step or 1)))
    # Sunday is 0 and 7.
    return found | {0} if high == 7 and 7 in found else found


def _number(text: str) -> int:
    if text.isdigit():
        return int(text)
    return _WEEKDAYS.index(text) if text in _WEEKDAYS else _MONTHS.index(text) + 1
