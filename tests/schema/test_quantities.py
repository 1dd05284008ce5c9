"""Amounts, durations, rates, schedules and time zones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretsync_core.schema.quantities import Amount, Schedule, check_timezone, parse_duration, parse_rate


@pytest.mark.parametrize(
    ("value", "owned", "allowed", "text"),
    [
        (5, 100, 5, "5"),
        ("5", 3, 5, "5"),
        (0, 100, 0, "0"),
        ("10%", 100, 10, "10%"),
        ("10%", 19, 1, "10%"),
        ("10%", 9, 1, "10%"),
        ("29%", 100, 29, "29%"),
        ("12.5%", 16, 2, "12.5%"),
        ("0%", 100, 0, "0%"),
        (" 100 % ", 7, 7, "100%"),
    ],
)
def test_an_amount_is_a_count_or_a_share(value: object, owned: int, allowed: int, text: str) -> None:
    """A count allows itself, a share allows its part rounded down, exactly, and both are written as people do."""
    amount = Amount.parse(value)
    assert (amount.allowed(owned), str(amount)) == (allowed, text)


@pytest.mark.parametrize("value", [-1, True, 1.5, None, "", "x", "-1", "101%", "100.1%", "1e3%", "%", "5 5", "٣", [5]])
def test_what_is_not_an_amount(value: object) -> None:
    """Negative numbers, shares beyond the whole, and anything else are errors."""
    with pytest.raises(ValueError, match="must be a count"):
        Amount.parse(value)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_share_never_allows_more_than_there_is(percent: int, owned: int) -> None:
    """No share allows more than what is owned, and what it prints reads back as itself."""
    amount = Amount.parse(f"{percent % 101}%")
    assert 0 <= amount.allowed(owned) <= owned
    assert Amount.parse(str(amount)) == amount


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("1d", 86400), ("1m500ms", 60.5)]
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    """Days, hours, minutes, seconds and milliseconds, in that order, add up."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "60",
        60,
        "0s",
        "1m1h",
        "-1s",
        "1 m",
        "1.5h",
        "999d",
        "s",
        None,
        "٣s",
        float("inf"),
        float("nan"),
        -5.5,
        0.0,
        90.0,
        1e18,
    ],
)
def test_what_is_not_a_duration(value: object) -> None:
    """A number without a unit is not guessed at, nor is anything else."""
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("200/s", 200), ("60/m", 1), ("1800/h", 0.5), ("1.5 / s", 1.5), ("1/m", 1 / 60), ("60/h", 1 / 60)],
)
def test_a_rate_is_read_as_requests_a_second(text: str, rate: float) -> None:
    """Requests by the second, minute or hour."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "value",
    [
        "",
        "200",
        200,
        "0/s",
        "0.0/m",
        "1/d",
        "-1/s",
        "1/s/s",
        None,
        "0.000001/h",
        "59/h",
        "0.9/m",
        "0.016/s",
        float("inf"),
        float("nan"),
        -5.5,
        0.0,
        90.0,
        1e18,
    ],
)
def test_what_is_not_a_rate(value: object) -> None:
    """A rate of nothing, or with which no run would end, or without a unit, is an error."""
    with pytest.raises(ValueError, match="must be a rate"):
        parse_rate(value)


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("@hourly", "0 * * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@every 1m", "* * * * *"),
        ("@every 15m", "*/15 * * * *"),
        ("@every 900s", "*/15 * * * *"),
        ("@every 60m", "0 * * * *"),
        ("@every 6h", "0 */6 * * *"),
        ("@every 1d", "0 0 * * *"),
        (" 5  4 * *  sun ", "5 4 * * SUN"),
        ("0-59/5 0,12 1-15 jan-MAR 1-5", "0-59/5 0,12 1-15 JAN-MAR 1-5"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 31 2 MON", "0 0 * 2 MON"),
        ("0 0 * * 7", "0 0 * * 7"),
        ("0 3 * * 3-3", "0 3 * * 3"),
        ("0 0 31 4 0", "0 0 * 4 0"),  # no April has that day, so the weekday decides
        ("0 0 30,31 2 1-5", "0 0 * 2 1-5"),
        ("0 0 30,31 4 0", "0 0 30,31 4 0"),
        ("0 0 */2 * 0-6", "0 0 */2 * *"),
        ("0 0 */2 * MON,*/1", "0 0 */2 * *"),
        ("0-59 */1 1-31 1-12 1-7", "* * * * *"),
        ("0 0 1-30 * 1-6", "0 0 1-30 * 1-6"),
    ],
)
def test_a_schedule_keeps_its_text_and_knows_its_cron(text: str, cron: str) -> None:
    """Macros, even intervals and cron expressions all come down to five fields, and print as they were written."""
    schedule = Schedule.parse(text)
    assert (schedule.cron, schedule.text, str(schedule)) == (cron, text, text)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("0 * * * * *", "five fields"),
        ("60 * * * *", "the minute must be from 0 to 59"),
        ("* 24 * * *", "the hour must be from 0 to 23"),
        ("* * 0 * *", "the day of the month must be from 1 to 31"),
        ("* * * 13 *", "the month must be from 1 to 12, or JAN to DEC"),
        ("* * * * 8", "the day of the week must be from 0 to 7, or SUN to SAT"),
        ("* * * * JAN", "the day of the week must be from"),
        ("MON * * * *", "the minute must be from"),
        ("*/0 * * * *", "a step in the minute"),
        ("*/60 * * * *", "a step in the minute"),
        ("5/15 * * * *", "needs a range"),
        ("30-10 * * * *", "runs backwards"),
        ("* * * * FRI-MON", "runs backwards"),
        ("* * L * *", "is not"),
        ("* * ? * *", "is not"),
        ("* * * * 1#2", "is not"),
        ("1, * * * *", "is not"),
        ("٣ * * * *", "is not"),
        ("0 0 31 2 *", "never run"),
        ("0 0 31 4,6,9,11 *", "never run"),
        ("@reboot", "an unknown macro"),
        ("@hourly x", "an unknown macro"),
        ("@every", "takes a duration"),
        ("@every 15", "takes a duration"),
        ("@every 7m", "cron cannot express"),
        ("@every 90m", "cron cannot express"),
        ("@every 30s", "cron cannot express"),
        ("@every 5h", "cron cannot express"),
        ("@every 2d", "cron cannot express"),
        (5, "in quotes"),
    ],
)
def test_what_is_not_a_schedule(value: object, message: str) -> None:
    """What cron would refuse, never run, or run at uneven times is an error that says which field and why."""
    with pytest.raises(ValueError, match=message):
        Schedule.parse(value)


@given(st.integers(1, 2000))
def test_every_interval_divides_its_day_evenly(minutes: int) -> None:
    """An interval is accepted exactly if cron keeps it over every hour and every midnight."""
    even = 60 % minutes == 0 if minutes < 60 else minutes % 60 == 0 and 1440 % minutes == 0
    try:
        Schedule.parse(f"@every {minutes}m")
    except ValueError:
        assert not even
    else:
        assert even


@given(
    st.text(max_size=30), st.sampled_from([Amount.parse, parse_duration, parse_rate, Schedule.parse, check_timezone])
)
def test_arbitrary_text_is_read_or_refused(text: str, parse: Any) -> None:
    """No text makes any of the small languages raise anything but ValueError, and none is quoted in it."""
    told = ""
    for value in (text, text + "CANARY"):
        try:
            parse(value)
        except ValueError as error:
            told += str(error)
    assert "CANARY" not in told


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+1"])
def test_a_time_zone_is_kept_as_it_is(name: str) -> None:
    """IANA names are time zones."""
    assert check_timezone(name) == name


@pytest.mark.parametrize(
    "name", ["", "Mars", "Europe", "../../etc/passwd", "/etc/passwd", "localtime", "Europe/Berl\0in"]
)
def test_what_is_not_a_time_zone(name: str) -> None:
    """Unknown names, folders and paths are not."""
    with pytest.raises(ValueError, match="time zone"):
        check_timezone(name)
