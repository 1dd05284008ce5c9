"""The ledger: one append-only, hash-chained table that is both the audit trail and the state of every sync.

One chain a SyncJob, so that jobs do not wait for each other. A chain's head is locked while records are appended
and sealed with a key that is not in the database. All calls are synchronous; one thread at a time uses a Ledger.
Reading methods that give an iterator stream from a connection of their own and see one moment of the ledger, however
much is appended meanwhile.
"""

from __future__ import annotations

import heapq
import time
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from secretsync_core.audit import leases, rotation, rows, seal, state
from secretsync_core.audit.database import LedgerMissing
from secretsync_core.audit.leases import Lease
from secretsync_core.audit.record import GENESIS, Draft, Event, KeyState, Record
from secretsync_core.audit.schema import COLUMNS, OUTCOMES, RUN_EVENTS, USABLE, VERSION, statements
from secretsync_core.audit.summary import JobMeasure, JobSummary, RunSummary, measure, summarize
from secretsync_core.audit.verify import ChainReport, Fault, verify_database, verify_heads
from secretsync_core.errors import LedgerBroken, LedgerError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from types import TracebackType

    from secretsync_core.audit.database import Database, Transaction
    from secretsync_core.model.state import Origin

__all__ = ["ChainReport", "Fault", "JobMeasure", "JobSummary", "Lease", "Ledger", "LedgerMissing", "RunSummary"]

_REHEARSAL = "secretsync-health"
_BROKEN_HINT = "`secretsync audit verify` says what is wrong; keep the ledger as it is for whoever looks into it"


