"""What a run says of a step that it leaves out because one before it failed.

Dagster's words for that, ``Dependencies for step audit failed: …. Not executing.``, come as an error, and read as if
nothing had been audited. Every write of the run is in the ledger, from before it was made, and the run is closed there:
the step would have looked once more. No step can say so, for it is not executed; so it is said where Dagster writes its
words down.
"""

from __future__ import annotations

import logging
import re
from typing import Any

_AUDIT = re.compile(
    r"Dependencies for step (?:\S+\.)?audit (?P<what>(?:failed|were not executed): .*)\. Not executing\."
)


def say_what_is_left_out(log: logging.Logger) -> None:
    """``log`` is that by which the run's steps are executed, or one of theirs: they share their handlers.

    An executor that executes steps in its own process makes another log for them than it was given.
    """
    for handler in log.handlers:
        # Not published; without them Dagster's own words stay, which are true too.
        for inner in getattr(handler, "_handlers", ()):
            if isinstance(inner, logging.Handler):
                inner.addFilter(_plainly)


class _Plainly(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        told: dict[str, Any] | None = getattr(record, "dagster_meta", None)
        found = _AUDIT.fullmatch(str(told.get("orig_message"))) if told is not None else None
        if told is not None and found is not None:
            said = _words(found["what"], str(told.get("run_id")))
            told["orig_message"] = record.msg = said
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        return True


def _words(why: str, run: str) -> str:
    return (
        f"All that this run did is in the ledger, and the run is closed there: `secretsync audit log --run {run}`. The "
        f"second look at the end was left out, because steps {why}. It comes once these are done, by Re-execute from "
        "failure."
    )


_plainly = _Plainly()
