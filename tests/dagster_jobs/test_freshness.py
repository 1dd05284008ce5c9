"""How late is late, from the schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagster_jobs.lab import KEY
from secretsync_dagster.freshness import longest_gap

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


def test_the_asset_has_a_policy_from_its_schedule(lab: Lab) -> None:
    """A scheduled job has one; a suspended one, and one without a schedule, have none."""
    for spec, window in (
        ({"schedule": "'0 * * * *'"}, 2 * HOUR + timedelta(minutes=20)),
        ({"schedule": "'0 * * * *'", "suspend": "true"}, None),
        ({}, None),
    ):
        lab.job("- {name: all, query: {}}", **spec)
        definitions = lab.definitions
        dg.Definitions.validate_loadable(definitions)
        (spec_of,) = [each for each in definitions.resolve_all_asset_specs() if each.key == KEY]
        policy = spec_of.freshness_policy
        made = policy.fail_window.to_timedelta() if policy is not None else None  # type: ignore[attr-defined]
        assert made == window
