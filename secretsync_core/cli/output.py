"""Where a command's words go: results on stdout, notes and errors on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from secretsync_core.cli import streams
from secretsync_core.cli.escape import safe, safe_json, safe_lines
from secretsync_core.cli.paint import Paint, is_terminal, wants_colour, width

if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsync_core.errors import SecretSyncError


class Output:
    """The two streams of one command.

    Attributes:
        json: results are JSON, and nothing but JSON goes to stdout.
        quiet: no notes.
        paint: colours what goes to stdout.
        columns: the width of the terminal on stdout; None where there is none.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.paint = Paint(on=wants_colour(sys.stdout))
        self.columns = width(sys.stdout)
        self._paint_err = Paint(on=wants_colour(sys.stderr))

    @property
    def live(self) -> bool:
        """Whether to show progress: on a terminal, to somebody who has not asked for silence."""
        return not self.quiet and is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"

    @property
    def lost(self) -> bool:
        """Whether what is written to stdout reaches nobody any more: the reader left, or writing failed."""
        below = streams.writer(sys.stdout)
        return below is not None and below.lost

    def line(self, text: str = "") -> None:
        """One line (or several) for people, on stdout; dropped in JSON mode. What comes from outside is escaped."""
        if not self.json:
            self.write(text + "\n")

    def write(self, text: str) -> None:
        """``text`` on stdout as it is."""
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            # A terminal with a narrow charset: show what it cannot show as escapes rather than fail.
            sys.stdout.write(text.encode("ascii", "backslashreplace").decode("ascii"))

    def data(self, parts: Iterable[bytes]) -> None:
        """Bytes for a machine on stdout: UTF-8, as JSON and Prometheus ask for, whatever the terminal's charset is."""
        sys.stdout.flush()
        for part in parts:
            sys.stdout.buffer.write(part)
            if self.lost:
                break

    def flush(self) -> None:
        """Bring what was written to its reader, if there still is one."""
        sys.stdout.flush()

    def document(self, value: Any) -> None:
        """``value`` as JSON on stdout."""
        import orjson

        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
        try:
            made = orjson.dumps(value, option=options)
        except orjson.JSONEncodeError:  # a name that is no Unicode, such as a file's: JSON has escapes for it
            import json

            made = (json.dumps(value, indent=2) + "\n").encode()
        self.data([safe_json(made)])

    def note(self, text: str) -> None:
        """Something worth knowing, on stderr, unless quiet."""
        if not self.quiet:
            self.complain(self._paint_err("note: ", "cyan") + safe_lines(text))

    def warning(self, text: str, hint: str = "") -> None:
        """Something that may be wrong, on stderr, also when quiet."""
        self.complain(self._paint_err("warning: ", "bold yellow") + safe_lines(text))
        self._hint(hint)

    def error(self, text: str, hint: str = "") -> None:
        """Something that is wrong, on stderr."""
        self.complain(self._paint_err("error: ", "bold red") + safe_lines(text))
        self._hint(hint)

    def located(self, where: str, kind: str, text: str, hint: str = "") -> None:
        """A problem at a place in a file, in the form that editors and terminals turn into a link, on stderr."""
        style = "bold red" if kind == "error" else "bold yellow"
        place = self._paint_err(safe(where), "bold")
        self.complain(f"{place}: {self._paint_err(f'{kind}: ', style)}{safe_lines(text)}")
        self._hint(hint)

    def failure(self, error: SecretSyncError) -> None:
        """Every part of an error of ours, on stderr."""
        from secretsync_core.errors import DocumentError, PlanRefused

        if isinstance(error, DocumentError):
            for problem in error.problems:
                self.located(problem.where, "warning" if problem.warning else "error", problem.message, problem.hint)
            self.error(error.message, error.hint)
        elif isinstance(error, PlanRefused):
            for reason in error.reasons:
                self.error(reason)
            self._hint(error.hint)
        else:
            self.error(error.message, error.hint)

    def _hint(self, hint: str) -> None:
        if hint:
            self.complain(self._paint_err("hint: ", "cyan") + safe_lines(hint))

    def complain(self, text: str) -> None:
        """One line on stderr as it is."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
