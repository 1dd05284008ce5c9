"""A ledger in SQLite and one in a real PostgreSQL: every test that asks for ``ledger`` runs over both."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import psycopg
import pytest
from support.postgres import empty, postgres_server

from audit.lab import SEAL_KEY, OtherHand
from secretsync_core.audit.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """A PostgreSQL server of this test worker; gives the URL of a database by its name."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def spare_databases() -> list[str]:
    """Databases that tests are done with, empty again: the server takes a quarter of a second for a new one."""
    return []


@pytest.fixture
def postgres_url(postgres: Callable[[str], str], spare_databases: list[str]) -> Iterator[str]:
    """An empty database."""
    if spare_databases:
        name = spare_databases.pop()
    else:
        name = f"ledger{next(_numbers)}"
        with psycopg.connect(postgres("postgres"), autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
    yield postgres(name)
    empty(postgres(name), name)
    spare_databases.append(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where no ledger is yet."""
    return f"sqlite:///{tmp_path / 'state' / 'ledger.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty place for a ledger, in both databases."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger.open(url, seal_key=SEAL_KEY) as opened:
        yield opened


@pytest.fixture
def other_hand(ledger: Ledger, url: str) -> Iterator[OtherHand]:
    """Somebody who changes the database of ``ledger`` behind its back."""
    del ledger  # it has to be there first
    hand = OtherHand(url)
    yield hand
    hand.close()
