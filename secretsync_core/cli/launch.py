"""Runs one command's body and turns however it ends into an exit code, with words that fit."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from secretsync_core.cli import exits, guard, streams
from secretsync_core.cli.interrupt import leave, leave_on_interrupt
from secretsync_core.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsync_core.errors import SecretSyncError


def launch(body: Callable[[Output], int], *, json: bool = False, quiet: bool = False) -> int:
    """Run ``body`` and give its exit code, or the one of the error that it ended with."""
    output = Output(json=json, quiet=quiet)
    interruptible = interrupt_raises()
    try:
        try:
            code = body(output)
        finally:
            if interruptible:
                leave_on_interrupt()
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
    except Exception as error:  # noqa: BLE001  the outermost handler: everything ends here
        code = _failed(error, output)
    output.flush()
    return code


def interrupt_raises() -> bool:
    """Let Ctrl-C raise KeyboardInterrupt from now on, where nobody else has set what it does; whether it does now."""
    if signal.getsignal(signal.SIGINT) is not leave:
        return False
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return True


def _failed(error: Exception, output: Output) -> int:
    errors, unknown = _leaves(error)
    if unknown is not None:
        guard.report(unknown)
        if output.json:
            message = f"internal error: {guard.describe(unknown)}"
            output.document({"error": {"code": "internal", "message": message, "hint": ""}})
        return exits.INTERNAL
    code = exits.gravest(leaf.exit_code for leaf in errors)
    for leaf in errors:
        output.failure(leaf)
    if output.json:
        from secretsync_core.cli.json_output import error_object

        output.document({"error": error_object(next(leaf for leaf in errors if leaf.exit_code == code))})
    return code


def _leaves(error: Exception) -> tuple[list[SecretSyncError], Exception | None]:
    """The errors of ours in an exception (a group may hold several), and the first that is not ours."""
    from secretsync_core.errors import SecretSyncError

    if isinstance(error, SecretSyncError):
        return [error], None
    if isinstance(error, ExceptionGroup):
        known: list[SecretSyncError] = []
        for part in error.exceptions:
            ours, foreign = _leaves(part)
            if foreign is not None:
                return known, foreign
            known += ours
        return known, None
    return [], error


def usage_error(message: str, hint: str, *, json: bool) -> int:
    """Say that the call is wrong, in the form that was asked for."""
    output = Output(json=json)
    output.error(message, hint)
    if json:
        output.document({"error": {"code": "usage", "message": message, "hint": hint}})
    output.flush()
    return exits.WRONG


def asked_for_json(arguments: list[str]) -> bool:
    """Whether a command line that could not be parsed asks for JSON."""
    return "--output=json" in arguments or any(
        arguments[at : at + 2] == ["--output", "json"] or arguments[at : at + 2] == ["-o", "json"]
        for at in range(len(arguments))
    )


def finish(code: int) -> None:
    """End the process: with ``code``, or with ``exits.OUTPUT`` where what was printed could not be written."""
    failure = streams.flush()
    if failure is not None:
        Output().error(
            f"stdout cannot be written: {failure.strerror or type(failure).__name__}",
            "the output is incomplete; what the command did stays done",
        )
        code = exits.gravest((code, exits.OUTPUT))
    sys.exit(code)
