"""What Ctrl-C does before and after the program: it ends the process without a word. Imports next to nothing."""

import _signal  # type: ignore[import-not-found]  # ``signal``, made of it, takes milliseconds in which it is no help
import os

INTERRUPTED = 130


def leave(*_: object) -> None:
    """End the process as Ctrl-C does: there is nothing to be cleaned up."""
    os._exit(INTERRUPTED)


def leave_on_interrupt() -> None:
    """Let Ctrl-C end the process at once."""
    _signal.signal(_signal.SIGINT, leave)
