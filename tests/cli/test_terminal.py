"""What a terminal shows: a progress bar that leaves no trace, colours, and lines that fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Cli

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _on_terminal(cli: Cli, *arguments: str, columns: int = 80, **environ: str) -> pexpect.spawn[str]:
    return pexpect.spawn(
        cli.command[0],
        list(arguments),
        cwd=str(cli.directory),
        env={**cli.environ, "COLUMNS": str(columns), **environ},
        dimensions=(24, columns),
        encoding="utf-8",
        timeout=60,
    )


def _shown(cli: Cli, *arguments: str, columns: int = 80, **environ: str) -> str:
    child = _on_terminal(cli, *arguments, columns=columns, **environ)
    child.expect(pexpect.EOF)
    child.close()
    return str(child.before).replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_sync_shows_progress(troubled: Callable[..., Cli], columns: int) -> None:
    """A sync that takes a while shows its phase, how many are done, and how many failed."""
    cli = troubled(30, delay=0.15, fail={"write key-003": "denied"})
    child = _on_terminal(cli, "sync", columns=columns)
    child.expect(r"Copying")
    child.expect(r"\d+/30")
    child.expect(r"1 failed")
    child.expect(r"29 created")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1


def test_no_progress_where_nobody_looks(troubled: Callable[..., Cli]) -> None:
    """Neither a pipe nor --quiet gets a bar or a colour."""
    cli = troubled(10, delay=0.2)
    piped = cli("sync")
    assert "\x1b" not in piped.out + piped.err
    assert "Copying" not in piped.err
    cli.write("secretsync/source/one-more", "x")
    assert "Copying" not in _shown(cli, "sync", "--quiet")


def test_colours_can_be_turned_off(started: Cli) -> None:
    """A terminal gets colours, unless NO_COLOR says no."""
    assert "\x1b[32m" in _shown(started, "plan")
    assert not _ESCAPES.search(_shown(started, "plan", NO_COLOR="1"))
    assert "\x1b[32m" in started("plan", FORCE_COLOR="1").out


@pytest.mark.parametrize("columns", [80, 120])
def test_lines_fit(started: Cli, columns: int) -> None:
    """No line of a plan, a status or a log is wider than the terminal."""
    started("sync")
    started.write("secretsync/example/dest/mail/smtp", "edited")
    for command in (["plan", "--all"], ["status"], ["audit", "log"], ["check"], ["stores"]):
        shown = _ESCAPES.sub("", _shown(started, *command, columns=columns))
        too_wide = [line for line in shown.splitlines() if len(line) > columns and "/" not in line.split()[0]]
        assert not too_wide, command


def test_a_long_plan_is_cut_on_a_terminal_only(started: Cli) -> None:
    """A terminal shows the first 200 keys and says how to see all; a pipe gets every one."""
    for number in range(230):
        started.write(f"secretsync/example/source/payments/many-{number:03}", "x")
    shown = _shown(started, "plan", columns=120)
    assert "... and 34 more keys; --all shows every one" in shown
    assert "prod/many-229" not in shown
    assert "prod/many-229" in _shown(started, "plan", "--all", columns=120)
    assert "prod/many-229" in started("plan").out
