"""The runs of a job: their beginning and end, what a killed one left open, and how the last ones went."""

from __future__ import annotations

import heapq
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, cast

from secretsync_core.audit import leases, reopening, rows
from secretsync_core.audit.counts import leaves_open
from secretsync_core.audit.record import ASIDE, PLAN, REOPENED, UNDO, Draft, Event, Record, kept
from secretsync_core.audit.schema import OUTCOMES, RUN_EVENTS
from secretsync_core.audit.summary import JobMeasure, JobSummary, measure, summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from secretsync_core.audit.chain import Chains
    from secretsync_core.audit.database import Database, Transaction
    from secretsync_core.audit.record import Requests


class Runs:
    """``ledger.runs``."""

    def __init__(self, database: Database, chains: Chains) -> None:
        self._database = database
        self._chains = chains

    def start(
        self, job: str, run: str, *, undoes: str = "", aside: bool = False, plan: str = "", holder: str = ""
    ) -> bool:
        """Record that ``run`` began, unless it is going on already; gives whether that was new.

        Steps of one run in several processes may each call it. ``undoes`` is the run that this one undoes; one that is
        ``aside`` says nothing of how the job stands. ``plan`` is the digest of the saved plan that it carries out.
        Raises LeaseHeld, nothing changed, where ``holder`` is given and has the job's lease no longer.
        """
        with self._database.write() as transaction:
            head = self._chains.lock(transaction, job)
            self._chains.require(transaction, job, holder)
            if _is_open(transaction, job, run):
                return False
            reason = UNDO if undoes else ASIDE if aside else PLAN if plan else ""
            began = Draft(Event.RUN_STARTED, run, intent=undoes, reason=reason, definition=plan)
            self._chains.append(transaction, job, head, [began])
            return True

    def finish(self, job: str, run: str, *, reason: str, counts: str, requests: Requests = ()) -> bool:
        """Record that ``run`` ended, unless that is recorded or it never began; gives whether that was new."""
        with self._database.write() as transaction:
            head = self._chains.lock(transaction, job)
            if not _is_open(transaction, job, run):
                return False
            end = Draft(Event.RUN_FINISHED, run, reason=reason, counts=counts, requests=requests)
            self._chains.append(transaction, job, head, [end])
            return True

    def close(self, job: str, run: str, holder: str, *, reason: str, counts: Callable[[], str]) -> bool:
        """Give back the lease of a run that is over, and record its end, unless that is recorded or it never began.

        Gives whether an end was recorded. Where another one has the lease by now nothing is changed: it settles what
        the run left, and records its end. ``counts`` is asked when nobody appends to the job's chain any more.
        """
        with self._database.write() as transaction:
            head = self._chains.lock(transaction, job)
            held = leases.holder_of(transaction, job)
            if held and held != holder:
                return False
            leases.release(transaction, job, holder)
            if not _is_open(transaction, job, run):
                return False
            self._chains.append(
                transaction, job, head, [Draft(Event.RUN_FINISHED, run, reason=reason, counts=counts())]
            )
            return True

    def reopen(self, job: str, late: Sequence[Draft]) -> int:
        """Announce anew what a run without the lease has written, where that is not what the records say of it.

        ``late`` are the outcomes that it would have recorded, and its announcements of which it knows none. No state
        changes by that: the next run looks at the destination, and settles it. Gives how many were announced anew.
        """
        if not late:
            return 0
        with self._database.write() as transaction:
            head = self._chains.lock(transaction, job)
            drafts = reopening.announced_anew(transaction, job, late)
            if drafts:
                self._chains.append(transaction, job, head, drafts)
            return sum(draft.event is Event.INTENDED for draft in drafts)

    def began(self, job: str, run: str) -> bool:
        """Whether a start of ``run`` is recorded."""
        sql = f"SELECT 1 FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = ? AND run = ? LIMIT 1"  # noqa: S608
        with self._database.read() as transaction:
            return transaction.one(sql, (job, str(Event.RUN_STARTED), run)) is not None

    def unfinished(self, job: str) -> list[str]:
        """The runs of ``job`` that were started and never finished, oldest first."""
        with self._database.read() as transaction:
            return [run for run, left in _left(transaction, job).items() if not left.ended]

    def unsettled_runs(self, job: str) -> dict[str, bool]:
        """The runs of ``job`` that may have left announced writes open, oldest first, and whether each has ended.

        They never finished, or they finished with writes that were uncertain. What settles the last write of one
        appends a ``run-finished`` that tells of none.
        """
        with self._database.read() as transaction:
            return {run: left.ended for run, left in _left(transaction, job).items()}

    def unsettled(self, job: str) -> list[Record]:
        """The ``intended`` records without an outcome, of the runs that :meth:`unsettled_runs` gives, oldest first.

        A write that was intended by any other run is taken as settled.
        """
        waiting: dict[str, Record] = {}
        with self._database.read() as transaction:
            runs = _left(transaction, job)
            if not runs:
                return []
            first = min(left.started for left in runs.values())
            sql = f"""SELECT {rows.SELECT} FROM ledger WHERE job = ? AND seq > ?
                      AND event IN ('intended', 'done', 'failed', 'skipped') AND intent <> '' ORDER BY seq"""  # noqa: S608
            for row in transaction.rows(sql, (job, first)):
                record = rows.decode(row)
                if record.draft.event in OUTCOMES:
                    waiting.pop(record.draft.intent, None)
                elif record.draft.run in runs:
                    waiting[record.draft.intent] = record._replace(draft=kept(record.draft))
        return list(waiting.values())

    def summary(self, job: str) -> JobSummary:
        """How ``job`` stands: its last run, its last success, its keys."""
        with self._database.read() as transaction:
            return summarize(transaction, job)

    def measures(self) -> list[JobMeasure]:
        """What can be counted of every job that has a chain, all as of one moment, sorted by name."""
        with self._database.read() as transaction:
            jobs = [str(name) for (name,) in transaction.rows("SELECT job FROM heads ORDER BY job")]
            return [
                measure(transaction, job, sum(not left.ended for left in _left(transaction, job).values()))
                for job in jobs
            ]


