"""Lays out columns and wraps the last one, so that long explanations stay readable on narrow terminals."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from secretsync_core.cli.paint import cells

if TYPE_CHECKING:
    from collections.abc import Iterable

_NARROWEST = 28
"""Below this many columns the last one goes onto lines of its own."""


def widest(texts: Iterable[str], at_least: int = 0, at_most: int = 80) -> int:
    """How wide a column of ``texts`` is; what is longer than ``at_most`` sticks out."""
    return max(at_least, min(at_most, max(map(cells, texts), default=0)))


def hang(before: str, before_cells: int, text: str, columns: int | None, indent: int) -> str:
    """``before`` and ``text``, wrapped below its own beginning where a terminal of ``columns`` is too narrow.

    ``before`` may hold colours, so ``before_cells`` says how wide it is. Where too little room is left beside it,
    ``text`` starts on the next line, ``indent`` columns in.
    """
    if columns is None or before_cells + cells(text) <= columns:
        return before + text
    if columns - before_cells < _NARROWEST:
        wrapped = textwrap.wrap(text, max(columns - indent, 20), break_long_words=False, break_on_hyphens=False)
        return "\n".join([before.rstrip(), *(" " * indent + line for line in wrapped)])
    wrapped = textwrap.wrap(text, columns - before_cells, break_long_words=False, break_on_hyphens=False)
    return before + ("\n" + " " * before_cells).join(wrapped)
