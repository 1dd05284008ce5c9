"""Changing the ledger's key: every seal is made anew, and only of what was verified by the key before."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from secretsync_core.audit import leases, seal
from secretsync_core.audit.record import Draft, Event
from secretsync_core.audit.verify import verify_database
from secretsync_core.errors import LeaseHeld, LedgerBroken
from secretsync_core.model.change import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.audit.chain import Chains
    from secretsync_core.audit.database import Database, Transaction


class Seals:
    """``ledger.seals``."""

    def __init__(self, database: Database, chains: Chains) -> None:
        self._database = database
        self._chains = chains

    def are_by(self, seal_key: bytes) -> bool:
        """Whether this is the key that we seal with."""
        return seal_key == self._chains.key

    def check(self, expected: Mapping[str, tuple[int, str]] | None = None) -> None:
        """Raise what would keep :meth:`renew` from it, as things are now."""
        with self._database.read(long=True) as transaction:
            check(transaction, self._chains.key, self._database, expected or {})

    def renew(self, seal_key: bytes, run: str, *, expected: Mapping[str, tuple[int, str]] | None = None) -> None:
        """Seal every chain with another key, in one transaction, and record in each that it was done.

        All is verified first, by the key that it is sealed with: what somebody else made of the ledger is never
        sealed. ``expected`` are heads that were noted elsewhere, as of :meth:`Ledger.verify`. Raises LedgerBroken
        where something is wrong, LeaseHeld where a run is going on.
        """
        with self._database.write(long=True) as transaction:
            jobs = self._chains.lock_all(transaction)
            check(transaction, self._chains.key, self._database, expected or {})
            for job in jobs:
                self._chains.append(transaction, job, self._chains.lock(transaction, job), [record(run)])
            seal_anew(transaction, seal_key)
        self._chains.key = seal_key

    def left_behind(self) -> dict[str, int]:
        """By job: how many live keys have a fingerprint that was made before the ledger was last sealed anew."""
        with self._database.read(long=True) as transaction:
            return left_behind(transaction)


def record(run: str) -> Draft:
    """What each chain says of it. It is no key's state, and no run's."""
    return Draft(Event.DONE, run, reason=Reason.KEY_ROTATED)


def check(transaction: Transaction, key: bytes, database: Database, expected: Mapping[str, tuple[int, str]]) -> None:
    """Raise LeaseHeld where a run is going on, and LedgerBroken where anything is wrong."""
    held = leases.first(transaction)
    if held is not None:
        raise LeaseHeld(
            f"{held.job} is being synced by {held.holder}, with the present key",
            hint="wait for it to end, and start no other run meanwhile",
        )
    for report in verify_database(transaction, key, job=None, expected=expected, dialect=database.dialect):
        if not report.sound:
            where = (
                f"the chain of {report.job}" if report.job else "the list of chains, or another thing that all share,"
            )
            raise LedgerBroken(
                f"{where} in {database.name} is broken, and was not resealed: {report.faults[0].what}",
                hint="`secretsync audit verify` shows what else is wrong; keep the ledger unchanged for the"
                " investigation",
            )


def seal_anew(transaction: Transaction, key: bytes) -> None:
    """Make every seal by ``key``."""
    facts = {str(name): str(value) for name, value in list(transaction.rows("SELECT name, value FROM meta"))}
    facts["seal-key"] = seal.key_id(key)
    for name, value in facts.items():
        transaction.run(
            "UPDATE meta SET value = ?, seal = ? WHERE name = ?", (value, seal.meta_seal(key, name, value), name)
        )
    heads = cast(
        "list[tuple[str, int, int, bytes]]", list(transaction.rows("SELECT job, ordinal, seq, hash FROM heads"))
    )
    for job, ordinal, seq, last in heads:
        transaction.run("UPDATE heads SET seal = ? WHERE job = ?", (seal.head_seal(key, job, ordinal, seq, last), job))


def left_behind(transaction: Transaction) -> dict[str, int]:
    """By job: how many live keys were recorded before its chain was last sealed anew; jobs without any left out."""
    sql = """SELECT current.job, COUNT(*) FROM current
             JOIN (SELECT job, MAX(seq) AS seq FROM ledger WHERE event = 'done' AND reason = ? GROUP BY job) AS turns
               ON turns.job = current.job AND current.seq < turns.seq
             GROUP BY current.job"""
    found = transaction.rows(sql, (str(Reason.KEY_ROTATED),))
    return {str(job): cast("int", count) for job, count in found}
