"""The outermost line of defence: whatever goes wrong, no traceback and no message of a foreign exception is shown.

A traceback shows source lines, and an exception of a library may quote what it was given: both may hold a value.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from types import FrameType, TracebackType

_HINT = "this is a bug in SecretSync: please report it, with this line and the command that you ran"
_PACKAGES = ("secretsync_core", "secretsync_dagster")


def place(trace: TracebackType | None) -> str:
    """The innermost line of ours in a traceback, and the line that raised where that is another's; no source text."""
    ours = last = None
    while trace is not None:
        last = (trace.tb_frame, trace.tb_lineno)
        if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _PACKAGES:
            ours = last
        trace = trace.tb_next
    if last is None:
        return "an unknown place"
    if ours is None or ours == last:
        return _short(*last)
    return f"{_short(*ours)} (raised at {_short(*last)})"


def _short(frame: FrameType, line: int) -> str:
    parts = PurePath(frame.f_code.co_filename).parts
    root = frame.f_globals.get("__name__", "").partition(".")[0]
    start = len(parts) - 1 - parts[::-1].index(root) if root in parts else max(len(parts) - 2, 0)
    return f"{'/'.join(parts[start:])}:{line}"


def describe(error: BaseException) -> str:
    """What may be said of an unexpected exception: its type and its place."""
    if isinstance(error, BaseExceptionGroup) and error.exceptions:
        return describe(error.exceptions[0])
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__} at {place(error.__traceback__)}"


def report(error: BaseException, *, hint: bool = True) -> None:
    """Say on stderr that something unexpected happened, and nothing that may hold a value."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"internal error: {describe(error)}\n")
        if hint:
            sys.stderr.write(f"hint: {_HINT}\n")
        sys.stderr.flush()


def install() -> None:
    """Cover every way in which Python itself shows an exception, and the warnings that libraries print."""
    sys.excepthook = lambda _kind, error, _trace: _report_main(error)
    sys.unraisablehook = lambda unraisable: _report_quietly(unraisable.exc_value)
    threading.excepthook = lambda args: _report_quietly(args.exc_value)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def on_loop(_loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler that shows the type and the place alone."""
    error = context.get("exception")
    # uvloop's TLS raises this where more comes in on a connection that was closed, for which nobody waits any more:
    # https://github.com/MagicStack/uvloop/issues/506.
    if type(error) is RuntimeError and "transport" in context:
        return
    _report_quietly(error)


def _report_main(error: BaseException) -> None:
    if not isinstance(error, KeyboardInterrupt):
        report(error)


def _report_quietly(error: BaseException | None) -> None:
    # A pipe that is gone or a task that was cancelled is how programs end, and no fault.
    if error is not None and not isinstance(error, BrokenPipeError) and isinstance(error, Exception):
        report(error, hint=False)