class Ledger:
    """An open ledger. Use :meth:`open`; usable as a context manager."""

    def __init__(self, database: Database, seal_key: bytes) -> None:
        self._database = database
        self._key = seal_key
        self._version = VERSION

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
    ) -> Ledger:
        """Open the ledger at ``sqlite:///path``, a plain path or ``postgresql://…``, and make it where there is none.

        Args:
            url: where it is.
            seal_key: ``KeyPair.seal``.
            former: ``KeyPair.former_seals``: a ledger that one of them sealed has to be sealed anew before its use.
            read_only: change nothing, not even to create it.
            oldest: refuse tables of an older version than this.
            reseal: open it also with a ``former`` key, for nothing but :meth:`reseal`.

        Raises LedgerMissing where there is none and ``read_only``; LedgerError where it cannot be used, was made by
        a newer version, has tables that are too old, or was sealed with another key. Nothing is migrated here: other
        programs may still write to it that know its present tables alone.
        """
        database = _open_database(url, read_only=read_only)
        ledger = cls(database, seal_key)
        try:
            if not database.has_schema():
                database.prepare(statements(database.dialect), ledger._found)
            ledger._check(oldest, former, reseal=reseal)
        except BaseException:
            database.close()
            raise
        return ledger

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

        before = migrate(self._database, self._key)
        self._version = max(before, VERSION)
        return before

    # -- Writing ------------------------------------------------------------------------------------------------

    def append(self, job: str, drafts: Sequence[Draft], *, holder: str = "") -> list[int]:
        """Append records to the chain of ``job``, all or none of them; they are durable when this returns.

        Args:
            job: whose chain.
            drafts: the records.
            holder: append them only while this one has the job's lease. Who was taken over announces nothing more,
                even if it does not know yet.

        Gives their numbers in the chain. Raises LedgerError where a draft holds what no column may hold (without
        repeating it) or the database fails, LedgerBroken where the chain's head was not sealed by us, LeaseHeld where
        ``holder`` has the lease no longer.
        """
        if not drafts:
            return []
        with self._database.write() as transaction:
            head = self._lock_head(transaction, job)
            if holder:
                leases.require(transaction, job, holder, lock=self._database.dialect.for_update)
            return self._append(transaction, job, head, drafts)

    def start_run(self, job: str, run: str) -> bool:
        """Record that ``run`` began, unless it is going on already; gives whether that was new.

        Steps of one run in several processes may each call it.
        """
        with self._database.write() as transaction:
            head = self._lock_head(transaction, job)
            if _is_open(transaction, job, run):
                return False
            self._append(transaction, job, head, [Draft(Event.RUN_STARTED, run)])
            return True

    def finish_run(self, job: str, run: str, *, reason: str, counts: str) -> bool:
        """Record that ``run`` ended, unless that is recorded or it never began; gives whether that was new."""
        with self._database.write() as transaction:
            head = self._lock_head(transaction, job)
            if not _is_open(transaction, job, run):
                return False
            self._append(transaction, job, head, [Draft(Event.RUN_FINISHED, run, reason=reason, counts=counts)])
            return True

    def rehearse(self) -> None:
        """Go through an append and take it back: raises what an append would raise, and leaves no trace."""
        with suppress(_TakenBack), self._database.write() as transaction:
            head = self._lock_head(transaction, _REHEARSAL)
            self._append(transaction, _REHEARSAL, head, [Draft(Event.RUN_STARTED, run=_REHEARSAL)])
            raise _TakenBack

    def _append(
        self, transaction: Transaction, job: str, head: tuple[int, int, str], drafts: Sequence[Draft]
    ) -> list[int]:
        """Append to a chain whose ``head`` is locked."""
        now = time.time_ns() // 1000
        ordinal, seq, last = head
        first = seq + 1
        table = []
        for draft in drafts:
            seq += 1
            row, last = rows.encode(job, seq, now, draft, last)
            table.append(row)
        transaction.insert("ledger", COLUMNS, table)
        state.project(transaction, job, table)
        digest = bytes.fromhex(last)
        transaction.run(
            "UPDATE heads SET seq = ?, hash = ?, seal = ? WHERE job = ?",
            (seq, digest, seal.head_seal(self._key, job, ordinal, seq, digest), job),
        )
        return list(range(first, seq + 1))

    def _lock_head(self, transaction: Transaction, job: str) -> tuple[int, int, str]:
        """Lock the end of a chain, starting one for a new job; gives its ordinal, length and last hash."""
        sql = f"SELECT ordinal, seq, hash, seal FROM heads WHERE job = ?{self._database.dialect.for_update}"  # noqa: S608
        found = transaction.one(sql, (job,))
        if found is None:
            chains = self._chains(transaction, lock=True)
            found = transaction.one(sql, (job,))  # another process may have been faster than our lock
            if found is None:
                ordinal = chains + 1
                start = bytes.fromhex(GENESIS)
                sealed = seal.head_seal(self._key, job, ordinal, 0, start)
                transaction.run(
                    "INSERT INTO heads (job, ordinal, seq, hash, seal) VALUES (?, ?, 0, ?, ?)",
                    (job, ordinal, start, sealed),
                )
                count = str(ordinal)
                transaction.run(
                    "UPDATE meta SET value = ?, seal = ? WHERE name = 'chains'",
                    (count, seal.meta_seal(self._key, "chains", count)),
                )
                return ordinal, 0, GENESIS
        ordinal, seq, last, sealed = cast("tuple[int, int, bytes, bytes]", found)
        if sealed != seal.head_seal(self._key, job, ordinal, seq, last):
            self._refuse_if_resealed(transaction)
            # To go on would be to seal what somebody else made of the chain.
            raise LedgerBroken(f"the chain of {job} in {self._database.name} was not sealed by us", hint=_BROKEN_HINT)
        return ordinal, seq, last.hex()

    def _chains(self, transaction: Transaction, *, lock: bool) -> int:
        """How many chains there have ever been, as sealed."""
        ending = self._database.dialect.for_update if lock else ""
        found = transaction.one(f"SELECT value, seal FROM meta WHERE name = 'chains'{ending}")  # noqa: S608
        if found is None or found[1] != seal.meta_seal(self._key, "chains", str(found[0])):
            self._refuse_if_resealed(transaction)
            raise LedgerBroken(f"the list of chains in {self._database.name} was not sealed by us", hint=_BROKEN_HINT)
        return int(str(found[0]))

    def _found(self, transaction: Transaction) -> None:
        """Write what a ledger says of itself."""
        facts = {"schema": str(VERSION), "seal-key": seal.key_id(self._key), "chains": "0"}
        transaction.many(
            "INSERT INTO meta (name, value, seal) VALUES (?, ?, ?)",
            [(name, value, seal.meta_seal(self._key, name, value)) for name, value in facts.items()],
        )

    def _check(self, oldest: int, former: Sequence[bytes], *, reseal: bool) -> None:
        """Refuse a ledger that is newer than we are, too old, or another key's."""
        name = self._database.name
        with self._database.read() as transaction:
            facts = {str(key): str(value) for key, value in transaction.rows("SELECT name, value FROM meta")}
        version = facts.get("schema", "")
        if not version.isdecimal() or "seal-key" not in facts:
            raise LedgerBroken(f"the ledger {name} does not say what it is", hint=_BROKEN_HINT)
        if int(version) > VERSION:
            raise LedgerError(
                f"the ledger {name} was made by a newer SecretSync (tables {version}; this one knows {VERSION})",
                hint="upgrade SecretSync here",
            )
        self._version = int(version)
        if self._version < oldest:
            raise LedgerError(
                f"the ledger {name} has tables of version {version}, and this SecretSync needs version {oldest}",
                hint="back it up, then run `secretsync audit migrate`",
            )
        if facts["seal-key"] != seal.key_id(self._key):
            before = next((key for key in former if facts["seal-key"] == seal.key_id(key)), None)
            if before is not None and reseal:
                self._key = before
                return
            if before is not None:
                raise LedgerError(
                    f"the ledger {name} is still sealed with the key before the newest one",
                    hint="`secretsync audit rotate-key` seals it anew; if that was done before, somebody put an older"
                    " copy back",
                )
            raise LedgerError(
                f"the ledger {name} was sealed with another key ({facts['seal-key']}) than the one given"
                f" ({seal.key_id(self._key)})",
                hint="give the key that made it (SECRETSYNC_KEY, SECRETSYNC_KEY_FILE or ledger.key); if that key is"
                " lost, move the ledger away and begin a new one",
            )

    def _refuse_if_resealed(self, transaction: Transaction) -> None:
        """Tell a key that was changed while we had the ledger open from a hand that has no key."""
        found = transaction.one("SELECT value FROM meta WHERE name = 'seal-key'")
        if found is not None and found[0] != seal.key_id(self._key):
            raise LedgerError(
                f"the key of the ledger {self._database.name} was changed while it was in use",
                hint="run it again with the new key",
            )

    def is_sealed_with(self, seal_key: bytes) -> bool:
        """Whether this is the key that we seal with."""
        return seal_key == self._key

    def check_before_resealing(self, expected: Mapping[str, tuple[int, str]] | None = None) -> None:
        """Raise what would keep :meth:`reseal` from it, as things are now."""
        with self._database.read() as transaction:
            rotation.check(transaction, self._key, self._database.name, expected or {})

    def reseal(self, seal_key: bytes, run: str, *, expected: Mapping[str, tuple[int, str]] | None = None) -> None:
        """Seal every chain with another key, in one transaction, and record in each that it was done.

        All is verified first, by the key that it is sealed with: what somebody else made of the ledger is never
        sealed. ``expected`` are heads that were noted elsewhere, as of :meth:`verify`. Raises LedgerBroken where
        something is wrong, LeaseHeld where a run is going on.
        """
        with self._database.write(long=True) as transaction:
            self._chains(transaction, lock=True)
            sql = f"SELECT job FROM heads ORDER BY job{self._database.dialect.for_update}"  # noqa: S608
            jobs = [str(job) for (job,) in list(transaction.rows(sql))]
            rotation.check(transaction, self._key, self._database.name, expected or {})
            for job in jobs:
                self._append(transaction, job, self._lock_head(transaction, job), [rotation.record(run)])
            rotation.seal_anew(transaction, seal_key)
        self._key = seal_key

    def named_by_former_keys(self) -> dict[str, int]:
        """By job: how many live keys have a fingerprint that was made before the ledger was last sealed anew."""
        with self._database.read() as transaction:
            return rotation.left_behind(transaction)

    def rebuild(self, job: str) -> None:
        """Make the state of ``job`` anew from its records, where verify says that the two differ."""
        with self._database.write() as transaction:
            self._lock_head(transaction, job)
            state.rebuild(transaction, job)

    # -- Reading ------------------------------------------------------------------------------------------------

    def state(self, job: str) -> Iterator[tuple[tuple[str, str], KeyState]]:
        """Stream ((dest, key), state) of every live key of ``job``, in the order of dest and key."""
        with self._database.read() as transaction:
            yield from state.states(transaction, job)

    def states(self, jobs: Collection[str]) -> Iterator[tuple[str, tuple[str, str], KeyState]]:
        """Stream (job, (dest, key), state) of every live key of several jobs, in that order, from one moment."""
        with self._database.read() as transaction:
            yield from state.states_of_jobs(transaction, jobs)

    def fingerprints(self, job: str, dest: str, keys: Collection[str] | None = None) -> Iterator[tuple[str, str, str]]:
        """Stream (key, fingerprint, fields) as of the state of the live keys at ``dest``; of ``keys``, or of all."""
        with self._database.read() as transaction:
            yield from state.fingerprints(transaction, job, dest, keys)

    def origins(self, job: str, item: str) -> Iterator[tuple[str, Origin]]:
        """Stream (destination, what it came of) for the live keys of one plan item."""
        with self._database.read() as transaction:
            yield from state.origins(transaction, job, item)

    def origins_of(self, job: str, dest: str, keys: Collection[str]) -> Iterator[tuple[str, Origin]]:
        """Key and origin of those of ``keys`` that are live at ``dest``."""
        with self._database.read() as transaction:
            yield from state.origins_of(transaction, job, dest, keys)

    def open_runs(self, job: str) -> list[str]:
        """The runs of ``job`` that were started and never finished, oldest first."""
        with self._database.read() as transaction:
            return list(_open_runs(transaction, job))

    def unsettled(self, job: str) -> list[Record]:
        """The ``intended`` records without an outcome, of runs that never finished, oldest first.

        A write that was intended by a run that *was* finished is taken as settled.
        """
        waiting: dict[str, Record] = {}
        with self._database.read() as transaction:
            runs = _open_runs(transaction, job)
            if not runs:
                return []
            sql = f"""SELECT {rows.SELECT} FROM ledger WHERE job = ? AND seq > ?
                      AND event IN ('intended', 'done', 'failed', 'skipped') AND intent <> '' ORDER BY seq"""  # noqa: S608
            for row in transaction.rows(sql, (job, min(runs.values()))):
                record = rows.decode(row)
                if record.draft.event in OUTCOMES:
                    waiting.pop(record.draft.intent, None)
                elif record.draft.run in runs:
                    waiting[record.draft.intent] = record
        return list(waiting.values())

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
        conditions: list[str] = []
        parameters: list[object] = []
        for column, value in (("job", job), ("run", run), ("key", key), ("dest", dest)):
            if value is not None:
                conditions.append(f"{column} = ?")
                parameters.append(value)
        if since is not None:
            conditions.append("time >= ?")
            parameters.append(since)
        if events is not None:
            if not events:
                return
            if set(events) <= {Event.RUN_STARTED, Event.RUN_FINISHED}:
                conditions.append(RUN_EVENTS)  # says the same, in the words that the index of runs goes by
            conditions.append(f"event IN ({', '.join('?' * len(events))})")
            parameters.extend(str(event) for event in events)
        order = "job, seq"
        if newest_first:
            order = "seq DESC" if job is not None else "time DESC, job, seq DESC"
        sql = f"SELECT {rows.SELECT} FROM ledger WHERE {' AND '.join(conditions) or '1 = 1'} ORDER BY {order}"  # noqa: S608
        if limit is not None:
            sql += " LIMIT ?"
            parameters.append(limit)
        with self._database.read() as transaction:
            for row in transaction.rows(sql, parameters):
                yield rows.decode(row)

    def jobs(self) -> list[str]:
        """The names of all jobs that have a chain, sorted."""
        with self._database.read() as transaction:
            return [str(name) for (name,) in transaction.rows("SELECT job FROM heads ORDER BY job")]

    def summary(self, job: str) -> JobSummary:
        """How ``job`` stands: its last run, its last success, its keys."""
        with self._database.read() as transaction:
            return summarize(transaction, job)

    def measure(self) -> list[JobMeasure]:
        """What can be counted of every job that has a chain, all as of one moment, sorted by name."""
        with self._database.read() as transaction:
            jobs = [str(name) for (name,) in transaction.rows("SELECT job FROM heads ORDER BY job")]
            return [measure(transaction, job, len(_open_runs(transaction, job))) for job in jobs]

    def verify_heads(self) -> list[ChainReport]:
        """Look only at the ends of the chains: whether each was sealed by us and holds its last record.

        Costs a few requests to the database however long the chains are; gives reports as :meth:`verify` does.
        """
        with self._database.read() as transaction:
            return verify_heads(transaction, self._key)

    def verify(
        self, job: str | None = None, *, expected: Mapping[str, tuple[int, str]] | None = None
    ) -> list[ChainReport]:
        """Check the chains of all jobs, or of one; nothing is changed and memory stays flat.

        Args:
            job: only this one's.
            expected: by job, the (seq, hash) of a head that was noted elsewhere; the chain must still hold it.

        Gives a report for each chain, and one with an empty ``job`` where something is wrong with the ledger as a
        whole (a chain is gone). ``verify.UNPROVEN`` says what this cannot find.
        """
        with self._database.read() as transaction:
            return verify_database(transaction, self._key, job=job, expected=expected or {})

    # -- Leases -------------------------------------------------------------------------------------------------

    def acquire_lease(self, job: str, holder: str, seconds: float) -> Lease:
        """Take the lease of ``job`` for ``seconds``, also from a holder who let it expire.

        A holder who has it already gets it for longer. Raises LeaseHeld, saying by whom and since when, where
        another one has it.
        """
        with self._database.write() as transaction:
            return leases.acquire(transaction, job, holder, seconds)

    def renew(self, job: str, holder: str, seconds: float) -> Lease:
        """Hold the lease for ``seconds`` from now. Raises LeaseHeld where it was lost, to another or altogether."""
        with self._database.write() as transaction:
            return leases.renew(transaction, job, holder, seconds)

    def release(self, job: str, holder: str) -> None:
        """Give the lease back; no error where it was lost before."""
        with self._database.write() as transaction:
            leases.release(transaction, job, holder)

    def lease(self, job: str) -> Lease | None:
        """The lease of ``job`` as it stands now, expired ones left out."""
        with self._database.read() as transaction:
            return leases.find(transaction, job)

    def leases(self, *, live: bool = False) -> list[Lease]:
        """Every lease that was not given back, of runs that go on and of those that were killed; or the ``live`` ones.

        A lease that expired may still be its holder's, as long as nobody else took it.
        """
        with self._database.read() as transaction:
            return leases.live(transaction) if live else leases.all_of_them(transaction)


