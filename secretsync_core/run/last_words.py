"""What a run has done so far, by the ledger: each secret once, by the last word on it, whichever attempt that is of.

A step that is tried again knows nothing of what its earlier attempts wrote: it finds that in place. The ledger has all
of it, and is asked where there was an earlier attempt, or where nobody is left who could tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit.record import Event
from secretsync_core.audit.schema import FORGOTTEN, MOVED, OUTCOMES, PLACED, SAME_VALUE
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.model.report import Outcome, Result

if TYPE_CHECKING:
    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Draft

DONE = {"create": Result.CREATED, "update": Result.UPDATED, "delete": Result.DELETED}
"""What came of a write that is done, by its action."""

_NO_WORD = (SAME_VALUE, MOVED, FORGOTTEN, PLACED, Reason.ADOPTED)
"""What is recorded as ``skipped`` and says nothing of whether the run wrote the secret."""

_DRIFT = {Reason.DRIFTED: Drift.CHANGED, Reason.REMOVED_OUTSIDE: Drift.REMOVED}


class LastWord(NamedTuple):
    """The last outcome that a run recorded of a secret, and the announcement of it where there was one."""

    told: Draft
    announced: Draft | None


def last_words(ledger: Ledger, job: str, run: str) -> dict[tuple[str, str], LastWord]:
    """The last word of a run on each (destination, key) of which it recorded an outcome.

    What it settled of an earlier run's writes is that one's. Raises LedgerError.
    """
    # From its last record back to its first, so that a long history costs nothing. It has begun more than once where a
    # step was tried again after the run had ended.
    begun = sum(1 for _ in ledger.records(job=job, run=run, events=[Event.RUN_STARTED]))
    told: list[Draft] = []
    announced: dict[str, Draft] = {}
    for record in ledger.records(job=job, run=run, newest_first=True):
        draft = record.draft
        if draft.event is Event.RUN_STARTED:
            begun -= 1
            if not begun:
                break
        elif draft.event is Event.INTENDED:
            announced[draft.intent] = draft
        elif draft.event in OUTCOMES:
            told.append(draft)
    found: dict[tuple[str, str], LastWord] = {}
    for draft in told:
        if (draft.intent and draft.intent not in announced) or _says_nothing(draft):
            continue
        place, word = (draft.dest, draft.key), LastWord(draft, announced.get(draft.intent))
        newer = found.setdefault(place, word)
        if newer is not word and draft.event is Event.DONE and _sets_metadata(newer):
            found[place] = word  # what is set beside a value that the run wrote belongs to that write
    return found


def written_so_far(ledger: Ledger, job: str, run: str) -> dict[tuple[str, str], Outcome]:
    """What a run has created, updated and deleted so far, as the outcomes that its reports tell. Raises LedgerError."""
    words = last_words(ledger, job, run)
    return {place: _outcome(word) for place, word in words.items() if word.told.event is Event.DONE}


def _says_nothing(draft: Draft) -> bool:
    return draft.event is Event.SKIPPED and draft.reason in _NO_WORD


def _sets_metadata(word: LastWord) -> bool:
    told, announced = word
    return told.event is Event.DONE and (announced or told).reason == Reason.METADATA


def _outcome(word: LastWord) -> Outcome:
    told, announced = word.told, word.announced or word.told
    reason = Reason(announced.reason)
    change = Change(
        told.item, told.dest, told.key, Action(told.action), reason,
        sources=(SourceRef(told.source, told.source_key),) if told.source_key else (),
        source_version=told.source_version, dest_version=announced.dest_version, definition=told.definition,
        owned=told.owned, drift=_DRIFT.get(reason, Drift.NONE),
    )  # fmt: skip
    return Outcome(change, DONE[told.action], dest_version=told.dest_version)
