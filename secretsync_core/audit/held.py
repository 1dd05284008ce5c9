"""Which keys a job holds, for people: what each is a copy of, and which run the ledger has that from."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, NamedTuple, cast

from secretsync_core.audit.record import Event
from secretsync_core.audit.schema import RUN_EVENTS
from secretsync_core.model.versions import kept_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from secretsync_core.audit.database import Database, Row, Transaction

_IN = 500


class HeldKey(NamedTuple):
    """One live key of a job.

    Attributes:
        job, item: whose it is.
        dest, key: where it is.
        source, source_key: what it is a copy of; empty where several sources are combined.
        source_version, dest_version: both versions as of the last write or look that the ledger has.
        run, time: the run that the ledger has this from, and when, in microseconds since the epoch.
        written: whether that run wrote it. Else it found there what it would have written, or knows it by a new name.
    """

    job: str
    item: str
    dest: str
    key: str
    source: str
    source_key: str
    source_version: str | None
    dest_version: str | None
    run: str
    time: int
    written: bool


class FailedKey(NamedTuple):
    """One key that the last run of a job failed at; ``code`` says why."""

    job: str
    item: str
    dest: str
    key: str
    source: str
    source_key: str
    code: str
    run: str
    time: int


class Found(NamedTuple):
    """What a search found: the first keys that are held, how many there are, and those that a last run failed at."""

    held: list[HeldKey]
    total: int
    failed: list[FailedKey]


class Held:
    """``ledger.held``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_item(self, job: str, item: str, limit: int) -> tuple[list[HeldKey], int]:
        """The first ``limit`` keys that a job holds of a plan item, by destination and key; and how many there are."""
        with self._database.read() as transaction:
            counted = transaction.one("SELECT COUNT(*) FROM current WHERE job = ? AND item = ?", (job, item))
            sql = f"SELECT {_STATE} FROM current WHERE job = ? AND item = ? ORDER BY dest, key LIMIT ?"  # noqa: S608
            first = list(transaction.rows(sql, (job, item, limit)))
            return _with_records(transaction, job, first), cast("int", counted[0]) if counted else 0

    def find(self, jobs: Collection[str], text: str, limit: int) -> Found:
        """The keys in whose name, at the destination or the source, a text stands; case does not count from A to Z.

        ``*`` in the text stands for anything. Looks at every live key of ``jobs``, and at the records of their last
        runs; gives at most ``limit`` of each.
        """
        pattern = _pattern(text)
        held: list[HeldKey] = []
        failed: list[FailedKey] = []
        count = 0
        with self._database.read(long=True) as transaction:
            for job in sorted(jobs):
                counted = transaction.one(f"SELECT COUNT(*) {_MATCHING}", (job, pattern, pattern))
                found = cast("int", counted[0]) if counted else 0
                if found and len(held) < limit:
                    sql = f"SELECT {_LIVE} {_MATCHING} ORDER BY live.key, live.dest LIMIT ?"
                    rows = list(transaction.rows(sql, (job, pattern, pattern, limit - len(held))))
                    held += _with_records(transaction, job, rows)
                count += found
                failed += _failed(transaction, job, pattern, limit - len(failed))
        return Found(held, count, failed)


_STATE = "seq, item, dest, key, source_version, dest_version"
_LIVE = ", ".join(f"live.{name}" for name in _STATE.split(", "))
_MATCHING = """FROM current AS live JOIN ledger AS said ON said.job = live.job AND said.seq = live.seq
               WHERE live.job = ? AND (lower(live.key) LIKE ? ESCAPE '!' OR lower(said.source_key) LIKE ? ESCAPE '!')"""


_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
"""What ``lower`` makes of the letters of keys, in SQLite and by the collation that they have in PostgreSQL."""


def _pattern(text: str) -> str:
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return f"%{text.translate(_SMALL).replace('*', '%')}%"


def _with_records(transaction: Transaction, job: str, rows: Iterable[Row]) -> list[HeldKey]:
    """What the records say of keys whose state is given."""
    live = [cast("tuple[int, str, str, str, str | None, str | None]", row) for row in rows]
    said: dict[int, tuple[str, str, str, int, bool]] = {}
    for start in range(0, len(live), _IN):
        some = [row[0] for row in live[start : start + _IN]]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT seq, source, source_key, run, time, event FROM ledger WHERE job = ? AND seq IN ({marks})"  # noqa: S608
        for row in transaction.rows(sql, (job, *some)):
            seq, source, key, run, time, event = cast("tuple[int, str, str, str, int, str]", row)
            said[seq] = source, key, run, time, event == Event.DONE
    held = []
    for seq, item, dest, key, source_version, dest_version in live:
        source, source_key, run, time, written = said.get(seq, ("", "", "", 0, False))
        versions = kept_version(source_version), kept_version(dest_version)
        held.append(HeldKey(job, item, dest, key, source, source_key, *versions, run, time, written))
    return held


def _failed(transaction: Transaction, job: str, pattern: str, limit: int) -> list[FailedKey]:
    """The keys that the last run failed at, the last word on each."""
    began = transaction.one(
        f"SELECT MAX(seq) FROM ledger WHERE job = ? AND event = 'run-started' AND {RUN_EVENTS}",  # noqa: S608
        (job,),
    )
    if limit <= 0 or began is None or began[0] is None:
        return []
    sql = """SELECT item, dest, key, source, source_key, reason, run, time FROM ledger
             WHERE job = ? AND seq > ? AND event = 'failed'
               AND (lower(key) LIKE ? ESCAPE '!' OR lower(source_key) LIKE ? ESCAPE '!') ORDER BY seq DESC"""
    last: dict[tuple[str, str], FailedKey] = {}
    for row in transaction.rows(sql, (job, began[0], pattern, pattern)):
        item, dest, key, source, source_key, code, run, time = cast(
            "tuple[str, str, str, str, str, str, str, int]", row
        )
        last.setdefault((dest, key), FailedKey(job, item, dest, key, source, source_key, code, run, time))
        if len(last) == limit:
            break
    return sorted(last.values(), key=lambda each: (each.key, each.dest))
