"""What counts for a time in an answer: only what a calendar has, since it is reckoned with afterwards."""

from __future__ import annotations

from datetime import datetime

import pytest

from secretsync_core.stores.answers import is_time


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2026-02-28T00:00:00Z", True),
        ("2028-02-29T23:59:59.123456789Z", True),
        ("0001-01-01T00:00:00Z", True),
        ("9999-12-31T23:59:59.9Z", True),
        ("2026-02-29T00:00:00Z", False),
        ("2026-04-31T00:00:00Z", False),
        ("0000-01-01T00:00:00Z", False),
        ("2026-01-01T24:00:00Z", False),
        ("2026-01-01T00:00:00+00:00", False),
    ],
)
def test_a_time_is_one_that_a_calendar_has(text: str, right: bool) -> None:
    """The 31st of February, and the year 0, are malformed and no unexpected errors."""
    assert is_time(text) is right
    if right:
        datetime.fromisoformat(text)
