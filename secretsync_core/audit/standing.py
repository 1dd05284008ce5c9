"""Whether a job's chain still holds, told before a run builds on it, at a cost that does not grow with the ledger.

At the end of each run a *standing* is sealed: how far the chain was, how many keys were live, and a digest of all that
the state said of them. It is a row of ``meta``, so that tables need not change. A run begins by looking at

- the list of chains, and the sealed head of its own;
- the records since the standing, and the last ``LOOKED_AT`` in any case: each by its hash, linked up to the head;
- the state: by the digest, where no record has changed it since. After a run that was killed, each key by its record.

``secretsync audit verify`` looks at every record; so does a run once, where there is no standing yet. ``look`` does the
same for any number of jobs at once, and looks at more records of each, for those who watch a ledger.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, cast

import orjson

from secretsync_core.audit import facts, places, requests, seal, state, verify
from secretsync_core.audit.rows import SELECT, rehash
from secretsync_core.audit.schema import WITH_PLACES
from secretsync_core.errors import LedgerBroken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from secretsync_core.audit.chain import Chains
    from secretsync_core.audit.database import Database, Row, Transaction

LOOKED_AT = 1_000
"""How many records a run looks at in any case, the last ones."""

WATCHED = 10_000
"""How many of a chain are looked at in any case by who watches it and can wait: a tenth of a second."""

_FORM = "1"  # of what is sealed: another one is as good as none


class Standing(NamedTuple):
    """The number of a chain's last record, and how many keys were live then, with a digest of the state."""

    seq: int
    live: int
    digest: str


class Look(NamedTuple):
    """What was found of one job's chain.

    Attributes:
        job: whose.
        records: the number of its last record; 0 where nothing is recorded yet.
        first: the number of the first record that was looked at; all after it were, too.
        head: the hash of the last record: noted elsewhere, it proves later that no older copy was put back.
        fault: what is wrong, in words, the first of it; empty where nothing is.
    """

    job: str
    records: int
    first: int
    head: str
    fault: str


class Standings:
    """``ledger.standings``."""

    def __init__(self, database: Database, chains: Chains) -> None:
        self._database = database
        self._chains = chains

    def keep(self, job: str, *, holder: str = "") -> None:
        """Seal how ``job`` stands now, for the next run to begin with, unless somebody appends meanwhile.

        Raises LeaseHeld, nothing changed, where ``holder`` is given and has the job's lease no longer.
        """
        with self._database.read(long=True) as transaction:
            head = verify.head_of(transaction, job)
            if head is None:
                return
            seq = cast("int", head[2])
            live, digest = _digest(transaction, job)
        with self._database.write() as transaction:
            locked = self._chains.lock(transaction, job)
            self._chains.require(transaction, job, holder)
            if locked.seq == seq:
                _write(transaction, self._chains.key, locked.ordinal, Standing(seq, live, digest))

    def look(self, jobs: Collection[str], *, looked_at: int = LOOKED_AT) -> list[Look]:
        """Look whether the chains of ``jobs`` hold, sorted by name; raises nothing for one that does not.

        What is the whole ledger's is looked at once. Of each chain the records since its standing, and the last
        ``looked_at`` in any case: all of them where there are no more. Raises LedgerError where another key has sealed
        the ledger since it was opened, or the database fails.
        """
        key = self._chains.key
        with self._database.read(long=True) as transaction:
            heads = {str(row[0]): row for row in transaction.rows(verify.HEADS)}
            whole = next(_of_the_whole(transaction, key, heads), "")
            found = [_look(transaction, key, job, heads.get(job), looked_at, whole) for job in sorted(set(jobs))]
            if any(each.fault for each in found):
                facts.refuse_if_resealed(transaction, key, self._database.name)
            return found

    def check(self, job: str) -> None:
        """Raise LedgerBroken where the chain of ``job`` does not hold, or its state is not what the records say."""
        with self._database.read(long=True) as transaction:
            fault = next(_faults(transaction, self._chains.key, job), None)
            if fault is not None:
                facts.refuse_if_resealed(transaction, self._chains.key, self._database.name)
                raise LedgerBroken(
                    f"the ledger {self._database.name} is broken, and {job} is not synced with it: {fault}",
                    hint=facts.BROKEN_HINT,
                )


def _look(transaction: Transaction, key: bytes, job: str, head: Row | None, looked_at: int, whole: str) -> Look:
    """One job's chain; ``whole`` is what is wrong with the ledger whichever the chain."""
    if head is None:
        return Look(job, 0, 0, "", whole or next(_of_chain(transaction, key, job, head, looked_at), ""))
    records, digest = cast("tuple[int, bytes]", (head[2], head[3]))
    standing = _read(transaction, key, cast("int", head[1]))
    first = _first(records, standing, looked_at) if isinstance(standing, Standing) else 1
    return Look(job, records, first, digest.hex(), whole or next(_of_chain(transaction, key, job, head, looked_at), ""))


