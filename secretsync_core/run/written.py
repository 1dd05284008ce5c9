"""What one run wrote, as the ledger has it, key by key: with what was known of the key before, and what came since.

One pass over the job's records tells it, however many keys there are: the ledger has no index of keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from secretsync_core.audit.record import Event, kept
from secretsync_core.audit.schema import FORGOTTEN, MOVED, SAME_VALUE
from secretsync_core.model.change import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Draft, Record

_CONCERNING = (Event.DONE, Event.FAILED, Event.SKIPPED)


@dataclass(frozen=True, slots=True)
class Written:
    """The last write of a run to one destination key; several in a row, with nothing between them, count as one.

    Attributes:
        announced: the record that announced the (first) write; its ``dest_version`` is the one before.
        done: the record of the (last) write's outcome; its ``dest_version`` is what the run left, None after a delete.
            None while nobody knows what became of it: the run was killed there.
        former: the record that said what the key held before, where the ledger knew the key.
        since: the run that has written the key since; empty where none has.
        managed: whether the ledger still knows what the run wrote as this job's.
    """

    announced: Draft
    done: Draft | None
    former: Draft | None
    since: str = ""
    managed: bool = True

    @property
    def place(self) -> tuple[str, str]:
        """Destination and key."""
        return self.announced.dest, self.announced.key

    @property
    def action(self) -> str:
        """What the run did: ``create``, ``update`` or ``delete``."""
        return self.announced.action if self.done is None or self.done.action != "delete" else "delete"

    @property
    def before(self) -> str | None:
        """The version before."""
        return self.announced.dest_version

    @property
    def facts(self) -> Draft | None:
        """What the ledger is to know of the key once it holds again what it held before; None: nothing, as before.

        Where that would say that the source stands as it was copied, and the run found that it did not, the source's
        version is left out, so that the next plan compares the values.
        """
        if self.former is None or self.done is None or self.action == "delete":
            return self.former
        held = self.former.dest_version is not None and self.former.dest_version == self.before
        made = (self.former.source_version, self.former.definition) != (self.done.source_version, self.done.definition)
        return self.former if held and made else self.former._replace(source_version=None)


def jobs_of(ledger: Ledger, run: str) -> list[str]:
    """The SyncJobs that a run was of, sorted; none where the ledger has no such run."""
    return sorted({record.job for record in ledger.records(run=run, events=[Event.RUN_STARTED])})


def find_written(ledger: Ledger, job: str, run: str, name_now: Callable[[str], str] = str) -> list[Written]:
    """What ``run`` wrote for ``job``, in the order of destination and key. Raises LedgerError.

    ``name_now`` gives what a destination of then is called now, by which it is told here.
    """
    announced = {
        record.draft.intent: record.draft for record in ledger.records(job=job, run=run, events=[Event.INTENDED])
    }
    if not announced:
        return []
    return read_records(announced, run, ledger.records(job=job, events=_CONCERNING), name_now)


def read_records(
    announced: Mapping[str, Draft], run: str, records: Iterable[Record], name_now: Callable[[str], str] = str
) -> list[Written]:
    """The same, from what ``run`` announced, by intent, and every record of an outcome of the job, in their order."""
    announced = {intent: kept(draft)._replace(dest=name_now(draft.dest)) for intent, draft in announced.items()}
    places = {(draft.dest, draft.key) for draft in announced.values()}
    known: dict[tuple[str, str], Draft | None] = {}
    found: dict[tuple[str, str], Written] = {}
    ended: dict[tuple[str, str], str] = {}
    waiting = dict(announced)
    for record in records:
        dest = name_now(record.draft.dest)
        if (dest, record.draft.key) not in places:
            continue
        draft = kept(record.draft)._replace(dest=dest)
        place = dest, draft.key
        waiting.pop(draft.intent, None)
        if draft.event is Event.DONE:
            if draft.intent in announced:
                found[place] = _next(found.get(place), announced[draft.intent], draft, known.get(place))
            elif place in found and _ends(draft, run):
                found[place] = replace(found[place], since=draft.run)
            known[place] = None if draft.action == "delete" else draft
        elif draft.event is Event.SKIPPED and draft.reason in (SAME_VALUE, MOVED):
            known[place] = draft
        elif draft.event is Event.SKIPPED and draft.reason == FORGOTTEN and dest == record.draft.dest:
            # Under a former name of the destination it says only that the key has the present one.
            known[place] = None
            ended[place] = draft.run
    for place, one in found.items():
        if one.action != "delete" and known.get(place) is None and ended.get(place, run) != run:
            found[place] = replace(one, managed=False)
    for draft in waiting.values():
        place = draft.dest, draft.key
        found[place] = Written(draft, None, known.get(place))
    return [found[place] for place in sorted(found)]


def _ends(draft: Draft, run: str) -> bool:
    """Whether a record that is of no write of the run's says that somebody has dealt with the key since.

    What only notes that a copy is gone does not: whether it is, the look at the destination tells.
    """
    return bool(draft.intent) or (draft.run != run and draft.reason != Reason.REMOVED_OUTSIDE)


def _next(last: Written | None, announced: Draft, done: Draft, former: Draft | None) -> Written:
    """This write, or it and the one before, where that left what this one replaced."""
    if last is not None and last.done is not None and not last.since:
        left = last.done.dest_version
        if left is not None and left == announced.dest_version:
            return Written(last.announced, done, last.former)
    return Written(announced, done, former)
