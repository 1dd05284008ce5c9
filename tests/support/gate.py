"""Request gates for tests of one store: one counts, bounds and repeats nothing, the other one repeats at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class CountingGate:
    """Lets ``concurrency`` requests through at once and counts them by kind in ``counts``.

    ``peak`` is the largest number that was in flight at once.
    """

    def __init__(self, concurrency: int = 32) -> None:
        self.counts: Counter[str] = Counter()
        self.peak = 0
        self._flying = 0
        self._slots = asyncio.Semaphore(concurrency)

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            self.counts[kind] += 1
            self._flying += 1
            self.peak = max(self.peak, self._flying)
            try:
                return await attempt()
            finally:
                self._flying -= 1


class Persistent:
    """A gate that asks again as long as an error is retryable, waits for nothing, and notes what got no answer.

    With ``attempts`` it gives up after so many; without, twenty have to do.
    """

    def __init__(self, attempts: int = 0) -> None:
        self._attempts = attempts

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        unanswered = False
        for number in range(1, 1 + (self._attempts or 20)):
            try:
                return await attempt()
            except StoreError as error:
                unanswered = error.unanswered = error.unanswered or unanswered
                if not error.retryable or number == self._attempts:
                    raise
        raise AssertionError("twenty attempts did not do")
