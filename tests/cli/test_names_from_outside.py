"""Keys come from outside: they may not steer the terminal, nor be taken for markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.cli.escape import safe

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_escape_sequences_in_keys_are_neutralised(started: Cli) -> None:
    """A key with terminal escapes, line breaks or markup is shown as text by every command."""
    evil = "payments/a\x1b[2J\x1b]0;owned\x07b\nPlan: 0 to create"
    started.write(f"secretsync/example/source/{evil}", "x")
    started.write("secretsync/example/source/payments/[bold red]markup[/]", "x")
    runs = [started(*command, FORCE_COLOR="1") for command in (["plan"], ["plan", "--all"], ["sync"], ["status"])]
    (started.directory / "secretsync/example/dest/prod/[bold red]markup[/]").write_text("edited")
    runs += [started(*command) for command in (["check"], ["audit", "log", "--limit", "0"], ["plan"])]
    for ran in runs:
        for text in (ran.out, ran.err):
            assert "\x1b[2J" not in text
            assert "\x1b]" not in text
            assert "\x07" not in text
            assert "\nPlan: 0 to create\n" not in text
    assert "[bold red]markup[/]" in runs[0].out
    assert "payments/a\\x1b[2J\\x1b]0;owned\\x07b\\nPlan: 0 to create" in runs[0].out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain/key-1_ä漢", "plain/key-1_ä漢"),
        ("a\tb\r\nc", "a\\tb\\r\\nc"),
        ("\x1b[31m\x9b31m", "\\x1b[31m\\x9b31m"),
        ("\u202ekcab\u200b\ufeff", "\\u202ekcab\\u200b\\ufeff"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
    ],
)
def test_what_is_escaped(text: str, shown: str) -> None:
    """Controls, bidi marks, invisible characters and lone surrogates are shown as escapes; letters stay."""
    assert safe(text) == shown


def test_a_terminal_that_knows_only_ascii(started: Cli) -> None:
    """A key that the terminal's charset lacks is shown as an escape rather than as an error."""
    started.write("secretsync/example/source/payments/schlüssel-漢", "x")
    ran = started("plan", PYTHONIOENCODING="ascii")
    assert ran.code == 0
    assert "schl\\xfcssel-\\u6f22" in ran.out
