"""What Ctrl-C and SIGTERM do while a sync is on its way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from secretsync_core.cli import exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.cli.output import Output

_SHOW_CURSOR = "\x1b[?25h"


class Stop:
    """Asks a sync to come to an end, once; a second signal ends the process.

    Attributes:
        event: set by the first signal.
        code: the exit code that the signal asks for; 0 where there was none.
    """

    def __init__(self, output: Output) -> None:
        self.event = asyncio.Event()
        self.code = exits.OK
        self._output = output

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals for as long as the block runs. To be used on the event loop."""
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            loop.add_signal_handler(number, self._asked, number)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _asked(self, number: int) -> None:
        if not self.code:
            self.code = 128 + number
            self.event.set()
            again = "press Ctrl-C again" if number == signal.SIGINT else "send SIGTERM again"
            self._output.complain(f"stopping after the requests in flight; {again} to stop at once")
        else:
            # Nothing is cleaned up: what was announced in the ledger and not finished is settled by the next run.
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode() + b"\n")
            os._exit(128 + number)
