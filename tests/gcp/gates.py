"""A gate that asks again, as the one of a run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Repeating:
    """Makes up to five attempts of a request, without waiting, and notes where an answer to one was lost."""

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run one request, again while it may help."""
        unanswered = False
        for left in reversed(range(5)):
            try:
                return await attempt()
            except SecretSyncError as error:
                unanswered = error.unanswered = error.unanswered or unanswered
                if not (error.retryable and left):
                    raise
        raise AssertionError(kind)
