"""What surrounds the body of every op: every error leaves it as a Failure that has no cause and holds no value."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from secretsync_core.cli.escape import safe
from secretsync_core.errors import SecretSyncError
from secretsync_dagster.left_out import say_what_is_left_out
from secretsync_dagster.plain_failures import PlainFailure, plain, show_as_told, to_be_tried_again
from secretsync_dagster.quiet_storage import quiet_storage

if TYPE_CHECKING:
    from collections.abc import Iterator


terminated = threading.Event()
"""Set once a step of this process was interrupted: its run is to end, and not to go on with the next step."""


@contextlib.contextmanager
def error_boundary(context: dg.OpExecutionContext, *, retry: dg.RetryPolicy | None = None) -> Iterator[None]:
    """Let nothing but a Failure of our own out, and nothing that Dagster's storage logs meanwhile.

    With a ``retry`` policy what may heal asks for another attempt, and says why. The last one that the policy has is
    not repeated whatever it fails with: of a failure that asks for another retry than there is, Dagster shows nothing
    but that.

    An exception's text, its cause and its traceback all end up in the event log and the compute logs. Errors of ours
    hold names, keys and numbers only; of any other only its type and the line it came from are told.
    """
    attempt = context.retry_number
    last = retry is None or attempt >= retry.max_retries
    show_as_told(context.log)
    say_what_is_left_out(context.log)
    failure: dg.Failure | None = None
    try:
        with quiet_storage():
            yield
    except dg.Failure as error:
        failure = plain(error)
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
        # As it is, Dagster would take it for something to try again, by the op's retry policy.
        terminated.set()
        failure = PlainFailure("the run was terminated", metadata={"code": "terminated"}, allow_retries=False)
    except SecretSyncError as error:
        failure = PlainFailure(
            safe(error.message),
            metadata={"code": error.code, **({"what to do": safe(error.hint)} if error.hint else {})},
            allow_retries=error.retryable and not last,
        )
    except Exception as error:  # noqa: BLE001  see above
        failure = PlainFailure(
            f"an unexpected {type(error).__name__} at {_origin(error)}",
            metadata={"code": "internal-error", "what to do": "this is a defect; please report it"},
            allow_retries=False,
        )
    if failure is not None and failure.allow_retries and retry is not None and not last:
        raise to_be_tried_again(failure, retry, attempt) from None
    if failure is not None:
        # While this block is left the error counts as being handled, so only `from None` keeps it out of the logs.
        raise failure from None


def _origin(error: BaseException) -> str:
    """The file and line that an exception came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "?"
