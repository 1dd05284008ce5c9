"""The page of all commands and options, from the Typer app that is the command line."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import typer

from secretsync_core.cli.main import app
from tools.docs.markdown import code, table
from tools.docs.markdown import page as whole_page

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT = "Every command with its arguments and options, as `secretsync COMMAND --help` shows them."

EXIT_CODES = [
    ("0", "All is well."),
    ("1", "Some secrets failed or were refused, `maxDelete` held deletes back, or the ledger's chain is broken."),
    ("2", "The documents or the call are wrong. Nothing was written."),
    ("3", "A store or the ledger cannot be reached or denies access, or another run of the job holds the lease."),
    ("10", "`plan --detailed-exitcode`: there are changes. `check`: there is drift."),
    ("70", "Internal error: a bug in SecretSync. Please report it."),
    ("74", "stdout could not be written, because of a full disk, say. A reader that left is no error."),
    ("130, 143", "Stopped by Ctrl-C or SIGTERM. Requests in flight were finished and recorded."),
]


def page() -> str:
    """The page for this version."""
    root: Any = typer.main.get_command(app)  # any: the CLI library's classes move between its versions
    sections = [_section(name, command) for name, command in _commands(root, "secretsync")]
    codes = f"## Exit codes\n\n{table(['code', 'meaning'], EXIT_CODES)}"
    return whole_page("Commands", ABOUT, *sections, codes)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from _commands(child, f"{path} {name}")
        elif not child.hidden:
            yield f"{path} {name}", child


def _section(path: str, command: Any) -> str:
    rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
    arguments = " ".join(
        _bare(p) if p.required else f"[{_bare(p)}]{'...' if p.nargs == -1 else ''}"
        for p in command.params
        if p.param_type_name == "argument"
    )
    usage = " ".join(part for part in (path, "[OPTIONS]", arguments) if part)
    options = table(["argument or option", "variable", "meaning"], rows) if rows else ""
    title = path.removeprefix("secretsync ")
    return "\n\n".join(part for part in (f"## {title}", command.help.strip(), f"```\n{usage}\n```", options) if part)


def _bare(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()).strip("[]")


def _row(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        name = code(_bare(parameter))
    else:
        names = sorted(parameter.opts, key=len, reverse=True)
        value = "" if parameter.is_flag else f" {parameter.metavar or _choices(parameter)}"
        name = ", ".join(code(each + (value if number == 0 else "")) for number, each in enumerate(names))
    return [name, code(parameter.envvar) if parameter.envvar else "", _meaning(parameter)]


def _choices(parameter: Any) -> str:
    """What an option takes that has no name for it: one of the values of an enumeration, or a plain type."""
    kind = parameter.type_descriptor.annotation
    return "|".join(choice.value for choice in kind) if issubclass(kind, Enum) else kind.__name__.upper()


def _meaning(parameter: Any) -> str:
    text, _, shown = (parameter.help or "").partition(" [default: ")
    default = shown.rstrip("]") if shown else _default(parameter)
    return f"{text} Default: {default}." if default else text


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or isinstance(value, bool) or callable(value):
        return ""
    return code(str(getattr(value, "value", value)))
