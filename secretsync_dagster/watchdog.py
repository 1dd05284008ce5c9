"""Ends a run worker whose event loop stands still, so that its run can be taken over and executed again.

Python may wait for ever for a thread that ran out of memory while it started (python/cpython#140746, open in every
version), and while it waits, nothing else can end the run: not its steps, and not a signal. The thread that renews its
leases goes on, however, and no other run of the job could start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STILL_SECONDS = 300.0
"""How long an event loop may stand still: many times what the largest plan keeps it busy between two turns."""

_LOOKS = 10
"""Looks that have to find it so, one after the other: a process that was frozen and goes on gets turns between them."""

_WORDS = b"secretsync: the event loop has stood still for minutes, so this process ends; is its memory short?\n"


class Turns:
    """Counts the turns of this process's event loops, one after the other or side by side in threads."""

    def __init__(self) -> None:
        self._running = 0
        self._count = 0

    @contextlib.contextmanager
    def counted(self, every: float) -> Iterator[None]:
        """Count the turns of the running loop, one in so many seconds, while the block lasts."""
        loop = asyncio.get_running_loop()
        timer: asyncio.Handle

        def turn() -> None:
            nonlocal timer
            self._count += 1
            timer = loop.call_later(every, turn)

        turn()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            timer.cancel()

    def seen(self) -> int | None:
        """A number that is another one after a turn; None where no loop runs."""
        return self._count if self._running else None


TURNS = Turns()
"""The turns of this process."""


def watch(turns: Turns, still: float, end: Callable[[], None], over: threading.Event) -> None:
    """Call ``end`` once no loop that runs has turned for ``still`` seconds, or come back when it is ``over``."""
    before, same = turns.seen(), 0
    while not over.wait(still / _LOOKS):
        now = turns.seen()
        same = same + 1 if now is not None and now == before else 0
        before = now
        if same >= _LOOKS:
            end()
            return


_watched = 0
"""The process that is watched."""


def watch_this_process() -> None:
    """Watch until the process ends; once is enough. To be called early, while a thread can still be started."""
    global _watched
    if _watched != os.getpid():  # a fork takes no threads along
        _watched = os.getpid()
        arguments = (TURNS, STILL_SECONDS, _end, threading.Event())
        threading.Thread(target=watch, args=arguments, name="watchdog", daemon=True).start()


def _end() -> None:
    with contextlib.suppress(OSError):
        os.write(2, _WORDS)
    os._exit(os.EX_SOFTWARE)
