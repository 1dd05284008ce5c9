"""Failures whose text is ours, and which Dagster shows as they are.

With ``DAGSTER_REDACT_USER_CODE_ERRORS`` Dagster adds to each exception that leaves an op that it was masked, and that
an id leads to more in some log; of a step that is tried again it shows nothing but that. This is right for exceptions
of libraries, which may hold anything, and none of them gets past
:func:`~secretsync_dagster.error_boundary.error_boundary`. What does holds names, keys and numbers alone. There is
nothing more in any log, and whoever looks for it has lost the way to the cause. So the line is taken away again where
the event is written down, and with it the stack, which shows code and nothing that happened.
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMAND = re.compile(r"`[^`]+`")
_MASKED = re.compile(r"\s*Error ID [0-9a-f-]{36}\. The error has been masked [^\n]*\Z")
_REDACTED = os.getenv("DAGSTER_REDACTED_ERROR_LOGGER_NAME", "dagster.redacted_errors")


class PlainFailure(dg.Failure):
    """A failure in our own words, shown with what to do about it, as the command line shows it."""

    def __init__(self, description: str | None, metadata: Mapping[str, Any], *, allow_retries: bool) -> None:
        super().__init__(description, metadata, allow_retries)
        self.args = (f"{description}{_hint(description, self.metadata)}",)


class TryAgain(dg.RetryRequested):
    """A failure in our own words that may heal: the step is tried again."""

    def __init__(self, told: str, policy: dg.RetryPolicy, attempt: int) -> None:
        super().__init__(policy.max_retries, policy.calculate_delay(attempt + 1))
        self.args = (told,)


_OURS = {PlainFailure.__name__: "Failed", TryAgain.__name__: "Tried again"}
"""What is shown in place of a class, by its name."""

_TERMINATED = "Terminated: what this run wrote is in the ledger, and the next one does the rest\n"
"""What is shown in place of the place in the code at which a run was terminated."""

# Dagster shows an exception as Python does: by its class, and by the module of that if it is not a builtin one.
PlainFailure.__module__ = TryAgain.__module__ = "builtins"


def plain(failure: dg.Failure) -> PlainFailure:
    """The same failure, as one of ours."""
    return PlainFailure(failure.description, failure.metadata, allow_retries=bool(failure.allow_retries))


def to_be_tried_again(failure: dg.Failure, policy: dg.RetryPolicy, attempt: int) -> TryAgain:
    """What asks for the attempt after ``attempt``, which is counted from 0, as ``policy`` has it."""
    return TryAgain(f"{failure.description}{_hint(failure.description, failure.metadata)}", policy, attempt)


def _hint(description: str | None, metadata: Mapping[str, dg.MetadataValue]) -> str:
    """What to do, as a line of its own; nothing where the description has named its command already."""
    hint = metadata.get("what to do")
    commands = _COMMAND.findall(str(hint.value)) if hint is not None else []
    is_told = bool(commands) and all(command in (description or "") for command in commands)
    return f"\nhint: {hint.value}" if hint is not None and not is_told else ""


def show_as_told(log: logging.Logger) -> None:
    """Let what fails a step, or ends a run, be shown in our words alone. ``log`` is the step's or the run's, by which
    Dagster notes its events."""
    log.addFilter(_as_told)


class _AsTold(logging.Filter):
    """Puts an event in the place of one that says of an error of ours that it was masked."""

    def filter(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "dagster_event", None)
        if event is not None:
            record.dagster_event = as_told(event)
        return True


def as_told(event: Any) -> Any:
    """The event as it is, or where it tells of an error of ours, with that in our words alone.

    What an executor hands on of a step that failed Dagster says once more at the end of the run.
    """
    data = event.event_specific_data
    error = getattr(data, "error", None)
    if error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
        told = error._replace(message=_TERMINATED, stack=[], cls_name="SecretSync", cause=None, context=None)
        return event._replace(event_specific_data=data._replace(error=told))
    if error is None or error.cls_name not in _OURS:
        return event
    said = _MASKED.sub("", error.message).strip().removeprefix(f"{error.cls_name}: ")
    told = error._replace(message=f"{_OURS[error.cls_name]}: {said}\n", stack=[], cls_name="SecretSync")
    return event._replace(event_specific_data=data._replace(error=told))


class _IsNotOurs(logging.Filter):
    """Keeps out of Dagster's log of what it masked what can be read on the run's page."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], PlainFailure | TryAgain))


_as_told = _AsTold()
logging.getLogger(_REDACTED).addFilter(_IsNotOurs())
