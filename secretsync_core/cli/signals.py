"""What Ctrl-C and SIGTERM do while a sync is on its way.

The gate cuts requests that are in flight for long after the first signal (:mod:`secretsync_core.endurance`), so that
the run is recorded and its lease given back. Whatever holds the run even then is cancelled; and where that does not
help, as for a thread that waits for a disk, the process ends without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from secretsync_core.cli import exits
from secretsync_core.endurance import GIVE_UP_SECONDS, LAST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.cli.output import Output

_SHOW_CURSOR = "\x1b[?25h"


class Stop:
    """Asks a sync to come to an end, once; a second signal ends the process.

    Attributes:
        event: set by the first signal.
        code: the exit code that the signal asks for; 0 where there was none.
        last: what ends the process where nothing else does; None until the run is given up. It goes on when the block
            of :meth:`listening` is over, for asyncio waits for its threads only then.
    """

    def __init__(self, output: Output) -> None:
        self.event = asyncio.Event()
        self.code = exits.OK
        self.last: threading.Timer | None = None
        self._output = output
        self._gave_up = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals for as long as the block runs. To be used on the event loop.

        Raises SystemExit where the block went on for too long after the first one, and was cancelled.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            loop.add_signal_handler(number, self._asked, number, task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._gave_up:
                raise
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)
        if self._gave_up:
            self._output.complain("something did not stop in time and was abandoned: the next run settles what is open")
            raise SystemExit(self.code)

    def _asked(self, number: int, task: asyncio.Task[Any] | None) -> None:
        if not self.code:
            self.code = 128 + number
            self.event.set()
            asyncio.get_running_loop().call_later(GIVE_UP_SECONDS, self._give_up, task)
            again = "press Ctrl-C again" if number == signal.SIGINT else "send SIGTERM again"
            self._output.complain(f"stopping after the requests in flight; {again} to stop at once")
        else:
            _end(128 + number)

    def _give_up(self, task: asyncio.Task[Any] | None) -> None:
        if task is not None and not task.done():
            self._gave_up = True
            self.last = threading.Timer(LAST_SECONDS, self._end_without)
            self.last.daemon = True
            self.last.start()
            task.cancel()

    def _end_without(self) -> None:
        """In a thread of its own: the event loop's may be the one that hangs, or wait for one that does."""
        self._output.complain("something did not end at all, and was left: the next run settles what is open")
        _end(self.code)


def _end(code: int) -> None:
    """End the process, and clean up nothing: what was announced in the ledger and not finished the next run settles."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode() + b"\n")
    os._exit(code)
