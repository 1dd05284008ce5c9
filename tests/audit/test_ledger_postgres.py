"""The PostgreSQL database: connections that break, logins that fail, and passwords that are never repeated."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from audit.lab import SEAL_KEY, done, started
from secretsync_core.audit import postgres
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.postgres import PostgresDatabase
from secretsync_core.audit.postgres_words import meaning_of_words
from secretsync_core.distribution import extra_hint
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "hunter2-canary"


def end_connections(url: str) -> None:
    """What a server does to idle connections when it restarts."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'secretsync' AND datname = current_database()"
        )


def connections(url: str) -> set[int]:
    """The processes by which the server serves us."""
    with psycopg.connect(url, autocommit=True) as server:
        sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'secretsync' AND datname = current_database()"
        return {pid for (pid,) in server.execute(sql)}


def test_all_appends_go_over_one_connection(postgres_url: str) -> None:
    """To make one takes longer than an append."""
    with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [done("a")])
        (kept,) = connections(postgres_url)
        ledger.append("job", [done("b")])
        assert connections(postgres_url) == {kept}


def test_a_connection_that_the_server_closed_is_made_again(postgres_url: str) -> None:
    """Between two appends nothing was under way, so it is safe to begin on a new one."""
    with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [done("a")])
        end_connections(postgres_url)
        assert ledger.append("job", [done("b")]) == [2]
        assert ledger.verify()[0].sound


def test_a_connection_that_breaks_within_a_transaction_is_an_error(postgres_url: str) -> None:
    """Nobody knows then what was kept, so nothing is done again; the next append finds out by the head."""
    with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [done("a")])

        def lose_it_half_way() -> None:
            with ledger._database.write() as transaction:
                end_connections(postgres_url)
                transaction.one("SELECT 1")

        with pytest.raises(LedgerError):
            lose_it_half_way()
        assert ledger.append("job", [done("b")]) == [2]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:{PASSWORD}@127.0.0.1:1/ledger",
        f"postgres://app:{PASSWORD}@127.0.0.1:1/ledger?sslmode=require",
        f"postgresql://app:{PASSWORD}@127.0.0.1:not-a-port/ledger",
        f"postgresql://app:{PASSWORD}@/ledger?host=/nowhere/{PASSWORD[:7]}",
        f"postgresql://app:{PASSWORD}@h/ledger?nonsense={PASSWORD}",
    ],
)
def test_an_error_never_repeats_the_password(url: str) -> None:
    """Neither in the message, nor in the hint, nor in what stands behind it."""
    with pytest.raises(LedgerError) as caught:
        Ledger.open(url, seal_key=SEAL_KEY)
    error = caught.value
    assert PASSWORD not in f"{error} {error.hint} {error.__cause__}"
    assert error.__suppress_context__ or error.__context__ is None
    assert error.hint


def test_a_wrong_password_is_a_refused_login(postgres: Callable[[str], str], postgres_url: str) -> None:
    """Said as such, with where a password may come from."""
    with psycopg.connect(postgres("postgres"), autocommit=True) as server:
        server.execute("DROP ROLE IF EXISTS locked")
        server.execute(f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'")
        row = server.execute("SELECT pg_read_file('pg_hba.conf')").fetchone()
        assert row is not None
        rules = "local all locked scram-sha-256\n" + row[0]
        server.execute("CREATE TEMP TABLE rules (line text)")
        with server.cursor() as cursor, cursor.copy("COPY rules FROM STDIN") as copy:
            for line in rules.splitlines():
                copy.write_row([line])
        server.execute("DO $$ BEGIN EXECUTE format('COPY rules TO %L', current_setting('hba_file')); END $$")
        server.execute("SELECT pg_reload_conf()")
    for login in (f"locked:{PASSWORD}wrong", "locked"):
        with pytest.raises(LedgerError, match="refuses the login") as caught:
            Ledger.open(postgres_url.replace("//postgres@", f"//{login}@"), seal_key=SEAL_KEY)
        assert PASSWORD not in f"{caught.value} {caught.value.hint}"
    allowed = postgres_url.replace("//postgres@", f"//locked:{PASSWORD}@")
    with pytest.raises(LedgerError, match="may not be used") as caught:
        Ledger.open(allowed, seal_key=SEAL_KEY)
    assert "create" in caught.value.hint
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE SCHEMA secretsync AUTHORIZATION locked")
    with Ledger.open(allowed, seal_key=SEAL_KEY) as ledger:
        assert ledger.append("job", [done("a")]) == [1]


def test_a_database_that_is_not_there(postgres: Callable[[str], str]) -> None:
    """It is not made for the user: that takes rights that the ledger should not have."""
    with pytest.raises(LedgerError, match="does not exist") as caught:
        Ledger.open(postgres("nowhere"), seal_key=SEAL_KEY)
    assert "create the database" in caught.value.hint


def test_a_role_that_has_all_its_connections_is_told_to_get_more(
    postgres: Callable[[str], str], postgres_url: str
) -> None:
    """A server that has no connection left for us is not told as one that refuses our password."""
    name = f"app{postgres_url.rpartition('/')[2][-8:]}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 0")
        try:
            with pytest.raises(LedgerError, match="has too many connections of its role") as caught:
                PostgresDatabase(postgres_url.replace("//postgres@", f"//{name}@"), read_only=True)
        finally:
            server.execute(f"DROP ROLE {name}")
    assert "CONNECTION LIMIT" in caught.value.hint
    assert "password" not in caught.value.hint


