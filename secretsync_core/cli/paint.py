"""Colour for single lines, where a whole Rich console would cost more than the line is worth."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "bold cyan": "1;36",
    "bold red": "1;31",
    "bold green": "1;32",
    "bold yellow": "1;33",
}


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody is looking at ``stream``."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour ``stream``: a terminal that can, unless NO_COLOR says no; FORCE_COLOR says yes."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def width(stream: TextIO) -> int | None:
    """How many columns a terminal has; None where ``stream`` is none, so that nothing is ever cut or wrapped."""
    return shutil.get_terminal_size((80, 24)).columns if is_terminal(stream) else None


def cells(text: str) -> int:
    """How many columns ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, columns: int) -> str:
    """``text`` and as many spaces as bring it to ``columns``."""
    return text + " " * (columns - cells(text))


class Paint:
    """Colours text, or leaves it alone."""

    __slots__ = ("on",)

    def __init__(self, *, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, style: str) -> str:
        """``text`` in ``style``, a name such as ``bold red``."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.on and style and text else text
