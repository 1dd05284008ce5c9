"""The small parts: times, schedules, layout, words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from secretsync_core.cli import due, times, wording
from secretsync_core.cli.layout import hang
from secretsync_core.errors import UsageError
from secretsync_core.model.change import Action, Reason
from secretsync_core.model.report import Result

NOW = datetime(2026, 3, 4, 10, 17, 30, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", datetime(2026, 3, 4, 8, 17, 30, tzinfo=UTC)),
        ("1d 12h ago", datetime(2026, 3, 2, 22, 17, 30, tzinfo=UTC)),
        ("90s", datetime(2026, 3, 4, 10, 16, tzinfo=UTC)),
        ("2026-01-31T08:00:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00:00+02:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    """Spans and dates are read as people write them."""
    assert times.moment(text, NOW, of="--since") == expected


@pytest.mark.parametrize("text", ["", "2", "h", "yesterday", "2026-13-01", "-2h", "2h3"])
def test_no_moments(text: str) -> None:
    """What is no time is a wrong call."""
    with pytest.raises(UsageError):
        times.moment(text, NOW, of="--since")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, shown: str) -> None:
    """A duration is as exact as it is interesting."""
    assert times.duration(seconds) == shown


@pytest.mark.parametrize(
    ("cron", "zone", "before", "after"),
    [
        ("0 * * * *", "UTC", "2026-03-04T10:00", "2026-03-04T11:00"),
        ("*/15 * * * *", "UTC", "2026-03-04T10:15", "2026-03-04T10:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-04T01:30", "2026-03-05T01:30"),
        ("0 9 * * MON-FRI", "UTC", "2026-03-04T09:00", "2026-03-05T09:00"),
        ("0 0 1 * *", "UTC", "2026-03-01T00:00", "2026-04-01T00:00"),
        ("0 0 1 * 0", "UTC", "2026-03-01T00:00", "2026-03-08T00:00"),
        ("0 0 * * 7", "UTC", "2026-03-01T00:00", "2026-03-08T00:00"),
        ("0 0 29 FEB *", "UTC", "2024-02-29T00:00", "2028-02-29T00:00"),
        ("0 12 * JAN,JUL 1-5/2", "UTC", "2026-01-30T12:00", "2026-07-01T12:00"),
    ],
)
def test_when_a_schedule_was_and_will_be_due(cron: str, zone: str, before: str, after: str) -> None:
    """The last and the next moment of a schedule are those of cron, in the schedule's time zone."""
    assert due.previous(cron, zone, NOW) == datetime.fromisoformat(before).replace(tzinfo=UTC)
    assert due.following(cron, zone, NOW) == datetime.fromisoformat(after).replace(tzinfo=UTC)


def test_long_explanations_hang() -> None:
    """A text that does not fit goes on below its beginning, or below everything where that is too narrow."""
    text = "one two three four five six seven eight nine ten"
    assert hang("  + key  ", 9, text, None, 6) == f"  + key  {text}"
    wrapped = hang("  + key  ", 9, text, 40, 6).splitlines()
    assert wrapped[1].startswith(" " * 9 + "seven")
    assert all(len(line) <= 40 for line in wrapped)
    assert hang("  + " + "k" * 40 + "  ", 46, text, 50, 6).splitlines()[1].startswith("      one")


def test_every_code_has_words() -> None:
    """No reason, action or result is shown as a code."""
    assert not {str(reason) for reason in Reason} - {str(code) for code in wording.REASONS}
    assert set(wording.SIGNS) == set(wording.TO_DO) == set(Action)
    assert set(wording.RESULTS) == set(Result)
