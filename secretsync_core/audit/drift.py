"""What the last look for drift found, job by job: keys changed or removed in a destination outside SecretSync.

It is no part of the chains, like leases: it says how things were at one moment, a sync may have put them right since,
and the next look says it anew. Tables of a version before ``WITH_RUNS`` have no place for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from secretsync_core.audit import facts
from secretsync_core.audit.schema import WITH_RUNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from secretsync_core.audit.database import Database
    from secretsync_core.model.change import Change


class DriftedKey(NamedTuple):
    """One destination key that drifted; ``kind`` is ``changed`` or ``removed``."""

    item: str
    dest: str
    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class Look:
    """One look for drift.

    Attributes:
        run: which.
        time: when, in microseconds since the epoch.
        count: how many keys had drifted.
        keys: the first of them, as many as its report named, in the order of key and destination.
    """

    run: str
    time: int
    count: int
    keys: tuple[DriftedKey, ...]


_LOOKED = """INSERT INTO checks (job, run, time, drifted) VALUES (?, ?, ?, ?)
             ON CONFLICT (job) DO UPDATE SET run = excluded.run, time = excluded.time, drifted = excluded.drifted"""
_FORGET = "DELETE FROM drift WHERE job = ?"
_FOUND = """INSERT INTO drift (job, dest, key, item, kind, run, found) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (job, dest, key) DO UPDATE
            SET item = excluded.item, kind = excluded.kind, run = excluded.run, found = excluded.found"""
_OF_RUN = "SELECT item, dest, key, kind FROM drift WHERE job = ? AND run = ? ORDER BY key, dest"


class Drift:
    """``ledger.drift``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, job: str, run: str, found: Collection[Change], count: int, *, items: Collection[str] = ()) -> None:
        """Keep what a look found in the place of what the one before it found.

        Args:
            job: whose keys.
            run: the look's own id.
            found: the changes that its report names, each with its ``drift``.
            count: how many there were in all.
            items: the plan items that it looked at; all of them where it is empty. What was found of others stays.
        """
        now = time.time_ns() // 1000
        rows = [(job, each.dest, each.key, each.item, each.drift.value, run, now) for each in found]
        with self._database.write() as transaction:
            if facts.version(transaction) < WITH_RUNS:
                return
            transaction.run(_LOOKED, (job, run, now, count))  # first: another look at the same job waits here
            if items:
                transaction.many(f"{_FORGET} AND item = ?", [(job, item) for item in sorted(items)])
            else:
                transaction.run(_FORGET, (job,))
            if rows:
                transaction.many(_FOUND, rows)

    def last_look(self, job: str) -> Look | None:
        """The last look at ``job``, and what it found; ``None`` where there was none, or none is kept."""
        with self._database.read() as transaction:
            if facts.version(transaction) < WITH_RUNS:
                return None
            row = transaction.one("SELECT run, time, drifted FROM checks WHERE job = ?", (job,))
            if row is None:
                return None
            run, moment, count = cast("tuple[str, int, int]", row)
            found = cast("Iterator[tuple[str, str, str, str]]", transaction.rows(_OF_RUN, (job, run)))
            return Look(run, moment, count, tuple(DriftedKey(*key) for key in found))
