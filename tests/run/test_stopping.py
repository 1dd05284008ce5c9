"""A run that is asked to stop, or is cancelled, ends soon, whatever it waits for."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from secretsync_core.cli.output import Output
from secretsync_core.cli.signals import Stop
from secretsync_core.endurance import Endurance
from secretsync_core.errors import StoreUnavailable
from secretsync_core.run import opening
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.stores.spread import spread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from run.world import World

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


async def test_a_request_has_a_deadline() -> None:
    """A request that is not answered in its time is given up, as one whose outcome nobody knows."""
    gate = Gate("s", concurrency=1, policy=RetryPolicy(attempts=1), endurance=Endurance(request=0.01))
    with pytest.raises(StoreUnavailable) as caught:
        await asyncio.wait_for(gate("write", asyncio.Event().wait), SOON)
    assert "limits.request" in caught.value.hint
    assert caught.value.unanswered


async def test_a_store_that_freezes_is_not_asked_again_and_again() -> None:
    """Requests that hang are repeated only while the first attempt is not long ago."""
    policy = RetryPolicy(attempts=6, first_wait=0.001, longest_try=0.015)
    gate = Gate("s", concurrency=1, policy=policy, endurance=Endurance(request=0.01))
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(gate("read", asyncio.Event().wait), SOON)
    assert gate.requests["read"] <= 3


async def test_a_request_in_flight_is_cut_when_a_run_stops() -> None:
    """What hangs while a run is asked to stop is cut, and what comes after that soon after it began."""
    gate = Gate("s", concurrency=1, policy=RetryPolicy(attempts=6), stop=(stop := asyncio.Event()))
    hanging = asyncio.ensure_future(gate("write", asyncio.Event().wait))
    await asyncio.sleep(0.01)
    stop.set()
    gate.cut_off(0.01)
    with pytest.raises(StoreUnavailable, match="cut") as caught:
        await asyncio.wait_for(hanging, SOON)
    assert caught.value.unanswered


@pytest.mark.parametrize("hangs", ["stat", "write"])
async def test_a_run_that_hangs_is_recorded_when_it_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch, hangs: str
) -> None:
    """Wherever a store hangs, a run that is asked to stop ends, is in the ledger, and gives its lease back."""
    monkeypatch.setattr(opening, "STOP_SECONDS", 0.05)
    world.job("- secret: {key: a}\n- secret: {key: b}")
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    stop, reached = asyncio.Event(), asyncio.Event()

    async def hang(_: str) -> None:
        reached.set()
        await asyncio.Event().wait()

    world.gate_fault("dst").run(hangs, hang)
    run = asyncio.ensure_future(world.sync(stop=stop))
    await asyncio.wait_for(reached.wait(), SOON)
    stop.set()
    report = await asyncio.wait_for(run, SOON)
    assert report.stopped
    assert world.ledger.runs.unfinished("job") == []
    assert world.ledger.leases.held() == []


def test_what_hangs_beside_every_request_is_cancelled() -> None:
    """The command line's last resort: a run that nothing else ends is cancelled, and exits as the signal says."""

    async def held(stop: Stop) -> None:
        with stop.listening():
            stop._asked(signal.SIGTERM, asyncio.current_task())
            asyncio.get_running_loop().call_later(0.01, stop._give_up, asyncio.current_task())
            await asyncio.Event().wait()

    stop = Stop(Output())
    with pytest.raises(SystemExit) as ended:
        asyncio.run(held(stop))
    assert stop.last is not None
    stop.last.cancel()  # or it ended this process, too
    assert ended.value.code == 128 + signal.SIGTERM
