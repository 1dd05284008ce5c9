"""Request gates for tests: one that counts, loses answers and can be closed, and one that is awaited in tasks."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeVar

from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from secretsync_core.stores.base import RequestGate

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
        self._losing = False

    @property
    def total(self) -> int:
        """How many requests there were, of every kind. Those that a closed gate refused count too."""
        return self.counts.total()

    def close(self, error: BaseException | None = None) -> None:
        """Refuse every request from now on, with ``error`` or else GateClosed."""
        self._error = error if error is not None else GateClosed("the gate is closed")

    def reopen(self) -> None:
        """Let requests through again, and lose no more answers."""
        self._error = None
        self._losing = False

    def lose_answers(self) -> None:
        """Make every request twice from now on, as if the first answer were lost; what fails then is ``unanswered``."""
        self._losing = True

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run one request once; the RequestGate protocol."""
        async with self._slots:
            self.counts[kind] += 1
            if self._error is not None:
                raise self._error
            self._flying += 1
            self.peak = max(self.peak, self._flying)
            try:
                if self._losing:
                    await attempt()
                return await attempt()
            except SecretSyncError as error:
                error.unanswered = error.unanswered or self._losing
                raise
            finally:
                self._flying -= 1


class GateInTasks:
    """A gate as a store has it that awaits its gate in a task of its own, as ``asyncio.wait_for`` and ``gather`` do.

    Open a store with it in place of its gate: what the gate has to say must come through.
    """

    def __init__(self, gate: RequestGate, how: Literal["wait_for", "gather"]) -> None:
        self._gate = gate
        self._how = how

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run one request through the inner gate; the RequestGate protocol."""
        request = self._gate(kind, attempt)
        if self._how == "gather":
            return (await asyncio.gather(request))[0]
        return await asyncio.wait_for(request, 600)


def refusing_gate(error: BaseException | None = None) -> CountingGate:
    """Make a gate that is closed from the start."""
    gate = CountingGate()
    gate.close(error)
    return gate
