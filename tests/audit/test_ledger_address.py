"""What may be said of where a ledger is: never a user, a password or a part of one, however the place is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from secretsync_core.audit.databases import open_database
from secretsync_core.errors import LedgerError
from secretsync_core.ledger_address import address_of, beside, file_of, name_of

CANARY = "hunter2canary"

NOWHERE = "127.0.0.1:1"

WRITTEN = (
    f"postgresql://app:{CANARY}@{NOWHERE}/ledger",
    f"postgres://app:{CANARY}@{NOWHERE}/ledger",
    f"postgresql+psycopg2://app:{CANARY}@{NOWHERE}/ledger",
    f"postgresql+psycopg://app:{CANARY}@{NOWHERE}/ledger",
    f"PostgreSQL://app:{CANARY}@{NOWHERE}/ledger",
    f"  postgresql://app:{CANARY}@{NOWHERE}/ledger\n",
    f"postgresql://app:some@{CANARY}@{NOWHERE}/ledger",
    f"postgresql://app:some/{CANARY}@{NOWHERE}/ledger",
    f"postgresql://app:12/{CANARY}@{NOWHERE}/ledger",
    f"postgresql://app:12?{CANARY}@{NOWHERE}/ledger",
    f"postgresql://app:12#{CANARY}@{NOWHERE}/ledger",
    f"postgresql://app:{CANARY}",
    f"postgresql://{CANARY}",
    f"postgresql://app%3A{CANARY}%40{NOWHERE}/ledger",
    f"postgresql://{NOWHERE}/ledger?user=app&password={CANARY}",
    f"postgresql://{NOWHERE}/ledger?sslmode=require&sslpassword={CANARY}",
    f"postgresql://{NOWHERE}/ledger?user=app:{CANARY}@there",
    f"postgresql://{NOWHERE}/ledger?connect_timeout={CANARY}",
    f"postgresql:///ledger?host=app:{CANARY}@h&port=1",
    f"postgresql:///ledger?host=/nowhere&dbname=postgresql://app:{CANARY}@h/x",
    f"postgresql+asyncpg://app:{CANARY}@{NOWHERE}/ledger",
    f"mysql://app:{CANARY}@{NOWHERE}/ledger",
    f"mysql+pymysql://app:{CANARY}@{NOWHERE}/ledger",
    f"MySQL://app:{CANARY}@{NOWHERE}/ledger",
    f"redis://:{CANARY}@{NOWHERE}",
    f"jdbc:postgresql://app:{CANARY}@{NOWHERE}/ledger",
    f"{CANARY}://{NOWHERE}/ledger",
    f"postgresql//app:{CANARY}@{NOWHERE}/ledger",
    f"postgres:/app:{CANARY}@{NOWHERE}/ledger",
    f"postgresql:app:{CANARY}@{NOWHERE}/ledger",
    f"postgre:/app:{CANARY}@{NOWHERE}/ledger",
    f"//app:{CANARY}@{NOWHERE}/ledger",
    f"app:{CANARY}@{NOWHERE}/ledger",
    f"postgresql%3A%2F%2Fapp%3A{CANARY}%40h%2Fledger",
    f"host=127.0.0.1 port=1 user=app password={CANARY}",
    f"dbname=ledger PASSWORD = '{CANARY}'",
    f"PGPASSWORD={CANARY}",
    f"sqlite://app:{CANARY}@h/ledger.db",
    f"sqlite:///ledger.db?password={CANARY}",
    f"sqlite:/app:{CANARY}@h",
    f"/srv/postgresql://app:{CANARY}@h/ledger",
)
"""Each way to write a URL, or to write it wrong, with a password in it."""


@pytest.mark.parametrize("place", WRITTEN)
def test_no_way_of_writing_it_tells_a_password(place: str) -> None:
    """Neither the name nor the error of opening it holds the password, and a wrong one makes no file."""
    assert CANARY not in name_of(place)
    assert "app" not in name_of(place)
    with pytest.raises(LedgerError) as caught:
        open_database(place, read_only=False)
    error = caught.value
    assert CANARY not in f"{error} {error.hint} {error.__cause__}"
    assert error.__suppress_context__ or error.__context__ is None
    assert error.hint


KEYS = (
    "mL0pQe7vRk2sTx9aYb4cZd6fGh1jKn3uWo5iXq8rEtA=",
    "mL0pQe7vRk2sTx9/Yb4cZd6fGh1jKn3u/o5iXq8rEtA=",
    "/L0pQe7vRk2sTx9aYb4cZd6fGh1jKn3uWo5iXq8rEtA=",
    "mL0pQe7vRk2sTx9-Yb4cZd6fGh1jKn3u_o5iXq8rEtA",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_in_place_of_a_path_is_not_told(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger's key where its place belongs is never shown, and makes no file that is called so."""
    monkeypatch.chdir(tmp_path)
    for place in (key, f"sqlite:///{key}", f"/docs/{key}", f"./{key}"):
        assert not any(part and part in name_of(place) for part in key.split("/"))
    if not key.startswith("/"):
        with pytest.raises(LedgerError, match="looks like a key") as caught:
            open_database(key, read_only=False)
        assert key not in f"{caught.value} {caught.value.hint}"
        assert "SECRETSYNC_KEY" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("postgresql://u:p@db.example.com:5432/ledger?sslmode=verify-full", "postgresql://db.example.com:5432/ledger"),
        ("postgresql+psycopg2://u:p@db/ledger", "postgresql://db/ledger"),
        ("postgresql://u:p%40q@db/ledger", "postgresql://db/ledger"),
        ("postgresql://u:p@a:1,b:2/ledger", "postgresql://a:1,b:2/ledger"),
        ("postgresql://u@[::1]:5432/ledger", "postgresql://[::1]:5432/ledger"),
        ("postgresql://u@%2Fvar%2Frun/ledger", "postgresql:///var/run/ledger"),
        ("postgresql:///ledger?host=/var/run&port=5433", "postgresql:///var/run:5433/ledger"),
        ("mysql://u:p@h/db", "mysql://…"),
        ("postgresql://u:p@q@h/db", "postgresql://…"),
        ("sqlite:///state/ledger.db", "state/ledger.db"),
        ("sqlite:////srv/ledger.db", "/srv/ledger.db"),
        ("state/ledger.db", "state/ledger.db"),
        (
            "/nix/3f86d081884c7d659a2feaa0c55ad015a3bf4f1b/led",
            "/nix/3f86d081884c7d659a2feaa0c55ad015a3bf4f1b/led",
        ),
        ("data/teams/production/secretsync/ledgers/orders", "data/teams/production/secretsync/ledgers/orders"),
        ("/srv/team@corp/ledger.db", "/srv/team@corp/ledger.db"),
    ],
)
def test_what_is_plain_is_told(place: str, name: str) -> None:
    """Host, port, database and path help whoever has to look there."""
    assert name_of(place) == name


