"""Tells from a refusal whether GitHub asks us to wait, and how long.

By https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: a limit is a 403 or 429.
``Retry-After`` goes first; then, where nothing remains of the hour, its end; else at least a minute.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from secretsync_core.stores.http import date_of, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

AT_LEAST = 60.0
"""Seconds to wait where GitHub does not say."""

_DIGITS = 12


def wait_of(status: int, headers: Mapping[str, str], text: bytes) -> float | None:
    """The seconds that GitHub asks us to wait; None where it refuses for another reason.

    ``text`` is the body in lower case.
    """
    if status not in (403, 429):
        return None
    asked = retry_after(headers.get("Retry-After"))
    if asked is not None:
        return asked
    reset = headers.get("X-RateLimit-Reset", "")
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isascii() and reset.isdecimal() and len(reset) <= _DIGITS:
        # By GitHub's own clock, for ours may be wrong; a second more, for both cut fractions off.
        now = date_of(headers.get("Date", "")) or datetime.now(UTC)
        return max(0.0, float(reset) - now.timestamp() + 1.0)
    return AT_LEAST if status == 429 or b"rate limit" in text else None
