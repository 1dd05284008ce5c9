"""Leases: at most one run of a SyncJob at a time. The database's clock decides, so machines need not agree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from secretsync_core.errors import LeaseHeld

if TYPE_CHECKING:
    from secretsync_core.audit.database import Database, Transaction


class Lease(NamedTuple):
    """Who runs a job. ``acquired`` and ``expires`` are microseconds since the epoch."""

    job: str
    holder: str
    acquired: int
    expires: int


class Leases:
    """``ledger.leases``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, job: str, holder: str, seconds: float) -> Lease:
        """Take the lease of ``job`` for ``seconds``, also from a holder who let it expire.

        A holder who has it already gets it for longer. Raises LeaseHeld, saying by whom and since when, where
        another one has it.
        """
        with self._database.write() as transaction:
            return acquire(transaction, job, holder, seconds)

    def renew(self, job: str, holder: str, seconds: float) -> Lease:
        """Hold the lease for ``seconds`` from now. Raises LeaseHeld where it was lost, to another or altogether."""
        with self._database.write() as transaction:
            return renew(transaction, job, holder, seconds)

    def release(self, job: str, holder: str) -> None:
        """Give the lease back; no error where it was lost before."""
        with self._database.write() as transaction:
            release(transaction, job, holder)

    def take_away(self, job: str) -> Lease | None:
        """End the lease of ``job``, whoever has it; gives it as it was, None where there was none.

        A holder that lives records nothing more from then on, and says so.
        """
        with self._database.write() as transaction:
            taken = transaction.one(f"DELETE FROM leases WHERE job = ? RETURNING {_COLUMNS}", (job,))  # noqa: S608
            return Lease(*cast("tuple[str, str, int, int]", taken)) if taken else None

    def find(self, job: str) -> Lease | None:
        """The lease of ``job`` as it stands now, expired ones left out."""
        with self._database.read() as transaction:
            return find(transaction, job)

    def held(self) -> list[Lease]:
        """Every lease that was not given back, of runs that go on and of those that were killed.

        A lease that expired may still be its holder's, as long as nobody else took it.
        """
        with self._database.read() as transaction:
            return all_of_them(transaction)

    def live(self) -> list[Lease]:
        """Every lease that has not expired."""
        with self._database.read() as transaction:
            return live(transaction)


_COLUMNS = "job, holder, acquired, expires"
_LIVE = "expires > ? AND expires <= ?"

LIVE_OF = f"SELECT 1 FROM leases WHERE leases.job = {{job}} AND {_LIVE}"  # noqa: S608  our own words
"""The lease of a job, where it has not expired: with the column that names the job, and :func:`moment_of`."""

LONGEST = 3600 * 1_000_000
"""The longest time in microseconds that a lease may have left. One that has more was taken when the database's clock
was ahead, and is over: a holder that lives renews it by the clock as it is now."""


def moment_of(transaction: Transaction) -> tuple[int, int]:
    """What ``_LIVE`` asks for: now, and what is too far ahead."""
    now = transaction.now()
    return now, now + LONGEST


def acquire(transaction: Transaction, job: str, holder: str, seconds: float) -> Lease:
    """Take the lease, if nobody else has it, in one statement: two at once cannot both get it."""
    now = transaction.now()
    taken = transaction.one(
        f"""INSERT INTO leases ({_COLUMNS}) VALUES (?, ?, ?, ?)
            ON CONFLICT (job) DO UPDATE SET
              acquired = CASE WHEN leases.holder = excluded.holder THEN leases.acquired ELSE excluded.acquired END,
              holder = excluded.holder,
              expires = excluded.expires
            WHERE leases.expires <= excluded.acquired OR leases.holder = excluded.holder OR leases.expires > ?
            RETURNING {_COLUMNS}""",  # noqa: S608  our own names
        (job, holder, now, now + int(seconds * 1e6), now + LONGEST),
    )
    return Lease(*cast("tuple[str, str, int, int]", taken)) if taken else _refuse(transaction, job)


def renew(transaction: Transaction, job: str, holder: str, seconds: float) -> Lease:
    """Hold it for longer. One that expired and was not taken over is still ours."""
    held = transaction.one(
        f"UPDATE leases SET expires = ? WHERE job = ? AND holder = ? RETURNING {_COLUMNS}",  # noqa: S608
        (transaction.now() + int(seconds * 1e6), job, holder),
    )
    return Lease(*cast("tuple[str, str, int, int]", held)) if held else _refuse(transaction, job)


def release(transaction: Transaction, job: str, holder: str) -> None:
    """Give it back."""
    transaction.run("DELETE FROM leases WHERE job = ? AND holder = ?", (job, holder))


def holder_of(transaction: Transaction, job: str) -> str:
    """Who has it, expired or not; empty where nobody does."""
    row = transaction.one("SELECT holder FROM leases WHERE job = ?", (job,))
    return str(row[0]) if row is not None else ""


def require(transaction: Transaction, job: str, holder: str, *, lock: str) -> None:
    """Raise LeaseHeld unless ``holder`` has it; with ``lock``, keep it so until the transaction ends.

    One that expired and was not taken over is still the holder's.
    """
    row = transaction.one(f"SELECT holder FROM leases WHERE job = ?{lock}", (job,))  # noqa: S608  our own words
    if row is None or row[0] != holder:
        _refuse(transaction, job)


def all_of_them(transaction: Transaction) -> list[Lease]:
    """Every lease that was not given back, expired ones too."""
    found = transaction.rows(f"SELECT {_COLUMNS} FROM leases ORDER BY job")  # noqa: S608
    return [Lease(*cast("tuple[str, str, int, int]", row)) for row in found]


def find(transaction: Transaction, job: str) -> Lease | None:
    """The lease, unless it has expired."""
    row = transaction.one(
        f"SELECT {_COLUMNS} FROM leases WHERE job = ? AND {_LIVE}",  # noqa: S608
        (job, *moment_of(transaction)),
    )
    return Lease(*cast("tuple[str, str, int, int]", row)) if row else None


def live(transaction: Transaction) -> list[Lease]:
    """Every lease that has not expired."""
    found = transaction.rows(f"SELECT {_COLUMNS} FROM leases WHERE {_LIVE}", moment_of(transaction))  # noqa: S608
    return [Lease(*cast("tuple[str, str, int, int]", row)) for row in found]


def first(transaction: Transaction) -> Lease | None:
    """Any lease that has not expired."""
    row = transaction.one(
        f"SELECT {_COLUMNS} FROM leases WHERE {_LIVE} ORDER BY job LIMIT 1",  # noqa: S608
        moment_of(transaction),
    )
    return Lease(*cast("tuple[str, str, int, int]", row)) if row else None


def _refuse(transaction: Transaction, job: str) -> Lease:
    row = transaction.one(f"SELECT {_COLUMNS} FROM leases WHERE job = ?", (job,))  # noqa: S608
    if row is None:
        raise LeaseHeld(f"the lease of {job} was lost: another run took it over and has ended since")
    other = Lease(*cast("tuple[str, str, int, int]", row))
    raise LeaseHeld(
        f"{job} is being synced already, by {other.holder} since {_moment(other.acquired)}",
        hint=f"wait for it to end; if it is dead, its lease expires at {_moment(other.expires)}, or break it"
        f" now with `secretsync lease break {job}`",
    )


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
