"""The part of JSONPath that finds a field in an answer: names, numbers, and ``[*]`` for all of a list or an object.

``$.data.items[*]``, ``$['odd name'].id``, ``$[0].key``. There is nothing in it that takes more time than the answer is
long. What an answer has not is told by where it is missing, and never taken for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEP = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_-]{0,99})|\['(?P<quoted>[^'\\\x00-\x1f]{1,100})'\]"
    r"|\[(?P<number>0|[1-9][0-9]{0,4})\]|(?P<all>\[\*\])"
)
_LONGEST = 500
_SYNTAX = "it is no path such as $.items[*].name: names, ['names'], [0] and [*] can follow a $"

ALL = object()


class NothingThereError(Exception):
    """A path leads to nothing. ``what`` says where, without anything of the answer."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class JsonPath:
    """One path. Immutable."""

    source: str
    steps: tuple[object, ...]

    @property
    def is_of_many(self) -> bool:
        """Whether it can find more than one thing."""
        return ALL in self.steps

    def find(self, document: object) -> Iterator[tuple[str, object]]:
        """All that it finds, each with the name that it has in the object around it; empty in a list.

        Raises NothingThereError where a step leads to nothing: an empty list has nothing to find, and is something.
        """
        found: list[tuple[str, object]] = [("", document)]
        for number, step in enumerate(self.steps):
            found = [each for _, part in found for each in self._step(part, step, number)]
        yield from found

    def one(self, document: object) -> object:
        """What it finds; None where the last name is not there. Raises NothingThereError where one before it is not."""
        *before, last = self.steps or (None,)
        if not isinstance(last, str | int):
            return next(self.find(document))[1]
        ((_, parent),) = JsonPath(self.source, tuple(before)).find(document)
        if isinstance(last, str) and isinstance(parent, dict):
            return parent.get(last)
        ((_, found),) = self._step(parent, last, len(before))
        return found

    def _step(self, part: object, step: object, number: int) -> list[tuple[str, object]]:
        if step is ALL:
            if isinstance(part, list):
                return [("", each) for each in part]
            if isinstance(part, dict):
                return list(part.items())
            raise self._missing(part, number, "a list or an object")
        if isinstance(step, int):
            if isinstance(part, list) and step < len(part):
                return [("", part[step])]
            raise self._missing(part, number, f"a list of more than {step}")
        if isinstance(part, dict) and step in part:
            return [(str(step), part[step])]
        raise self._missing(part, number, f"an object with {step}")

    def _missing(self, part: object, number: int, expected: str) -> NothingThereError:
        from secretsync_core.stores.answers import kind_of  # here, for documents are checked without its libraries

        where = "".join(_text(step) for step in self.steps[:number])
        return NothingThereError(f"${where} is {kind_of(part)}, not {expected}")


def _text(step: object) -> str:
    if step is ALL:
        return "[*]"
    return f".{step}" if isinstance(step, str) else f"[{step}]"


def parse(source: str) -> JsonPath:
    """Parse a path. Raises ValueError, which quotes nothing of it."""
    if not source.startswith("$") or len(source) > _LONGEST:
        raise ValueError(_SYNTAX)
    steps: list[object] = []
    at = 1
    while at < len(source):
        match = _STEP.match(source, at)
        if match is None:
            raise ValueError(_SYNTAX)
        if match["number"] is not None:
            steps.append(int(match["number"]))
        else:
            steps.append(ALL if match["all"] else match["name"] or match["quoted"])
        at = match.end()
    return JsonPath(source, tuple(steps))
