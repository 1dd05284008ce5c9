"""The lines of a ``.env`` file: which variables they set, and the same lines with some of them changed. Pure.

They are taken apart by python-dotenv, which gives each assignment with the very text that it was written as.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from dotenv.parser import Reader, parse_stream, parse_value

from secretsync_core.stores.dotenv.quoting import assignment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dotenv.parser import Binding

_MARK = "\ufeff"
_ASSIGNED = re.compile(
    r"(?P<blank>(?:\s*[\r\n])?+)(?P<lead>[^\S\r\n]*+(?:export[^\S\r\n]+)?)(?:'[^']+'|[^=#\s]+)[^\S\r\n]*=[^\S\r\n]*"
)
_LINE_END = re.compile(r"\r\n|\n|\r")


class Lines:
    """One file. Where a name is set twice, the last one counts, as it does for whoever reads it."""

    def __init__(self, text: str) -> None:
        self._mark = _MARK if text.startswith(_MARK) else ""
        self._bindings = list(parse_stream(io.StringIO(text.removeprefix(_MARK))))

    @property
    def broken_line(self) -> int | None:
        """The number of the first line that says nothing, and is no comment."""
        return next((_line_of(binding) for binding in self._bindings if binding.error), None)

    @property
    def alone(self) -> dict[str, int]:
        """The names that stand without ``=``, each with the number of its line.

        They set nothing. But beside ``NAME=value`` programs take them differently: python-dotenv takes the value back,
        Compose has one of its own environment instead, and ``export NAME`` in a shell leaves it.
        """
        return {
            binding.key: _line_of(binding)
            for binding in self._bindings
            if binding.key is not None and binding.value is None and not binding.error
        }

    @property
    def variables(self) -> dict[str, str]:
        """What is set, as it stands there. A name alone, without ``=``, sets nothing."""
        return {each.key: each.value for each in self._bindings if each.key is not None and each.value is not None}

    def changed(self, wanted: Mapping[str, str]) -> str:
        """The text that sets just these. Raises Unquotable for a value that has to be written, and cannot be.

        ``broken_line`` is None.
        """
        found, last = self.variables, {each.key: at for at, each in enumerate(self._bindings)}
        pieces = [self._mark]
        for at, binding in enumerate(self._bindings):
            name, text = binding.key, binding.original.string
            if name is None or binding.value is None:
                pieces.append(text)
            elif name not in wanted:
                pieces.append(_without(text))
            elif wanted[name] == found[name] or last[name] != at:
                pieces.append(text)
            else:
                pieces.append(_assigned(binding, wanted[name]))
        text = "".join(pieces)
        end = ending[0] if (ending := _LINE_END.search(text)) is not None else "\n"
        if text.removeprefix(self._mark) and not text.endswith(("\n", "\r")):
            text += end
        return text + "".join(assignment(name, value) + end for name, value in wanted.items() if name not in found)


def _line_of(binding: Binding) -> int:
    """Where an assignment stands: blank lines before it are a part of its text."""
    blank = re.match(r"\s*", binding.original.string)
    return binding.original.line + len(_LINE_END.findall(blank[0] if blank else ""))


def _without(text: str) -> str:
    """What is left where an assignment goes: the blank lines before it."""
    made = _ASSIGNED.match(text)
    blank = made["blank"] if made is not None else ""
    ends = list(_LINE_END.finditer(blank))
    return blank[: ends[-1].end()] if ends else ""


def _assigned(binding: Binding, value: str) -> str:
    """The same assignment with another value: with its ``export``, and the comment behind it."""
    text = binding.original.string
    made = _ASSIGNED.match(text)
    assert made is not None  # noqa: S101  it has a value, so it is an assignment
    rest = text[made.end() :]
    if rest.startswith(("'", '"')):
        reader = Reader(io.StringIO(rest))
        parse_value(reader)
        tail = rest[reader.position.chars :]
    else:
        tail = rest[len(binding.value or "") :]
    if tail.startswith("#"):
        tail = f" {tail}"
    return f"{made['blank']}{made['lead']}{assignment(binding.key or '', value)}{tail}"
