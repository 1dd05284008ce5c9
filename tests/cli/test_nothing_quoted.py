"""No command quotes what it was given: a token in the place of any argument, of any option's value or of an option."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import typer
from support.slow import one_in

from secretsync_core.cli.main import app, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "hvs.CAESIJcanaryTOKEN0123456789"
COMMANDS: dict[str, Any] = {}
for _name, _command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
    if hasattr(_command, "commands"):
        COMMANDS |= {f"{_name} {name}": command for name, command in _command.commands.items()}
    else:
        COMMANDS[_name] = _command

NEEDED = {"undo": ["RUN"], "rebind": ["example", "example-dest", "--new"], "rename": ["former", "example"]}
"""What a command needs to come as far as to look at an option."""

PATHS = {"--config", "--source", "--dest", "--job", "--ledger", "--out", "--plan", "--file", "--textfile", "directory"}
"""What takes a path, or what may be one: paths are told."""


def _is_path(command: str, option: str) -> bool:
    return option in PATHS and not (command.startswith("audit") and option == "--job")


def _calls() -> Iterator[list[str]]:
    """Every command with a token in the place of each value, each option, each argument, and of one too many."""
    for name, command in COMMANDS.items():
        words, needed = name.split(), NEEDED.get(name, [])
        yield [*words, *needed, f"--{TOKEN}"]
        yield [*words, *needed, f"--{TOKEN}=a"]
        yield [*words, *needed, f"-{TOKEN}"]
        yield [*words, *needed, *[TOKEN] * 4]
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        for at in range(len(arguments)):
            if not _is_path(name, arguments[at].name):
                yield [*words, *needed[:at], TOKEN, *needed[at + 1 :]]
        for param in command.params:
            option = next((one for one in param.opts if one.startswith("--")), "")
            if not option or _is_path(name, option):
                continue
            yield [*words, *needed, f"{option}={TOKEN}"]
            yield [*words, *needed, option, TOKEN, option, TOKEN]
    yield [TOKEN]
    yield [f"--{TOKEN}"]
    yield ["audit", TOKEN]
    yield ["sync", "--adopt", TOKEN, "--adopt", f"example-dest:{TOKEN}"]
    yield ["plan", "--adopt", f"{TOKEN}:mail/smtp"]
    yield ["audit", "verify", "--expect", f"{TOKEN}=1:{'0' * 64}"]


CALLS = list(_calls())
WITH_JSON = [words for words in CALLS if words[0] in ("plan", "sync", "check", "undo", "orphans", "audit")]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which `init` and `sync` were run."""
    directory = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        assert (run(["init", "-q"]), run(["sync", "-q"])) == (0, 0)
    return directory


def _run_of(directory: Path, capfd: pytest.CaptureFixture[str]) -> str:
    assert run(["audit", "log", "--event", "run-started"]) == 0
    return capfd.readouterr().out.split()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("form", one_in(2, ["text", "json"]))
def test_no_command_quotes_what_it_was_given(
    filled: Path, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither on stdout nor on stderr, whether the call is refused at once, late, or does what it can."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    made = _run_of(tmp_path, capfd)
    for words in CALLS if form == "text" else WITH_JSON:
        given = [made if word == "RUN" else word for word in words]
        code = run([*given, "--output", "json"] if form == "json" else given)
        out, err = capfd.readouterr()
        assert TOKEN not in out + err, (words, out + err)
        assert code in (0, 1, 2, 10), (words, err)
        assert "internal error" not in err, (words, err)


def test_what_is_known_is_suggested(
    filled: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The nearest known name stands in for the one that was given."""
    monkeypatch.chdir(filled)
    calls = {
        "plan exmaple": "did you mean example?",
        "plan --item maill": "did you mean mail?",
        "plan --restored example-sorce": "did you mean example-source?",
        "plan --itm mail": "did you mean --item?",
        "plna": "did you mean plan?",
        "audit log --event fialed": "did you mean failed?",
        "audit export --job exampel": "did you mean example?",
        "rebind example example-dst --new": "did you mean example-dest?",
    }
    for line, suggested in calls.items():
        assert run(line.split()) == 2
        assert suggested in capfd.readouterr().err
