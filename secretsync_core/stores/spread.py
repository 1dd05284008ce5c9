"""Works through a list that grows as it is worked on, several items at a time, with few tasks and little memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

W = TypeVar("W")
R = TypeVar("R")


async def spread(
    work: Iterable[W], do: Callable[[W], Awaitable[tuple[Sequence[R], Iterable[W]]]], *, width: int
) -> AsyncIterator[R]:
    """Yield what ``do`` finds for each item of ``work``, ``width`` items at a time, in no order.

    ``do`` gives its findings and more work, which is done before the rest, so that a tree is walked depth first and
    little of it waits. The first error ends everything and is raised. ``work`` is drawn from as it is needed.
    """
    source = iter(work)
    more: list[W] = []
    # Room is waited for by the workers alone: the end is told without waiting, also when nobody listens any more.
    found: asyncio.Queue[Sequence[R] | BaseException | None] = asyncio.Queue()
    room = asyncio.Semaphore(2 * width)
    busy = 0
    changed = asyncio.Event()
    closed = False

    async def worker() -> None:
        nonlocal busy, changed
        while not closed:
            if more:
                item = more.pop()
            else:
                try:
                    item = next(source)
                except StopIteration:
                    if not busy:
                        changed.set()
                        return
                    # Another worker may still come up with more.
                    await changed.wait()
                    continue
            busy += 1
            try:
                results, extra = await do(item)
            finally:
                busy -= 1
            more.extend(extra)
            wake, changed = changed, asyncio.Event()
            wake.set()
            if results:
                await room.acquire()
                found.put_nowait(results)

    async def run() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(width):
                    group.create_task(worker())
        except BaseExceptionGroup as group_error:
            found.put_nowait(group_error.exceptions[0])
        else:
            found.put_nowait(None)

    runner = asyncio.create_task(run())
    try:
        while (results := await found.get()) is not None:
            if isinstance(results, BaseException):
                raise results
            room.release()
            for result in results:
                yield result
    finally:
        closed = True
        runner.cancel()
        for _ in range(width):
            room.release()
        await asyncio.gather(runner, return_exceptions=True)
