"""The books of a run of which nothing is left: its lease is given back, and the ledger says that it ended, and how.

A run in one process does both itself. One whose steps are processes of their own may fail in any of them, or lose
them, and none knows that it was the last; whoever sees the whole run calls this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.audit.record import Event
from secretsync_core.model.report import Result

if TYPE_CHECKING:
    from secretsync_core.audit.ledger import Ledger

_DONE = {"create": Result.CREATED, "update": Result.UPDATED, "delete": Result.DELETED}


def close_run(ledger: Ledger, job: str, run: str, holder: str, *, reason: str) -> bool:
    """Give back the lease that ``holder`` has for a run that is over, and record its end, unless that is done.

    A run that left a write announced and not settled stays open: only a look at the destination can tell what became
    of it, and the next run takes that look. ``reason`` is how it ended, in one word. Gives whether an end was
    recorded. Raises LedgerError.
    """
    # First the lease: a process of the run that is not quite dead yet announces nothing without it.
    ledger.leases.release(job, holder)
    if run not in ledger.runs.unfinished(job) or any(record.draft.run == run for record in ledger.runs.unsettled(job)):
        return False
    return ledger.runs.finish(job, run, reason=reason, counts=_counts(ledger, job, run))


def _counts(ledger: Ledger, job: str, run: str) -> str:
    """What the run's records say that it did, by the last word on each secret; nothing of what needed no write."""
    last: dict[tuple[str, str], Result | None] = {}
    # From its last record back to its first, so that a long history costs nothing.
    for record in ledger.records(job=job, run=run, newest_first=True):
        draft = record.draft
        if draft.event is Event.RUN_STARTED:
            break
        if draft.event is Event.DONE:
            last.setdefault((draft.dest, draft.key), _DONE.get(draft.action))
        elif draft.event is Event.FAILED:
            last.setdefault((draft.dest, draft.key), Result.FAILED)
        elif draft.event is Event.SKIPPED:
            last.setdefault((draft.dest, draft.key), None)
    results = list(last.values())
    counts = {result: results.count(result) for result in (*_DONE.values(), Result.FAILED)}
    return " ".join(f"{result.value}={count}" for result, count in counts.items() if count)
