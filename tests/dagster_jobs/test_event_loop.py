"""How a run's coroutines meet the signals by which Dagster terminates it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from secretsync_dagster.event_loop import run_async

if TYPE_CHECKING:
    from types import FrameType


class Interrupted(BaseException):
    """What Dagster's own handler would raise."""


def _raise(_: int, __: FrameType | None) -> None:
    raise Interrupted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_coroutine_and_reaches_dagster(number: signal.Signals) -> None:
    """A termination cancels what is going on, lets it clean up, and is raised where Dagster sees it."""
    cleaned: list[bool] = []

    async def work() -> None:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), number)
        try:
            await asyncio.sleep(30)
        finally:
            cleaned.append(True)

    before = signal.signal(number, _raise)
    try:
        with pytest.raises(Interrupted):
            run_async(work())
        assert signal.getsignal(number) is _raise
    finally:
        signal.signal(number, before)
    assert cleaned == [True]


@pytest.mark.parametrize("again", [False, True])
def test_who_can_stop_is_asked_to_first(monkeypatch: pytest.MonkeyPatch, again: bool) -> None:
    """With a stop event the coroutine ends by itself; it is cancelled after a while, or by a second signal at once."""
    monkeypatch.setattr("secretsync_dagster.event_loop.STOP_SECONDS", 30.0 if again else 0.2)
    seen: list[str] = []
    stop = asyncio.Event()

    async def ends() -> None:
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
        await stop.wait()
        seen.append("ended")

    async def goes_on() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        if again:
            asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(20)
        finally:
            seen.append("cancelled")

    before = signal.signal(signal.SIGTERM, _raise)
    try:
        for work in (ends, goes_on):
            with pytest.raises(Interrupted):
                run_async(work(), stop)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == ["ended", "cancelled"]


def test_beside_the_main_thread_it_just_runs() -> None:
    """A sensor's thread gets no signals, and needs none to run a coroutine."""
    found: list[int] = []

    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    thread = threading.Thread(target=lambda: found.append(run_async(work())))
    thread.start()
    thread.join(10)
    assert found == [7]
