"""Sessions as a user has them: each file of ``transcripts`` holds commands and what they answer.

The first line of a file says what it shows. ``$`` begins a command; its stdout follows as it is, its stderr with
``2| `` before each line, and last ``[exit N]`` unless it is 0. Times, ids and hashes are named instead of shown.
``UPDATE_TRANSCRIPTS=1`` writes the files anew; look at the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Cli, Ran

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))

_NAMED = (
    (re.compile(r"\b[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\b"), "<run>"),
    (re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} UTC\b"), "<time>"),
    (re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z"), "<version>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "<digest>"),
    (re.compile(r"\bin [0-9]+(?:\.[0-9])? s\b"), "in <seconds> s"),
)


def _session(ran: Ran) -> list[str]:
    """What a command gave, as a transcript has it."""
    lines = ran.out.splitlines() + [f"2| {line}" for line in ran.err.splitlines()]
    if ran.code:
        lines.append(f"[exit {ran.code}]")
    return lines


def _play(commands: list[str], cli: Cli) -> list[str]:
    lines: list[str] = []
    for command in commands:
        lines.append(f"$ {command}")
        for line in _session(cli.shell(command)):
            named = line.replace(str(cli.directory), "<dir>")
            for pattern, name in _NAMED:
                named = pattern.sub(name, named)
            lines.append(named.rstrip())
    return lines


LONG = {
    "adopt", "drift", "max-delete", "no-ledger-yet", "paper-form", "saved-plan", "source-changes", "suspended", "undo",
    "wrong-calls",
}  # fmt: skip
"""Sessions whose single commands other tests hold as well: played by `make test-slow`."""


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, id=file.stem, marks=pytest.mark.slow if file.stem in LONG else ()) for file in FILES],
)
def test_transcript(file: Path, cli: Cli) -> None:
    """A session gives what its transcript says."""
    title, _, session = file.read_text().partition("\n\n")
    expected = session.splitlines()
    played = _play([line[2:] for line in expected if line.startswith("$ ")], cli)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        file.write_text("\n".join([title, "", *played]) + "\n")
    else:
        assert "\n".join(played) == "\n".join(expected)


def test_every_transcript_has_a_title_and_commands() -> None:
    """No transcript is empty by mistake."""
    assert FILES
    for file in FILES:
        title, _, session = file.read_text().partition("\n\n")
        assert title.endswith("."), file
        assert "\n$ " in "\n" + session, file
