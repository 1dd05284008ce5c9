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


def freshness_policy(document: JobDocument) -> dg.FreshnessPolicy | None:
    """The policy of a SyncJob's asset, where the document has a schedule that is not suspended.

    It warns once nothing was synced for the longest time between two runs and a quarter more, and fails after two
    such times. A window and not the schedule as a deadline: that would be missed while every run is still going on.
    """
    spec = document.spec
    longest = longest_gap(spec.schedule.cron) if spec.schedule and not spec.suspend else None
    if longest is None:
        return None
    return dg.FreshnessPolicy.time_window(warn_window=longest * 1.25 + _GRACE, fail_window=longest * 2 + 2 * _GRACE)


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
