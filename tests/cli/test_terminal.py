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
        cli.quick[0],
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


@pytest.mark.parametrize("columns", [80, pytest.param(120, marks=pytest.mark.slow)])
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


@pytest.mark.parametrize("columns", [80, pytest.param(120, marks=pytest.mark.slow)])
def test_lines_fit(started: Cli, columns: int) -> None:
    """No line of a plan, a status or a log is wider than the terminal."""
    started("sync")
    started.write("secretsync/example/dest/mail/smtp", "edited")
    for command in (["plan", "--all"], ["status"], ["audit", "log"], ["check"], ["stores"]):
        shown = _ESCAPES.sub("", _shown(started, *command, columns=columns))
        too_wide = [line for line in shown.splitlines() if len(line) > columns and "/" not in line.split()[0]]
        assert not too_wide, command


def test_a_long_plan_is_cut_on_a_terminal_only(started: Cli) -> None:
    """A terminal shows the first 200 keys and says what it left out; a pipe gets every one."""
    for number in range(230):
        started.write(f"secretsync/example/source/payments/many-{number:03}", "x")
    shown = _shown(started, "plan", columns=120)
    assert "... and more: to create (34); --all shows every key" in shown
    assert "prod/many-229" not in shown
    assert "prod/many-229" in _shown(started, "plan", "--all", columns=120)
    assert "prod/many-229" in started("plan").out


def test_deletes_and_refusals_come_first_and_are_never_cut(troubled: Callable[..., Cli]) -> None:
    """Behind 250 updates two deletes and a refusal still stand first, also where all of these are more than 200."""
    cli = troubled(255)
    cli.write("secretsync/job.yaml", cli.directory.joinpath("secretsync/job.yaml").read_text().replace(
        "  limits:", "  deletionPolicy: Delete\n  maxDelete: 300\n  limits:"))  # fmt: skip
    assert cli("sync", "--quiet").code == 0
    source = cli.directory / "secretsync/source"
    for number in range(250):
        cli.write(f"secretsync/source/key-{number:03}", "changed")
    for number in (253, 254):
        (source / f"key-{number}").unlink()
    lines = _shown(cli, "plan", NO_COLOR="1").splitlines()
    at = {text: next(at for at, line in enumerate(lines) if text in line) for text in ("To delete", "To update")}
    assert lines[at["To delete"]] == "  To delete (2):"
    assert [line.split()[1] for line in lines[at["To delete"] : at["To update"]] if line.startswith("  - ")] == [
        "key-253",
        "key-254",
    ]
    assert at["To delete"] < at["To update"]
    assert "  ... and more: to update (50); --all shows every key" in lines
    for number in range(220):
        (source / f"key-{number:03}").unlink()
    lines = _shown(cli, "plan", NO_COLOR="1").splitlines()
    assert len([line for line in lines if line.startswith("  - ")]) == 222


TWO_OF_EACH = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: copy}
spec:
  source: source
  dest: [dest, second]
  plan:
    - {name: new, query: {path: "", recursive: true}}
    - {name: old, source: legacy, secret: {key: thing}, keyTransform: [{regexp: {source: "^", target: "legacy/"}}]}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: legacy}
spec: {provider: {file: {path: legacy}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: second}
spec: {provider: {file: {path: second}}}
"""


def test_two_stores_are_named_once(troubled: Callable[..., Cli]) -> None:
    """Keys are grouped by the two stores that they go between, each pair in a heading and never at a key."""
    cli = troubled(2)
    cli.write("secretsync/job.yaml", TWO_OF_EACH)
    cli.write("secretsync/legacy/thing", "x")
    (cli.directory / "secretsync/second").mkdir()
    lines = cli("plan").out.splitlines()
    assert lines[0] == "copy: source, legacy -> dest, second"
    pairs = [line for line in lines[1:] if "->" in line]
    assert [line.strip() for line in pairs] == [
        "legacy -> dest", "legacy -> second", "source -> dest", "source -> second",
    ]  # fmt: skip
    assert len([line for line in lines if line.startswith("  + legacy/thing <- thing ")]) == 2


@pytest.mark.parametrize("columns", [80, 140])
def test_long_keys_leave_room_for_the_others(troubled: Callable[..., Cli], columns: int) -> None:
    """A key that is longer than the terminal is wide is whole, and no other line grows with it."""
    cli = troubled(3)
    long = "/".join(["a-team-with-a-long-name"] * 8)
    cli.write(f"secretsync/source/{long}", "x")
    lines = _shown(cli, "plan", columns=columns, NO_COLOR="1").splitlines()
    assert any(long in line for line in lines)
    assert [line for line in lines if len(line) > columns] == [f"  + {long}"]
