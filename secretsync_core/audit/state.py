"""The state of every key, kept beside the records that say it, so that a sync need not read the whole history.

The table ``current`` holds nothing that the records do not say: it is written in the same transaction, can be made
anew from them, and ``verify`` compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from secretsync_core.audit.record import Draft, Event, KeyState
from secretsync_core.audit.schema import STATEFUL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from secretsync_core.audit.database import Row, Transaction

_FACTS = ("seq", "source_version", "dest_version", "definition", "owned", "item", "fingerprint", "fields")
_COLUMNS = ", ".join(("job", "dest", "key", *_FACTS))
_SELECT = ", ".join(("dest", "key", *_FACTS))

_PUT = (
    f"INSERT INTO current ({_COLUMNS}) VALUES ({', '.join('?' * (3 + len(_FACTS)))})"  # noqa: S608  our own names
    f" ON CONFLICT (job, dest, key) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _FACTS)}"
)
_DROP = "DELETE FROM current WHERE job = ? AND dest = ? AND key = ?"

# The last stateful record of each key, unless it is a delete.
_REPLAY = f"""
    SELECT {", ".join(f"ledger.{name}" for name in ("dest", "key", *_FACTS))}
    FROM (SELECT MAX(seq) AS seq FROM ledger WHERE job = ? AND {STATEFUL} GROUP BY dest, key) AS last
    JOIN ledger ON ledger.job = ? AND ledger.seq = last.seq
    WHERE NOT (event = 'done' AND action = 'delete')
"""  # noqa: S608  our own names

_IN = 500


def project(transaction: Transaction, job: str, first: int, drafts: Sequence[Draft]) -> None:
    """Bring ``current`` up to date with drafts that were just appended, the first of them as record ``first``."""
    changed: dict[tuple[str, str], Row | None] = {}
    for seq, draft in enumerate(drafts, first):
        if draft.event == Event.DONE:
            if draft.action == "delete":
                changed[draft.dest, draft.key] = None
                continue
            if draft.action not in ("create", "update"):
                continue
        elif draft.event != Event.SKIPPED or draft.reason != "same-value":
            continue
        changed[draft.dest, draft.key] = (
            seq,
            draft.source_version,
            draft.dest_version,
            draft.definition,
            int(draft.owned),
            draft.item,
            draft.fingerprint,
            draft.fields,
        )
    put = [(job, *key, *facts) for key, facts in changed.items() if facts is not None]
    drop = [(job, *key) for key, facts in changed.items() if facts is None]
    if put:
        transaction.many(_PUT, put)
    if drop:
        transaction.many(_DROP, drop)


def states(transaction: Transaction, job: str) -> Iterator[tuple[tuple[str, str], KeyState]]:
    """The state of every live key, by destination and key."""
    sql = (
        "SELECT dest, key, source_version, dest_version, definition, owned, item"
        " FROM current WHERE job = ? ORDER BY dest, key"
    )
    for row in transaction.rows(sql, (job,)):
        dest, key, source, version, definition, owned, item = cast("tuple[str, ...]", row)
        yield (dest, key), KeyState(source, version, definition, bool(owned), item)


def fingerprints(
    transaction: Transaction, job: str, dest: str, keys: Collection[str] | None
) -> Iterator[tuple[str, str, str]]:
    """Key, fingerprint and fields of the live keys at ``dest``: of all, or of those among ``keys``."""
    sql = "SELECT key, fingerprint, fields FROM current WHERE job = ? AND dest = ?"
    if keys is None:
        yield from cast("Iterator[tuple[str, str, str]]", transaction.rows(f"{sql} ORDER BY key", (job, dest)))
        return
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _IN):
        some = wanted[start : start + _IN]
        places = ", ".join("?" * len(some))
        rows = transaction.rows(f"{sql} AND key IN ({places})", (job, dest, *some))
        yield from cast("Iterator[tuple[str, str, str]]", rows)


def count(transaction: Transaction, job: str) -> int:
    """How many keys are live."""
    row = transaction.one("SELECT COUNT(*) FROM current WHERE job = ?", (job,))
    return cast("int", row[0]) if row else 0


def rebuild(transaction: Transaction, job: str) -> None:
    """Make the state anew from the records."""
    transaction.run("DELETE FROM current WHERE job = ?", (job,))
    transaction.run(
        f"INSERT INTO current ({_COLUMNS}) SELECT CAST(? AS TEXT), replay.* FROM ({_REPLAY}) AS replay",  # noqa: S608
        (job, job, job),
    )


def differences(transaction: Transaction, job: str) -> Iterator[tuple[int, str]]:
    """Where ``current`` is not what the records say: (the record's number, what is wrong)."""
    held = transaction.rows(f"SELECT {_SELECT} FROM current WHERE job = ? ORDER BY dest, key", (job,))  # noqa: S608
    told = transaction.rows(f"{_REPLAY} ORDER BY ledger.dest, ledger.key", (job, job))
    left, right = next(held, None), next(told, None)
    while left is not None or right is not None:
        if left == right:
            left, right = next(held, None), next(told, None)
        elif right is None or (left is not None and _place(left) < _place(right)):
            assert left is not None  # noqa: S101  for the type checker: both cannot be None here
            yield cast("int", left[2]), "the state names a key that the records do not"
            left = next(held, None)
        elif left is None or _place(right) < _place(left):
            yield cast("int", right[2]), "the state lacks the key of this record"
            right = next(told, None)
        else:
            yield cast("int", right[2]), "the state of this record's key is not what the records say"
            left, right = next(held, None), next(told, None)


def _place(row: Row) -> tuple[str, str]:
    return str(row[0]), str(row[1])
