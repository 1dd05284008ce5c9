"""What version a write has made: GitHub does not say, so it is looked at right after.

A version is when a secret was last written, to the second. Whoever looks later may see somebody else's write: where
much time has passed, after a wait for a limit say, what is seen is held against the time of the answer to our own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from secretsync_core.stores.http import date_of

if TYPE_CHECKING:
    from secretsync_core.stores.github_secrets.transport import Answer

LEEWAY = timedelta(seconds=10)
"""So far clocks may differ that GitHub, or a proxy before it, tells the time by; a look that is sooner is trusted."""

SKEW = timedelta(minutes=5)
"""So much older than the answer to a write nothing is that it wrote, however wrong a clock may be."""


class Written:
    """When a write was answered.

    Attributes:
        answered: that time as a version; None where the answer does not tell.
    """

    def __init__(self, answer: Answer) -> None:
        self._when = date_of(answer.headers.get("Date", ""))
        self._since = monotonic()
        self.answered = None if self._when is None else self._when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def is_older(self, seen: str, before: str | None) -> bool:
        """Whether what is seen was there before the write; ``before`` was there for sure.

        Two writes of one second have one version, so that what was there before may be that of the write too. What is
        another one than before is no matter of clocks, which may differ at a server of one's own.
        """
        moment = datetime.fromisoformat(seen)
        if before is None:
            return self._when is not None and moment < self._when - SKEW
        then = datetime.fromisoformat(before)
        if moment != then:
            return moment < then
        return self._when is None or moment < self._when - LEEWAY

    def version(self, seen: str) -> str:
        """The version to keep, of what is seen now: another one than GitHub shows, if that is not of our write."""
        waited = timedelta(seconds=monotonic() - self._since)
        if self._when is None or waited < LEEWAY or datetime.fromisoformat(seen) <= self._when + LEEWAY:
            return seen
        return self.answered or seen
