"""The event loop that commands run on, tuned for many small requests."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from secretsync_core.cli import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on the fastest event loop that is installed."""
    _log_to_stderr()
    # What was imported stays, and what a run makes is mostly freed by counting: look for cycles less often.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.get_loop().set_exception_handler(guard.on_loop)
        return runner.run(main())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class _OnlyOurs(logging.Handler):
    """Shows our own warnings. Those of libraries are dropped: nobody knows what they quote."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] == "secretsync_core":
            from secretsync_core.cli.escape import safe

            sys.stderr.write(f"{record.levelname.lower()}: {safe(record.getMessage())}\n")


def _log_to_stderr() -> None:
    root = logging.getLogger()
    if not any(isinstance(handler, _OnlyOurs) for handler in root.handlers):
        root.addHandler(_OnlyOurs(logging.WARNING))