AT = 'connection to server at "role-db.example.com" (10.0.0.1), port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (f"{AT}FATAL:  sorry, too many clients already", "has too many connections"),
        (
            f"{AT}FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "has too many connections",
        ),
        (f'{AT}FATAL:  too many connections for role "app"', "has too many connections of its role"),
        (f'{AT}FATAL:  too many connections for database "password"', "has too many connections to its database"),
        (f"{AT}FATAL:  no more connections allowed (max_client_conn)", "has too many connections at its pooler"),
        (f'{AT}FATAL:  password authentication failed for user "too many"', "refuses the login"),
        (f'{AT}FATAL:  role "does not exist" does not exist', "refuses the login"),
        (f'{AT}FATAL:  database "role" does not exist', "does not exist"),
        (f"{AT}FATAL:  the database system is not yet accepting connections", "is stopping or starting"),
        (f'{AT}FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "a"', "refuses connections from here"),
        (f"{AT}fe_sendauth: no password supplied", "refuses the login without a password"),
        (f'{AT}root certificate file "/x" does not exist', "cannot be reached by TLS as sslmode asks for it"),
        (f"{AT}Connection refused", None),
    ],
)
def test_what_a_failed_connection_says_is_told_by_whole_phrases(said: str, what: str | None) -> None:
    """The names of roles, databases and hosts in a text are not taken for what it says."""
    meaning = meaning_of_words(said)
    assert (meaning.what if meaning else None) == what


def test_it_lives_beside_other_tables(postgres_url: str) -> None:
    """A database that Dagster uses too keeps its own tables of the same names."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE TABLE public.ledger (mine int); CREATE TABLE public.meta (mine int)")
    with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [done("a")])
        assert ledger.verify()[0].sound
    with psycopg.connect(postgres_url) as server:
        assert server.execute("SELECT COUNT(*) FROM public.ledger").fetchone() == (0,)


def test_a_database_without_an_encoding_is_refused(postgres: Callable[[str], str]) -> None:
    """A database in SQL_ASCII, which initdb makes where there is no locale, is told as what it is, with a way out."""
    with psycopg.connect(postgres("postgres"), autocommit=True) as server:
        server.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(LedgerError, match="has no encoding") as caught:
        Ledger.open(postgres("plain"), seal_key=SEAL_KEY)
    assert "ENCODING 'UTF8'" in caught.value.hint
    with psycopg.connect(postgres("postgres"), autocommit=True) as server:
        server.execute("DROP DATABASE plain WITH (FORCE)")


def test_a_chain_that_somebody_locks_is_said_to_be_locked(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After waiting for a while; other jobs are not held up."""
    monkeypatch.setattr(
        "secretsync_core.audit.postgres._BEGIN_WRITE",
        "BEGIN; SET LOCAL search_path = secretsync, pg_catalog; SET LOCAL lock_timeout = '100ms'",
    )
    with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [done("a")])
        with psycopg.connect(postgres_url) as server:
            server.execute("SELECT 1 FROM secretsync.heads WHERE job = 'job' FOR UPDATE")
            with pytest.raises(LedgerError, match="locked by another process"):
                ledger.append("job", [done("b")])
            assert ledger.append("other", [done("b")]) == [1]


def test_an_append_is_durable_where_the_owner_prefers_speed(postgres_url: str) -> None:
    """A database with synchronous_commit off is told otherwise for our transactions, and left as it is."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        row = server.execute("SELECT current_database()").fetchone()
        assert row is not None
        server.execute(f"ALTER DATABASE {row[0]} SET synchronous_commit = off")
    with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger, ledger._database.write() as transaction:
        assert transaction.one("SELECT current_setting('synchronous_commit')") == ("on",)


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed the small package learns what to install besides."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "secretsync_core.audit.postgres", raising=False)
    with pytest.raises(LedgerError) as caught:
        Ledger.open("postgresql://db/ledger", seal_key=SEAL_KEY)
    assert caught.value.hint == extra_hint("postgres")


def test_what_reads_all_of_the_ledger_has_time_for_it(postgres_url: str) -> None:
    """A key is changed in one transaction that verifies everything: its statements have the time of a verification."""
    database = PostgresDatabase(postgres_url, read_only=False)
    allowed = {}
    for long in (False, True):
        with database.write(long=long) as transaction:
            ((allowed[long],),) = transaction.rows("SELECT current_setting('statement_timeout')")
    database.close()
    assert allowed == {False: "35s", True: "10min"}


def test_a_server_that_says_nothing_is_given_up(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen server keeps its connections and answers nothing: the run ends, and what comes next connects anew."""
    with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger:
        monkeypatch.setattr("secretsync_core.audit.postgres._SILENCE_SECONDS", 0.1)
        for begin in (ledger._database.write, ledger._database.read):
            with pytest.raises(LedgerError, match=r"did not answer for 0\.1 seconds"), begin() as transaction:
                transaction.one("SELECT pg_sleep(3)")
        monkeypatch.undo()
        assert ledger.append("job", [started()]) == [1]


def test_a_transaction_that_sleeps_is_taken_back(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is stopped in the middle of one keeps the others out for a limited time only."""
    with Ledger.open(postgres_url, seal_key=SEAL_KEY) as ledger:
        begin = postgres._BEGIN_WRITE.replace(
            f"session_timeout = '{postgres._STATEMENT_SECONDS}s'", "session_timeout = '50ms'"
        )
        assert begin != postgres._BEGIN_WRITE
        monkeypatch.setattr(postgres, "_BEGIN_WRITE", begin)

        def sleep() -> None:
            with ledger._database.write() as transaction:
                ledger._chains.lock(transaction, "job")
                with Ledger.open(postgres_url, seal_key=SEAL_KEY) as other:
                    assert other.append("job", [started()]) == [1]
                transaction.one("SELECT 1")

        with pytest.raises(LedgerError):
            sleep()
