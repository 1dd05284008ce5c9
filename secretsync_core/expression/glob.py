r"""Globs over keys, one part between slashes at a time.

=====  =====================================================================
``*``  any characters within one part, also none
``?``  one character within one part
``**`` any number of whole parts, also none; stands alone between slashes
``\``  takes ``*``, ``?`` and ``\`` as they are
=====  =====================================================================

Everything else stands for itself, also ``[``, ``{`` and a dot at the beginning of a part.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.regexp import RegExp, compile_regexp

MOST_PARTS = 64
"""How many parts a glob may have: more than any store has folders."""

LONGEST = 2_048
"""How many characters it may have: more than the keys of most stores."""

_TOKEN = re.compile(r"(?P<escape>\\[*?\\])|(?P<deep>\*\*+)|(?P<any>\*)|(?P<one>\?)|(?P<bad>\\)|(?P<text>[^*?\\]+)")


class Part(NamedTuple):
    """What stands between two slashes of a glob.

    Attributes:
        regexp: the RE2 expression for it, not anchored; empty for ``**``.
        literal: the one text that it stands for; None where there may be several.
        beginning: how every text that it stands for begins.
        deep: whether it is ``**``.
        shape: its text with NUL in the place of ``*`` and ``?``.
    """

    regexp: str
    literal: str | None
    beginning: str
    deep: bool = False
    shape: str = ""

    def filled(self, text: str) -> str:
        """A text that it stands for, with this one where it leaves a choice; one character fits every choice."""
        return self.shape.replace("\0", text)

    def matches(self, text: str) -> bool:
        """Whether it stands for this one part of a key; ``**`` for any one."""
        if self.literal is not None:
            return text == self.literal
        return self.deep or _whole(self.regexp).found(text)


DEEP = Part("", None, "", deep=True)

ANY = Part("[^/]*", None, "", shape="\0")


@lru_cache(maxsize=1024)
def parts_of(text: str) -> tuple[Part, ...]:
    """Take a glob apart, without the slashes around it; nothing is left of an empty one.

    Raises ExpressionError, which does not quote the glob.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"it has more than {LONGEST:,} characters")
    inner = text.strip("/")
    pieces = inner.split("/") if inner else []
    if len(pieces) > MOST_PARTS:
        raise ExpressionError(f"it has more than {MOST_PARTS} parts")
    parts = [_part(piece) for piece in pieces]
    taken = tuple(part for at, part in enumerate(parts) if not (part.deep and at and parts[at - 1].deep))
    check_length(taken)
    return taken


def check_length(parts: tuple[Part, ...]) -> None:
    """Raise ExpressionError where no expression for whole keys can be made of these parts."""
    try:
        compile_regexp(f"^{regexp_of(parts)}{regexp_of((DEEP,))}{ANY.regexp}$")
    except ExpressionError:
        raise ExpressionError("it is too long") from None


def is_glob(parts: tuple[Part, ...]) -> bool:
    """Whether these parts may stand for more than one text."""
    return any(part.literal is None for part in parts)


def escaped(text: str) -> str:
    """The glob that stands for this text alone."""
    return re.sub(r"([*?\\])", r"\\\1", text)


def regexp_of(parts: tuple[Part, ...]) -> str:
    """The RE2 expression for these parts, each with its slash behind it, not anchored."""
    return "".join("(?:[^/]*/)*" if part.deep else f"{part.regexp}/" for part in parts)


def _part(text: str) -> Part:
    regexp, literal, beginning, shape = "", "", "", ""
    plain = True
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup, match.group()
        if kind == "deep":
            if text == "**":
                return DEEP
            raise ExpressionError("** stands alone between slashes, for any number of folders; within one part write *")
        if kind == "bad":
            raise ExpressionError(r"a \ stands only before *, ? and \, to take them as they are: \\ is a \ in a key")
        if kind in ("any", "one"):
            plain = False
            regexp += "[^/]*" if kind == "any" else "[^/]"
            shape += "\0"
            continue
        literal_text = found[1:] if kind == "escape" else found
        regexp += _quoted(literal_text)
        literal, shape = literal + literal_text, shape + literal_text
        beginning += literal_text if plain else ""
    return Part(regexp, literal if plain else None, beginning, shape=shape)


def _quoted(text: str) -> str:
    """A text as RE2 takes it: ``\\x{…}`` for all that is neither a letter nor a digit of ASCII."""
    return "".join(each if each.isascii() and each.isalnum() else f"\\x{{{ord(each):x}}}" for each in text)


@lru_cache(maxsize=1024)
def _whole(regexp: str) -> RegExp:
    return compile_regexp(f"^(?:{regexp})$")
