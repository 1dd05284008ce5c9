"""``secretsync audit migrate``, and what other commands say of a ledger of an older version."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from secretsync_core.audit.schema import VERSIONS

if TYPE_CHECKING:
    from cli.conftest import Cli


def _age(cli: Cli) -> None:
    """Make a new ledger one of the first version: without the index, Alembic's table and those that came later."""
    from secretsync_core.audit import seal
    from secretsync_core.audit.keys import load_key

    home = cli.directory / "secretsync/.secretsync"
    key = load_key(environ={}, directory=home, create=False).seal
    with sqlite3.connect(home / "ledger.db") as file:
        file.execute("DROP INDEX items")
        for table in ("alembic_version", "run_requests", "item_state", "checks", "drift", "places", "positions"):
            file.execute(f"DROP TABLE {table}")
        for column in VERSIONS:
            file.execute(f"DROP TRIGGER ledger_{column}")
        file.execute("DELETE FROM meta WHERE name LIKE 'standing-%'")
        file.execute(
            "UPDATE meta SET value = '1', seal = ? WHERE name = 'schema'", (seal.meta_seal(key, "schema", "1"),)
        )
    file.close()


def test_an_older_ledger_is_migrated_and_goes_on(started: Cli) -> None:
    """Other commands name the command; it says what it did; afterwards nothing is said and nothing is to do."""
    assert started("audit", "migrate").code == 0
    _age(started)
    for command in (["sync"], ["status"], ["audit", "verify"]):
        ran = started(*command)
        assert ran.code == 0
        assert "`secretsync audit migrate`" in ran.err
    ran = started("audit", "migrate")
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"ledger\.db: tables upgraded from version 1 to 5$", ran.out.strip())
    assert started("audit", "migrate").out.strip().endswith("tables already at version 5")
    for command in (["sync"], ["status"]):
        assert "migrate" not in started(*command).err
    assert started("audit", "verify", "--output", "json").json["sound"] is True


def test_migrating_in_json(started: Cli) -> None:
    """A machine is told both versions; a ledger that is not there is made in the newest one."""
    assert started("audit", "migrate", "--output", "json").json == {
        "ledger": "secretsync/.secretsync/ledger.db", "before": 5, "after": 5, "exitCode": 0,
    }  # fmt: skip
    _age(started)
    found = started("audit", "migrate", "--output", "json").json
    assert (found["before"], found["after"]) == (1, 5)


def test_without_alembic_the_extra_is_named_and_nothing_changes(started: Cli) -> None:
    """Exit code 3, the command that installs it, and a ledger that still serves."""
    started("audit", "migrate")
    _age(started)
    started.write("sitecustomize.py", "import sys\nsys.modules['alembic'] = None\n")
    path = f"{started.directory}:{started.environ['PYTHONPATH']}"
    ran = started("audit", "migrate", PYTHONPATH=path)
    assert ran.code == 3
    assert "install the extra [migrate]; see Install in the README" in ran.err
    assert started("sync", PYTHONPATH=path).code == 0
