"""The requests of a run, by store and kind: a table beside the records, of which each ``run-finished`` has its rows.

The hash of that record covers them, so that they are as much a part of the chain as the record's own columns. Tables of
a version before ``WITH_RUNS`` have no place for them.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, cast

from secretsync_core.audit import facts
from secretsync_core.audit.schema import REQUESTS, WITH_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretsync_core.audit.database import Transaction
    from secretsync_core.audit.record import Draft, Requests

_Rows = tuple[str, object, "Requests"]
_SELECT = "SELECT job, seq, store, kind, requests FROM run_requests"


def fitting(transaction: Transaction, drafts: Sequence[Draft]) -> Sequence[Draft]:
    """The drafts as these tables take them: in one order, without requests where there is no place for any."""
    if not any(draft.requests for draft in drafts):
        return drafts
    kept = facts.version(transaction) >= WITH_RUNS
    return [draft._replace(requests=tuple(sorted(draft.requests)) if kept else ()) for draft in drafts]


def insert(transaction: Transaction, job: str, first: int, drafts: Sequence[Draft]) -> None:
    """Add the rows of drafts that were given numbers from ``first`` on."""
    made = [(job, seq, *request) for seq, draft in enumerate(drafts, first) for request in draft.requests]
    if made:
        transaction.insert("run_requests", REQUESTS, made)


def of(transaction: Transaction, job: str, seq: int) -> Requests:
    """The requests of one record."""
    if facts.version(transaction) < WITH_RUNS:
        return ()
    found = transaction.rows(f"{_SELECT} WHERE job = ? AND seq = ? ORDER BY store, kind", (job, seq))
    return tuple(cast("tuple[str, str, int]", row[2:]) for row in found)


class Alongside:
    """The requests of records that are asked for in the order of job and seq; of one job, or of all.

    ``since`` is the first record that is asked for, where that is not the first of all.
    """

    def __init__(self, transaction: Transaction, job: str | None, *, since: int = 0) -> None:
        self.strays: list[tuple[str, object]] = []
        """The job and number of rows that were passed over, or left at the end: they are of no record asked for."""
        self._rows = self._stream(transaction, job, since)
        self._next = next(self._rows, None)

    def of(self, job: str, seq: object) -> Requests:
        """The requests of the next record; empty where it has none, or what another hand put in its number's place."""
        if not isinstance(seq, int):
            return ()
        while self._next is not None and _place(self._next) < (job, seq):
            self._pass()
        if self._next is None or _place(self._next) != (job, seq):
            return ()
        found = self._next[2]
        self._next = next(self._rows, None)
        return found

    def finish(self) -> list[tuple[str, object]]:
        """What is left over, once all records were asked for."""
        while self._next is not None:
            self._pass()
        return self.strays

    def _pass(self) -> None:
        if self._next is not None:
            self.strays.append(self._next[:2])
        self._next = next(self._rows, None)

    @staticmethod
    def _stream(transaction: Transaction, job: str | None, since: int) -> Iterator[_Rows]:
        if facts.version(transaction) < WITH_RUNS:
            return
        where, parameters = ("", ()) if job is None else (" WHERE job = ? AND seq >= ?", (job, since))
        rows = transaction.rows(f"{_SELECT}{where} ORDER BY job, seq, store, kind", parameters)
        for (name, seq), group in groupby(rows, key=lambda row: row[:2]):
            yield str(name), seq, tuple(cast("tuple[str, str, int]", row[2:]) for row in group)


def _place(rows: _Rows) -> tuple[str, float]:
    """Where rows stand; what another hand put in the place of a number comes last, as the database has it."""
    return rows[0], rows[1] if isinstance(rows[1], int) else float("inf")