def _faults(transaction: Transaction, key: bytes, job: str) -> Iterator[str]:
    """What is wrong, in words, the first first."""
    heads = {str(row[0]): row for row in transaction.rows(verify.HEADS)}
    yield from _of_the_whole(transaction, key, heads)
    yield from _of_chain(transaction, key, job, heads.get(job), LOOKED_AT)


def _of_the_whole(transaction: Transaction, key: bytes, heads: Mapping[str, Row]) -> Iterator[str]:
    """What is wrong with the ledger, whichever the chain."""
    for fault in verify.list_of_chains(transaction, key, heads).faults:
        yield fault.what
    yield from verify.unsealed(transaction, key)


def _of_chain(transaction: Transaction, key: bytes, job: str, head: Row | None, looked_at: int) -> Iterator[str]:
    """What is wrong with one chain, and the state that it is the reason for."""
    if head is None:
        if transaction.one("SELECT 1 FROM ledger WHERE job = ? LIMIT 1", (job,)) is not None:
            yield "the chain has no sealed head"
        return
    standing = _read(transaction, key, cast("int", head[1]))
    if isinstance(standing, str):
        yield standing
        return
    if standing is None:
        for fault in verify.verify_chain(transaction, key, job, head, None).faults:
            yield f"{_at(fault.seq)}{fault.what}"
        return
    yield from _since(transaction, key, job, head, standing, looked_at)


def _first(last: int, standing: Standing, looked_at: int) -> int:
    """The number of the first record to look at."""
    return max(1, min(standing.seq + 1, last - looked_at + 1))


def _since(
    transaction: Transaction, key: bytes, job: str, head: Row, standing: Standing, looked_at: int
) -> Iterator[str]:
    """What is wrong with the end of a chain, and with its state, going by an earlier standing."""
    last = head[2] if isinstance(head[2], int) else 0
    check = verify.ChainCheck(job)
    first = _first(last, standing, looked_at)
    if first > 1:
        check.join()
    alongside = requests.Alongside(transaction, job, since=first)
    sql = f"SELECT {SELECT} FROM ledger WHERE job = ? AND seq >= ? ORDER BY seq"  # noqa: S608
    moved = state.Moved()
    for row in transaction.rows(sql, (job, first)):
        seq = row[1]
        check.add(seq, *rehash(row, alongside.of(job, seq)))
        if isinstance(seq, int) and seq > standing.seq:
            moved.add(row)
    report = check.finish()
    for fault in (*report.faults, *(verify.Fault(*fault) for fault in verify.head_faults(key, job, head, report))):
        yield f"{_at(fault.seq)}{fault.what}"
    if last < standing.seq:
        yield f"missing: the end of the chain, up to {standing.seq}"
    if not moved:
        if _digest(transaction, job) != (standing.live, standing.digest):
            yield "its state is not what the last run left"
        return
    for seq, what in (*moved.differences(transaction, job, standing.seq, standing.live),
                      *places.differences(transaction, job)):  # fmt: skip
        yield f"{_at(seq)}{what}"


def _at(seq: int) -> str:
    return f"record {seq}: " if seq else ""


def _digest(transaction: Transaction, job: str) -> tuple[int, str]:
    """How many keys are live, and the digest of what the state says of them and of the destinations' places."""
    live, digest = 0, hashlib.sha256()
    for row in state.whole(transaction, job):
        digest.update(_packed(row))
        live += 1
    if facts.version(transaction) >= WITH_PLACES:
        sql = "SELECT dest, place, seq FROM places WHERE job = ? ORDER BY dest"
        for row in transaction.rows(sql, (job,)):
            digest.update(_packed(row))
    return live, digest.hexdigest()


def _packed(row: Row) -> bytes:
    return orjson.dumps([value.hex() if isinstance(value, bytes) else value for value in row]) + b"\n"


# -- In the table meta ------------------------------------------------------------------------------------------------


def _name(ordinal: int) -> str:
    return f"standing-{ordinal}"


def _write(transaction: Transaction, key: bytes, ordinal: int, standing: Standing) -> None:
    name, value = _name(ordinal), f"{_FORM}:{standing.seq}:{standing.live}:{standing.digest}"
    transaction.run(
        "INSERT INTO meta (name, value, seal) VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value, seal = excluded.seal",
        (name, value, seal.meta_seal(key, name, value)),
    )


def _read(transaction: Transaction, key: bytes, ordinal: int) -> Standing | str | None:
    """The standing of a chain, None where there is none that we understand; or what is wrong with it."""
    name = _name(ordinal)
    found = transaction.one("SELECT value, seal FROM meta WHERE name = ?", (name,))
    if found is None:
        return None
    value = str(found[0])
    if found[1] != seal.meta_seal(key, name, value):
        return "how it stood after the last run was not sealed with our key"
    form, _, rest = value.partition(":")
    if form != _FORM:
        return None
    seq, live, digest = rest.split(":")
    return Standing(int(seq), int(live), digest)
