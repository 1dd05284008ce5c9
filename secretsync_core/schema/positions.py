"""Where each field of a document stands, and how its path is shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from secretsync_core.schema.known_fields import is_known

if TYPE_CHECKING:
    from collections.abc import Mapping

Path: TypeAlias = tuple[str | int, ...]
"""The way to a field from the top of its document: ``("spec", "plan", 0, "query")``."""


class Positions:
    """The line of every field of one document."""

    __slots__ = ("_lines",)

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines

    def __contains__(self, path: Path) -> bool:
        return path in self._lines

    def known(self, path: Path) -> Path:
        """The longest part of ``path``, from the top, that stands in the document."""
        while path and path not in self._lines:
            path = path[:-1]
        return path

    def line(self, path: Path) -> int:
        """The 1-based line of a field, or of the nearest field around it that there is."""
        return self._lines.get(self.known(path), 0)


def shown(name: str) -> str:
    """A field's name for a message: as it is if the schema has it, and dots if it may be a value in a wrong place."""
    return name if is_known(name) else "…"


def dotted(path: Path) -> str:
    """``spec.plan[0].query``"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{shown(part)}"
    return text.removeprefix(".")
