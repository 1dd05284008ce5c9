"""Between a Record and a row of the table ``ledger``: the same columns in the same order, ``owned`` as 0 or 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from secretsync_core.audit.record import Draft, Event, Record, record_hash
from secretsync_core.audit.schema import COLUMNS
from secretsync_core.errors import LedgerBroken, LedgerError

if TYPE_CHECKING:
    from secretsync_core.audit.database import Row

SELECT = ", ".join(COLUMNS)
INSERT = f"INSERT INTO ledger ({SELECT}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  our own names

_FIRST, _LAST = COLUMNS.index("event"), COLUMNS.index("previous")
_OWNED = Draft._fields.index("owned")


def encode(job: str, seq: int, time: int, draft: Draft, previous: str) -> Row:
    """The row of a draft in its place, hash included. Raises LedgerError for text that no database can hold."""
    try:
        if "\0" in "".join(map(str, draft)):  # SQLite's checks stop reading at the first NUL
            raise LedgerError("a record was refused: it holds a NUL character")
        digest = record_hash(job, seq, time, draft, previous)
    except TypeError:  # orjson's, for half a surrogate pair
        raise LedgerError("a record was refused: it holds text that is not Unicode") from None
    event, *rest = draft
    rest[_OWNED - 1] = int(draft.owned)
    return (job, seq, time, str(event), *rest, previous, digest)


def decode(row: Row) -> Record:
    """The record of a row. Raises LedgerBroken where it cannot be one that we wrote."""
    job, seq, time = row[:_FIRST]
    values = list(row[_FIRST:_LAST])
    try:
        values[0] = Event(cast("str", values[0]))
    except ValueError:
        raise LedgerBroken(f"record {seq} of {job} says something that no record can say") from None
    values[_OWNED] = bool(values[_OWNED])
    return Record(
        *cast("tuple[str, int, int]", (job, seq, time)), Draft(*values), *cast("tuple[str, str]", row[_LAST:])
    )  # type: ignore[arg-type]


def raw_hash(row: Row) -> str | None:
    """What the hash of a row has to be, whatever stands in it; ``None`` where no record can hold that."""
    job, seq, time = row[:_FIRST]
    values = list(row[_FIRST:_LAST])
    if values[_OWNED] not in (0, 1):
        return None
    values[_OWNED] = values[_OWNED] == 1
    try:
        return record_hash(job, seq, time, values, row[_LAST])  # type: ignore[arg-type]
    except TypeError:
        return None