def test_what_a_place_leads_to() -> None:
    """SQLAlchemy's schemes lead to the same PostgreSQL, whatever their case; a path is taken as it is."""
    for scheme in ("postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg", "POSTGRESQL"):
        assert address_of(f" {scheme}://u:p@h/db\n") == ("postgresql", "postgresql://u:p@h/db")
    assert address_of("sqlite:////srv/ledger.db") == ("sqlite", "/srv/ledger.db")
    assert address_of(Path("/srv/a:b@c/ledger.db")) == ("sqlite", "/srv/a:b@c/ledger.db")
    assert file_of("postgresql://u:p@h/db") is None
    assert file_of("mysql://u:p@h/db") is None
    assert file_of("sqlite:///state/ledger.db") == Path("state/ledger.db")


def test_a_path_is_taken_from_a_directory_on_and_nothing_else_is() -> None:
    """What is mistyped is left for the error that says so, and makes no directory of that name."""
    here = Path("/project")
    assert beside("state/ledger.db", here) == "/project/state/ledger.db"
    assert beside("/srv/ledger.db", here) == "/srv/ledger.db"
    for place in ("postgresql+psycopg2://u:p@h/db", "postgres:/u:p@h/db", "host=h password=p", "sqlite:///ledger.db"):
        assert beside(place, here) == place
