"""Ends calls of a store that do not come back, whatever its code does: for stores that do not use the gate, or hang.

The gate sees to the time of single requests. What is here looks from outside, seldom: a call in which nothing has gone
through the gate for as long as a request may take is given up, and so is a listing that takes too long in all.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from secretsync_core.endurance import MOST_FOUND, too_long, too_many, too_slow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from secretsync_core.endurance import Endurance
    from secretsync_core.errors import StoreError


@runtime_checkable
class TellsActivity(Protocol):
    """A gate that tells whether a store does something. Stores need not know of it."""

    @property
    def activity(self) -> int | None:
        """How many requests have begun or ended so far; None while one waits, or is on its way."""
        ...


class Watch:
    """Watches over one call of a store. What whoever made the call does between two findings does not count."""

    __slots__ = (
        "_activity",
        "_endurance",
        "_found",
        "_gate",
        "_most",
        "_since",
        "_store",
        "_task",
        "_timer",
        "_total",
        "_why",
    )

    def __init__(self, store: str, endurance: Endurance, gate: TellsActivity | None, *, listing: bool = False) -> None:
        """``listing``: the call is one, and may take only so long in all."""
        self._store = store
        self._endurance = endurance
        self._gate = gate
        self._activity = self._now_active()
        self._task: asyncio.Task[Any] | None = None
        self._since = self._total = 0.0
        self._most = endurance.listing if listing else math.inf
        self._found = 0
        self._why: StoreError | None = None
        self._timer = asyncio.get_running_loop().call_later(self._period, self._look)

    @property
    def _period(self) -> float:
        return min(self._endurance.seconds("list"), self._most)

    async def wait(self, step: Awaitable[Any]) -> Any:
        """Await one step of the call. Raises StoreError where it does not come back in time."""
        clock = asyncio.get_running_loop().time
        task = self._task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine is awaited
        cancelling = task.cancelling()
        self._since = clock()
        why: StoreError | None = None
        try:
            return await step
        except asyncio.CancelledError:
            why, self._why = self._why, None
            if why is None or task.uncancel() > cancelling:
                raise
        finally:
            if self._why is not None:  # it came back otherwise, though it was cancelled: that was all of it
                self._why = None
                task.uncancel()
            self._task = None
            self._total += clock() - self._since
        raise why

    async def next(self, said: AsyncIterator[Any]) -> Any:
        """The next finding of a listing."""
        self._found += 1
        if self._found > MOST_FOUND:
            raise too_many(self._store)
        return await self.wait(anext(said))

    def end(self) -> None:
        """Watch no longer."""
        self._timer.cancel()

    def _now_active(self) -> int | None:
        return 0 if self._gate is None else self._gate.activity

    def _look(self) -> None:
        """Give the call up, or look again later."""
        loop = asyncio.get_running_loop()
        if self._task is not None:
            waited = loop.time() - self._since
            active = self._now_active()
            stalls = waited >= self._period * 0.9 and active is not None and active == self._activity
            self._activity = active
            if self._total + waited >= self._most:
                self._why = too_long(self._store, self._endurance.listing)
            elif stalls:
                self._why = too_slow(self._store, self._period)
            if self._why is not None:
                self._task.cancel()
                return
        self._timer = loop.call_later(self._period, self._look)
