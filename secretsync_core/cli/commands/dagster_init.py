"""``secretsync dagster init``: all that ``dagster dev`` needs to bring up the web UI, its daemon and the documents."""

from __future__ import annotations

import importlib.util
import os
from importlib.resources import files
from typing import TYPE_CHECKING

from secretsync_core.cli import exits
from secretsync_core.cli.escape import safe
from secretsync_core.cli.workspace import DEFAULT
from secretsync_core.distribution import extra_hint
from secretsync_core.errors import UsageError
from secretsync_core.schema.files import is_directory

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.cli.output import Output

WORKSPACE = """\
# Every document under SECRETSYNC_CONFIG (default ./secretsync) becomes a job of this code location.
load_from:
  - python_module:
      module_name: secretsync_dagster.definitions
      location_name: secretsync
"""

_ENVIRONMENT = """\
# `dagster dev` reads this file where it is started. Other programs (dagster-webserver, dagster-daemon) do not.
# Dagster's settings (dagster.yaml), runs and events are in this directory. If you move it, change this line.
DAGSTER_HOME={home}
# Keeps error texts that are not SecretSync's own out of the event log.
DAGSTER_REDACT_USER_CODE_ERRORS=1
"""


def run(output: Output, directory: Path) -> int:
    """Write the settings into ``directory``; nothing that exists is touched."""
    home = directory.absolute()
    texts = {
        "dagster.yaml": files("secretsync_core.demo").joinpath("dagster.yaml").read_text(encoding="utf-8"),
        "workspace.yaml": WORKSPACE,
        ".env": _ENVIRONMENT.format(home=_in_env_file(home)),
    }
    taken = [name for name in texts if os.path.lexists(directory / name)]
    if taken:
        raise UsageError(
            f"{directory} already has {', '.join(taken)}", hint="nothing was written; choose another directory"
        )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in texts.items():
            # "x": also a file that appeared since we looked is left alone.
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"{error.filename or directory} cannot be written: {error.strerror}") from None
    if not output.quiet:
        _show(output, directory)
    return exits.OK


def _in_env_file(home: Path) -> str:
    """A path as the file of variables takes it. Raises UsageError where it cannot hold it."""
    text = str(home)
    if not text.isprintable() or set(text) & set("'\\$"):
        raise UsageError(
            "the directory's path has a character that a file of environment variables cannot hold",
            hint="choose one without quotes, $, backslashes and line breaks",
        )
    return f"'{text}'"


def _show(output: Output, directory: Path) -> None:
    output.line(f"Written to {output.paint(safe(str(directory)), 'bold')}:")
    for name, what in (
        ("dagster.yaml", "Dagster's settings: SQLite, one run of a job at a time, nothing that steps print is kept"),
        ("workspace.yaml", "the code location that the documents are compiled into"),
        (".env", "where runs and events are kept, and that foreign error texts are not"),
    ):
        output.line(f"  {name:<14} {what}")
    output.line()
    output.line("Next:")
    if importlib.util.find_spec("dagster") is None or importlib.util.find_spec("dagster_webserver") is None:
        output.line(f"  {extra_hint('dagster')}")
    if str(directory) != ".":
        output.line(f"  cd {safe(str(directory))}")
    if not os.environ.get("SECRETSYNC_CONFIG") and not is_directory(directory / DEFAULT):
        output.line("  secretsync init    # example documents in ./secretsync; yours: set SECRETSYNC_CONFIG")
    output.line("  dagster dev        # http://127.0.0.1:3000")
