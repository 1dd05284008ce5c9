"""No column fits a value: what is refused, and that the refusal does not repeat it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.lab import digest, done, finished
from secretsync_core.audit.databases import open_database
from secretsync_core.audit.record import Draft, Event
from secretsync_core.audit.schema import COLUMNS, VERSIONS
from secretsync_core.errors import LedgerError
from secretsync_core.model.change import Action, Change, Drift, Reason

if TYPE_CHECKING:
    from audit.lab import OtherHand
    from secretsync_core.audit.ledger import Ledger

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"
JSON = '{"user": "app", "password": "canary-7f3a"}'
SENTENCE = "canary-7f3a is the pass phrase"

END: dict[str, Any] = {"event": Event.RUN_FINISHED}

BAD: list[dict[str, Any]] = [
    {"reason": "canary-7f3a"},
    {"reason": "CANARY"},
    {"reason": "x" * 41},
    {"action": "canary"},
    {"event": "canary-7f3a"},
    {"run": ""},
    *(
        {name: text}
        for name in ("run", "intent", "item", "dest", "source")
        for text in (PEM, JSON, SENTENCE, "x" * 129)
    ),
    *({name: text} for name in ("key", "source_key") for text in (PEM, "canary\x00canary", "x" * 2049, "\x7f", "\x85")),
    *(
        {name: text}
        for name in VERSIONS
        for text in (PEM, "1" * 257, "ü", "\x00", "canary-7f3a", JSON, "3@canary-7f3a")
    ),
    *({name: text} for name in VERSIONS for text in ("all:canary", "3@fields=canary", "pin:", "pin:canary 7f3a", "")),
    *({name: text} for name in ("definition", "fingerprint") for text in ("canary-7f3a", digest("")[:63], "AB" * 32)),
    {"definition": digest("")[:62] + "  "},
    {"definition": " ".join([digest("")[:32], digest("")[:32]])},
    {"fields": "ab"},
    {"fields": "canary-7f3acanar"},
    {"fields": "0" * 16 * 1025},
    *({"counts": text} for text in ("canary", "a=b", "a=1 ", " a=1", "a=1  b=2", "a=1;b=2", "a==1", "=1", "1=1")),
    *({"counts": text} for text in ("A=1", "-a=1", "a=" + "1" * 16, "a" * 25 + "=1", "a=1b=2", "a=1 b", "a 1")),
    {"key": "half a pair: \ud800"},
    {"owned": 2},
    {"counts": "a=1\x00canary"},
    {"requests": (("vault", "read", 1),)},
    *(
        {**END, "requests": (request,)}
        for request in ((PEM, "read", 1), (JSON, "read", 1), ("x" * 129, "read", 1), ("", "read", 1))
    ),
    *({**END, "requests": (("vault", kind, 1),)} for kind in ("canary-7f3a", PEM, "", "x" * 41, "read\x00canary")),
    *({**END, "requests": (("vault", "read", count),)} for count in (0, -1)),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: "-".join(bad))
def test_a_value_does_not_fit(ledger: Ledger, bad: dict[str, Any]) -> None:
    """Text that could be a value is refused in every column, without being repeated and without a trace."""
    with pytest.raises(LedgerError) as caught:
        ledger.append("job", [done("fine")._replace(**bad)])
    shown = f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert "canary" not in shown.lower()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert list(ledger.records()) == []
    assert ledger.append("job", [done("fine")]) == [1]


@pytest.mark.parametrize("column", VERSIONS)
@pytest.mark.parametrize("text", ["canary-7f3a", "hunter2", SENTENCE, JSON, "all:canary", "pin:a value"])
def test_the_database_itself_refuses_what_is_no_version(ledger: Ledger, url: str, column: str, text: str) -> None:
    """Also a program that does not check it, or does not exist yet, cannot put it there."""
    ledger.append("job", [done("fine")])
    names = ", ".join(COLUMNS)
    taken = names.replace("seq", "seq + 1").replace(column, "CAST(? AS TEXT)")
    copy = f"INSERT INTO ledger ({names}) SELECT {taken} FROM ledger"
    with closing(open_database(url, read_only=False)) as database:
        with pytest.raises(LedgerError), database.write() as transaction:
            transaction.run(copy, (text,))
        with database.write() as transaction:
            transaction.run(copy, ("3@2026-01-01T00:00:00Z",))


def test_a_refusal_names_the_column(ledger: Ledger) -> None:
    """Whoever wrote the record has to find the mistake without seeing its content."""
    with pytest.raises(LedgerError, match="counts must be name=number"):
        ledger.append("job", [done("a", counts="no counts")])
    with pytest.raises(LedgerError, match="fingerprint must be 64 hex digits"):
        ledger.append("job", [done("a", fingerprint="no digest")])


@pytest.mark.parametrize(
    "good",
    [
        {"counts": "created=1 not-reached=20 failed=0"},
        {"counts": "a=999999999999999"},
        {**END, "requests": (("k8s-prod", "list", 2), ("k8s-prod", "write", 10**15), ("z" * 128, "read", 1))},
        {"fields": "0123456789abcdef" * 1024},
        {"key": "x" * 2048, "source_key": "with spaces/and 'quotes\" \\u0000 %s ? 日本"},
        {
            "source_version": "3@2026-01-01T00:00:00.123456789Z",
            "dest_version": "81@3f1f3c8e-0b8a-4a59-9a3e-0123456789ab",
        },
        {"source_version": "all:0123456789abcdef@fields=12", "dest_version": "pin:AWSPREVIOUS"},
        {"run": "0192f0aa-5c1e-7000-8000-000000000000", "intent": "run/12:a@b_c.d"},
    ],
    ids=lambda good: "-".join(good),
)
def test_what_is_no_value_fits(ledger: Ledger, good: dict[str, Any]) -> None:
    """Names, keys, versions and counts as they really occur come back whole."""
    draft = done("fine")._replace(**good)
    ledger.append("job", [draft])
    assert next(ledger.records()).draft == draft
    assert ledger.verify()[0].sound


TEXT_COLUMNS = [name for name in Draft._fields if name not in ("owned", "key", "source_key", "requests")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(column=st.sampled_from(TEXT_COLUMNS), text=st.text(min_size=1, max_size=300))
def test_only_codes_names_and_digests_ever_come_through(ledger: Ledger, column: str, text: str) -> None:
    """Any text in any column is either refused, or holds nothing but the characters of a name."""
    changed: dict[str, Any] = {column: text}
    try:
        ledger.append("job", [done("fine")._replace(**changed)])
    except LedgerError as error:
        assert len(text) < 12 or text not in str(error)  # noqa: PT017  the other outcome is right too
    else:
        assert text.isascii()
        assert text.isprintable()


_CHANGES = (
    "UPDATE ledger SET reason = 'x'",
    "DELETE FROM ledger",
    "UPDATE run_requests SET requests = 2",
    "DELETE FROM run_requests",
)


def test_the_table_is_append_only(ledger: Ledger, url: str) -> None:
    """The database itself refuses to change or delete a record."""
    import sqlite3

    import psycopg

    ledger.append("job", [finished()._replace(requests=(("vault", "read", 1),))])
    connection: Any
    if url.startswith("postgresql"):
        connection = psycopg.connect(url, autocommit=True, options="-c search_path=secretsync")
        statements = ["TRUNCATE ledger", "TRUNCATE run_requests"]
    else:
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        statements = []
    for statement in [*_CHANGES, *statements]:
        with pytest.raises((psycopg.Error, sqlite3.Error), match="append-only"):
            connection.execute(statement)
    connection.close()
    assert ledger.verify()[0].sound


def test_the_state_and_the_heads_fit_no_value_either(ledger: Ledger, other_hand: OtherHand) -> None:
    """The other tables are checked like the ledger."""
    ledger.append("job", [done("a")])
    for statement in (
        "UPDATE current SET fingerprint = ?",
        "UPDATE current SET item = ?",
        "UPDATE heads SET hash = ?",
        "UPDATE meta SET value = ?",
    ):
        with pytest.raises(other_hand.refuses()):
            other_hand(statement, JSON * 30)
    ledger.items.note("job", "run-1", out={"item-0"})
    drifted = Change("item-0", "k8s", "a", Action.COMPARE, Reason.DRIFTED, drift=Drift.CHANGED)
    ledger.drift.keep("job", "look-1", [drifted], 1)
    for table, column in (
        *(("item_state", column) for column in ("job", "item", "run")),
        *(("checks", column) for column in ("job", "run")),
        *(("drift", column) for column in ("job", "dest", "item", "kind", "run")),
    ):
        with pytest.raises(other_hand.refuses()):
            other_hand(f"UPDATE {table} SET {column} = ?", JSON)
    with pytest.raises(other_hand.refuses()):
        other_hand("UPDATE drift SET key = ?", PEM)
    ledger.leases.acquire("job", "me", 60)
    with pytest.raises(other_hand.refuses()):
        other_hand("UPDATE leases SET holder = ?", JSON)
