"""How late is late, from the schedule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from dagster_jobs.lab import KEY
from secretsync_core.cli.due import previous
from secretsync_dagster.freshness import deadline, longest_gap

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("cron", "gap"),
    [
        ("0 * * * *", HOUR),
        ("* * * * *", HOUR / 60),
        ("0 9,17 * * *", 16 * HOUR),
        ("0 9 * * 1-5", 3 * DAY),
        ("*/5 9-17 * * 1-5", 3 * DAY - 9 * HOUR + HOUR / 12),
        ("0 3 * * 0", 7 * DAY),
        ("0 0 1 * *", 31 * DAY),
    ],
)
def test_the_longest_time_between_two_runs(cron: str, gap: timedelta) -> None:
    """Nights, weekends and long months count."""
    assert longest_gap(cron) == gap


@pytest.mark.parametrize(
    ("cron", "due", "minutes"),
    [
        ("0 6 * * 2", "0 7 * * 2", 120),
        ("30 23 * * 1-5", "30 0 * * 2,3,4,5,6", 120),
        ("30 23 * * SUN", "30 0 * * 1", 120),
        ("30 23 * * *", "30 0 * * *", 120),
        ("0 9,17 * * *", "0 10,18 * * *", 120),
        ("*/5 9-17 * * 1-5", "55 10,11,12,13,14,15,16,17,18 * * 1-5", 60),
        ("15,45 22-23 * * 6", "55 22,23 * * 6", 10),
        ("30 23 31 * *", "50 23 31 * *", 80),
        ("0 0 1 * *", "0 1 1 * *", 120),
    ],
)
def test_the_deadline_is_an_hour_after_the_schedule(cron: str, due: str, minutes: int) -> None:
    """On the day after where that is past midnight, and sooner where no cron expression could say so."""
    assert deadline(cron) == (due, timedelta(minutes=minutes))
    dg.FreshnessPolicy.cron(due, timedelta(minutes=minutes))


def test_no_deadline_can_be_written() -> None:
    """A minute before midnight on a day of the month leaves no room: the window does then."""
    assert deadline("59 23 1 * *") is None


def test_the_asset_has_a_policy_from_its_schedule(lab: Lab) -> None:
    """A deadline in the job's time zone, or a window where it runs all the time; none where nothing is due."""
    hourly = ",".join(map(str, range(24)))
    for spec, made in (
        ({"schedule": "'0 6 * * 2'", "timezone": "Europe/Berlin"}, ("0 7 * * 2", 2 * HOUR, "Europe/Berlin")),
        ({"schedule": "'0 * * * *'"}, (f"0 {hourly} * * *", HOUR, "UTC")),
        ({"schedule": "'*/15 * * * *'"}, HOUR / 2 + timedelta(minutes=20)),
        ({"schedule": "'59 23 1 * *'"}, 62 * DAY + timedelta(minutes=20)),
        ({"schedule": "'0 * * * *'", "suspend": "true"}, None),
        ({}, None),
    ):
        lab.job("- {name: all, query: {}}", **spec)
        definitions = lab.definitions
        dg.Definitions.validate_loadable(definitions)
        (spec_of,) = [each for each in definitions.resolve_all_asset_specs() if each.key == KEY]
        assert _shown(spec_of.freshness_policy) == made


def _shown(policy: Any) -> Any:
    if hasattr(policy, "deadline_cron"):
        return policy.deadline_cron, policy.lower_bound_delta, policy.timezone
    return policy.fail_window.to_timedelta() if policy is not None else None


@pytest.mark.parametrize(
    ("synced", "looked_at", "fresh"),
    [
        ("2026-11-24 06:00:20", "2026-12-01 06:59:00", True),  # last Tuesday's, and today's may still be going on
        ("2026-11-24 06:00:20", "2026-12-01 07:01:00", False),
        ("2026-12-01 06:00:20", "2026-12-01 07:01:00", True),
        ("2026-12-01 06:00:20", "2026-12-08 06:59:00", True),
    ],
)
def test_a_missed_tuesday_shows_on_tuesday(synced: str, looked_at: str, fresh: bool) -> None:
    """By Dagster's rule: what counts is whether there was a sync in the time before the last deadline, or since."""
    zone = ZoneInfo("Europe/Berlin")
    due = deadline("0 6 * * 2")
    assert due is not None
    last, now = (datetime.fromisoformat(text).replace(tzinfo=zone) for text in (synced, looked_at))
    before = previous(due[0], "Europe/Berlin", now)
    assert before is not None
    assert (last >= before - due[1]) is fresh
