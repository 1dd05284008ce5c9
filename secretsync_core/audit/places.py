"""Which place the name of a destination is bound to, job by job, and how far the server of a place had got.

A binding is a record in the job's chain (``skipped``, ``placed``); the table ``places`` holds the latest one of each
name, written in the same transaction. ``positions`` is no part of the chains: it changes with every run. Tables of a
version before ``WITH_PLACES`` have neither: there no name is bound.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.audit import facts
from secretsync_core.audit.record import Draft, Event
from secretsync_core.audit.schema import COLUMNS, MAX_KEY, PLACED, WITH_PLACES
from secretsync_core.model.place import place_of_text, text_of
from secretsync_core.model.position import position_of_text
from secretsync_core.model.position import text_of as text_of_position

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from secretsync_core.audit.database import Database, Row, Transaction
    from secretsync_core.model.place import Place


class Binding(NamedTuple):
    """The name of a destination of a job, and the place that it is bound to."""

    job: str
    dest: str
    place: Place


class Holding(NamedTuple):
    """A key that a job holds at one of its destinations."""

    job: str
    dest: str
    key: str


_PUT = """INSERT INTO places (job, dest, place, seq) VALUES (?, ?, ?, ?)
          ON CONFLICT (job, dest) DO UPDATE SET place = excluded.place, seq = excluded.seq"""
_REACHED = """INSERT INTO positions (place, position, time) VALUES (?, ?, ?)
              ON CONFLICT (place) DO UPDATE SET position = excluded.position, time = excluded.time"""
_EVENT, _REASON, _SEQ, _DEST, _KEY = (COLUMNS.index(name) for name in ("event", "reason", "seq", "dest", "key"))
_IN = 500


def binding_of(run: str, dest: str, place: Place) -> Draft | None:
    """The record that binds a name to a place; None for a place that is too long to be recorded."""
    text = text_of(place)
    return Draft(Event.SKIPPED, run, dest=dest, key=text, reason=PLACED) if len(text) <= MAX_KEY else None


def project(transaction: Transaction, job: str, records: Sequence[Row]) -> None:
    """Bring ``places`` up to date with rows that were just appended to ``ledger``."""
    bound = [row for row in records if row[_REASON] == PLACED and row[_EVENT] == Event.SKIPPED]
    if bound and facts.version(transaction) >= WITH_PLACES:
        transaction.many(_PUT, [(job, row[_DEST], row[_KEY], row[_SEQ]) for row in bound])


def differences(transaction: Transaction, job: str) -> Iterator[tuple[int, str]]:
    """Where ``places`` says what no record says: (number, what is wrong)."""
    if facts.version(transaction) < WITH_PLACES:
        return
    sql = """SELECT places.seq FROM places LEFT JOIN ledger ON ledger.job = places.job AND ledger.seq = places.seq
             AND ledger.event = 'skipped' AND ledger.reason = 'placed' AND ledger.dest = places.dest
             AND ledger.key = places.place
             WHERE places.job = ? AND ledger.seq IS NULL ORDER BY places.seq"""
    for (seq,) in transaction.rows(sql, (job,)):
        # Of another type, it is another hand's, and no number of a record.
        yield seq if isinstance(seq, int) else 0, "the place of this record's destination is not what the record says"


class Places:
    """``ledger.places``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def are_kept(self) -> bool:
        """Whether the tables have room for places."""
        with self._database.read() as transaction:
            return facts.version(transaction) >= WITH_PLACES

    def of(self, job: str) -> dict[str, Place]:
        """The places that the destinations of ``job`` are bound to, by name: also those that it no longer has."""
        return {dest: place for _, dest, place in self._bindings(" WHERE job = ?", (job,))}

    def of_others(self, job: str) -> list[Binding]:
        """The bindings of all jobs but ``job``, sorted."""
        return self._bindings(" WHERE job <> ?", (job,))

    def holders(self, asked: Collection[Holding]) -> set[Holding]:
        """Those of ``asked`` that the ledger holds: by job and destination, any number of keys."""
        groups: dict[tuple[str, str], list[str]] = {}
        for job, dest, key in asked:
            groups.setdefault((job, dest), []).append(key)
        found: set[Holding] = set()
        with self._database.read() as transaction:
            for (job, dest), keys in sorted(groups.items()):
                for start in range(0, len(keys), _IN):
                    some = keys[start : start + _IN]
                    marks = ", ".join("?" * len(some))
                    sql = f"SELECT key FROM current WHERE job = ? AND dest = ? AND key IN ({marks})"  # noqa: S608
                    found |= {Holding(job, dest, str(key)) for (key,) in transaction.rows(sql, (job, dest, *some))}
        return found

    def position(self, place: Place) -> str:
        """How far the server at a place had got when a run last asked it; empty where that is not known."""
        with self._database.read() as transaction:
            if facts.version(transaction) < WITH_PLACES:
                return ""
            row = transaction.one("SELECT position FROM positions WHERE place = ?", (text_of(place),))
            return str(row[0]) if row else ""

    def positions(self) -> dict[str, str]:
        """How far every server had got that a run has asked, by the text of its place."""
        with self._database.read() as transaction:
            if facts.version(transaction) < WITH_PLACES:
                return {}
            return {str(place): str(position) for place, position in
                    transaction.rows("SELECT place, position FROM positions", ())}  # fmt: skip

    def reached(self, place: Place, position: str, before: str = "") -> None:
        """Keep how far the server at a place has got; ``before`` is what was kept of it when the run began.

        Positions are of servers, and jobs share them, so no lease guards them. Where another run has kept one since,
        the higher one stays, and who the server is stays as that run found it: one that slept takes nothing back.
        """
        text = text_of(place)
        with self._database.write() as transaction:
            if facts.version(transaction) < WITH_PLACES or len(text) > MAX_KEY:
                return
            row = transaction.one("SELECT position FROM positions WHERE place = ?", (text,))
            since = position_of_text(str(row[0])) if row is not None and str(row[0]) != before else None
            if since is not None and (ours := position_of_text(position)) is not None:
                if ours.is_of_another_server(since):
                    return
                position = text_of_position(ours.after(since))
            transaction.run(_REACHED, (text, position, time.time_ns() // 1000))

    def _bindings(self, where: str, parameters: Sequence[object]) -> list[Binding]:
        with self._database.read() as transaction:
            if facts.version(transaction) < WITH_PLACES:
                return []
            sql = f"SELECT job, dest, place FROM places{where} ORDER BY job, dest"  # noqa: S608
            found = [(str(job), str(dest), place_of_text(str(text))) for job, dest, text in
                     transaction.rows(sql, parameters)]  # fmt: skip
        return [Binding(job, dest, place) for job, dest, place in found if place is not None]
