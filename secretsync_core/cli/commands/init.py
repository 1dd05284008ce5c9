"""``secretsync init``: a starter directory whose job runs at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from secretsync_core.cli import exits, starter
from secretsync_core.cli.escape import safe
from secretsync_core.cli.workspace import DEFAULT
from secretsync_core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.cli.output import Output


def run(output: Output, directory: Path) -> int:
    """Write the starter files into ``directory``; nothing that exists is touched."""
    taken = [name for name in starter.FILES if os.path.lexists(directory / name)]
    if taken:
        raise UsageError(
            f"{directory} already has {', '.join(taken)}", hint="nothing was written; choose another directory"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in starter.DIRECTORIES:
            (directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in starter.FILES.items():
            _create(directory / name, text, secret=name.startswith("example/"))
    except OSError as error:
        raise UsageError(f"{error.filename or directory} cannot be written: {error.strerror}") from None
    if not output.quiet:
        _show(output, directory)
    return exits.OK


def _create(path: Path, text: str, *, secret: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if secret else 0o777)
    # O_EXCL: also a file that appeared since we looked is left alone.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o666)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _show(output: Output, directory: Path) -> None:
    shown = safe(str(directory))
    option = "" if directory == DEFAULT else f" --config {shown}"
    output.line(f"Written to {output.paint(shown, 'bold')}:")
    for name, what in (
        ("stores.yaml", "two file stores, and a Vault store to uncomment"),
        ("jobs.yaml", "one job: a single secret, a query and a combined secret"),
        ("README.md", "what to do next"),
        ("example/", "sample secrets"),
    ):
        output.line(f"  {name:<12} {what}")
    output.line()
    output.line("Next:")
    for command in ("validate", "plan", "sync"):
        output.line(f"  secretsync {command}{option}")
