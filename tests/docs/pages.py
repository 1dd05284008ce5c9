"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>[a-z]*)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)

_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """One fenced block: its page and line, the heading that it stands under, its language (may be empty), its text."""

    page: str
    line: int
    heading: str
    kind: str
    text: str

    @property
    def where(self) -> str:
        """``page:line``."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every hand-written or generated page for users: those at the top, in docs, and beside examples and the chart."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found += [file for folder in ("examples", "deploy") for file in (ROOT / folder).rglob("*.md")]
    return sorted(found)


def blocks(*kinds: str, page: str | None = None) -> list[Block]:
    """The blocks of some languages, of one page or of all."""
    found = []
    for file in pages():
        name = str(file.relative_to(ROOT))
        if page in (None, name):
            text = file.read_text()
            for match in _BLOCK.finditer(text):
                if match["kind"] in kinds:
                    line = text.count("\n", 0, match.start()) + 1
                    headings = _HEADING.findall(text, 0, match.start())
                    heading = headings[-1] if headings else ""
                    found.append(Block(name, line, heading, match["kind"], textwrap.dedent(match["text"])))
    return found


def under(heading: str, kind: str, page: str) -> str:
    """The text of the blocks of one language under one heading of a page, as one text."""
    found = [block.text for block in blocks(kind, page=page) if block.heading == heading]
    assert found, f"{page} has no {kind} block under {heading!r}"
    return "".join(found)
