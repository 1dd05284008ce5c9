"""How much a template may be, take and make. Together they keep a render under a few seconds and some tens of MiB."""

from __future__ import annotations

MAX_SOURCE = 65536
"""Characters in one template."""

MAX_NODES = 5000
"""Nodes in one template's syntax tree."""

MAX_DEPTH = 40
"""How deep statements and expressions may be nested in one another."""

MAX_TEXT = 1 << 20
"""Characters in one text, in one render's whole output, and (with one for each element) in one list or mapping."""

MAX_INTEGER = 1 << 63
"""Whole numbers stay below this, above its negative."""

MAX_WORK = 1_000_000
"""Steps in one render: one for each node in each round of a loop, and one for each CHARACTERS_A_STEP handled."""

CHARACTERS_A_STEP = 32


class Failed(Exception):
    """A render cannot go on. The message is fixed text or names from the template, never anything it was given."""


class State:
    """What one render has used up so far, and the line it is at."""

    __slots__ = ("line", "output", "work")

    def __init__(self) -> None:
        self.line = 0
        self.work = 0
        self.output = 0

    def spend(self, steps: int) -> None:
        """Take ``steps`` from the budget, before doing what costs them."""
        self.work += steps
        if self.work > MAX_WORK:
            raise Failed(f"the template takes more than {MAX_WORK} steps")

    def handle(self, characters: int) -> None:
        """Pay for reading or making that much text."""
        self.spend(characters // CHARACTERS_A_STEP)

    def make(self, characters: int) -> None:
        """Pay for a text of that length, and refuse it if that is too long. Called before it is built."""
        if characters > MAX_TEXT:
            raise Failed(f"a text would be longer than {MAX_TEXT} characters")
        self.handle(characters)

    def emit(self, characters: int) -> None:
        """Count text that goes into the output."""
        self.output += characters
        if self.output > MAX_TEXT:
            raise Failed(f"the output would be longer than {MAX_TEXT} characters")
