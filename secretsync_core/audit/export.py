"""The ledger as JSON lines: one record a line, for archives and for whoever checks it without the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from secretsync_core.audit.record import Draft, Event, Record, record_hash
from secretsync_core.audit.verify import ChainCheck, ChainReport
from secretsync_core.errors import LedgerBroken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_DRAFT_NAMES = tuple(_camel(name) for name in Draft._fields)
NAMES = ("job", "seq", "time", *_DRAFT_NAMES, "previous", "hash")
"""The fields of a line, all of them on every line, in this order."""


def to_document(record: Record) -> dict[str, object]:
    """A record as a JSON object: camelCase names, ``time`` in ISO 8601, UTC, with microseconds.

    ``requests`` is an object, by store and then by kind.
    """
    draft: dict[str, object] = dict(zip(_DRAFT_NAMES, record.draft, strict=True))
    requests: dict[str, dict[str, int]] = {}
    for store, kind, count in record.draft.requests:
        requests.setdefault(store, {})[kind] = count
    draft["requests"] = requests
    time = (_EPOCH + record.time * _MICROSECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    ends = {"previous": record.previous, "hash": record.hash}
    return {"job": record.job, "seq": record.seq, "time": time, **draft, **ends}


def export(records: Iterable[Record]) -> Iterator[bytes]:
    """Stream records as lines, each ending in a newline."""
    for record in records:
        yield orjson.dumps(to_document(record), option=orjson.OPT_APPEND_NEWLINE)


def parse(lines: Iterable[bytes | str]) -> Iterator[Record]:
    """Stream the records of an export; empty lines are skipped. Raises LedgerBroken, naming the line, for nonsense."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = _parse(line)
        if record is None:
            raise LedgerBroken(f"line {number} of the export is not a record")
        yield record


def _parse(line: bytes | str) -> Record | None:
    try:
        document = orjson.loads(line)
        if not isinstance(document, dict) or set(document) | {"requests"} != set(NAMES):
            return None  # what was exported by programs of before has no requests
        time = (datetime.fromisoformat(document["time"]) - _EPOCH) // _MICROSECOND
        told = document.get("requests", {}).items()
        requests = tuple(sorted((store, kind, count) for store, kinds in told for kind, count in kinds.items()))
        draft = Draft._make({**document, "requests": requests}[name] for name in _DRAFT_NAMES)
        draft = draft._replace(event=Event(draft.event))
    except (ValueError, TypeError, AttributeError):
        return None
    job, seq, previous, digest = (document[name] for name in ("job", "seq", "previous", "hash"))
    return Record(job, seq, time, draft, previous, digest) if type(seq) is int and type(job) is str else None


def _told(record: Record) -> str:
    """The hash that a record has to have; empty where it holds what no record can."""
    try:
        return record_hash(record.job, record.seq, record.time, record.draft, record.previous)
    except TypeError:
        return ""


def verify_export(
    lines: Iterable[bytes | str], *, expected: Mapping[str, tuple[int, str]] | None = None, whole: bool = True
) -> list[ChainReport]:
    """Check the chains of an export without the database and without the key.

    Records of several jobs may stand in any mixture as long as those of one job are in order. Seals are not part of
    an export: that nothing is missing at the end, and that the whole was not written anew, is proven only by
    ``expected``.

    Args:
        lines: the export.
        expected: by job, the (seq, hash) of a head that was noted elsewhere.
        whole: a chain has to begin with its first record; otherwise with whichever comes first.
    """
    wanted = expected or {}
    checks: dict[str, ChainCheck] = {}
    for record in parse(lines):
        check = checks.get(record.job)
        if check is None:
            check = checks[record.job] = ChainCheck(record.job, wanted.get(record.job))
            if not whole:
                check.join()
        check.add(record.seq, _told(record), record.hash, record.previous)
    for job in wanted:
        checks.setdefault(job, ChainCheck(job, wanted[job]))
    return [checks[job].finish() for job in sorted(checks)]
