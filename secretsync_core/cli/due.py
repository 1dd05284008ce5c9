"""When a schedule was last due and will be due next, for ``secretsync status`` and ``metrics``.

Dagster runs the schedules, so its ticks are what counts, also where clocks change. cronsim walks the calendar, and
here is what Dagster makes of a local time that does not exist or exists twice:

- A job of every hour runs in every hour that there is: the repeated one twice, the skipped one not at all.
- Any other runs once for each local time. Of two it is the later, but the first for one that runs at most once a day
  at an hour other than 1, 2 and 3. A time that is skipped at 1, 2 or 3 o'clock becomes the first that is not; at
  another hour it is as much later as the clock was moved.

In Ireland and Morocco, where winter time is the exception, what is skipped runs once a day an hour early. Dagster is
followed in that too; not in hourly jobs on Lord Howe and in Troll, which move by half an hour and by two hours: there
its ticks depend on the day on which it counts, and here they are those of the clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import dropwhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHIFT = timedelta(hours=3)  # no clock is moved by more at once
_SECOND = timedelta(seconds=1)
_CHANGES = (1, 2, 3)  # at which hours Dagster expects clocks to be moved
_IN_EVERY_MONTH = 28
_RANGES = {2: "1-31", 4: "0-7"}  # of days and weekdays


def previous(cron: str, timezone: str, now: datetime) -> datetime | None:
    """The last moment up to ``now`` at which ``cron``, a checked expression, was due; in UTC. None: not for decades."""
    return next(dropwhile(lambda moment: moment > now, _moments(cron, ZoneInfo(timezone), now, back=True)), None)


def following(cron: str, timezone: str, now: datetime) -> datetime | None:
    """The first moment after ``now`` at which ``cron`` will be due; in UTC. None where that is decades away."""
    return next(dropwhile(lambda moment: moment <= now, _moments(cron, ZoneInfo(timezone), now, back=False)), None)


def is_due(cron: str, timezone: str, moment: datetime) -> bool:
    """Whether ``cron`` is due in the second of ``moment``."""
    return previous(cron, timezone, moment) == moment.replace(microsecond=0)


def lag(cron: str, timezone: str, started: datetime, now: datetime) -> float:
    """For how many seconds a job whose last run began at ``started`` has missed its schedule; 0 where it has not."""
    missed = following(cron, timezone, started)
    return max(0.0, (now - missed).total_seconds()) if missed is not None else 0.0


def _moments(cron: str, zone: ZoneInfo, now: datetime, *, back: bool) -> Iterator[datetime]:
    """The moments from about ``now`` on, or back from it; the first few may lie on its other side."""
    fields = cron.split()
    for field, span in _RANGES.items():
        # To Dagster a step is a restriction: with a weekday besides, either suffices. To cronsim a star never is one.
        fields[field] = fields[field].replace("*/", f"{span}/")
    start = now.replace(microsecond=0) + (_SECOND if back else timedelta(0))  # where cronsim begins is left out
    local = start.astimezone(zone)
    if len(CronSim(" ".join(fields), local).hours) == 24:
        fields[1] = "*"
        for moment in CronSim(" ".join(fields), local, reverse=back):
            yield moment.astimezone(UTC)
        return
    clock = local.replace(tzinfo=None)
    if len({(start + shift).astimezone(zone).utcoffset() for shift in (-_SHIFT, timedelta(0), _SHIFT)}) > 1:
        clock += _SHIFT if back else -_SHIFT
    daily = _is_daily(fields)
    for shown in CronSim(" ".join(fields), clock, reverse=back):
        yield _moment(shown, zone, daily=daily)


def _is_daily(fields: list[str]) -> bool:
    """Whether Dagster takes it for a job that runs once a day, a week or a month, and computes that by itself."""
    minute, hour, day, month, weekday = fields
    if not (minute.isdigit() and hour.isdigit() and month == "*"):
        return False
    return day == "*" or (weekday == "*" and day.isdigit() and int(day) <= _IN_EVERY_MONTH)


def _moment(local: datetime, zone: ZoneInfo, *, daily: bool) -> datetime:
    """When a clock in ``zone`` shows ``local``, or what Dagster puts in its place where none does."""
    expected = local.hour in _CHANGES
    fold = 1 if expected or not daily else 0
    moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    if not expected:
        return local.replace(tzinfo=zone).astimezone(UTC)
    skipped = (local + timedelta(hours=1)).replace(tzinfo=zone).dst()
    after = local.replace(minute=0) + (skipped or timedelta(0))
    return after.replace(tzinfo=zone, fold=1 if daily else 0).astimezone(UTC)
