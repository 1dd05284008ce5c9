"""``status`` and ``metrics`` expect a run when Dagster makes one, also where clocks change."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

# Dagster shows its ticks nowhere in public but in a running daemon.
from dagster._utils.schedules import schedule_execution_time_iterator

from secretsync_core.cli.due import following, lag, previous
from secretsync_core.schema.cron import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable

TICKS = 16
ZONES = {
    # Half a day before the clocks go forward, and before they go back.
    "UTC": ("2027-03-27T12:07", "2027-10-30T12:07"),
    "Europe/Berlin": ("2027-03-27T12:07", "2027-10-30T12:07"),
    "America/New_York": ("2027-03-13T20:07", "2027-11-06T20:07"),
    "America/St_Johns": ("2027-03-13T20:07", "2027-11-06T20:07"),
    "Australia/Lord_Howe": ("2027-10-02T04:07", "2027-04-03T04:07"),
    "Europe/Dublin": ("2027-03-27T12:07", "2027-10-30T12:07"),
    "Africa/Casablanca": ("2027-03-13T20:07", "2027-02-06T20:07"),
    "America/Santiago": ("2027-09-04T20:07", "2027-04-03T20:07"),
}
CRONS = (
    "30 2 * * *",
    "30 1 * * *",
    "0 3 * * *",
    "0 0 * * *",
    "0 * * * *",
    "*/15 * * * *",
    "0 */2 * * *",
    "*/20 1-3 * * *",
    "0 0-23/3 * * *",
    "0 2 * * 0",
    "30 1,2 * * SUN",
    "15 2 28-31 * *",
    "0 0 */2 * 1",
    "0 12 * JAN,MAR-APR 1-5/2",
    "*/59 */23 * * *",
)
EVERY_HOUR = {"0 * * * *"}
"""Of these Dagster's ticks in Lord Howe, which moves its clocks by half an hour, depend on the day it is asked on."""


def dagsters(cron: str, zone: str, start: datetime, count: int) -> list[datetime]:
    """Dagster's ticks after ``start``."""
    ticks = schedule_execution_time_iterator(start.timestamp(), cron, zone)
    later = (tick.astimezone(UTC) for tick in ticks if tick.timestamp() > start.timestamp())
    return [next(later) for _ in range(count)]


def ours(cron: str, zone: str, start: datetime, count: int) -> list[datetime]:
    """What we expect after ``start``."""
    found: list[datetime] = []
    for _ in range(count):
        moment = following(cron, zone, found[-1] if found else start)
        assert moment is not None
        found.append(moment)
    return found


def check_back(cron: str, zone: str, moments: Iterable[datetime]) -> None:
    """From any time between two of the moments the earlier is the last one."""
    for moment, after in pairwise(moments):
        for now in (moment, moment + timedelta(microseconds=7), after - timedelta(seconds=1)):
            assert previous(cron, zone, now) == moment, (cron, zone, now)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", CRONS)
def test_ticks_are_dagsters(cron: str, zone: str) -> None:
    """120 pairs of expression and time zone give Dagster's very ticks, over clocks that go forward and back."""
    if zone == "Australia/Lord_Howe" and cron in EVERY_HOUR:
        pytest.skip("Dagster's own answer depends on today's date")
    expression = normalize(cron)
    for text in ZONES[zone]:
        start = datetime.fromisoformat(text).replace(tzinfo=UTC)
        expected = dagsters(expression, zone, start, TICKS)
        assert ours(expression, zone, start, TICKS) == expected
        check_back(expression, zone, expected)


def test_the_clocks_do_change_in_these_tests() -> None:
    """Each zone but UTC goes forward and back within a day of where its two tests begin."""
    for zone, texts in ZONES.items():
        for text, sign in zip(texts, (1, -1), strict=True):
            start = datetime.fromisoformat(text).replace(tzinfo=UTC)
            before, after = (
                moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in (start, start + timedelta(days=1))
            )
            assert before is not None
            assert after is not None
            moved = (after - before) / timedelta(minutes=1)
            assert moved == 0 if zone == "UTC" else moved * sign > 0, zone


def _part(draw: random.Random, low: int, high: int) -> str:
    first = draw.randint(low, high)
    last, step = draw.randint(first, high), draw.randint(1, high)
    return draw.choice(["*", f"*/{step}", f"{first}", f"{first}-{last}", f"{first}-{first}", f"{first}-{last}/{step}"])


def _expression(draw: random.Random) -> str:
    fields = []
    for low, high in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)):
        parts = [_part(draw, low, high) for _ in range(draw.choice([1, 1, 2]))]
        fields.append("*" if low == 1 and draw.random() < 0.4 else ",".join(parts))
    return " ".join(fields)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_accepted_means_the_same_to_both(seed: int) -> None:
    """Random expressions that the schema accepts run when Dagster runs them, in zones with and without changes."""
    draw = random.Random(seed)
    while True:
        try:
            expression = normalize(_expression(draw))
        except ValueError:  # refused: never due, or a step that is out of range
            continue
        break
    for zone in ("UTC", "Europe/Berlin"):
        start = datetime.fromisoformat(draw.choice(ZONES[zone])).replace(tzinfo=UTC)
        expected = dagsters(expression, zone, start, 8)
        assert ours(expression, zone, start, 8) == expected, expression
        check_back(expression, zone, expected)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0 3 * * 3-3", "0 3 * * 3"),
        ("0 3 4-4/2 WED-WED *", None),
        ("0 3 4-4/2 MAR-MAR FRI-FRI", "0 3 4 MAR FRI"),
        ("5,*,7 * * * *", "* * * * *"),
        ("0 0 */2 * 1-5", "0 0 */2 * 1-5"),
    ],
)
def test_what_dagster_would_read_otherwise_is_rewritten(written: str, read: str | None) -> None:
    """Dagster takes ``3-3`` for every day: a range of one number is handed to it as that number."""
    if read is None:
        with pytest.raises(ValueError, match="month"):
            normalize(written)
        return
    assert normalize(written) == read


def test_every_hour_on_lord_howe() -> None:
    """Where clocks move by half an hour, an hourly job is expected whenever the clock shows a full hour."""
    start = datetime(2027, 4, 3, 13, 7, tzinfo=UTC)
    shown = [
        moment.astimezone(ZoneInfo("Australia/Lord_Howe")).strftime("%H:%M%z")
        for moment in ours("0 * * * *", "Australia/Lord_Howe", start, 4)
    ]
    assert shown == ["01:00+1100", "02:00+1030", "03:00+1030", "04:00+1030"]


def test_nobody_is_woken_while_the_clock_goes_back() -> None:
    """The night of the change: a daily 02:30 job is neither overdue nor late before Dagster runs it."""
    cron, zone = "30 2 * * *", "Europe/Berlin"
    ran = datetime(2027, 10, 30, 0, 30, tzinfo=UTC)
    for now in (datetime(2027, 10, 31, 0, 50, tzinfo=UTC), datetime(2027, 10, 31, 1, 29, tzinfo=UTC)):
        assert lag(cron, zone, ran, now) == 0
        assert previous(cron, zone, now) == ran
    assert lag(cron, zone, ran, datetime(2027, 10, 31, 1, 31, tzinfo=UTC)) == 60
