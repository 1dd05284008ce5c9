"""Runs the core's coroutines from Dagster's synchronous code."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from secretsync_core.endurance import GIVE_UP_SECONDS
from secretsync_dagster.watchdog import TURNS, watch_this_process

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_TURN_SECONDS = 2.0

STOP_SECONDS = GIVE_UP_SECONDS
"""How long a coroutine that was asked to stop may take: what is in flight was cut long before."""


def run_async(work: Coroutine[Any, Any, T], stop: asyncio.Event | None = None) -> T:
    """Run a coroutine to its end, on the quickest event loop that is installed.

    Dagster terminates a run by a signal whose handler raises. Raised inside an event loop, that exception is lost, or
    loses the wake-up of whoever was to come next, and the run hangs. So while the loop runs a signal sets ``stop``,
    if there is one, and cancels the coroutine where that is not enough; Dagster's handler is called behind it, where
    it may raise.
    """
    try:
        import uvloop
    except ImportError:
        factory = asyncio.new_event_loop
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        if threading.current_thread() is not threading.main_thread():
            return runner.run(_counted(work))  # only the main thread is sent signals
        watch_this_process()
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        received: list[signal.Signals] = []

        async def interruptible() -> T:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()

            def interrupt(number: signal.Signals) -> None:
                again = bool(received)
                received.append(number)
                if task is None:
                    return
                if stop is None or again:
                    task.cancel()
                else:
                    stop.set()
                    loop.call_later(STOP_SECONDS, task.cancel)

            for number in _SIGNALS:
                loop.add_signal_handler(number, interrupt, number)
            try:
                return await _counted(work)
            finally:
                for number in _SIGNALS:
                    loop.remove_signal_handler(number)

        try:
            return runner.run(interruptible())
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            for number in received:
                handler = before[number]
                if callable(handler):
                    handler(number, None)


async def _counted(work: Coroutine[Any, Any, T]) -> T:
    with TURNS.counted(_TURN_SECONDS):
        return await work
