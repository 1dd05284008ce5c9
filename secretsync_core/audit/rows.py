"""Between a Record and a row of the table ``ledger``: the same columns in the same order, ``owned`` as 0 or 1, digests
as bytes."""

from __future__ import annotations

from itertools import chain
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

import orjson

from secretsync_core.audit.record import Draft, Event, Record, record_hash
from secretsync_core.audit.schema import COLUMNS, DIGESTS, VERSIONS, refused_column
from secretsync_core.errors import LedgerBroken, LedgerError
from secretsync_core.model.versions import is_kept

if TYPE_CHECKING:
    from secretsync_core.audit.database import Row
    from secretsync_core.audit.record import Requests

SELECT = ", ".join(COLUMNS)

_VERSIONS = tuple(COLUMNS.index(name) for name in VERSIONS)
_EVENT, _OWNED = COLUMNS.index("event"), COLUMNS.index("owned")
_NUL = rb"\u0000"  # as JSON has it. SQLite's checks look no further than the first one, so it has to be found here.
_DIGESTS = tuple(index for index, name in enumerate(COLUMNS) if name in DIGESTS)
_OTHERS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(VERSIONS, (str, NoneType)), **dict.fromkeys(DIGESTS, bytes),
    **dict.fromkeys(("seq", "time", "owned"), int),
}  # fmt: skip
_TIME = COLUMNS.index("time")
_END_OF_TIME = 253_402_300_800_000_000
"""The first microsecond of the year 10000, which no calendar of Python's has."""

_KINDS = tuple(_OTHERS.get(name, str) for name in COLUMNS)
"""What Python makes of each column's values, as long as no other hand put something else there."""


def encode(job: str, seq: int, time: int, draft: Draft, previous: str) -> tuple[Row, str]:
    """The row of a draft in its place, and its hash. Raises LedgerError for what no database can hold."""
    if draft.requests and draft.event != Event.RUN_FINISHED:
        raise LedgerError("the ledger refused a record: requests belong to the end of a run")
    try:
        digest = record_hash(job, seq, time, draft, previous)
        values: list[Any] = [job, seq, time, *draft[:-1], previous, digest]
        if _holds_nul(values) or (draft.requests and _holds_nul(list(chain.from_iterable(draft.requests)))):
            raise LedgerError("a record was refused: it holds a NUL character")
        for index in _VERSIONS:  # older tables do not check their form
            if values[index] is not None and not is_kept(values[index]):
                raise refused_column(COLUMNS[index])
    except TypeError:  # orjson's, for half a surrogate pair
        raise LedgerError("a record was refused: it holds text that is not Unicode") from None
    values[_EVENT], values[_OWNED] = str(draft.event), int(draft.owned)
    for index in _DIGESTS:
        values[index] = _to_bytes(index, values[index])
    return tuple(values), digest


def _holds_nul(values: list[Any]) -> bool:
    return _NUL in orjson.dumps(values) and any("\0" in str(value) for value in values)


def _to_bytes(index: int, text: str) -> bytes:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if octets.hex() != text:  # capitals and spaces would not come back as they were
        raise refused_column(COLUMNS[index])
    return octets


def decode(row: Row, requests: Requests = ()) -> Record:
    """The record of a row, and of what stands beside it. Raises LedgerBroken where it cannot be one that we wrote."""
    values: list[Any] = list(row)
    ours = all(isinstance(value, kind) for value, kind in zip(values, _KINDS, strict=True))
    ours = ours and 0 <= values[_TIME] < _END_OF_TIME
    if not ours or not all(map(_is_request, requests)):
        which = f"record {row[1]} of {row[0]}" if isinstance(row[1], int) and isinstance(row[0], str) else "a record"
        raise LedgerBroken(f"{which} says something that no record can say")
    try:
        values[_EVENT] = Event(values[_EVENT])
    except ValueError:
        raise LedgerBroken(f"record {row[1]} of {row[0]} says something that no record can say") from None
    for index in _DIGESTS:
        values[index] = values[index].hex()
    values[_OWNED] = bool(values[_OWNED])
    return Record._make((*values[:_EVENT], Draft._make((*values[_EVENT:-2], requests)), *values[-2:]))


def _is_request(found: tuple[object, ...]) -> bool:
    store, kind, number = found
    return isinstance(store, str) and isinstance(kind, str) and isinstance(number, int)


def rehash(row: Row, requests: Requests) -> tuple[str, str, str]:
    """Of a row and what stands beside it, whatever that is: the hash that it has to have, the one that it has, and the
    one before it.

    The first is empty where no record can hold what the row holds.
    """
    values: list[Any] = list(row)
    for index in _DIGESTS:
        values[index] = values[index].hex() if isinstance(values[index], bytes) else repr(values[index])
    previous, digest = values[-2:]
    owned = values[_OWNED]
    values[_OWNED] = owned == 1
    try:
        draft = cast("Draft", (*values[_EVENT:-2], requests))
        told = record_hash(values[0], values[1], values[2], draft, previous) if owned in (0, 1) else ""
    except TypeError:
        told = ""
    return told, digest, previous
