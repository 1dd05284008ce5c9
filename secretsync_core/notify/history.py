"""How the run before ended, as the ledger has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit.counts import results_of
from secretsync_core.audit.record import REOPENED, Event
from secretsync_core.audit.summary import RunSummary

if TYPE_CHECKING:
    from secretsync_core.audit.ledger import Ledger


class Before(NamedTuple):
    """The run before: whether it went well, and when it began, in seconds since the epoch."""

    ok: bool
    started: float


def later(known: Before | None, other: Before | None) -> Before | None:
    """The later of two that may be the run before, ``known`` to the ledger and to whoever orchestrates runs.

    A run that fails before it could write anything is not in the ledger.
    """
    if known is None or other is None:
        return known or other
    return known if known.started >= other.started else other


_LOOKED_AT = 100


def before(ledger: Ledger, job: str, run: str) -> Before | None:
    """The run that began before ``run``, or the last of all where ``run`` never began. Raises LedgerError."""
    last = ledger.records(job=job, events=[Event.RUN_STARTED], newest_first=True, limit=_LOOKED_AT)
    starts = [record for record in last if record.draft.reason != REOPENED]
    place = next((index + 1 for index, record in enumerate(starts) if record.draft.run == run), 0)
    if place >= len(starts):
        return None
    found = starts[place]
    ends = ledger.records(job=job, run=found.draft.run, events=[Event.RUN_FINISHED], newest_first=True, limit=1)
    end = next(iter(ends), None)
    summary = RunSummary(
        run=found.draft.run,
        started=found.time,
        finished=end.time if end else None,
        counts=results_of(end.draft.counts) if end else {},
        reason=end.draft.reason if end else "",
        failed_keys=0,
    )
    return Before(summary.ok, found.time / 1e6)
