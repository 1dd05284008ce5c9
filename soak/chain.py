"""Reads the ledger's tables by itself, and checks each chain by its own arithmetic: nothing of SecretSync is used."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from soak.documents import JOBS

if TYPE_CHECKING:
    from pathlib import Path

_DRAFT = (
    "event", "run", "intent", "item", "dest", "key", "action", "reason", "source", "source_key", "source_version",
    "dest_version", "definition", "fingerprint", "owned", "fields", "counts",
)  # fmt: skip
_COLUMNS = ("job", "seq", "time", *_DRAFT, "previous", "hash")
_DIGESTS = ("definition", "fingerprint", "fields", "previous", "hash")
_SCHEMA = "secretsync"
_MICRO = 1_000_000


class Line(NamedTuple):
    """What a soak looks at in a record. ``time`` is microseconds since the epoch."""

    job: str
    seq: int
    time: int
    event: str
    run: str
    intent: str
    dest: str
    key: str
    action: str
    reason: str
    dest_version: str | None
    owned: bool

    def __str__(self) -> str:
        return f"{self.seq} {self.event} {self.action} {self.reason} {self.dest_version} {'ours' if self.owned else ''}"


class Chain:
    """Every record so far, by job.

    Attributes:
        records: by job, in their order.
        broken: what is wrong with the chains, since ``broken`` was last emptied.
    """

    def __init__(self, path: Path, url: str = "") -> None:
        """``url``: of the PostgreSQL database in place of the file."""
        self._path = path
        self._url = url
        self._heads = dict.fromkeys(JOBS, (0, "0" * 64))
        self.records: defaultdict[str, list[Line]] = defaultdict(list)
        self.broken: list[str] = []

    def follow(self) -> list[Line]:
        """The records that came since, each with its place in the chain checked."""
        return [line for job in JOBS for line in self._follow(job)]

    def _follow(self, job: str) -> list[Line]:
        seq, head = self._heads[job]
        where = f"WHERE job = '{job}' AND seq > {seq} ORDER BY seq"
        rows = self._rows(f"SELECT {', '.join(_COLUMNS)} FROM ledger {where}")
        if not rows:
            return []
        requests: defaultdict[int, list[list[Any]]] = defaultdict(list)
        for number, *asked in self._rows(f"SELECT seq, store, kind, requests FROM run_requests {where}, store, kind"):
            requests[number].append(asked)
        new: list[Line] = []
        for row in rows:
            told = dict(zip(_COLUMNS, row, strict=True))
            told |= {name: bytes(told[name]).hex() for name in _DIGESTS} | {"owned": bool(told["owned"])}
            if (told["seq"], told["previous"]) != (seq + 1, head):
                self.broken.append(f"{job} {told['seq']} does not follow {seq}")
            seq, head = told["seq"], told["hash"]
            hashed = [told["previous"], job, seq, told["time"], *(told[name] for name in _DRAFT)]
            if seq in requests:
                hashed.append(requests[seq])
            if hashlib.sha256(orjson.dumps(hashed)).hexdigest() != head:
                self.broken.append(f"{job} {seq} has another hash than its own")
            new.append(Line(**{name: told[name] for name in Line._fields}))
        self._heads[job] = (seq, head)
        self.records[job] += new
        return new

    def leases(self) -> list[tuple[str, str]]:
        """The job and the holder of each lease that is not over."""
        rows = self._rows("SELECT job, holder, expires FROM leases")
        return [(job, holder) for job, holder, expires in rows if expires > time.time() * _MICRO]

    def story(self, dest: str, key: str) -> str:
        """The last records of a key."""
        lines = (line for job in JOBS for line in self.records[job] if (line.dest, line.key) == (dest, key))
        return "; ".join(map(str, [*lines][-6:]))

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        if self._url:
            import psycopg

            with psycopg.connect(self._url, connect_timeout=5, options=f"-c search_path={_SCHEMA}") as connection:
                return connection.execute(sql.encode()).fetchall()
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)) as file:
            try:
                return file.execute(sql).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise
