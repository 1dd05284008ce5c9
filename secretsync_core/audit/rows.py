"""Between a Record and a row of the table ``ledger``: the same columns in the same order, ``owned`` as 0 or 1, digests
as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from secretsync_core.audit.record import Draft, Event, Record, record_hash
from secretsync_core.audit.refusal import refused_column
from secretsync_core.audit.schema import COLUMNS, DIGESTS
from secretsync_core.errors import LedgerBroken, LedgerError

if TYPE_CHECKING:
    from secretsync_core.audit.database import Row

SELECT = ", ".join(COLUMNS)

_EVENT, _OWNED = COLUMNS.index("event"), COLUMNS.index("owned")
_NUL = rb"\u0000"  # as JSON has it. SQLite's checks look no further than the first one, so it has to be found here.
_DIGESTS = tuple(index for index, name in enumerate(COLUMNS) if name in DIGESTS)


def encode(job: str, seq: int, time: int, draft: Draft, previous: str) -> tuple[Row, str]:
    """The row of a draft in its place, and its hash. Raises LedgerError for what no database can hold."""
    try:
        digest = record_hash(job, seq, time, draft, previous)
        values: list[Any] = [job, seq, time, *draft, previous, digest]
        if _NUL in orjson.dumps(values) and any("\0" in str(value) for value in values):
            raise LedgerError("a record was refused: it holds a NUL character")
    except TypeError:  # orjson's, for half a surrogate pair
        raise LedgerError("a record was refused: it holds text that is not Unicode") from None
    values[_EVENT], values[_OWNED] = str(draft.event), int(draft.owned)
    for index in _DIGESTS:
        values[index] = _to_bytes(index, values[index])
    return tuple(values), digest


def _to_bytes(index: int, text: str) -> bytes:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if octets.hex() != text:  # capitals and spaces would not come back as they were
        raise refused_column(COLUMNS[index])
    return octets


def decode(row: Row) -> Record:
    """The record of a row. Raises LedgerBroken where it cannot be one that we wrote."""
    values: list[Any] = list(row)
    try:
        values[_EVENT] = Event(values[_EVENT])
        for index in _DIGESTS:
            values[index] = values[index].hex()
    except (ValueError, AttributeError):
        raise LedgerBroken(f"record {row[1]} of {row[0]} says something that no record can say") from None
    values[_OWNED] = bool(values[_OWNED])
    return Record._make((*values[:_EVENT], Draft._make(values[_EVENT:-2]), *values[-2:]))


def rehash(row: Row) -> tuple[str, str, str]:
    """Of a row, whatever stands in it: the hash that it has to have, the one that it has, and the one before it.

    The first is empty where no record can hold what the row holds.
    """
    values: list[Any] = list(row)
    for index in _DIGESTS:
        values[index] = values[index].hex() if isinstance(values[index], bytes) else repr(values[index])
    previous, digest = values[-2:]
    owned = values[_OWNED]
    values[_OWNED] = owned == 1
    try:
        told = (
            record_hash(values[0], values[1], values[2], cast("Draft", values[_EVENT:-2]), previous)
            if owned in (0, 1)
            else ""
        )
    except TypeError:
        told = ""
    return told, digest, previous
