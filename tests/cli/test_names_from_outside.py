"""Keys come from outside: they may not steer the terminal, nor be taken for markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from secretsync_core.audit.export import verify_export
from secretsync_core.cli.escape import safe, safe_json
from secretsync_core.cli.output import Output

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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\u202eb\u009bc", "a\\u202eb\\u009bc"),
        ("\x7f\u200b\U000e0041", "\\u007f\\u200b\\udb40\\udc41"),
        ("ä漢", "ä漢"),
    ],
)
def test_json_is_safe_to_show_and_the_same_to_read(name: str, shown: str) -> None:
    """What could steer a terminal is an escape in JSON, read as what it was; layout and letters stay."""
    made = safe_json(orjson.dumps({"key": [name, 1]}, option=orjson.OPT_INDENT_2))
    assert made.decode() == f'{{\n  "key": [\n    "{shown}",\n    1\n  ]\n}}'
    assert orjson.loads(made) == {"key": [name, 1]}


def test_json_of_every_command_is_safe_to_show(started: Cli) -> None:
    """Neither plan, sync, check and the ledger nor the ledger's export print a C1 control or a mark that turns text."""
    started.write("secretsync/example/source/payments/a\u202eb\u009bc", "x")
    runs = [started(name, "--output", "json") for name in ("plan", "sync", "check")]
    runs += [started("audit", "log", "--limit", "0", "--output", "json"), started("audit", "export")]
    assert not [ran for ran in runs if "\u202e" in ran.out or "\u009b" in ran.out]
    assert ["a\\u202eb\\u009bc" in ran.out for ran in runs[:2]] == [True, True]
    export = started.write("export.jsonl", runs[4].out)
    assert all(report.sound for report in verify_export(export.read_bytes().splitlines()))


def test_json_of_a_name_that_is_no_unicode(capfd: pytest.CaptureFixture[str]) -> None:
    """A file's name with a byte that is none of UTF-8 is an escape, and no internal error."""
    Output(json=True).document({"key": "a\udcffb"})
    assert capfd.readouterr().out == '{\n  "key": "a\\udcffb"\n}\n'
