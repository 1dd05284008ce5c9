"""The state of every key, kept beside the records that say it, so that a sync need not read the whole history.

The table ``current`` only says which record is the state of a key: it is written in the same transaction as that
record, can be made anew from the records, and ``verify`` compares the two.
"""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, cast

from secretsync_core.audit.record import Draft, Event, KeyState
from secretsync_core.audit.schema import STATEFUL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from secretsync_core.audit.database import Transaction

_PUT = (
    "INSERT INTO current (job, dest, key, seq) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (job, dest, key) DO UPDATE SET seq = excluded.seq"
)
_DROP = "DELETE FROM current WHERE job = ? AND dest = ? AND key = ?"

_STATE = """
    SELECT {} FROM current JOIN ledger ON ledger.job = current.job AND ledger.seq = current.seq
    WHERE current.job = ?
"""

# The last stateful record of each key, unless it is a delete.
_REPLAY = f"""
    SELECT ledger.dest, ledger.key, ledger.seq
    FROM (SELECT MAX(seq) AS seq FROM ledger WHERE job = ? AND {STATEFUL} GROUP BY dest, key) AS last
    JOIN ledger ON ledger.job = ? AND ledger.seq = last.seq
    WHERE NOT (event = 'done' AND action = 'delete')
"""  # noqa: S608  our own names

_IN = 500


def project(transaction: Transaction, job: str, first: int, drafts: Sequence[Draft]) -> None:
    """Bring ``current`` up to date with drafts that were just appended, the first of them as record ``first``."""
    changed: dict[tuple[str, str], int] = {}
    for seq, draft in enumerate(drafts, first):
        if draft.event == Event.DONE:
            if draft.action == "delete":
                changed[draft.dest, draft.key] = 0
            elif draft.action in ("create", "update"):
                changed[draft.dest, draft.key] = seq
        elif draft.event == Event.SKIPPED and draft.reason == "same-value":
            changed[draft.dest, draft.key] = seq
    put = [(job, *key, seq) for key, seq in changed.items() if seq]
    drop = [(job, *key) for key, seq in changed.items() if not seq]
    if put:
        transaction.many(_PUT, put)
    if drop:
        transaction.many(_DROP, drop)


def states(transaction: Transaction, job: str) -> Iterator[tuple[tuple[str, str], KeyState]]:
    """The state of every live key, by destination and key."""
    columns = "current.dest, current.key, source_version, dest_version, definition, owned, item"
    sql = f"{_STATE.format(columns)} ORDER BY current.dest, current.key"
    for row in transaction.rows(sql, (job,)):
        dest, key, source, version, definition, owned, item = cast("tuple[str, str, str, str, bytes, int, str]", row)
        # A job has few destinations, items and definitions: each is one string, however many keys share it.
        yield (intern(dest), key), KeyState(source, version, intern(definition.hex()), bool(owned), intern(item))


def fingerprints(
    transaction: Transaction, job: str, dest: str, keys: Collection[str] | None
) -> Iterator[tuple[str, str, str]]:
    """Key, fingerprint and fields of the live keys at ``dest``: of all, or of those among ``keys``."""
    sql = f"{_STATE.format('current.key, fingerprint, fields')} AND current.dest = ?"
    if keys is None:
        rows = transaction.rows(f"{sql} ORDER BY current.key", (job, dest))
        yield from cast("Iterator[tuple[str, str, str]]", rows)
        return
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _IN):
        some = wanted[start : start + _IN]
        rows = transaction.rows(f"{sql} AND current.key IN ({', '.join('?' * len(some))})", (job, dest, *some))
        yield from cast("Iterator[tuple[str, str, str]]", rows)


def count(transaction: Transaction, job: str) -> int:
    """How many keys are live."""
    row = transaction.one("SELECT COUNT(*) FROM current WHERE job = ?", (job,))
    return cast("int", row[0]) if row else 0


def rebuild(transaction: Transaction, job: str) -> None:
    """Make the state anew from the records."""
    transaction.run("DELETE FROM current WHERE job = ?", (job,))
    transaction.run(
        f"INSERT INTO current (job, dest, key, seq) SELECT CAST(? AS TEXT), replay.* FROM ({_REPLAY}) AS replay",  # noqa: S608
        (job, job, job),
    )


def differences(transaction: Transaction, job: str) -> Iterator[tuple[int, str]]:
    """Where ``current`` is not what the records say: (the record's number, what is wrong)."""
    held = _places(transaction, "SELECT dest, key, seq FROM current WHERE job = ? ORDER BY dest, key", (job,))
    told = _places(transaction, f"{_REPLAY} ORDER BY ledger.dest, ledger.key", (job, job))
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
