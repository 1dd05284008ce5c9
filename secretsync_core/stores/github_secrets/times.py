"""What version a write has made: GitHub does not say, so it is looked at right after, and held against the clock.

A version is when a secret was last written, to the second. The look may come from a server that has not heard of the
write, or after somebody else's write. The answer to the write says when that was, by a clock that may differ a little.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from secretsync_core.stores.http import date_of

if TYPE_CHECKING:
    from secretsync_core.stores.github_secrets.transport import Answer

LEEWAY = timedelta(seconds=10)
"""So far the clocks of one GitHub may differ from each other."""


class Written:
    """When a write was answered; nothing is held against it where the answer does not say."""

    def __init__(self, answer: Answer) -> None:
        self._when = date_of(answer.headers.get("Date", ""))

    def is_before(self, version: str) -> bool:
        """Whether a version is of a later write than ours."""
        return self._when is not None and datetime.fromisoformat(version) > self._when + LEEWAY

    def is_after(self, version: str) -> bool:
        """Whether a version is of an earlier write than ours."""
        return self._when is not None and datetime.fromisoformat(version) < self._when - LEEWAY

    @property
    def version(self) -> str | None:
        """What the version is about, by the clock: none that GitHub shows later on, if it is another one."""
        return None if self._when is None else self._when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
