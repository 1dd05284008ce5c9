"""The state of every key, kept beside the records that say it, so that a sync need not read the whole history.

The table ``current`` holds, for each live key, a copy of what a sync asks for from the record that is its state. It is
written in the same transaction as that record, can be made anew from the records, and ``verify`` compares the two.
"""

from __future__ import annotations

from operator import itemgetter
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from secretsync_core.audit.record import Event, KeyState
from secretsync_core.audit.schema import COLUMNS, ENDING, FORGOTTEN, MOVED, PLACED, SAME_VALUE, STATE, STATEFUL
from secretsync_core.model.state import Origin
from secretsync_core.model.versions import kept_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from secretsync_core.audit.database import Row, Transaction

_FACTS = STATE[2:]
_COLUMNS = ", ".join(STATE)
_PUT = (
    f"INSERT INTO current (job, {_COLUMNS}) VALUES (?, {', '.join('?' * len(STATE))})"  # noqa: S608  our own names
    f" ON CONFLICT (job, dest, key) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _FACTS)}"
)
_DROP = "DELETE FROM current WHERE job = ? AND dest = ? AND key = ?"

# The last stateful record of each key, unless it is a delete. No join: PostgreSQL would plan one by statistics that
# it does not have yet when the first big sync has just ended.
_REPLAY = """
    SELECT {0} FROM (
      SELECT {0}, event, action, reason, ROW_NUMBER() OVER (PARTITION BY dest, key ORDER BY seq DESC) AS place
      FROM ledger WHERE job = ? AND {1}
    ) AS stateful
    WHERE place = 1 AND NOT {2}
"""

# In two steps, the first of which the index of items answers alone: asked in one, SQLite walks over all of the job's.
OF_ITEM = """
    SELECT seq, dest, source_version, definition FROM current
    WHERE job = ? AND (dest, key) IN (SELECT dest, key FROM current WHERE job = ? AND item = ?) ORDER BY seq
"""

_SAYS = itemgetter(*(COLUMNS.index(name) for name in ("event", "action", "reason")))
_FROM_RECORD = itemgetter(*(COLUMNS.index(name) for name in STATE))

_IN = 500
_ANNOUNCED_WITHIN = 20_000  # records


def project(transaction: Transaction, job: str, records: Sequence[Row]) -> None:
    """Bring ``current`` up to date with rows that were just appended to ``ledger``."""
    changed = _changes(records)
    put = [(job, *facts) for facts in changed.values() if facts is not None]
    drop = [(job, *key) for key, facts in changed.items() if facts is None]
    if put:
        transaction.many(_PUT, put)
    if drop:
        transaction.many(_DROP, drop)


def _changes(records: Sequence[Row]) -> dict[tuple[object, object], Row | None]:
    """What rows of ``ledger`` make of the state, by destination and key; None where they end it."""
    changed: dict[tuple[object, object], Row | None] = {}
    for row in records:
        facts = _FROM_RECORD(row)
        event, action, reason = _SAYS(row)
        if event == Event.DONE:
            if action == "delete":
                changed[facts[:2]] = None
            elif action in ("create", "update"):
                changed[facts[:2]] = facts
        elif event == Event.SKIPPED and reason in (SAME_VALUE, MOVED):
            changed[facts[:2]] = facts
        elif event == Event.SKIPPED and reason == FORGOTTEN:
            changed[facts[:2]] = None
    return changed


_STATES = "SELECT dest, key, source_version, dest_version, definition, owned, item, job FROM current"


def states(transaction: Transaction, job: str) -> Iterator[tuple[tuple[str, str], KeyState]]:
    """The state of every live key, by destination and key."""
    for row in transaction.rows(f"{_STATES} WHERE job = ? ORDER BY dest, key", (job,)):
        _, place, held = _state(row)
        yield place, held


def states_of_jobs(transaction: Transaction, jobs: Collection[str]) -> Iterator[tuple[str, tuple[str, str], KeyState]]:
    """The state of every live key of several jobs, with the job, in the order of job, destination and key."""
    wanted = sorted(set(jobs))
    for start in range(0, len(wanted), _IN):
        some = wanted[start : start + _IN]
        places = ", ".join("?" * len(some))
        yield from map(_state, transaction.rows(f"{_STATES} WHERE job IN ({places}) ORDER BY job, dest, key", some))


def _state(row: Row) -> tuple[str, tuple[str, str], KeyState]:
    dest, key, source, version, definition, owned, item, job = cast("tuple[Any, ...]", row)
    # A job has few destinations, items and definitions: each is one string, however many keys share it. A key is
    # one string too, here and in the stores' listings.
    held = KeyState(kept_version(source), kept_version(version), intern(definition.hex()), bool(owned), intern(item))
    return job, (intern(dest), intern(key)), held


