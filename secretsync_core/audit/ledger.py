"""The ledger: one append-only, hash-chained table that is both the audit trail and the state of every sync.

What it holds is asked for by purpose: ``ledger.runs``, ``ledger.state``, ``ledger.leases``, and so on. All calls are
synchronous; one thread at a time uses a Ledger. Reading methods that give an iterator stream from a connection of
their own and see one moment of the ledger, however much is appended meanwhile.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self, cast

from secretsync_core.audit import facts, records
from secretsync_core.audit.chain import Chains
from secretsync_core.audit.database import LedgerMissing
from secretsync_core.audit.databases import open_database
from secretsync_core.audit.drift import Drift
from secretsync_core.audit.held import Held
from secretsync_core.audit.items import Items
from secretsync_core.audit.leases import Lease, Leases
from secretsync_core.audit.live_keys import LiveKeys
from secretsync_core.audit.places import Places
from secretsync_core.audit.record import Draft, Event, Record
from secretsync_core.audit.rotation import Seals
from secretsync_core.audit.runs import Runs
from secretsync_core.audit.schema import USABLE, VERSION, statements
from secretsync_core.audit.standing import Standings
from secretsync_core.audit.summary import JobMeasure, JobSummary, RunSummary
from secretsync_core.audit.verify import ChainReport, Fault, verify_database, verify_heads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from secretsync_core.audit.database import Database

__all__ = ["ChainReport", "Fault", "JobMeasure", "JobSummary", "Lease", "Ledger", "LedgerMissing", "RunSummary"]

_REHEARSAL = "secretsync-health"


class Ledger:
    """An open ledger. Use :meth:`open`; usable as a context manager.

    Attributes:
        runs: how runs begin, end and went.
        state: what is known of every live key.
        items: which plan items are in sync.
        drift: what the last look for drift found.
        places: which place the name of a destination is bound to.
        leases: who runs a job.
        held: which keys a job holds, for people.
        standings: whether a job's chain holds, before a run builds on it.
        seals: the key that the chains are sealed with, and its rotation.
    """

    def __init__(self, database: Database, told: facts.Facts) -> None:
        self._database = database
        self._version = told.version
        self._chains = Chains(database, told.key)
        self.runs = Runs(database, self._chains)
        self.state = LiveKeys(database, self._chains)
        self.items = Items(database, self._chains)
        self.drift = Drift(database)
        self.places = Places(database)
        self.leases = Leases(database)
        self.held = Held(database)
        self.standings = Standings(database, self._chains)
        self.seals = Seals(database, self._chains)

    @classmethod
    def open(
        cls,
        url: str | Path,
        *,
        seal_key: bytes,
        former: Sequence[bytes] = (),
        read_only: bool = False,
        oldest: int = USABLE,
        reseal: bool = False,
        any_key: bool = False,
    ) -> Ledger:
        """Open the ledger at ``sqlite:///path``, a plain path or ``postgresql://…``, and make it where there is none.

        Args:
            url: where it is.
            seal_key: ``KeyPair.seal``.
            former: ``KeyPair.former_seals``: a ledger that one of them sealed has to be sealed anew before its use.
            read_only: change nothing, not even to create it.
            oldest: refuse tables of an older version than this.
            any_key: whoever sealed it, only to read; nothing that it says is proven then.
            reseal: open it also with a ``former`` key, for nothing but ``seals.renew``.

        Raises LedgerMissing where there is none and ``read_only``; LedgerError where it cannot be used, was made by
        a newer version, has tables that are too old, or was sealed with another key. Nothing is migrated here: other
        programs may still write to it that know its present tables alone.
        """
        database = open_database(url, read_only=read_only)
        try:
            if not database.has_schema():
                database.prepare(statements(database.dialect), lambda transaction: facts.write(transaction, seal_key))
            return cls(database, facts.check(database, seal_key, oldest, former, reseal=reseal, any_key=any_key))
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back; may be called twice."""
        self._database.close()

    @property
    def name(self) -> str:
        """What to call it: a path, or a URL without its password."""
        return self._database.name

    @property
    def trouble(self) -> str:
        """What keeps it from being written, as far as reading has shown; empty where nothing does."""
        return self._database.trouble

    @property
    def version(self) -> int:
        """The version of its tables, as of when it was opened or migrated."""
        return self._version

    @property
    def outdated(self) -> str:
        """What to say of a ledger whose tables are older than ours and still serve; empty where they are not."""
        if self._version == VERSION:
            return ""
        return (
            f"the ledger {self.name} has tables of version {self._version}, which still serve; when no older SecretSync"
            f" uses it any more, `secretsync audit migrate` brings them to version {VERSION}"
        )

    def migrate(self) -> int:
        """Bring its tables to our version; gives the version that they had. Raises LedgerError, nothing changed."""
        from secretsync_core.audit.migrate import migrate  # Alembic is an extra, and slow to import

        before = migrate(self._database, self._chains.key)
        self._version = max(before, VERSION)
        return before

    def append(self, job: str, drafts: Sequence[Draft], *, holder: str = "") -> list[int]:
        """Append records to the chain of ``job``, all or none of them; they are durable when this returns.

        Args:
            job: whose chain.
            drafts: the records.
            holder: append them only while this one has the job's lease. Who was taken over says nothing more, even
                if it does not know yet.

        Gives their numbers in the chain. Raises LedgerError where a draft holds what no column may hold (without
        repeating it) or the database fails, LedgerBroken where the chain's head was not sealed by us, LeaseHeld where
        ``holder`` has the lease no longer.
        """
        if not drafts:
            return []
        with self._database.write() as transaction:
            head = self._chains.lock(transaction, job)
            self._chains.require(transaction, job, holder)
            return self._chains.append(transaction, job, head, drafts)

    def rehearse(self) -> None:
        """Go through an append and take it back: raises what an append would raise, and leaves no trace."""
        with suppress(_TakenBack), self._database.write() as transaction:
            head = self._chains.lock(transaction, _REHEARSAL)
            self._chains.append(transaction, _REHEARSAL, head, [Draft(Event.RUN_STARTED, run=_REHEARSAL)])
            raise _TakenBack

    def records(
        self,
        *,
        job: str | None = None,
        run: str | None = None,
        key: str | None = None,
        dest: str | None = None,
        since: int | None = None,
        events: Collection[Event] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[Record]:
        """Stream the records that fit every filter that is given.

        They come in the order of job and seq; with ``newest_first``, in that of time across all jobs, or, where one
        ``job`` is asked for, backwards by seq.

        Args:
            job, run, key, dest: only records with exactly this.
            since: microseconds since the epoch; only records of then and later.
            events: only these.
            limit: at most so many.
            newest_first: the last one first.
        """
        with self._database.read(long=True) as transaction:
            yield from records.select(
                transaction,
                job=job,
                run=run,
                key=key,
                dest=dest,
                since=since,
                events=events,
                limit=limit,
                newest_first=newest_first,
            )

    def jobs(self) -> list[str]:
        """The names of all jobs that have a chain, sorted."""
        with self._database.read() as transaction:
            return [str(name) for (name,) in transaction.rows("SELECT job FROM heads ORDER BY job")]

    def hash_at(self, job: str, seq: int) -> str:
        """The hash of one record of a job's chain; empty where there is none."""
        with self._database.read() as transaction:
            found = transaction.one("SELECT hash FROM ledger WHERE job = ? AND seq = ?", (job, seq))
        return cast("bytes", found[0]).hex() if found is not None else ""

    def verify_heads(self) -> list[ChainReport]:
        """Look only at the ends of the chains: whether each was sealed by us and holds its last record.

        Costs a few requests to the database however long the chains are; gives reports as :meth:`verify` does.
        """
        with self._database.read() as transaction:
            return verify_heads(transaction, self._chains.key)

    def verify(
        self, job: str | None = None, *, expected: Mapping[str, tuple[int, str]] | None = None
    ) -> list[ChainReport]:
        """Check the chains of all jobs, or of one; nothing is changed and memory stays flat.

        Args:
            job: only this one's.
            expected: by job, the (seq, hash) of a head that was noted elsewhere; the chain must still hold it.

        Gives a report for each chain, and one with an empty ``job`` where something is wrong with the ledger as a
        whole (a chain is gone, or its tables are not as we made them). ``verify.UNPROVEN`` says what this cannot find.
        """
        with self._database.read(long=True) as transaction:
            dialect = self._database.dialect
            return verify_database(transaction, self._chains.key, job=job, expected=expected or {}, dialect=dialect)


class _TakenBack(Exception):
    """Ends the transaction of a rehearsal, which is not to be kept."""
