"""Times in documents: with a zone, in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_SUCH_AS = "it must be a time such as 2027-01-01T00:00:00Z"


def _parsed(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return datetime.fromisoformat(given)
    except ValueError:
        raise ValueError(_SUCH_AS) from None


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("say the time zone: 2027-01-01T00:00:00Z")
    if moment.microsecond or moment.year < 1970:
        raise ValueError("it must be in whole seconds, from 1970 on")
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # in UTC it is in a year that no calendar has
        raise ValueError(_SUCH_AS) from None


Moment = Annotated[datetime, BeforeValidator(_parsed), AfterValidator(_in_utc)]
"""A moment, in UTC whatever its zone in the document. What is none is an error that says what to write."""


def text_of(moment: datetime) -> str:
    """A moment in UTC, as RFC 3339 writes it: ``2027-01-01T00:00:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
