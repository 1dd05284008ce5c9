"""What the ledger knows of every live key, for a sync to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.audit import deleted, moving, state

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from secretsync_core.audit.chain import Chains
    from secretsync_core.audit.database import Database
    from secretsync_core.audit.record import Draft
    from secretsync_core.audit.state import Recorded
    from secretsync_core.model.state import Deleted, KeyState, Origin


class LiveKeys:
    """``ledger.state``."""

    def __init__(self, database: Database, chains: Chains) -> None:
        self._database = database
        self._chains = chains

    def rebuild(self, job: str) -> None:
        """Make the state of ``job`` anew from its records, where verify says that the two differ."""
        with self._database.write() as transaction:
            self._chains.lock(transaction, job)
            state.rebuild(transaction, job)

    # Those below change the state without being an outcome. Each takes the ``holder`` of the job's lease, where a run
    # does it, and raises LeaseHeld, nothing changed, where that one has it no longer.

    def rename(self, job: str, run: str, old: str, new: str, *, holder: str = "") -> int:
        """Know the keys of destination ``old`` under ``new``; gives how many there were. See ``ledger.places``."""
        with self._database.write() as transaction:
            count = moving.rename(transaction, self._chains, job, run, old, new)
            self._chains.require(transaction, job, holder)  # last: whoever appends locks the chain first
            return count

    def take(self, source: str, job: str, run: str, names: Mapping[str, str], *, holder: str = "") -> int:
        """Know all keys of the job ``source`` as those of ``job``; gives how many there were.

        ``names`` has what ``job`` calls a destination of ``source``, where that is another name.
        """
        with self._database.write() as transaction:
            count = moving.take(transaction, self._chains, source, job, run, names)
            for name in sorted((source, job)):
                self._chains.require(transaction, name, holder)
            return count

    def hand_over(self, job: str, draft: Draft, source: str, dest: str, key: str, *, holder: str = "") -> None:
        """Append what ``job`` has done with a key, which the job ``source`` holds no longer from then on.

        ``dest`` and ``key`` are what ``source`` calls it. Both or neither.
        """
        with self._database.write() as transaction:
            moving.hand_over(transaction, self._chains, job, draft, source, dest, key)
            self._chains.require(transaction, job, holder)

    def forget(self, job: str, run: str, dest: str, keys: Collection[str], *, holder: str = "") -> int:
        """Know these keys of a destination no longer; gives how many of them were known."""
        with self._database.write() as transaction:
            count = moving.forget(transaction, self._chains, job, run, dest, keys)
            self._chains.require(transaction, job, holder)
            return count

    def keys(self, job: str) -> Iterator[tuple[tuple[str, str], KeyState]]:
        """Stream ((dest, key), state) of every live key of ``job``, in the order of dest and key."""
        with self._database.read() as transaction:
            yield from state.states(transaction, job)

    def of_jobs(self, jobs: Collection[str]) -> Iterator[tuple[str, tuple[str, str], KeyState]]:
        """Stream (job, (dest, key), state) of every live key of several jobs, in that order, from one moment."""
        with self._database.read() as transaction:
            yield from state.states_of_jobs(transaction, jobs)

    def deleted(self, job: str) -> dict[tuple[str, str], Deleted]:
        """What ``job`` deleted last, by (dest, key), as far back as it is worth the look; no matter what came since."""
        with self._database.read() as transaction:
            return deleted.deleted(transaction, job)

    def fingerprints(self, job: str, dest: str, keys: Collection[str] | None = None) -> Iterator[tuple[str, str, str]]:
        """Stream (key, fingerprint, fields) as of the state of the live keys at ``dest``; of ``keys``, or of all."""
        with self._database.read() as transaction:
            yield from state.fingerprints(transaction, job, dest, keys)

    def origins(self, job: str, item: str) -> Iterator[tuple[str, Origin]]:
        """Stream (destination, what it came of) for the live keys of one plan item."""
        with self._database.read() as transaction:
            yield from state.origins(transaction, job, item)

    def recorded(self, job: str, places: Collection[tuple[str, str]]) -> dict[tuple[str, str], Recorded]:
        """What the ledger has of these live keys now, by (dest, key), and by which record."""
        with self._database.read() as transaction:
            return state.recorded(transaction, job, places)

    def overwritten(self, job: str, dest: str, keys: Collection[str], since: int) -> dict[str, str]:
        """What the latest write of each of ``keys`` has replaced, by key: versions that stood at ``dest`` before it.

        Only writes after ``since``, in microseconds since the epoch.
        """
        with self._database.read() as transaction:
            return state.overwritten(transaction, job, dest, keys, since)

    def origins_of(self, job: str, dest: str, keys: Collection[str]) -> Iterator[tuple[str, Origin]]:
        """Stream (key, what it came of) for those of ``keys`` that are live at ``dest``."""
        with self._database.read() as transaction:
            yield from state.origins_of(transaction, job, dest, keys)
