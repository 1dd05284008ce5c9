"""The chains: one a SyncJob, each record following the one before, each end sealed with a key that is kept elsewhere.

A chain's end is locked while records are appended to it. Jobs do not wait for each other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, cast

from secretsync_core.audit import facts, leases, places, requests, rows, seal, state
from secretsync_core.audit.record import GENESIS
from secretsync_core.audit.schema import COLUMNS
from secretsync_core.errors import LedgerBroken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.audit.database import Database, Transaction
    from secretsync_core.audit.record import Draft


class Head(NamedTuple):
    """The end of a chain: which chain it is, how many records it has, and the hash of the last, in hex."""

    ordinal: int
    seq: int
    last: str


class Chains:
    """Appends to the chains of a ledger, within transactions of its callers.

    ``key`` is what their ends are sealed with.
    """

    def __init__(self, database: Database, key: bytes) -> None:
        self.key = key
        self._name = database.name
        self._lock = database.dialect.for_update

    def append(self, transaction: Transaction, job: str, head: Head, drafts: Sequence[Draft]) -> list[int]:
        """Append to a chain whose ``head`` is locked; gives the numbers of the records."""
        now = time.time_ns() // 1000
        ordinal, seq, last = head
        first = seq + 1
        drafts = requests.fitting(transaction, drafts)
        table = []
        for draft in drafts:
            seq += 1
            row, last = rows.encode(job, seq, now, draft, last)
            table.append(row)
        transaction.insert("ledger", COLUMNS, table)
        requests.insert(transaction, job, first, drafts)
        state.project(transaction, job, table)
        places.project(transaction, job, table)
        digest = bytes.fromhex(last)
        transaction.run(
            "UPDATE heads SET seq = ?, hash = ?, seal = ? WHERE job = ?",
            (seq, digest, seal.head_seal(self.key, job, ordinal, seq, digest), job),
        )
        return list(range(first, seq + 1))

    def lock(self, transaction: Transaction, job: str) -> Head:
        """Lock the end of a chain, starting one for a new job. Raises LedgerBroken where it was not sealed by us."""
        sql = f"SELECT ordinal, seq, hash, seal FROM heads WHERE job = ?{self._lock}"  # noqa: S608
        found = transaction.one(sql, (job,))
        if found is None:
            chains = self.lock_list(transaction)
            found = transaction.one(sql, (job,))  # another process may have been faster than our lock
            if found is None:
                return self._begin(transaction, job, chains + 1)
        ordinal, seq, last, sealed = cast("tuple[int, int, bytes, bytes]", found)
        if sealed != seal.head_seal(self.key, job, ordinal, seq, last):
            facts.refuse_if_resealed(transaction, self.key, self._name)
            # To go on would be to seal what somebody else made of the chain.
            raise LedgerBroken(f"the chain of {job} in {self._name} was not sealed by us", hint=facts.BROKEN_HINT)
        return Head(ordinal, seq, last.hex())

    def require(self, transaction: Transaction, job: str, holder: str) -> None:
        """Raise LeaseHeld unless ``holder`` has the lease of ``job``, and keep it so until the transaction ends.

        Nobody is asked for where ``holder`` is empty: then it is no run's word.
        """
        if holder:
            leases.require(transaction, job, holder, lock=self._lock)

    def lock_list(self, transaction: Transaction) -> int:
        """Lock the list of chains; gives how many there have ever been, as sealed."""
        found = transaction.one(f"SELECT value, seal FROM meta WHERE name = 'chains'{self._lock}")  # noqa: S608
        if found is None or found[1] != seal.meta_seal(self.key, "chains", str(found[0])):
            facts.refuse_if_resealed(transaction, self.key, self._name)
            raise LedgerBroken(f"the list of chains in {self._name} was not sealed by us", hint=facts.BROKEN_HINT)
        return int(str(found[0]))

    def lock_all(self, transaction: Transaction) -> list[str]:
        """Lock the list of chains and the end of each; gives their jobs, sorted."""
        self.lock_list(transaction)
        sql = f"SELECT job FROM heads ORDER BY job{self._lock}"  # noqa: S608
        return [str(job) for (job,) in list(transaction.rows(sql))]

    def _begin(self, transaction: Transaction, job: str, ordinal: int) -> Head:
        start = bytes.fromhex(GENESIS)
        sealed = seal.head_seal(self.key, job, ordinal, 0, start)
        transaction.run(
            "INSERT INTO heads (job, ordinal, seq, hash, seal) VALUES (?, ?, 0, ?, ?)", (job, ordinal, start, sealed)
        )
        count = str(ordinal)
        transaction.run(
            "UPDATE meta SET value = ?, seal = ? WHERE name = 'chains'",
            (count, seal.meta_seal(self.key, "chains", count)),
        )
        return Head(ordinal, 0, GENESIS)
