"""How late is late: a freshness policy from a SyncJob's schedule, so that Dagster shows a job that stopped running."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.cli.due import following, previous

if TYPE_CHECKING:
    from secretsync_core.schema.documents import JobDocument

_MIDNIGHT = datetime(2024, 1, 1, tzinfo=UTC)  # any will do; a fixed one gives the same policy on every load
_DAYS, _TIMES = 40, 150
_GRACE = timedelta(minutes=10)
_HOUR, _DAY, _DAY_MINUTES = timedelta(hours=1), timedelta(days=1), 24 * 60
_FAR_APART = 3  # hours between two runs
_GRACES = (60, 45, 30, 20, 10, 5)  # minutes: how long a run may take, its wait in the queue included


def freshness_policy(document: JobDocument) -> dg.FreshnessPolicy | None:
    """The policy of a SyncJob's asset, where the document has a schedule that is not suspended.

    It fails at the :func:`deadline` after a time of the schedule at which nothing was synced: a missed Tuesday shows on
    Tuesday. A job that runs more than once an hour all day long has a window instead: it warns after the longest time
    between two runs and a quarter more, and fails after two such times.
    """
    spec = document.spec
    longest = longest_gap(spec.schedule.cron) if spec.schedule and not spec.suspend else None
    if longest is None or spec.schedule is None:
        return None
    due = deadline(spec.schedule.cron) if longest >= _HOUR else None
    if due is not None:
        return dg.FreshnessPolicy.cron(deadline_cron=due[0], lower_bound_delta=due[1], timezone=spec.timezone)
    return dg.FreshnessPolicy.time_window(warn_window=longest * 1.25 + _GRACE, fail_window=longest * 2 + 2 * _GRACE)


@lru_cache(maxsize=4096)
def deadline(cron: str) -> tuple[str, timedelta] | None:
    """Until when what is due must have been synced, as another schedule, and how long before that counts as in time.

    That is an hour after the last time in each hour of the schedule, or less where the schedule could not be written
    otherwise: an hour after 23:30 on the last of a month is no cron expression. None where there is no such deadline.
    """
    minute, hour, day, month, weekday = cron.split()
    minutes = [tick.minute for tick in _ticks(f"{minute} * * * *", 60, _HOUR)]
    hours = [tick.hour for tick in _ticks(f"0 {hour} * * *", 24, _DAY)]
    if not minutes or not hours:
        return None
    gaps = [(after - before - 1) % 24 + 1 for before, after in pairwise([*hours, hours[0]])]
    # The hour that is set back in autumn comes between a run and its deadline. Dagster takes no more than there is
    # between two deadlines.
    autumn = 60 if min(gaps) >= _FAR_APART else 0
    for grace in _GRACES:
        at = [each * 60 + minutes[-1] + grace for each in hours]
        if all(each < _DAY_MINUTES for each in at):
            days = f"{day} {month} {weekday}"
        elif day == month == "*" and (weekday == "*" or all(each >= _DAY_MINUTES for each in at)):
            days = f"* * {_days_after(weekday)}"
        else:
            continue
        listed = ",".join(map(str, sorted({each // 60 % 24 for each in at})))
        return f"{at[0] % 60} {listed} {days}", timedelta(minutes=grace + autumn)
    return None


def _days_after(weekday: str) -> str:
    """The days of the week after those of a cron field."""
    if weekday == "*":
        return weekday
    ticks = _ticks(f"0 0 * * {weekday}", 7, timedelta(days=7))
    return ",".join(map(str, sorted({(tick.isoweekday() + 1) % 7 for tick in ticks})))


@lru_cache(maxsize=4096)
def longest_gap(cron: str) -> timedelta | None:
    """The longest time between two runs; None where it never runs. Days have 24 hours here: the grace makes up for it.

    Every day with runs has them at the same times, so days and times are looked at apart.
    """
    minute, hour, *days = cron.split()
    times = _ticks(f"{minute} {hour} * * *", _TIMES, timedelta(days=1))
    running = _ticks(f"0 0 {' '.join(days)}", _DAYS, timedelta(days=366 * 9))
    if not times or not running:
        return None
    between = max((later - earlier for earlier, later in pairwise(running)), default=timedelta(days=366))
    last = previous(f"{minute} {hour} * * *", "UTC", _MIDNIGHT + timedelta(days=1, seconds=-1)) or times[-1]
    overnight = times[0] + between - last
    return max([overnight, *(later - earlier for earlier, later in pairwise(times))])


def _ticks(cron: str, count: int, within: timedelta) -> list[datetime]:
    found: list[datetime] = []
    tick = following(cron, "UTC", _MIDNIGHT - timedelta(seconds=1))
    while tick is not None and tick - _MIDNIGHT < within and len(found) < count:
        found.append(tick)
        tick = following(cron, "UTC", tick)
    return found
