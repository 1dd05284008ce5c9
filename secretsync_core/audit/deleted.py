"""What a job deleted: the last word on keys that are live no more, so that one which is back is known again.

Deletes have no index. The ends of runs have one, and say how many secrets each deleted: only the records of those runs
that deleted some are read, from the last run back, within bounds. A job that never deleted costs one look at its ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from secretsync_core.audit import rows
from secretsync_core.audit.counts import results_of
from secretsync_core.audit.record import Event, kept
from secretsync_core.audit.schema import RUN_EVENTS
from secretsync_core.model.state import Deleted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsync_core.audit.database import Transaction
    from secretsync_core.audit.record import Draft

KEPT = 1_000
"""How many deleted keys are remembered, the last ones."""

LOOKED_AT = 100_000
"""How many records of runs that deleted something are read at the most."""


def deleted(transaction: Transaction, job: str) -> dict[tuple[str, str], Deleted]:
    """What was deleted last, by destination and key; it may have been created again since."""
    found: dict[tuple[str, str], Deleted] = {}
    left = LOOKED_AT
    for first, last in _runs(transaction, job):
        left -= last - first
        if left < 0 or len(found) >= KEPT:
            break
        for draft, version in _deletes(transaction, job, first, last):
            found.setdefault(
                (draft.dest, draft.key),
                Deleted(
                    *(draft.item, version, draft.definition, draft.fingerprint),
                    *(draft.source, draft.source_key, draft.fields),
                ),
            )
    return found


def _runs(transaction: Transaction, job: str) -> Iterator[tuple[int, int]]:
    """The first and the last record of each run that deleted something, the last run first."""
    ends = f"""SELECT run, seq, counts FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = 'run-finished'
               AND counts LIKE '%deleted=%' ORDER BY seq DESC"""  # noqa: S608
    start = f"""SELECT seq FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = 'run-started' AND run = ? AND seq < ?
                ORDER BY seq DESC LIMIT 1"""  # noqa: S608
    for run, last, counts in list(cast("Iterator[tuple[str, int, str]]", transaction.rows(ends, (job,)))):
        if results_of(counts).get("deleted") and (began := transaction.one(start, (job, run, last))) is not None:
            yield cast("int", began[0]), last


def _deletes(transaction: Transaction, job: str, first: int, last: int) -> Iterator[tuple[Draft, str | None]]:
    """The deletes that were done between two records, and the version that went, the last one first."""
    sql = f"""SELECT {rows.SELECT} FROM ledger WHERE job = ? AND seq > ? AND seq < ? AND action = 'delete'
              AND event IN ('intended', 'done') ORDER BY seq DESC"""  # noqa: S608
    done: dict[str, Draft] = {}
    for row in transaction.rows(sql, (job, first, last)):
        draft = kept(rows.decode(row).draft)
        if draft.event is Event.DONE:
            done[draft.intent] = draft
        elif draft.intent in done:
            yield done.pop(draft.intent), draft.dest_version