class _Left(NamedTuple):
    """What a run may have left open: the number of the record that started it, and whether it has ended."""

    started: int
    ended: bool


def _left(transaction: Transaction, job: str) -> dict[str, _Left]:
    """The runs that may have left announced writes open, oldest first."""
    # Each half uses the index of runs; one query for both, in order, would read the whole chain instead.
    sql = (
        f"SELECT run, event, seq, counts, reason FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = ? ORDER BY seq"  # noqa: S608
    )
    starts, ends = (transaction.rows(sql, (job, str(event))) for event in (Event.RUN_STARTED, Event.RUN_FINISHED))
    runs: dict[str, _Left] = {}
    merged = heapq.merge(starts, ends, key=itemgetter(2))
    for run, event, seq, counts, reason in cast("Iterator[tuple[str, str, int, str, str]]", merged):
        if event == Event.RUN_STARTED:
            # A run that goes on after its end, as a step that is tried again does, still has what it left before.
            before = runs.get(run)
            ended = reason == REOPENED
            runs[run] = _Left(seq if before is None else before.started, ended)
        elif run in runs and leaves_open(counts):
            runs[run] = runs[run]._replace(ended=True)
        else:
            runs.pop(run, None)
    return runs


def _is_open(transaction: Transaction, job: str, run: str) -> bool:
    """Whether a run was started, and not finished since."""
    sql = f"""SELECT seq FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = ? AND run = ?
              ORDER BY seq DESC LIMIT 1"""  # noqa: S608
    start, end = (transaction.one(sql, (job, str(event), run)) for event in (Event.RUN_STARTED, Event.RUN_FINISHED))
    return start is not None and (end is None or cast("int", end[0]) < cast("int", start[0]))