class _TakenBack(Exception):
    """Ends the transaction of a rehearsal, which is not to be kept."""


def exists(url: str | Path) -> bool:
    """Whether there is a ledger at ``url``, which takes no key to tell. Raises LedgerError where it cannot be told."""
    try:
        database = _open_database(url, read_only=True)
    except LedgerMissing:
        return False
    try:
        return database.has_schema()
    finally:
        database.close()


def _open_runs(transaction: Transaction, job: str) -> dict[str, int]:
    """Started and unfinished runs, and the number of the record that started each, oldest first."""
    # Each half uses the index of runs; one query for both, in order, would read the whole chain instead.
    sql = f"SELECT run, event, seq FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = ? ORDER BY seq"  # noqa: S608
    starts, ends = (transaction.rows(sql, (job, str(event))) for event in (Event.RUN_STARTED, Event.RUN_FINISHED))
    runs: dict[str, int] = {}
    for run, event, seq in cast("Iterator[tuple[str, str, int]]", heapq.merge(starts, ends, key=itemgetter(2))):
        if event == Event.RUN_STARTED:
            runs.setdefault(run, seq)
        else:
            runs.pop(run, None)
    return runs


def _is_open(transaction: Transaction, job: str, run: str) -> bool:
    """Whether a run was started, and not finished since."""
    sql = f"SELECT seq FROM ledger WHERE job = ? AND {RUN_EVENTS} AND event = ? AND run = ? ORDER BY seq DESC LIMIT 1"  # noqa: S608
    start, end = (transaction.one(sql, (job, str(event), run)) for event in (Event.RUN_STARTED, Event.RUN_FINISHED))
    return start is not None and (end is None or cast("int", end[0]) < cast("int", start[0]))


def _open_database(url: str | Path, *, read_only: bool) -> Database:
    """The database that a URL or path names. An error names the scheme, never the URL: it may hold a password."""
    scheme, found, rest = str(url).partition("://")
    if isinstance(url, Path) or not found:
        path = Path(url)
    elif scheme == "sqlite":
        path = Path(rest.removeprefix("/"))
        if rest in ("", "/"):
            raise LedgerError("the ledger's URL names no file", hint="write sqlite:///path/to/ledger.db")
    elif scheme in ("postgresql", "postgres"):
        from secretsync_core.audit.postgres import PostgresDatabase  # its driver is an extra

        return PostgresDatabase(str(url), read_only=read_only)
    else:
        raise LedgerError(
            "the ledger's URL has a scheme that is not known", hint="use a path, sqlite:///path or postgresql://…"
        )
    from secretsync_core.audit.sqlite import SqliteDatabase

    return SqliteDatabase(path.expanduser(), read_only=read_only)
