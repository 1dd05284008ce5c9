"""How a job stands, for ``secretsync status`` and ``metrics``: read from a few records, not from the whole history."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from secretsync_core.audit import leases, requests, rows, state
from secretsync_core.audit.counts import requests_of, results_of
from secretsync_core.audit.record import ASIDE, REOPENED, Event
from secretsync_core.audit.schema import RUN_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsync_core.audit.database import Row, Transaction
    from secretsync_core.audit.record import Record

_BAD = ("failed", "uncertain", "refused", "not-reached")
_SETTLED = "settled"  # the reason of a second end, which tells what became of what the first left uncertain


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run of a job.

    Attributes:
        run: its id.
        started: microseconds since the epoch.
        finished: the same, ``None`` while it goes on or where it was killed.
        counts: results by name, as its ``run-finished`` has them.
        reason: what its ``run-finished`` gives as reason; empty where nothing went wrong as a whole.
        failed_keys: destination keys that ended as ``failed`` in it.
        requests: requests by store, of all kinds; empty where its ``run-finished`` tells of none.
    """

    run: str
    started: int
    finished: int | None
    counts: Mapping[str, int]
    reason: str
    failed_keys: int
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether it finished, no reason speaks against it, and nothing failed, was refused or was not reached."""
        return self.finished is not None and _well(self.reason, self.counts)


@dataclass(frozen=True, slots=True)
class JobSummary:
    """How a job stands.

    Attributes:
        job: its name.
        records: how long its chain is.
        last_run: the run that was started last, ``None`` where there was none.
        last_success: when the last run that went well was finished, in microseconds since the epoch.
        live_keys: the destination keys that the ledger knows.
    """

    job: str
    records: int
    last_run: RunSummary | None
    last_success: int | None
    live_keys: int

    @property
    def failed_keys(self) -> int:
        """Destination keys that failed in the last run."""
        return self.last_run.failed_keys if self.last_run else 0


@dataclass(frozen=True, slots=True)
class JobMeasure:
    """What can be counted of a job, for ``secretsync metrics``.

    Attributes:
        summary: how it stands.
        last_finished: the run that ended last; another one may be going on.
        runs: how many runs ended how: ``ok``, ``failed``, ``stopped``, ``interrupted``.
        results: results by name, over all runs.
        open_runs: runs that were started and have not ended.
        leased: whether somebody holds its lease, so that a run is going on.
    """

    summary: JobSummary
    last_finished: RunSummary | None
    runs: Mapping[str, int]
    results: Mapping[str, int]
    open_runs: int
    leased: bool


def summarize(transaction: Transaction, job: str) -> JobSummary:
    """Read how ``job`` stands."""
    head = transaction.one("SELECT seq FROM heads WHERE job = ?", (job,))
    return JobSummary(
        job=job,
        records=operator.index(cast("int", head[0])) if head else 0,  # another hand may have put a text there
        last_run=_last_run(transaction, job),
        last_success=_last_success(transaction, job),
        live_keys=state.count(transaction, job),
    )


def measure(transaction: Transaction, job: str, open_runs: int) -> JobMeasure:
    """Read what can be counted of ``job``."""
    runs: Counter[str] = Counter()
    results: Counter[str] = Counter()
    sql = f"""SELECT run, reason, counts FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = 'run-finished'
              ORDER BY run"""  # noqa: S608
    ends = cast("Iterator[tuple[str, str, str]]", transaction.rows(sql, (job,)))
    for _, of_run in groupby(ends, key=itemgetter(0)):
        # One whose last step was tried again has ended more than once, and each end tells of the whole run. What is
        # counted never falls, or whoever reads it would take that for a ledger begun anew.
        most: Counter[str] = Counter()
        for _, reason, told in of_run:
            counts = results_of(told)
            if reason == _SETTLED:
                results.update(counts)
            else:
                runs["ok" if _well(reason, counts) else reason or "failed"] += 1
                most |= Counter(counts)
        results.update(most)
    return JobMeasure(
        summary=summarize(transaction, job),
        last_finished=_last_finished(transaction, job),
        runs=runs,
        results=results,
        open_runs=open_runs,
        leased=leases.find(transaction, job) is not None,
    )


def _last_run(transaction: Transaction, job: str) -> RunSummary | None:
    row = _last(transaction, job, Event.RUN_STARTED)
    if row is None:
        return None
    start = rows.decode(row)
    row = _last(transaction, job, Event.RUN_FINISHED, start.draft.run)
    return _run(transaction, start, _finish(transaction, row) if row else None)


def _last_finished(transaction: Transaction, job: str) -> RunSummary | None:
    row = _last(transaction, job, Event.RUN_FINISHED)
    if row is None:
        return None
    finish = _finish(transaction, row)
    row = _last(transaction, job, Event.RUN_STARTED, finish.draft.run)
    return _run(transaction, rows.decode(row) if row else finish, finish)


def _finish(transaction: Transaction, row: Row) -> Record:
    return rows.decode(row, requests.of(transaction, str(row[0]), cast("int", row[1])))


def _run(transaction: Transaction, start: Record, finish: Record | None) -> RunSummary:
    failed = transaction.one(
        """SELECT COUNT(*) FROM (
             SELECT event, ROW_NUMBER() OVER (PARTITION BY dest, key ORDER BY seq DESC) AS place FROM ledger
             WHERE job = ? AND seq > ? AND run = ? AND event IN ('done', 'failed', 'skipped')
           ) AS outcomes WHERE place = 1 AND event = 'failed'""",
        (start.job, start.seq, start.draft.run),
    )
    return RunSummary(
        run=start.draft.run,
        started=start.time,
        finished=finish.time if finish else None,
        counts=results_of(finish.draft.counts) if finish else {},
        reason=finish.draft.reason if finish else "",
        failed_keys=cast("int", failed[0]) if failed else 0,
        requests=requests_of(finish.draft) if finish else {},
    )


def _last(transaction: Transaction, job: str, event: Event, run: str | None = None) -> Row | None:
    """The last record of its kind, of one run or of any."""
    sql = f"SELECT {rows.SELECT} FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = ?"  # noqa: S608
    one_run, parameters = ("", ()) if run is None else (" AND run = ?", (run,))
    one_run += f" AND reason NOT IN ('{_SETTLED}', '{ASIDE}', '{REOPENED}')"
    return transaction.one(f"{sql}{one_run} ORDER BY seq DESC LIMIT 1", (job, str(event), *parameters))


def _last_success(transaction: Transaction, job: str) -> int | None:
    sql = f"""SELECT time, reason, counts FROM ledger
              WHERE job = ? AND {RUN_EVENTS} AND event = 'run-finished' ORDER BY seq DESC"""  # noqa: S608
    for time, reason, counts in transaction.rows(sql, (job,)):
        if _well(str(reason), results_of(str(counts))):
            return cast("int", time)
    return None


def _well(reason: str, counts: Mapping[str, int]) -> bool:
    return not reason and not any(counts.get(name) for name in _BAD)
