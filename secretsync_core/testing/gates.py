"""Request gates for tests: one that counts and can be closed, so that a test knows every way to the outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class GateClosed(Exception):
    """The gate is closed: nothing may go outside."""


class CountingGate:
    """Lets requests through one attempt each, and counts them.

    Attributes:
        counts: requests by kind.
        peak: the largest number that was in flight at once.
    """

    def __init__(self, concurrency: int = 32) -> None:
        self.counts: Counter[str] = Counter()
        self.peak = 0
        self._flying = 0
        self._slots = asyncio.Semaphore(concurrency)
        self._error: BaseException | None = None

    @property
    def total(self) -> int:
        """How many requests there were, of every kind. Those that a closed gate refused count too."""
        return self.counts.total()

    def close(self, error: BaseException | None = None) -> None:
        """Refuse every request from now on, with ``error`` or else GateClosed."""
        self._error = error if error is not None else GateClosed("the gate is closed")

    def reopen(self) -> None:
        """Let requests through again."""
        self._error = None

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run one request once; the RequestGate protocol."""
        async with self._slots:
            self.counts[kind] += 1
            if self._error is not None:
                raise self._error
            self._flying += 1
            self.peak = max(self.peak, self._flying)
            try:
                return await attempt()
            finally:
                self._flying -= 1


def refusing_gate(error: BaseException | None = None) -> CountingGate:
    """Make a gate that is closed from the start."""
    gate = CountingGate()
    gate.close(error)
    return gate
