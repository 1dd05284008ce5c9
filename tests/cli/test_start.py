"""Starting up: help is quick, and nothing is imported that a command does not need."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Cli

HEAVY = ("pydantic", "yaml", "jinja2", "re2", "aiohttp", "hvac", "asyncio", "rich", "orjson", "sqlite3", "dagster")
NEVER = {"aiohttp", "hvac", "rich", "psycopg", "dagster", "alembic", "sqlalchemy", "prometheus_client"}


def _modules(cli: Cli, *arguments: str) -> set[str]:
    script = (
        "import sys\nfrom secretsync_core.cli.main import run\n"
        f"run({list(arguments)!r})\nprint('MODULES', *sorted(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=cli.directory, env=cli.environ, capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("MODULES")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["sync", "--help"], ["audit", "--help"], ["--version"], ["bogus"]])
def test_help_imports_nothing_heavy(cli: Cli, arguments: list[str]) -> None:
    """Help, the version and a wrong call need neither schema, engine, SDKs nor Rich."""
    modules = _modules(cli, *arguments)
    # Some versions of Typer read a command's own options with pydantic, before any code of ours runs.
    typers_own = {"pydantic"} if arguments[0] not in ("--help", "--version") else set()
    assert not modules & set(HEAVY) - typers_own
    light = {"secretsync_core.unsafe_characters", "secretsync_core.known"}  # they import nothing of ours
    ours = {module for module in modules if module.startswith("secretsync_core.")} - light
    assert not {module for module in ours if not module.startswith("secretsync_core.cli")}


def test_a_sync_imports_no_sdk_that_it_does_not_need(started: Cli) -> None:
    """Files are synced without any SDK, a ledger is made without Alembic, and Rich stays out where nobody looks."""
    assert not _modules(started, "sync") & NEVER


def test_every_command_has_help(cli: Cli) -> None:
    """Each command says what it does and what it takes."""
    commands = [
        ["init"],
        ["validate"],
        ["plan"],
        ["sync"],
        ["check"],
        ["status"],
        ["health"],
        ["metrics"],
        ["stores"],
        ["schema"],
        ["demo"],
    ]
    commands += [
        ["audit"],
        ["audit", "log"],
        ["audit", "verify"],
        ["audit", "export"],
        ["audit", "migrate"],
        ["audit", "rotate-key"],
    ]
    overview = cli("--help").out
    for command in commands:
        ran = cli(*command, "--help")
        assert ran.code == 0
        assert ran.out.startswith(f"Usage: secretsync {' '.join(command)}")
        assert command[0] in overview


def test_version(cli: Cli) -> None:
    """--version gives the version of the package."""
    from secretsync_core import __version__

    assert cli("--version").out == f"secretsync {__version__}\n"


def test_no_command_shows_help_and_is_wrong(cli: Cli) -> None:
    """A call without a command shows what there is, on stderr, and ends with 2."""
    for arguments in ([], ["audit"]):
        ran = cli(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("Usage: secretsync")