def fingerprints(
    transaction: Transaction, job: str, dest: str, keys: Collection[str] | None
) -> Iterator[tuple[str, str, str]]:
    """Key, fingerprint and fields of the live keys at ``dest``: of all, or of those among ``keys``."""
    sql = "SELECT key, fingerprint, fields FROM current WHERE job = ? AND dest = ?"
    if keys is None:
        yield from _fingerprints(transaction.rows(f"{sql} ORDER BY key", (job, dest)))
        return
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _IN):
        some = wanted[start : start + _IN]
        places = ", ".join("?" * len(some))
        yield from _fingerprints(transaction.rows(f"{sql} AND key IN ({places}) ORDER BY key", (job, dest, *some)))


def _fingerprints(rows: Iterator[Row]) -> Iterator[tuple[str, str, str]]:
    for key, fingerprint, fields in cast("Iterator[tuple[str, bytes, bytes]]", rows):
        yield key, fingerprint.hex(), fields.hex()


def origins(transaction: Transaction, job: str, item: str) -> Iterator[tuple[str, Origin]]:
    """Destination and origin of every live key of one item."""
    rows = [cast("tuple[int, str, str | None, bytes]", row) for row in transaction.rows(OF_ITEM, (job, job, item))]
    for start in range(0, len(rows), _IN):
        some = rows[start : start + _IN]
        places = ", ".join("?" * len(some))
        named = f"SELECT seq, source, source_key FROM ledger WHERE job = ? AND seq IN ({places})"  # noqa: S608
        found = {row[0]: row for row in transaction.rows(named, (job, *(row[0] for row in some)))}
        for seq, dest, version, definition in some:
            _, source, source_key = found[seq]
            yield intern(dest), Origin(str(source), str(source_key), kept_version(version), intern(definition.hex()))


def origins_of(transaction: Transaction, job: str, dest: str, keys: Collection[str]) -> Iterator[tuple[str, Origin]]:
    """Key and origin of those of ``keys`` that are live at ``dest``."""
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _IN):
        some = wanted[start : start + _IN]
        places = ", ".join("?" * len(some))
        live = (
            f"SELECT seq, key, source_version, definition FROM current WHERE job = ? AND dest = ? AND key IN ({places})"  # noqa: S608
        )
        rows = [cast("tuple[int, str, str | None, bytes]", row) for row in transaction.rows(live, (job, dest, *some))]
        numbers = ", ".join("?" * len(rows))
        named = f"SELECT seq, source, source_key FROM ledger WHERE job = ? AND seq IN ({numbers})"  # noqa: S608
        found = {row[0]: row for row in transaction.rows(named, (job, *(row[0] for row in rows)))} if rows else {}
        for seq, key, version, definition in rows:
            _, source, source_key = found[seq]
            yield key, Origin(str(source), str(source_key), kept_version(version), intern(definition.hex()))


class Recorded(NamedTuple):
    """What the ledger has of a live key: the number of the record that says it, the version there, and the value's
    fingerprint with the fields that are ours."""

    seq: int
    version: str | None
    fingerprint: str
    fields: str


def recorded(
    transaction: Transaction, job: str, places: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Recorded]:
    """What the ledger has of those of ``places``, by (dest, key), that are live."""
    found: dict[tuple[str, str], Recorded] = {}
    sql = "SELECT seq, dest_version, fingerprint, fields FROM current WHERE job = ? AND dest = ? AND key = ?"
    for place in sorted(set(places)):
        row = transaction.one(sql, (job, *place))
        if row is not None:
            seq, version, fingerprint, fields = cast("tuple[int, str | None, bytes, bytes]", row)
            found[place] = Recorded(seq, kept_version(version), fingerprint.hex(), fields.hex())
    return found


def overwritten(transaction: Transaction, job: str, dest: str, keys: Collection[str], since: int) -> dict[str, str]:
    """What stood at ``dest`` before the latest write of each of ``keys``: its version, where the write said one."""
    found: dict[str, str] = {}
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _IN):
        some = wanted[start : start + _IN]
        places = ", ".join("?" * len(some))
        live = f"SELECT seq FROM current WHERE job = ? AND dest = ? AND key IN ({places})"  # noqa: S608
        numbers = [row[0] for row in transaction.rows(live, (job, dest, *some))]
        marks = ", ".join("?" * len(numbers))
        told = f"""SELECT intent, key, seq FROM ledger WHERE job = ? AND seq IN ({marks})
                   AND event = 'done' AND time >= ?"""  # noqa: S608
        writes = {
            (str(intent), str(key)): cast("int", seq)
            for intent, key, seq in (transaction.rows(told, (job, *numbers, since)) if numbers else ())
        }
        if not writes:
            continue
        # Each write was announced shortly before it was done.
        first, last = min(writes.values()) - _ANNOUNCED_WITHIN, max(writes.values())
        announced = transaction.rows(
            "SELECT intent, key, dest_version FROM ledger WHERE job = ? AND seq BETWEEN ? AND ?"
            " AND event = 'intended' AND dest = ? AND dest_version IS NOT NULL",
            (job, first, last, dest),
        )
        found |= {
            str(key): kept_version(str(version)) or "" for intent, key, version in announced if (intent, key) in writes
        }
    return found


