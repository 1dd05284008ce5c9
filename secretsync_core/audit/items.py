"""Which plan items of a job are in sync, as the last runs that had them left them.

What a run leaves out of sync stays so until a run has put it right, also if the runs between had other items. It is no
part of the chains, like leases: it is made of what runs found, and the next whole run says it anew. Tables of a version
before ``WITH_RUNS`` have no place for it: there every item counts as in sync.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, cast

from secretsync_core.audit import facts
from secretsync_core.audit.schema import WITH_RUNS

if TYPE_CHECKING:
    from collections.abc import Collection

    from secretsync_core.audit.chain import Chains
    from secretsync_core.audit.database import Database


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


class Items:
    """``ledger.items``."""

    def __init__(self, database: Database, chains: Chains) -> None:
        self._database = database
        self._chains = chains

    def note(self, job: str, run: str, *, out: Collection[str], well: Collection[str] = (), holder: str = "") -> None:
        """Record what a run, or a step of it, left ``out`` of sync, and which others it found or made ``well``.

        An empty name in either stands for the job as a whole. Items that are named in neither stay as they were.
        Raises LeaseHeld, nothing changed, where ``holder`` is given and has the job's lease no longer.
        """
        in_sync = dict.fromkeys(well, 1) | dict.fromkeys(out, 0)
        if not in_sync:
            return
        now = time.time_ns() // 1000
        with self._database.write() as transaction:
            self._chains.require(transaction, job, holder)
            if facts.version(transaction) >= WITH_RUNS:
                # In one order, so that steps that do this at once wait for each other and not in a circle.
                transaction.many(_NOTE, [(job, item, state, run, now) for item, state in sorted(in_sync.items())])

    def out_of_sync(self, job: str) -> list[OutOfSync]:
        """The items of ``job`` that are out of sync, sorted; also of items that it has no longer."""
        sql = "SELECT item, run, since FROM item_state WHERE job = ? AND in_sync = 0 ORDER BY item"
        with self._database.read() as transaction:
            if facts.version(transaction) < WITH_RUNS:
                return []
            return [OutOfSync(*cast("tuple[str, str, int]", row)) for row in transaction.rows(sql, (job,))]
