"""How far a server has got, so that what it says later, or what another server says, can be told from older news."""

from __future__ import annotations

import json
from typing import NamedTuple

from secretsync_core.model.place import known_identity


class Position(NamedTuple):
    """How far a server had got when it answered.

    Attributes:
        server: who the server is by its own account, as in a place's identity; empty where its answers do not tell.
        lowest, highest: numbers that grow with its writes, and of which an older state has a lower one: the lowest and
            the highest of all answers so far. None where its answers tell only who it is.
    """

    server: str
    lowest: int | None = None
    highest: int | None = None

    def is_of_another_server(self, known: Position) -> bool:
        """Whether this is surely another server than the one of ``known``."""
        return bool(self.server and known.server) and self.server != known.server

    def is_behind(self, known: Position) -> bool:
        """Whether any answer was of a state before the one of ``known``, of the same server."""
        return self.lowest is not None and known.highest is not None and self.lowest < known.highest

    def after(self, known: Position | None) -> Position:
        """What is to be kept of it: who, and the highest number of both where it is the same server."""
        if known is None or known.highest is None or self.is_of_another_server(known):
            return self._replace(lowest=None)
        highest = known.highest if self.highest is None else max(self.highest, known.highest)
        return Position(self.server or known.server, None, highest)


def text_of(position: Position) -> str:
    """A position as one line of text, for the ledger: who, and the highest number."""
    return json.dumps([position.server, position.highest], ensure_ascii=False, separators=(",", ":"))


def position_of_text(text: str) -> Position | None:
    """The position that a text of :func:`text_of` says; None for any other text."""
    try:
        parts = json.loads(text)
    except ValueError:
        return None
    if not isinstance(parts, list) or len(parts) != 2:
        return None
    server, highest = parts
    if not isinstance(server, str) or type(highest) not in (int, type(None)):
        return None
    return Position(known_identity(server), None, highest)
