"""Small pieces of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GENERATED = "<!-- Written by `make reference` from the code. Change it there. -->"


def page(title: str, about: str, *parts: str) -> str:
    """A whole generated page."""
    return "\n\n".join([GENERATED, f"# {title}", about, *(part for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. A ``|`` in a cell is escaped, and a line break becomes a space."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def code(text: str) -> str:
    """A span of code, which may hold backticks itself."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def plain(text: str) -> str:
    """A text that is not Markdown, so that nothing in it is taken for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def prose(docstring: str) -> str:
    """A docstring's first paragraph, as Markdown: its double backticks become single ones."""
    return " ".join(docstring.strip().split("\n\n")[0].split()).replace("``", "`")