def count(transaction: Transaction, job: str) -> int:
    """How many keys are live."""
    row = transaction.one("SELECT COUNT(*) FROM current WHERE job = ?", (job,))
    return cast("int", row[0]) if row else 0


def rebuild(transaction: Transaction, job: str) -> None:
    """Make the state anew from the records."""
    transaction.run("DELETE FROM current WHERE job = ?", (job,))
    replay = _REPLAY.format(_COLUMNS, STATEFUL, ENDING)
    transaction.run(
        f"INSERT INTO current (job, {_COLUMNS}) SELECT CAST(? AS TEXT), replay.* FROM ({replay}) AS replay",  # noqa: S608
        (job, job),
    )


def whole(transaction: Transaction, job: str) -> Iterator[Row]:
    """All that the state has of each live key, in the order of destination and key."""
    yield from transaction.rows(f"SELECT {_COLUMNS} FROM current WHERE job = ? ORDER BY dest, key", (job,))  # noqa: S608


class Moved:
    """What records since some moment, added in the order of seq, make of the state; False while they change nothing."""

    def __init__(self) -> None:
        self._keys: dict[tuple[object, object], Row | None] = {}
        self._placed = False

    def __bool__(self) -> bool:
        return bool(self._keys) or self._placed

    def add(self, row: Row) -> None:
        """Look at the next record."""
        self._keys.update(_changes([row]))
        event, _, reason = _SAYS(row)
        self._placed = self._placed or (event == Event.SKIPPED and reason == PLACED)

    def differences(self, transaction: Transaction, job: str, since: int, live: int) -> Iterator[tuple[int, str]]:
        """Where the state is not what it has to be: (number, what is wrong).

        ``since`` is the number of the record at that moment, and ``live`` how many keys there were. Keys that were not
        touched since have to be as their own records say, and as many as then: some of those touched may have been
        among them.
        """
        left, untouched = dict(self._keys), 0
        joined = ", ".join(f"ledger.{name}" for name in STATE)
        copied = ", ".join(f"current.{name}" for name in STATE)
        sql = f"""SELECT {copied}, {joined} FROM current
                  LEFT JOIN ledger ON ledger.job = current.job AND ledger.seq = current.seq
                  WHERE current.job = ?"""  # noqa: S608
        for row in transaction.rows(sql, (job,)):
            copy, said = row[: len(STATE)], row[len(STATE) :]
            seq = copy[2] if isinstance(copy[2], int) else 0
            place = (copy[0], copy[1])
            if place in left:
                if left.pop(place) != copy:
                    yield seq, "the state of this record's key is not what the record says"
            elif seq > since or copy != said:
                yield seq, "the state has a key that the records do not leave there"
            else:
                untouched += 1
        if lacking := next((facts for facts in left.values() if facts is not None), None):
            yield cast("int", lacking[2]), "the state lacks the key of this record"
        if not live - len(self._keys) <= untouched <= live:
            yield 0, f"the state has {untouched} keys that were there before, and {live} were"


class CopyCheck:
    """Compares the copies in ``current`` with the records, which have to be shown in the order of seq."""

    def __init__(self, transaction: Transaction, job: str) -> None:
        self._copies = transaction.rows(f"SELECT {_COLUMNS} FROM current WHERE job = ? ORDER BY seq", (job,))  # noqa: S608
        self._copy = next(self._copies, None)

    def differs(self, row: Row) -> bool:
        """Whether there is a copy of this record that is not what the record says."""
        facts = _FROM_RECORD(row)
        while self._copy is not None and cast("int", self._copy[2]) < facts[2]:
            self._copy = next(self._copies, None)
        return self._copy is not None and self._copy[2] == facts[2] and self._copy != facts


def differences(transaction: Transaction, job: str) -> Iterator[tuple[int, str]]:
    """Where ``current`` has other keys, or other records for them, than the records say: (number, what is wrong)."""
    replay = _REPLAY.format("dest, key, seq", STATEFUL, ENDING)
    held = _places(transaction, "SELECT dest, key, seq FROM current WHERE job = ? ORDER BY dest, key", (job,))
    told = _places(transaction, f"{replay} ORDER BY dest, key", (job,))
    left, right = next(held, None), next(told, None)
    while left or right:
        if right is None or (left is not None and left[:2] < right[:2]):
            if left is not None:
                yield left[2], "the state has a key that the records do not leave there"
            left = next(held, None)
        elif left is None or right[:2] < left[:2]:
            yield right[2], "the state lacks the key of this record"
            right = next(told, None)
        else:
            if left[2] != right[2]:
                yield right[2], "the state of this record's key is that of another record"
            left, right = next(held, None), next(told, None)


def _places(transaction: Transaction, sql: str, parameters: Sequence[object]) -> Iterator[tuple[str, str, int]]:
    for dest, key, seq in transaction.rows(sql, parameters):
        yield str(dest), str(key), cast("int", seq)
