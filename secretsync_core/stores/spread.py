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
    found: asyncio.Queue[Sequence[R] | BaseException | None] = asyncio.Queue(maxsize=2 * width)
    busy = 0
    changed = asyncio.Event()

    async def worker() -> None:
        nonlocal busy, changed
        while True:
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
                await found.put(results)

    async def run() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(width):
                    group.create_task(worker())
        except BaseExceptionGroup as group_error:
            await found.put(group_error.exceptions[0])
        else:
            await found.put(None)

    runner = asyncio.create_task(run())
    try:
        while (results := await found.get()) is not None:
            if isinstance(results, BaseException):
                raise results
            for result in results:
                yield result
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
