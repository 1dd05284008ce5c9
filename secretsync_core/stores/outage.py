"""What stores over HTTP tell alike: a server out of reach, one that does not know us, one that asks us to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from secretsync_core.errors import AccessDenied, StoreUnavailable


class Unhealable(StoreUnavailable):
    """The store cannot be reached, and trying again does not help: its certificate is wrong, say."""

    retryable = False
    unanswered = False


class TokenRefused(AccessDenied):
    """We have no token that works, so that nothing at all can be asked. A policy's denial is a plain AccessDenied."""


def unreachable(store: str, why: str, *, hint: str = "", permanent: bool = False) -> StoreUnavailable:
    """The error for a connection that failed; ``permanent`` where trying again cannot help."""
    kind = Unhealable if permanent else StoreUnavailable
    return kind(f"{store} cannot be reached: {why}", store=store, hint=hint)


def retry_after(header: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, given as a number or as a date; ``None`` for neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
