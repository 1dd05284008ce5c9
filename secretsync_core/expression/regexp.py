r"""RE2 expressions: found anywhere in a key, and replaced in it.

The syntax is RE2's (https://github.com/google/re2/wiki/Syntax), one match takes time linear in the key, and there are
no back-references or look-arounds. An expression is found anywhere in the key unless ``^`` and ``$`` anchor it.

A rewrite replaces every match; a key without a match passes through as it is. In the target

=================  =====================================================================================
``$1``, ``$12``    the group of that number: all the digits that follow, and nothing but digits (unlike
                   Go, where ``$1x`` means a group called ``1x``)
``${1}``           the same, for where a digit follows
``${name}``        the group of that name, ``(?P<name>...)``
``$name``          the same; takes all the letters, digits and underscores that follow
``$0``, ``\0``     the whole match
``\1`` to ``\9``   the group of that one digit
``$$``, ``\\``     a dollar, a backslash
=================  =====================================================================================

Anything else after a dollar or a backslash is an error, and so is a group that the expression does not have. A group
that took no part in the match is empty. An empty match right behind another match is passed over, as in Go and RE2.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from secretsync_core.counting import plural
from secretsync_core.expression.errors import ExpressionError, RenderError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PATTERN = 4096
"""The longest expression, and the longest target of a rewrite, in characters."""

MAX_REWRITTEN = 65536
"""The longest text that a rewrite may give: chained rewrites could otherwise multiply a key without end."""

MAX_MATCHES = 4096
"""The most matches that one rewrite replaces. Each is a search of its own, which may look through the rest of the key,
so that matches without end take a time that grows with the square of the key."""

_MAX_MEMORY = 2 << 20  # bytes for one compiled expression and its automaton; RE2's own default is 8 MiB
_REASONS = (
    "invalid escape sequence",
    "invalid character class range",
    "invalid character class",
    "missing ]",
    "missing )",
    "unexpected )",
    "trailing \\",
    "no argument for repetition operator",
    "invalid repetition size",
    "bad repetition operator",
    "invalid perl operator",
    "invalid UTF-8",
    "invalid named capture group",
    "pattern too large",
)
_TARGET = re.compile(
    r"\$(?P<dollar>\$)"
    r"|\$(?P<number>[0-9]+)|\$\{(?P<braced>[A-Za-z0-9_]+)\}|\$(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\\(?P<digit>[0-9])|\\(?P<backslash>\\)"
    r"|(?P<text>[^$\\]+)"
)


class RegExp:
    """One compiled expression. Immutable; may be shared by threads."""

    __slots__ = ("_compiled", "groups", "names", "pattern")

    def __init__(self, pattern: str, compiled: Any) -> None:
        self.pattern = pattern
        self._compiled = compiled
        self.groups: int = compiled.groups
        self.names: Mapping[str, int] = compiled.groupindex

    def __repr__(self) -> str:
        return f"RegExp({self.pattern!r})"

    def found(self, text: str) -> bool:
        """Whether the expression matches anywhere in ``text``. Text that is not valid Unicode is never found."""
        try:
            return self._compiled.search(text) is not None
        except UnicodeEncodeError:
            return False

    def replace(self, text: str, pieces: tuple[str | int, ...]) -> str:
        """Put ``pieces`` (literal text, and the numbers of groups) in the place of every match."""
        built: list[str] = []
        size = end = count = 0
        previous = -1  # where the last match ended
        try:
            for match in self._compiled.finditer(text):
                count += 1
                if count > MAX_MATCHES:
                    raise RenderError(f"the regular expression matches more than {MAX_MATCHES} times in one key")
                start, stop = match.span()
                if start == stop == previous:
                    continue
                new = [text[end:start], *(p if isinstance(p, str) else match.group(p) or "" for p in pieces)]
                size += sum(map(len, new))
                if size > MAX_REWRITTEN:
                    raise RenderError(f"the rewritten text is longer than {MAX_REWRITTEN} characters")
                built += new
                end = previous = stop
        except UnicodeEncodeError:
            return text
        built.append(text[end:])
        return "".join(built)


def compile_regexp(pattern: str) -> RegExp:
    """Compile an RE2 expression. Raises ExpressionError, which tells the reason and does not quote the pattern."""
    # An outer check, since the cache would hash and keep whatever it is given.
    if len(pattern) > MAX_PATTERN:
        raise ExpressionError(f"the regular expression is longer than {MAX_PATTERN} characters")
    return _compile(pattern)


@lru_cache(maxsize=256)
def _compile(pattern: str) -> RegExp:
    import re2  # here, since a configuration without expressions should not pay for loading it

    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    reason = ""
    try:
        return RegExp(pattern, re2.compile(pattern, options))
    except UnicodeEncodeError:
        reason = "invalid UTF-8"
    except re2.error as error:
        said = error.args[0] if error.args else b""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        reason = next((known for known in _REASONS if said.startswith(known)), "it does not compile")
    if reason == "invalid perl operator":
        reason += " (RE2 has no look-ahead, look-behind or back-reference)"
    raise ExpressionError(f"not a regular expression in RE2 syntax: {reason}")


class Rewrite:
    """Replaces every match of ``source`` by ``target``. The module's text tells what a target may say."""

    __slots__ = ("_pieces", "_regexp", "source", "target")

    def __init__(self, source: str, target: str) -> None:
        """Raises ExpressionError where ``source`` does not compile or ``target`` names what it does not have."""
        self.source = source
        self.target = target
        self._regexp = compile_regexp(source)
        self._pieces = tuple(self._resolve(piece) for piece in parse_target(target))

    def __repr__(self) -> str:
        return f"Rewrite({self.source!r}, {self.target!r})"

    def apply(self, text: str) -> str:
        """The text with every match replaced.

        Raises RenderError where that gets longer than MAX_REWRITTEN, or where there are more than MAX_MATCHES.
        """
        return self._regexp.replace(text, self._pieces)

    def _resolve(self, piece: str | int | Group) -> str | int:
        if isinstance(piece, Group):
            if piece.name not in self._regexp.names:
                raise ExpressionError("the target names a group that the regular expression does not have")
            return self._regexp.names[piece.name]
        if isinstance(piece, int) and piece > self._regexp.groups:
            count = self._regexp.groups
            has = f"only {plural(count, 'group')}" if count else "no groups"
            raise ExpressionError(f"the target names group {piece}, but the regular expression has {has}")
        return piece


class Group:
    """A group that a target calls by its name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


@lru_cache(maxsize=256)
def parse_target(target: str) -> tuple[str | int | Group, ...]:
    """Take a target apart into literal text, group numbers and group names. Raises ExpressionError."""
    if len(target) > MAX_PATTERN:
        raise ExpressionError(f"the target is longer than {MAX_PATTERN} characters")
    pieces: list[str | int | Group] = []
    position = 0
    while position < len(target):
        match = _TARGET.match(target, position)
        if match is None:
            what = "dollar ($$ is a dollar)" if target[position] == "$" else "backslash (\\\\ is a backslash)"
            raise ExpressionError(
                f"character {position + 1} of the target: expected a group number or name after the {what}"
            )
        pieces.append(_piece(match))
        position = match.end()
    return tuple(pieces)


def _piece(match: re.Match[str]) -> str | int | Group:
    kind, text = str(match.lastgroup), match.group(str(match.lastgroup))
    if kind in ("number", "digit") or (kind == "braced" and text.isdigit()):
        # Anything beyond is beyond what RE2 can have, and int() must not be handed thousands of digits.
        return int(text) if len(text) <= 4 else 9999
    return Group(text) if kind in ("braced", "name") else text
