"""Takes the answers of servers apart, field by field, each by its type, before anything is concluded from them.

What does not fit is a MalformedAnswer: the store's fault, asked for again as any failure is, and never a fact. It names
the store, what was asked, the field and both types. Of the answer itself it shows nothing, which may hold anything.

Listings of many thousand secrets look at the types of an entry by themselves, and come here to say what is wrong.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from secretsync_core.errors import MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping


MOST_VERSIONS = 10**10
"""How many versions a secret has at the most; what is beyond is no number of one."""


class Call(Protocol):
    """What was asked of whom. ``action`` continues the sentence ``<store> refuses to``."""

    @property
    def store(self) -> str:
        """The store's name."""
        ...

    @property
    def action(self) -> str:
        """What was asked."""
        ...

    @property
    def key(self) -> str | None:
        """The secret that it was about, if it was about one."""
        ...

    @property
    def protocol(self) -> str:
        """What the answer was to be: ``Vault's protocol``."""
        ...


def malformed(call: Call, what: str) -> MalformedAnswer:
    """The error for an answer that does not fit; ``what`` is a sentence about it, without anything of the answer."""
    return MalformedAnswer(
        f"{call.store} answered something that is not {call.protocol} when asked to {call.action}: {what}",
        store=call.store,
        key=call.key,
        hint="check the store's address: a proxy may be answering in its place; nothing is concluded from it",
    )


class Part:
    """An object in an answer. Each reader gives one of its fields, and raises MalformedAnswer where that does not fit.

    Attributes:
        call: what was asked.
        path: the way to this object, such as ``data.metadata``; empty for the answer as a whole.
        fields: what it holds, of types unknown.
    """

    __slots__ = ("call", "fields", "path")

    def __init__(self, call: Call, path: str, fields: Mapping[str, Any]) -> None:
        self.call = call
        self.path = path
        self.fields = fields

    @classmethod
    def of(cls, call: Call, path: str, found: object) -> Part:
        """``found`` as an object."""
        if isinstance(found, dict):
            return cls(call, path, found)
        raise malformed(call, f"{path or 'the body'} is {kind_of(found)}, not an object")

    @classmethod
    def of_body(cls, call: Call, body: bytes) -> Part:
        """A whole answer, which is a JSON object."""
        try:
            found = orjson.loads(body)
        except ValueError:
            found = _NO_JSON
        if found is _NO_JSON:  # out here, where the error that shows the body does not hang on to ours
            raise malformed(call, "the body is not JSON")
        return cls.of(call, "", found)

    def wrong(self, name: str, expected: str) -> MalformedAnswer:
        """The error for a field that is not what is ``expected``, such as ``a list of texts``."""
        found = kind_of(self.fields[name]) if name in self.fields else "missing"
        return malformed(self.call, f"{self._way(name)} is {found}, not {expected}")

    def has(self, name: str) -> bool:
        """Whether the field is there, and not null."""
        return self.fields.get(name) is not None

    def text(self, name: str) -> str:
        """A text that is not empty."""
        found = self.fields.get(name)
        if isinstance(found, str) and found:
            return found
        raise self.wrong(name, "a text")

    def text_or_none(self, name: str) -> str | None:
        """A text, perhaps an empty one; ``None`` where the field is absent or null."""
        found = self.fields.get(name)
        if found is None or isinstance(found, str):
            return found
        raise self.wrong(name, "a text")

    def flag(self, name: str) -> bool:
        """True or false."""
        found = self.fields.get(name)
        if isinstance(found, bool):
            return found
        raise self.wrong(name, "a boolean")

    def number(self, name: str, *, least: int = 0) -> int:
        """A whole number."""
        found = self.fields.get(name)
        if type(found) is int and found >= least:
            return found
        raise self.wrong(name, f"a whole number from {least} on")

    def count(self, name: str, *, least: int = 0) -> int:
        """The number of a version, which no service counts as far as to :data:`MOST_VERSIONS`."""
        if self.number(name, least=least) < MOST_VERSIONS:
            return self.number(name)
        raise self.wrong(name, "the number of a version")

    def time(self, name: str) -> str:
        """A moment in UTC, as RFC 3339 writes it."""
        found = self.fields.get(name)
        if isinstance(found, str) and is_time(found):
            return found
        raise self.wrong(name, "a time in UTC")

    def date(self, name: str) -> datetime:
        """A moment that an SDK has read."""
        found = self.fields.get(name)
        if isinstance(found, datetime):
            return found
        raise self.wrong(name, "a time")

    def part(self, name: str) -> Part:
        """An object."""
        found = self.fields.get(name)
        if isinstance(found, dict):
            return Part(self.call, self._way(name), found)
        raise self.wrong(name, "an object")

    def part_or_none(self, name: str) -> Part | None:
        """An object; ``None`` where the field is absent or null."""
        return self.part(name) if self.has(name) else None

    def parts(self, name: str) -> list[Part]:
        """A list of objects."""
        return [Part.of(self.call, f"{self._way(name)}.*", each) for each in self.items(name)]

    def items(self, name: str) -> list[Any]:
        """A list, of types unknown."""
        found = self.fields.get(name)
        if isinstance(found, list):
            return found
        raise self.wrong(name, "a list")

    def texts(self, name: str) -> list[str]:
        """A list of texts, none of which is empty."""
        found = self.fields.get(name)
        if isinstance(found, list) and all(isinstance(each, str) and each for each in found):
            return found
        raise self.wrong(name, "a list of texts")

    def text_map(self, name: str) -> dict[str, str]:
        """Texts by names; empty where the field is absent or null."""
        found = self.fields.get(name)
        if found is None:
            return {}
        if is_text_map(found):
            return found  # type: ignore[no-any-return]
        raise self.wrong(name, "an object of texts")

    def _way(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


_NO_JSON = object()

TOO_DEEP = "its objects and lists stand too deep in each other"
"""What is wrong with an answer that cannot be taken apart."""


def kind_of(found: object) -> str:
    """What something is, in the words of errors."""
    if found is None:
        return "null"
    if isinstance(found, bool):
        return "a boolean"
    if isinstance(found, str):
        return "a text" if found else "an empty text"
    if isinstance(found, int | float):
        return "a number"
    if isinstance(found, list):
        return "a list"
    return "an object" if isinstance(found, dict) else "something else"


def is_text_map(found: object) -> bool:
    """Whether this is an object that holds texts alone."""
    return isinstance(found, dict) and all(isinstance(each, str) for each in found.values())


# To the nanosecond, and in UTC: in no other way do the servers write it.
_is_written_as_a_time = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?Z"
).fullmatch


def is_time(text: str) -> bool:
    """Whether a text is a moment in UTC, as RFC 3339 writes it, of a day that there is."""
    if not _is_written_as_a_time(text) or text[:4] == "0000":
        return False
    return text[8:10] <= "28" or int(text[8:10]) <= monthrange(int(text[:4]), int(text[5:7]))[1]
