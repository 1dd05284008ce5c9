"""What a run wrote after it was taken over: its word comes late, and changes nothing that was recorded since.

Who has lost the lease may not record an outcome, since newer state would be replaced by older. Yet what it wrote, it
wrote. So where the records say something else of an announced write, it is announced anew: the next run looks at the
destination, as at every announcement that is open, and records what is true.

The run itself has ended in the ledger, and is not opened again. What it wrote late is announced under its id with
``:late`` behind it, as by a run that has ended and left something uncertain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from secretsync_core.audit.record import REOPENED, Draft, Event, kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.audit.database import Transaction

_AGAIN = ":late"


def announced_anew(transaction: Transaction, job: str, late: Sequence[Draft]) -> list[Draft]:
    """The records that open ``late`` again: outcomes, and announcements of which nobody knows what became of them.

    None of what is still open, and none where the last recorded outcome is the same.
    """
    settled = _outcomes(transaction, job, late)
    differing = [draft for draft in late if draft.intent in settled and _differs(draft, *settled[draft.intent])]
    drafts: list[Draft] = []
    for run in dict.fromkeys(draft.run for draft in differing):
        drafts.append(Draft(Event.RUN_STARTED, run + _AGAIN, reason=REOPENED))
        drafts += [_announced(draft) for draft in differing if draft.run == run]
    return drafts


def is_late(intent: str) -> bool:
    """Whether this is an announcement that was opened again."""
    return intent.endswith(_AGAIN)


def _announced(draft: Draft) -> Draft:
    """The announcement of a write that was made, or may be yet. Which version it replaced, nobody knows any more."""
    run, intent = draft.run + _AGAIN, draft.intent + _AGAIN
    return kept(draft._replace(event=Event.INTENDED, run=run, intent=intent, dest_version=None))


def _differs(draft: Draft, event: str, version: str | None) -> bool:
    """Whether a run tells of one of its writes what the records do not have."""
    if draft.event is Event.DONE:
        return event != Event.DONE or version != kept(draft).dest_version
    # What was looked for and found was made, whatever the run itself was told.
    return draft.event is Event.INTENDED and event != Event.DONE


def _outcomes(transaction: Transaction, job: str, late: Sequence[Draft]) -> dict[str, tuple[str, str | None]]:
    """The last outcome that is recorded of each intent, and the version that it names."""
    began = [_began(transaction, job, run) for run in {draft.run for draft in late}]
    sql = """SELECT intent, event, dest_version FROM ledger WHERE job = ? AND seq > ?
             AND event IN ('done', 'failed', 'skipped') AND intent <> '' ORDER BY seq"""
    wanted = {draft.intent for draft in late}
    rows = transaction.rows(sql, (job, min(began, default=0)))
    found = cast("list[tuple[str, str, str | None]]", [row for row in rows if row[0] in wanted])
    return {intent: (event, version) for intent, event, version in found}


def _began(transaction: Transaction, job: str, run: str) -> int:
    sql = """SELECT MIN(seq) FROM ledger WHERE job = ? AND event IN ('run-started', 'run-finished')
             AND event = 'run-started' AND run = ?"""
    row = transaction.one(sql, (job, run))
    return cast("int", row[0]) if row is not None and row[0] is not None else 0
