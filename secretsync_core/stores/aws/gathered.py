"""Puts reads that wait at the same time into one request."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

R = TypeVar("R")


def lanes_for(width: int) -> int:
    """How many gathered requests to have under way where ``width`` plain ones are allowed.

    Few: each brings many secrets, and the fewer there are the fuller they get.
    """
    return max(2, width // 16)


class Gathered(Generic[R]):
    """Reads by key: one that comes alone is asked for at once, and by itself; those that come together, together.

    Few requests are under way at once, so that while they are, others gather: the busier it is, the fuller they are.
    """

    def __init__(
        self,
        one: Callable[[str], Awaitable[R]],
        many: Callable[[Sequence[str]], Awaitable[Mapping[str, R | Exception]]],
        *,
        size: int,
        lanes: int,
    ) -> None:
        """``many`` takes up to ``size`` keys, and answers for each of them; ``lanes`` requests are made at once."""
        self._one = one
        self._many = many
        self._size = size
        self._free = lanes
        self._waiting: dict[str, list[asyncio.Future[R]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> R:
        """What one key gives. Raises what asking for it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        loop.call_soon(self._start)  # not at once: others may be about to ask in this very turn of the loop
        return await future

    async def aclose(self) -> None:
        """Give up what is under way; who waits for it is cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> None:
        while self._waiting and self._free:
            taken: dict[str, list[asyncio.Future[R]]] = {}
            while self._waiting and len(taken) < self._size:
                key = next(iter(self._waiting))
                futures = [future for future in self._waiting.pop(key) if not future.cancelled()]
                if futures:
                    taken[key] = futures
            if taken:
                self._free -= 1
                task = asyncio.create_task(self._serve(taken))
                self._tasks.add(task)
                task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free += 1
        self._start()

    async def _serve(self, taken: Mapping[str, Sequence[asyncio.Future[R]]]) -> None:
        found: Mapping[str, R | Exception]
        try:
            if len(taken) == 1:
                (key,) = taken
                found = {key: await self._one(key)}
            else:
                found = await self._many(tuple(taken))
        except Exception as error:  # noqa: BLE001  whatever it is, each of those who wait is told
            found = dict.fromkeys(taken, error)
        finally:
            if (current := asyncio.current_task()) is not None and current.cancelling():
                for futures in taken.values():
                    for future in futures:
                        future.cancel()
        for key, futures in taken.items():
            for future in futures:
                if not future.done():
                    _settle(future, found[key] if key in found else LookupError(key))


def _settle(future: asyncio.Future[R], result: R | Exception) -> None:
    if isinstance(result, Exception):
        future.set_exception(_of_its_own(result))
    else:
        future.set_result(result)


def _of_its_own(error: Exception) -> Exception:
    """A copy for each who waits: an error that is raised in several places collects all their tracebacks."""
    try:
        return copy.copy(error)
    except TypeError:  # it cannot be made from its arguments alone
        return error
