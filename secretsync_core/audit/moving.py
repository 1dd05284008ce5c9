"""Records that change what the ledger knows of keys without a word about any store: keys move, or are forgotten.

Each is a ``skipped`` record in the chain of the job, so that the state can still be made anew from the records.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from secretsync_core.audit import rows
from secretsync_core.audit.record import Draft, Event, kept
from secretsync_core.audit.schema import COLUMNS, FORGOTTEN, MOVED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from secretsync_core.audit.chain import Chains
    from secretsync_core.audit.database import Transaction

_BATCH = 500
_HELD = f"""SELECT {", ".join(f"ledger.{name}" for name in COLUMNS)} FROM current
            JOIN ledger ON ledger.job = current.job AND ledger.seq = current.seq WHERE current.job = ?"""  # noqa: S608


def rename(transaction: Transaction, chains: Chains, job: str, run: str, old: str, new: str) -> int:
    """Know the keys of destination ``old`` under ``new``; one that is known there already is only forgotten.

    Gives how many keys there were.
    """
    count = 0
    while held := _held(transaction, f"{_HELD} AND current.dest = ? ORDER BY current.key LIMIT {_BATCH}", (job, old)):
        known = _known(transaction, job, new, [draft.key for draft in held])
        moved = [_moved(draft, run)._replace(dest=new) for draft in held if draft.key not in known]
        _append(transaction, chains, job, [*moved, *(_goodbye(draft, run) for draft in held)])
        count += len(held)
    return count


def take(transaction: Transaction, chains: Chains, source: str, job: str, run: str, names: Mapping[str, str]) -> int:
    """Know the keys of the job ``source`` as those of ``job``, and no longer as its own; gives how many there were.

    ``names`` has what ``job`` calls a destination of ``source``, where that is another name. Of a key that both know,
    ``job`` keeps what it knows.
    """
    count = 0
    while held := _held(transaction, f"{_HELD} ORDER BY current.dest, current.key LIMIT {_BATCH}", (source,)):
        moved: list[Draft] = []
        for dest, group in groupby(held, attrgetter("dest")):
            mine = list(group)
            now = names.get(dest, dest)
            known = _known(transaction, job, now, [draft.key for draft in mine])
            moved += [_moved(draft, run)._replace(dest=now) for draft in mine if draft.key not in known]
        # Always in one order, so that two that do this at once wait for each other and not in a circle.
        for name, drafts in sorted([(job, moved), (source, [_goodbye(draft, run) for draft in held])]):
            _append(transaction, chains, name, drafts)
        count += len(held)
    return count


def hand_over(
    transaction: Transaction, chains: Chains, job: str, draft: Draft, source: str, dest: str, key: str
) -> None:
    """Append what ``job`` has done with a key, and with it that the job ``source`` holds it no longer.

    ``dest`` and ``key`` are what ``source`` calls it.
    """
    held = _held(transaction, f"{_HELD} AND current.dest = ? AND current.key = ?", (source, dest, key))
    for name, drafts in sorted([(job, [draft]), (source, [_goodbye(one, draft.run) for one in held])]):
        _append(transaction, chains, name, drafts)


def forget(transaction: Transaction, chains: Chains, job: str, run: str, dest: str, keys: Collection[str]) -> int:
    """Know these keys of a destination no longer; gives how many of them were known."""
    count, wanted = 0, sorted(set(keys))
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        named = ", ".join("?" * len(some))
        held = _held(transaction, f"{_HELD} AND current.dest = ? AND current.key IN ({named})", (job, dest, *some))
        _append(transaction, chains, job, [_goodbye(draft, run) for draft in held])
        count += len(held)
    return count


def _held(transaction: Transaction, sql: str, parameters: Sequence[object]) -> list[Draft]:
    """The drafts of the records that are the state of keys."""
    return [rows.decode(row).draft for row in list(transaction.rows(sql, parameters))]


def _known(transaction: Transaction, job: str, dest: str, keys: Sequence[str]) -> set[str]:
    named = ", ".join("?" * len(keys))
    sql = f"SELECT key FROM current WHERE job = ? AND dest = ? AND key IN ({named})"  # noqa: S608
    return {str(key) for (key,) in list(transaction.rows(sql, (job, dest, *keys)))}


def _append(transaction: Transaction, chains: Chains, job: str, drafts: Sequence[Draft]) -> None:
    if drafts:
        chains.append(transaction, job, chains.lock(transaction, job), drafts)


def _moved(draft: Draft, run: str) -> Draft:
    moved = draft._replace(event=Event.SKIPPED, run=run, intent="", action="", reason=MOVED, counts="", requests=())
    return kept(moved)


def _goodbye(draft: Draft, run: str) -> Draft:
    return goodbye(run, draft.item, draft.dest, draft.key)


def goodbye(run: str, item: str, dest: str, key: str) -> Draft:
    """The record that a key is known no longer."""
    return Draft(Event.SKIPPED, run, item=item, dest=dest, key=key, reason=FORGOTTEN)
