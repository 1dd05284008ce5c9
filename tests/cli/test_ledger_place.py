"""Whatever command names the ledger: no part of its password is shown, however its URL is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from audit.test_ledger_address import CANARY, NOWHERE, WRITTEN

if TYPE_CHECKING:
    from cli.conftest import Cli, Ran

COMMANDS = (
    ("plan",),
    ("sync",),
    ("check",),
    ("orphans",),
    ("rebind", "example", "example-dest", "--moved"),
    ("rename", "old", "example"),
    ("undo", "run-1"),
    ("status",),
    ("health",),
    ("metrics",),
    ("audit", "log"),
    ("audit", "verify"),
    ("audit", "export"),
    ("audit", "migrate"),
    ("audit", "rotate-key"),
    ("health", "--output", "json"),
)

TYPED = (
    f"postgresql+psycopg2://app:some@{CANARY}@{NOWHERE}/ledger",
    f"postgres:/app:{CANARY}@{NOWHERE}/ledger",
    f"mysql://app:{CANARY}@{NOWHERE}/ledger",
)


def _clean(ran: Ran, place: str) -> None:
    assert CANARY not in ran.out + ran.err, place
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_tells_it(started: Cli, command: tuple[str, ...]) -> None:
    """Each fails, says that it is the ledger, and makes no file that has the password in its name."""
    for place in TYPED:
        ran = started(*command, SECRETSYNC_LEDGER=place)
        _clean(ran, place)
        assert "ledger" in ran.out + ran.err
        assert ran.code != 0
    assert not [path for path in started.directory.rglob("*") if CANARY in str(path)]


@pytest.mark.slow
def test_health_tells_it_in_no_way_of_writing(started: Cli) -> None:
    """It names the ledger whether or not it can be opened, in its table as in its errors."""
    for place in WRITTEN:
        ran = started("health", "--ledger", place)
        _clean(ran, place)
        assert ran.code == 3, place


def test_a_key_in_the_place_of_its_file_is_not_repeated(started: Cli) -> None:
    """Who puts the key itself into SECRETSYNC_KEY_FILE does not find it in an error."""
    for command in (("health",), ("sync",)):
        ran = started(*command, SECRETSYNC_KEY_FILE=CANARY * 4)
        _clean(ran, CANARY)
        assert ran.code == 3
        assert "SECRETSYNC_KEY_FILE" in ran.out + ran.err
