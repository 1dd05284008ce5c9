"""Finding out whether the ledger is still what was written: every record, every chain, and the list of chains.

Each record's hash covers all its columns and the hash before it; each chain's head is sealed with a key that is not
in the database; the number of chains is sealed too. So an edited, removed, reordered or added record is found, also
where all hashes were computed anew, and so is a chain that was cut or dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from secretsync_core.audit import facts, places, requests, seal, state
from secretsync_core.audit.record import GENESIS
from secretsync_core.audit.rows import SELECT, rehash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsync_core.audit.database import Dialect, Row, Transaction

MAX_FAULTS = 100
"""How many faults of one chain are named; the rest is only counted."""

UNPROVEN = (
    "An older copy of the whole ledger, or of one chain together with its sealed head, is sound in itself: only"
    " comparing with a head (record number and hash) that was noted elsewhere finds that it was put back."
)
"""What verifying cannot find, for people."""


class Fault(NamedTuple):
    """One thing that is wrong. ``seq`` is the record's number, 0 where it belongs to the chain as a whole."""

    seq: int
    what: str


@dataclass(slots=True)
class ChainReport:
    """What was found in one chain; ``job`` is empty for what is wrong with the ledger as a whole.

    Attributes:
        job: whose chain.
        records: how many records there are.
        first, last: the numbers of the first and the last one, 0 where there is none.
        head: the hash of the last one: note it with ``last``, elsewhere, to prove later that nothing was put back.
        faults: what is wrong, at most MAX_FAULTS.
        unnamed: how many faults there are besides.
    """

    job: str
    records: int = 0
    first: int = 0
    last: int = 0
    head: str = GENESIS
    faults: list[Fault] = field(default_factory=list)
    unnamed: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def fault(self, seq: object, what: str) -> None:
        """Note a fault, while there is room."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(seq if isinstance(seq, int) else 0, what))  # by another hand it may be anything
        else:
            self.unnamed += 1


class ChainCheck:
    """Follows one chain, record by record, and keeps a report of it."""

    def __init__(self, job: str, expected: tuple[int, str] | None = None) -> None:
        self.report = ChainReport(job)
        self._expected = expected
        self._next: int | None = 1
        self._previous: str | None = GENESIS

    def join(self) -> None:
        """Begin with whatever record comes first: what was before it is not asked for."""
        self._next = self._previous = None

    def add(self, seq: object, told: str, digest: str, previous: str) -> None:
        """Look at the next record of the chain, in the order of seq.

        Args:
            seq: its number, or what another hand put in its place.
            told: the hash that it has to have, going by its content.
            digest: the hash that it has.
            previous: the hash that it gives for the record before it.
        """
        report = self.report
        if not isinstance(seq, int):
            report.records += 1
            report.fault(0, "a record has a number that is none")
            return
        if self._next is not None and seq != self._next:
            missing = str(self._next) if seq == self._next + 1 else f"{self._next} to {seq - 1}"
            out_of_order = f"record {seq} stands where {self._next} belongs"
            report.fault(self._next, f"missing: {missing}" if seq > self._next else out_of_order)
            self._previous = None
        if told != digest:
            report.fault(seq, "edited: its hash does not match its content")
        if self._previous is not None and previous != self._previous:
            report.fault(seq, "does not follow the record before it")
        if self._expected is not None and seq == self._expected[0] and digest != self._expected[1]:
            report.fault(seq, "not the record whose hash was noted elsewhere")
        report.records += 1
        report.first = report.first or seq
        report.last, report.head = seq, digest
        self._next, self._previous = seq + 1, digest

    def finish(self) -> ChainReport:
        """The report, once all rows were added."""
        report = self.report
        if self._expected is not None and report.last < self._expected[0]:
            report.fault(report.last + 1, f"missing: all up to {self._expected[0]}, whose hash was noted elsewhere")
        return report


HEADS = "SELECT job, ordinal, seq, hash, seal FROM heads"
"""Asks for the sealed ends of all chains."""


def head_of(transaction: Transaction, job: str) -> Row | None:
    """The sealed end of a chain: job, ordinal, number and hash of the last record, seal."""
    return transaction.one(f"{HEADS} WHERE job = ?", (job,))


def verify_database(
    transaction: Transaction,
    key: bytes,
    *,
    job: str | None,
    expected: Mapping[str, tuple[int, str]],
    dialect: Dialect,
) -> list[ChainReport]:
    """Check one chain or all of them, the list of chains, what the ledger says of itself, and its tables."""
    heads = {str(row[0]): row for row in transaction.rows(HEADS)}
    jobs = {str(name) for (name,) in transaction.rows("SELECT DISTINCT job FROM ledger")} | set(heads) | set(expected)
    chosen = sorted(jobs) if job is None else [job]
    reports = [verify_chain(transaction, key, name, heads.get(name), expected.get(name)) for name in chosen]
    whole = list_of_chains(transaction, key, heads)
    tables = ChainReport("")
    for what in (*unsealed(transaction, key), *dialect.shape(transaction, facts.version(transaction), dialect)):
        tables.fault(0, what)
    return [*([] if whole.sound else [whole]), *reports, *([] if tables.sound else [tables])]


def unsealed(transaction: Transaction, key: bytes) -> Iterator[str]:
    """What the ledger says of itself and was not sealed by us, besides the number of chains."""
    for name, value, sealed in transaction.rows("SELECT name, value, seal FROM meta ORDER BY name"):
        if name != "chains" and sealed != seal.meta_seal(key, str(name), str(value)):
            said = "the version of its tables" if name == "schema" else f"what it says of itself as {name}"
            yield f"{said} was not sealed with our key"


def verify_heads(transaction: Transaction, key: bytes) -> list[ChainReport]:
    """Check the end of every chain, and the list of chains, without walking along any."""
    sql = """SELECT heads.job, ordinal, heads.seq, heads.hash, seal, last.seq, last.hash FROM heads
             LEFT JOIN ledger AS last ON last.job = heads.job
               AND last.seq = (SELECT MAX(seq) FROM ledger WHERE job = heads.job)
             ORDER BY heads.job"""
    found = list(transaction.rows(sql))
    reports = []
    for job, *head, last, digest in found:
        report = ChainReport(str(job))
        if isinstance(last, int) and isinstance(digest, bytes):  # another hand may have put anything there
            report.last, report.head = last, digest.hex()
        report.records = report.last
        for fault in head_faults(key, str(job), (job, *head), report):
            report.fault(*fault)
        reports.append(report)
    whole = list_of_chains(transaction, key, {str(row[0]): row for row in found})
    return reports if whole.sound else [whole, *reports]


def verify_chain(
    transaction: Transaction, key: bytes, job: str, head: Row | None, expected: tuple[int, str] | None
) -> ChainReport:
    """Check one whole chain, with its ``head`` and its state."""
    check = ChainCheck(job, expected)
    copies = state.CopyCheck(transaction, job)
    alongside = requests.Alongside(transaction, job)
    for row in transaction.rows(f"SELECT {SELECT} FROM ledger WHERE job = ? ORDER BY seq", (job,)):  # noqa: S608
        told, digest, previous = rehash(row, alongside.of(job, row[1]))
        check.add(row[1], told, digest, previous)
        if copies.differs(row):
            number = row[1] if isinstance(row[1], int) else 0
            check.report.fault(number, "the state of this record's key is not what the record says")
    report = check.finish()
    for fault in head_faults(key, job, head, report):
        report.fault(*fault)
    for _, seq in alongside.finish():
        report.fault(seq if isinstance(seq, int) else 0, "requests are told of a record that is not there")
    for fault in (*state.differences(transaction, job), *places.differences(transaction, job)):
        report.fault(*fault)
    return report


def head_faults(key: bytes, job: str, head: Row | None, report: ChainReport) -> Iterator[tuple[int, str]]:
    """What is wrong between a chain and its sealed head."""
    if head is None:
        if report.records:
            yield 0, "the chain has no sealed head"
        return
    ordinal, seq, digest, sealed = cast("tuple[int, int, bytes, bytes]", head[1:])
    try:
        right = sealed == seal.head_seal(key, job, ordinal, seq, digest)
    except (TypeError, AttributeError):  # another hand may have put anything there
        right = False
    if not right:
        yield 0, "the head was not sealed with our key: the chain may have been rewritten"
    elif report.last < seq:
        yield report.last + 1, f"missing: the end of the chain, up to {seq}"
    elif report.last > seq:
        yield seq + 1, f"added from outside: the chain was sealed at {seq}"
    elif report.head != digest.hex():
        yield seq, "the last record is not the one that was sealed"


def list_of_chains(transaction: Transaction, key: bytes, heads: Mapping[str, Row]) -> ChainReport:
    """Whether every chain that was ever begun is still there."""
    report = ChainReport("")
    found = transaction.one("SELECT value, seal FROM meta WHERE name = 'chains'")
    if found is None or found[1] != seal.meta_seal(key, "chains", str(found[0])):
        report.fault(0, "the number of chains was not sealed with our key")
        return report
    begun, ordinals = int(str(found[0])), [cast("int", row[1]) for row in heads.values()]
    for ordinal in sorted(set(range(1, begun + 1)) - set(ordinals)):
        report.fault(0, f"chain {ordinal} of {begun} is gone")
    if len(set(ordinals)) != len(ordinals) or any(ordinal not in range(1, begun + 1) for ordinal in ordinals):
        report.fault(0, f"there are more chains than the {begun} that were sealed")
    return report
