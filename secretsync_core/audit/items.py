"""Which plan items of a job are in sync, as the last runs that had them left them.

What a run leaves out of sync stays so until a run has put it right, also if the runs between had other items. It is no
part of the chains, like leases: it is made of what runs found, and the next whole run says it anew. Tables of a version
before ``WITH_RUNS`` have no place for it: there every item counts as in sync.

A run marks the items that it is about to change, and takes each mark away once it has said how the item is. A mark that
is left when nobody holds the job's lease any more is of an item that a run began and did not finish, whatever ended
that run: it counts as out of sync. Marks are rows whose item begins with ``@``, as no name of an item does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, cast

from secretsync_core.audit import facts, leases
from secretsync_core.audit.schema import WITH_RUNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from secretsync_core.audit.chain import Chains
    from secretsync_core.audit.database import Database, Transaction


class OutOfSync(NamedTuple):
    """One item that is out of sync; an empty name stands for the job as a whole.

    ``run`` is the run that left it so first, and ``since`` when, in microseconds since the epoch.
    """

    item: str
    run: str
    since: int


_NOTE = """INSERT INTO item_state (job, item, in_sync, run, since) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (job, item) DO UPDATE
           SET in_sync = excluded.in_sync, run = excluded.run, since = excluded.since
           WHERE item_state.in_sync <> excluded.in_sync"""
_BEGIN = """INSERT INTO item_state (job, item, in_sync, run, since) VALUES (?, ?, 0, ?, ?)
            ON CONFLICT (job, item) DO UPDATE SET in_sync = 0, run = excluded.run, since = excluded.since"""
_IS_MARK = "substr(item, 1, 1) = '@'"
_MARKS = f"SELECT item FROM item_state WHERE job = ? AND in_sync = 0 AND {_IS_MARK}"  # noqa: S608  our own words
_DONE = "UPDATE item_state SET in_sync = 1 WHERE job = ? AND item = ?"
_OUT = f"in_sync = 0 AND (NOT {_IS_MARK} OR NOT EXISTS ({leases.LIVE_OF.format(job='item_state.job')}))"


class Items:
    """``ledger.items``."""

    def __init__(self, database: Database, chains: Chains) -> None:
        self._database = database
        self._chains = chains

    def note(
        self,
        job: str,
        run: str,
        *,
        out: Collection[str],
        well: Collection[str] = (),
        as_before: Collection[str] = (),
        holder: str = "",
    ) -> None:
        """Record what a run, or a step of it, left ``out`` of sync, and which others it found or made ``well``.

        That ends what :meth:`begin` said of them, and of those that it left ``as_before``. An empty name stands for the
        job as a whole. Items that are not named stay as they were.
        Raises LeaseHeld, nothing changed, where ``holder`` is given and has the job's lease no longer.
        """
        in_sync = dict.fromkeys(well, 1) | dict.fromkeys(out, 0)
        if not in_sync and not as_before:
            return
        now = time.time_ns() // 1000
        with self._database.write() as transaction:
            self._chains.require(transaction, job, holder)
            if facts.version(transaction) >= WITH_RUNS:
                # In one order, so that steps that do this at once wait for each other and not in a circle.
                transaction.many(_NOTE, [(job, item, state, run, now) for item, state in sorted(in_sync.items())])
                done = sorted(_marked(transaction, job) & {_mark(item) for item in (*in_sync, *as_before)})
                if done:
                    transaction.many(_DONE, [(job, mark) for mark in done])

    def begin(self, job: str, run: str, items: Collection[str], *, holder: str = "") -> None:
        """Mark what a run is about to change, or was asked for: out of sync from the run's end on, unless it says more.

        An empty name stands for the job as a whole. Raises LeaseHeld, nothing changed, where ``holder`` is given and
        has the job's lease no longer.
        """
        if not items:
            return
        now = time.time_ns() // 1000
        with self._database.write() as transaction:
            self._chains.require(transaction, job, holder)
            if facts.version(transaction) >= WITH_RUNS:
                transaction.many(_BEGIN, [(job, _mark(item), run, now) for item in sorted(set(items))])

    def out_of_sync(self, job: str) -> list[OutOfSync]:
        """The items of ``job`` that are out of sync, sorted; also of items that it has no longer.

        What a run that goes on has begun is not among them, unless it was out of sync before.
        """
        sql = f"SELECT item, run, since FROM item_state WHERE job = ? AND {_OUT} ORDER BY item"  # noqa: S608
        with self._database.read() as transaction:
            if facts.version(transaction) < WITH_RUNS:
                return []
            rows = transaction.rows(sql, (job, *leases.moment_of(transaction)))
            found: dict[str, OutOfSync] = {}
            for item, run, since in cast("Iterator[tuple[str, str, int]]", rows):
                name = item.removeprefix(_MARK)
                earlier = found.get(name)
                if earlier is None or since < earlier.since:
                    found[name] = OutOfSync(name, run, since)
            return [found[name] for name in sorted(found)]

    def jobs_out_of_sync(self) -> set[str]:
        """The jobs of which any item is out of sync, as of one moment."""
        sql = f"SELECT DISTINCT job FROM item_state WHERE {_OUT}"  # noqa: S608  our own words
        with self._database.read() as transaction:
            if facts.version(transaction) < WITH_RUNS:
                return set()
            return {str(job) for (job,) in transaction.rows(sql, leases.moment_of(transaction))}


_MARK = "@"


def _mark(item: str) -> str:
    return f"{_MARK}{item}"


def _marked(transaction: Transaction, job: str) -> set[str]:
    return {str(item) for (item,) in transaction.rows(_MARKS, (job,))}
