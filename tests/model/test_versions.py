"""Which of two version tokens is the older one."""

from __future__ import annotations

import pytest

from secretsync_core.model.versions import VersionOrder, is_older, is_same_object

NUMBER_AND_TIME, NUMBER_OF_ONE = VersionOrder.NUMBER_AND_TIME, VersionOrder.NUMBER_OF_ONE
EARLY, LATE = "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.51Z"


@pytest.mark.parametrize(
    ("token", "known", "order", "older"),
    [
        (f"1@{EARLY}", f"2@{LATE}", NUMBER_AND_TIME, True),
        (f"2@{EARLY}", f"2@{LATE}", NUMBER_AND_TIME, True),  # both are the second version of a secret made anew
        (f"1@{LATE}", f"2@{EARLY}", NUMBER_AND_TIME, False),  # made anew
        (f"3@{EARLY}", f"2@{LATE}", NUMBER_AND_TIME, False),  # a leader whose clock is behind
        (f"9@{EARLY}", f"10@{LATE}", NUMBER_AND_TIME, True),
        (f"1@{EARLY}@fields=2", f"2@{LATE}@fields=3", NUMBER_AND_TIME, True),
        ("1@2026-01-01T00:00:00.100+00:00", "2@2026-01-01T00:00:00.200+00:00", NUMBER_AND_TIME, True),
        ("1@x", "2@y", NUMBER_AND_TIME, False),
        ("pin:1", f"2@{LATE}", NUMBER_AND_TIME, False),
        ("all:0011", "all:0022", NUMBER_AND_TIME, False),
        (f"1@{EARLY}", f"2@{LATE}", VersionOrder.NONE, False),
        ("99@u", "100@u", NUMBER_OF_ONE, True),
        ("99@v", "100@u", NUMBER_OF_ONE, False),
        ("100@u", "100@u", NUMBER_OF_ONE, False),
        (None, f"2@{LATE}", NUMBER_AND_TIME, False),
        (f"1@{EARLY}", None, NUMBER_AND_TIME, False),
    ],
)
def test_only_what_is_surely_older_is(token: str | None, known: str | None, order: VersionOrder, older: bool) -> None:
    """A lower number alone is not enough, nor is an earlier time."""
    assert is_older(token, known, order) is older


@pytest.mark.parametrize(
    ("one", "other", "order", "same"),
    [
        ("7@u", "9@u", NUMBER_OF_ONE, True),
        ("7@u", "7@v", NUMBER_OF_ONE, False),
        ("7@u", "7@u@fields=2", NUMBER_OF_ONE, True),
        ("7", "8", NUMBER_OF_ONE, False),
        ("7", "7", NUMBER_OF_ONE, True),
        (None, "7@u", NUMBER_OF_ONE, False),
        ("7@u", None, NUMBER_OF_ONE, False),
        (f"1@{EARLY}", f"1@{LATE}", NUMBER_AND_TIME, True),
        ("7", None, VersionOrder.NONE, True),
    ],
)
def test_one_secret_or_two(one: str | None, other: str | None, order: VersionOrder, same: bool) -> None:
    """Versions that name their secret say of two whether they are of one; others deny nothing."""
    assert is_same_object(one, other, order) is same
