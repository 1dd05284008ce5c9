"""What the tests of the ledger share: drafts, a naive replay, another hand in the database, and child processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from secretsync_core.audit import rotation, seal
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Draft, Event, KeyState
from secretsync_core.audit.schema import VERSION
from secretsync_core.errors import LeaseHeld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection

_CHANGES = re.compile("UPDATE|DELETE|INSERT")
SEAL_KEY, NEW_KEY = bytes(range(32)), bytes(range(50, 82))


def make_version(number: int, url: str) -> None:
    """Put a ledger with tables of that version, as a program of then left it, into an empty place.

    It is sealed with SEAL_KEY, and has two jobs, ``billing`` and ``payments``.
    """
    sample = Path(__file__).with_name(f"version_{number}")
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute((sample / "postgresql.sql").read_bytes())
    else:
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(path)
        file.execute("PRAGMA journal_mode=WAL")
        file.executescript((sample / "sqlite.sql").read_text())
        file.close()


def digest(text: str) -> str:
    """Sixty-four hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def done(key: str, *, action: str = "create", run: str = "run-1", version: str = "1", **more: Any) -> Draft:
    """A write of ``key`` that went well."""
    facts: dict[str, Any] = {
        "intent": f"{run}:{digest(key + version)[:12]}",
        "item": "payments",
        "dest": "k8s",
        "source": "vault",
        "source_key": key,
        "source_version": version,
        "dest_version": f"{version}@2e",
        "definition": digest("definition"),
        "fingerprint": digest(key + version),
        "owned": True,
    }
    return Draft(Event.DONE, run, key=key, action=action, **{**facts, **more})


def started(run: str = "run-1") -> Draft:
    """A run begins."""
    return Draft(Event.RUN_STARTED, run)


def finished(run: str = "run-1", counts: str = "created=1", reason: str = "") -> Draft:
    """A run ends."""
    return Draft(Event.RUN_FINISHED, run, counts=counts, reason=reason)


def intended(key: str, *, run: str = "run-1", intent: str = "", **more: Any) -> Draft:
    """A write of ``key`` is announced."""
    return done(key, run=run, **more)._replace(event=Event.INTENDED, intent=intent or f"{run}:{digest(key)[:12]}")


def replay(drafts: Iterable[Draft]) -> dict[tuple[str, str], KeyState]:
    """The state as the words of the design have it: the last of done and same-value, unless it is a delete."""
    state: dict[tuple[str, str], KeyState] = {}
    for draft in drafts:
        place = (draft.dest, draft.key)
        wrote = draft.event == Event.DONE and draft.action in ("create", "update")
        if wrote or (draft.event == Event.SKIPPED and draft.reason == "same-value"):
            state.pop(place, None)
            state[place] = KeyState(draft.source_version, draft.dest_version, draft.definition, draft.owned, draft.item)
        elif draft.event == Event.DONE and draft.action == "delete":
            state.pop(place, None)
    return state


class OtherHand:
    """Somebody who has the database, with all its rights, but not the key, and puts its guards back in place."""

    def __init__(self, url: str) -> None:
        self.postgres = url.startswith("postgresql")
        self._run: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
        if self.postgres:
            server = psycopg.connect(url, autocommit=True, options="-c search_path=secretsync")
            server.execute("SET session_replication_role = replica")  # this session fires no triggers
            self._connection: Any = server
        else:
            self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=20)

    def __call__(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement; ``?`` stands for a parameter."""
        with contextlib.nullcontext() if self.postgres or not _CHANGES.match(sql) else self._unguarded():
            cursor = self._connection.execute(sql.replace("?", "%s") if self.postgres else sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    @contextlib.contextmanager
    def _unguarded(self) -> Iterator[None]:
        """SQLite without its triggers, for a moment."""
        guards = self._connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            self._connection.execute(f"DROP TRIGGER {name}")
        try:
            yield
        finally:
            for _, made in guards:
                self._connection.execute(made)

    def refuses(self) -> tuple[type[Exception], ...]:
        """What a statement raises that a constraint or a trigger stops."""
        return (psycopg.Error,) if self.postgres else (sqlite3.Error,)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def append_many(url: str, job: str, batches: int, size: int, name: str) -> None:
    """A process that appends to a chain which others append to as well."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        for batch in range(batches):
            ledger.append(job, [done(f"{name}/{number}", version=str(batch)) for number in range(size)])


def append_forever(url: str, job: str, acknowledge: Connection) -> None:
    """A process that says how far it is after each append, until somebody kills it."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        while True:
            keys = [done(f"key-{number}", version=str(os.getpid())) for number in range(7)]
            acknowledge.send(ledger.append(job, keys)[-1])


def try_lease(url: str, job: str, holder: str, seconds: float, answer: Connection) -> None:
    """A process that asks for a lease once and says whether it got it."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        try:
            ledger.leases.acquire(job, holder, seconds)
        except LeaseHeld:
            answer.send(False)
        else:
            answer.send(True)


def migrate_once(url: str, answer: Connection) -> None:
    """A process that migrates, and says which version it found."""
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        answer.send(ledger.migrate())


def migrate_and_stay(url: str, reached: Connection) -> None:
    """A process that gets as far as everything but the commit of a migration, says so, and waits to be killed."""
    sealed = seal.meta_seal

    def stay(key: bytes, name: str, value: str) -> bytes:
        if (name, value) == ("schema", str(VERSION)):
            reached.send(True)
            time.sleep(60)
            raise AssertionError("nobody killed us")
        return sealed(key, name, value)

    setattr(seal, "meta_seal", stay)  # noqa: B010  a module's function, in a process that ends here
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        ledger.migrate()


def write_everywhere(url: str, seal_key: bytes, number: int) -> None:
    """One of several processes that write to a chain of their own, to one shared by two, and to one of all."""
    with Ledger.open(url, seal_key=seal_key) as ledger:
        for batch in range(15):
            for job in (f"own-{number}", f"pair-{number // 2}", "all"):
                ledger.append(job, [done(f"p{number}/{key}", version=str(batch)) for key in range(3)])
            ledger.leases.acquire(f"own-{number}", f"process-{number}", 60)
            ledger.leases.release(f"own-{number}", f"process-{number}")


def reseal_and_stay(url: str, reached: Connection) -> None:
    """A process that gets as far as everything but the commit of a change of keys, and waits to be killed."""
    anew = rotation.seal_anew

    def stay(*given: Any) -> None:
        anew(*given)
        reached.send(True)
        time.sleep(60)

    setattr(rotation, "seal_anew", stay)  # noqa: B010  a module's function, in a process that ends here
    with Ledger.open(url, seal_key=SEAL_KEY) as ledger:
        ledger.seals.renew(NEW_KEY, "rotation-1")
