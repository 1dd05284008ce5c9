"""A run that is asked to stop, or is cancelled, ends soon, whatever it waits for."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import StoreUnavailable
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.stores.spread import spread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SOON = 5.0
"""Seconds after which what has not ended counts as hanging; all of it takes milliseconds."""


async def _paced(gate: Gate) -> None:
    """Look at many keys of a store, a few at a time, each when its turn comes."""

    async def attempt() -> str:
        await asyncio.sleep(0)
        return "seen"

    async def look(_: int) -> tuple[list[str], tuple[int, ...]]:
        return [await gate("stat", attempt)], ()

    async for _ in spread(range(40), look, width=4):
        pass


async def _retried(gate: Gate) -> None:
    """Ask a store that never answers, again and again."""

    async def attempt() -> str:
        await asyncio.sleep(0)
        raise StoreUnavailable("down")

    await gate("read", attempt)


@pytest.mark.parametrize("work", [_paced, _retried])
@pytest.mark.parametrize("after", range(0, 60, 3))
async def test_a_cancellation_beside_a_stop_is_not_swallowed(
    work: Callable[[Gate], Awaitable[None]], after: int
) -> None:
    """Wherever it stands, work that is cancelled in the moment in which the run is stopped ends as cancelled."""
    stop = asyncio.Event()
    patient = RetryPolicy(attempts=50, first_wait=0.02, longest_wait=0.02, lost_after=100)
    gate = Gate("s", concurrency=4, rate=20.0, policy=patient, stop=stop)
    task = asyncio.ensure_future(work(gate))
    for _ in range(after):  # so many turns of the event loop: at each the work waits for something else
        await asyncio.sleep(0)
    stop.set()
    task.cancel()
    await asyncio.wait([task], timeout=SOON)
    assert task.cancelled()


@pytest.mark.parametrize("after", range(0, 60, 3))
async def test_a_stop_ends_every_wait(after: int) -> None:
    """Paced work that is stopped does not wait for its turns any more, and work that fails is not repeated."""
    stop = asyncio.Event()
    gate = Gate("s", concurrency=4, rate=0.5, policy=RetryPolicy(first_wait=100, longest_wait=100), stop=stop)
    tasks = [asyncio.ensure_future(_paced(gate)), asyncio.ensure_future(_retried(gate))]
    for _ in range(after):
        await asyncio.sleep(0)
    stop.set()
    done, late = await asyncio.wait(tasks, timeout=SOON)
    for task in late:
        task.cancel()
    assert not late
    assert [type(task.exception()) for task in tasks if task in done] == [type(None), StoreUnavailable]


async def test_a_listing_that_nobody_reads_to_its_end_is_given_up() -> None:
    """Also where a worker swallows the cancellation that says so: nothing waits for a reader who left."""

    async def stubborn(number: int) -> tuple[list[int], tuple[int, ...]]:
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # as a third party's store may do
        return [number], ()

    async def first() -> int:
        found: AsyncIterator[int]
        async with aclosing(spread(range(10_000), stubborn, width=2)) as found:  # type: ignore[type-var]
            async for number in found:
                await asyncio.sleep(0.05)  # the workers have filled all the room there is by now
                return number
        raise AssertionError("nothing was found")

    assert await asyncio.wait_for(first(), SOON) in range(10_000)
