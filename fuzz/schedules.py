"""Cron expressions in time zones: what Dagster starts, and what ``status`` says will start, is the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from cronsim import CronSim
from dagster._utils.schedules import cron_string_iterator, is_valid_cron_schedule

from secretsync_core.cli import due
from secretsync_core.schema.quantities import Schedule

if TYPE_CHECKING:
    from random import Random

_ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago",
    "Africa/Casablanca", "Asia/Tehran", "Pacific/Apia", "Etc/GMT+12", "Antarctica/Troll",
)  # fmt: skip
_ODD_SHIFTS = ("Australia/Lord_Howe", "Antarctica/Troll")  # by half an hour, and by two
_MOMENTS = (
    datetime(2026, 3, 28, 20, tzinfo=UTC),  # before the clocks change in Europe, and before they change back
    datetime(2026, 10, 24, 20, tzinfo=UTC),
    datetime(2026, 11, 1, 3, tzinfo=UTC),
    datetime(2026, 2, 28, 12, tzinfo=UTC),
)
_TIMES = 5


class Schedules:
    """The next times of a schedule, ours and Dagster's."""

    def draw(self, random: Random) -> str:
        """An expression, a zone and a moment, as a list in JSON."""
        bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
        text = " ".join(_field(random, low, high) for low, high in bounds)
        moment = random.choice(_MOMENTS) + timedelta(minutes=random.randrange(600))
        return json.dumps([text, random.choice(_ZONES), moment.isoformat()])

    def attempt(self, case: str) -> str:
        """An expression is refused, or means the same to both."""
        text, zone, after = json.loads(case)
        try:
            cron = Schedule.parse(text).cron
        except ValueError:
            return ""
        if not is_valid_cron_schedule(cron):
            return "Dagster refuses a schedule that we take"
        if zone in _ODD_SHIFTS and _is_hourly(cron):
            return ""  # where clocks move by other than an hour, Dagster's times depend on the day on which it counts
        moment, ours = datetime.fromisoformat(after), list[datetime]()
        while len(ours) < _TIMES and (following := due.following(cron, zone, moment)) is not None:
            ours.append(following)
            moment = following
        start = datetime.fromisoformat(after).timestamp() + 0.001
        theirs = [each.astimezone(UTC) for each in islice(cron_string_iterator(start, cron, zone), len(ours))]
        return "" if ours == theirs else "Dagster starts a schedule at other times"


def _is_hourly(cron: str) -> bool:
    midnight = datetime(2026, 1, 1)  # noqa: DTZ001  in no zone at all
    return len(CronSim(cron, midnight).hours) == 24


def _field(random: Random, low: int, high: int) -> str:
    if random.random() < 0.5:
        return random.choice(("*", "*", str(low), "*/2"))
    return ",".join(_part(random, low, high) for _ in range(random.choice((1, 1, 2, 3))))


def _part(random: Random, low: int, high: int) -> str:
    first = random.randint(low, high)
    last = random.choice((first, random.randint(first, high)))
    return random.choice(
        (
            "*",
            str(first),
            f"{first}-{last}",
            f"{first}-{last}/{random.randint(1, high)}",
            f"*/{random.randint(1, high)}",
        )
    )
