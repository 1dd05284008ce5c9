"""Markdown that a name from outside cannot break out of."""

from __future__ import annotations

import re

from secretsync_core.cli.escape import safe, safe_lines

_LONGEST_NOTE = 600

_ESCAPES = str.maketrans({"`": "\\x60", "|": "\\x7c"})


def code(text: str) -> str:
    """``text`` as a code span that also fits into a table's cell; the empty text as it is.

    Nothing within a code span is a link, a mention, an image or HTML. What could end the span or the cell is written
    as an escape, as a terminal shows what could steer it.
    """
    if not text:
        return ""
    shown = safe(text).translate(_ESCAPES)
    if shown != shown.strip():  # a span loses the spaces at its ends
        inner = shown.strip()
        at = len(shown) - len(shown.lstrip()) if inner else len(shown)
        shown = "\\x20" * at + inner + "\\x20" * (len(shown) - at - len(inner))
    return f"`{shown}`"


def note(text: str) -> str:
    """A sentence of ours, in which names from outside may stand, as a code span; a long one is cut."""
    text = text.replace("`", "'")  # our sentences set commands in such marks, and this is a span already
    return code(text if len(text) <= _LONGEST_NOTE else f"{text[:_LONGEST_NOTE]}...")


def block(text: str, language: str) -> str:
    """Lines as a code block that they cannot end: its marks are more than any that stand in them."""
    shown = safe_lines(text.strip("\n"))
    marks = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{marks}{language}\n{shown}\n{marks}"


def row(*cells: str) -> str:
    """A row of a table; its cells are Markdown already."""
    return f"| {' | '.join(cells)} |"
