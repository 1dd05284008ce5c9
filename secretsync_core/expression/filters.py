"""The filters and tests that templates have. Each takes the render's State first and pays before it builds.

A method that is written as a call, ``name.upper()``, is the filter of that name.
"""

from __future__ import annotations

import base64
import binascii
import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as percent_encode

from secretsync_core.expression.bounds import MAX_INTEGER, MAX_TEXT, Failed, State
from secretsync_core.expression.operations import ABSENT, build_list, get, measure, text

if TYPE_CHECKING:
    from collections.abc import Callable


def upper(state: State, value: object) -> str:
    """The text in upper case."""
    return _changed(state, value, str.upper)


def lower(state: State, value: object) -> str:
    """The text in lower case."""
    return _changed(state, value, str.lower)


def _changed(state: State, value: object, change: Callable[[str], str]) -> str:
    given = text(state, value)
    state.make(len(given))
    return change(given)


def trim(state: State, value: object, characters: object = None) -> str:
    """The text without leading and trailing white space, or without the given characters there."""
    return _stripped(state, value, characters, start=True, end=True)


def lstrip(state: State, value: object, characters: object = None) -> str:
    """As ``trim``, at the start only."""
    return _stripped(state, value, characters, start=True, end=False)


def rstrip(state: State, value: object, characters: object = None) -> str:
    """As ``trim``, at the end only."""
    return _stripped(state, value, characters, start=False, end=True)


def _stripped(state: State, value: object, characters: object, *, start: bool, end: bool) -> str:
    # Python's own looks through all the characters for each one that it strips, so that its cost is their product.
    given, stripped = text(state, value), None if characters is None else text(state, characters)
    state.make(len(given))
    if stripped is None:
        state.handle(4 * len(given))
        return given.strip() if start and end else given.lstrip() if start else given.rstrip()
    state.handle(4 * (len(given) + len(stripped)))
    members = frozenset(stripped)
    begin, stop = 0, len(given)
    while start and begin < stop and given[begin] in members:
        begin += 1
    while end and begin < stop and given[stop - 1] in members:
        stop -= 1
    return given[begin:stop]


def removeprefix(state: State, value: object, prefix: object) -> str:
    """The text without the given prefix, if it has it."""
    before = _also(state, prefix)
    return _changed(state, value, lambda given: given.removeprefix(before))


def removesuffix(state: State, value: object, suffix: object) -> str:
    """The text without the given suffix, if it has it."""
    after = _also(state, suffix)
    return _changed(state, value, lambda given: given.removesuffix(after))


def startswith(state: State, value: object, prefix: object) -> bool:
    """Whether the text starts with the given one."""
    return text(state, value).startswith(_also(state, prefix))


def endswith(state: State, value: object, suffix: object) -> bool:
    """Whether the text ends with the given one."""
    return text(state, value).endswith(_also(state, suffix))


def _also(state: State, argument: object) -> str:
    """An argument as text, paid for as what it is compared with is."""
    given = text(state, argument)
    state.handle(len(given))
    return given


def replace(state: State, value: object, old: object, new: object) -> str:
    """The text with every occurrence of the first argument replaced by the second."""
    given, before, after = text(state, value), text(state, old), text(state, new)
    if not before:
        raise Failed("replace needs something to look for")
    state.handle(len(given) + len(before))
    state.make(len(given) + given.count(before) * (len(after) - len(before)))
    return given.replace(before, after)


def split(state: State, value: object, separator: object = None) -> list[str]:
    """A list of the parts between separators; without an argument, between white space."""
    given, at = text(state, value), None if separator is None else _also(state, separator)
    if at == "":
        raise Failed("split needs a separator that is not empty")
    state.make(len(given))
    parts = given.split(at)
    state.handle(16 * len(parts))
    return parts


def join(state: State, value: object, separator: object = "") -> str:
    """The elements of a list as one text, with the given separator between them."""
    parts, between = [text(state, part) for part in _elements(state, value)], _also(state, separator)
    state.make(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def indent(state: State, value: object, width: object = 4, first: object = False) -> str:
    """Every line but the first indented by that many spaces (4); with ``true`` as second argument, the first too."""
    given, count = text(state, value), _whole(width)
    if not 0 <= count <= 100:
        raise Failed("indent takes a width from 0 to 100")
    state.handle(len(given))
    state.make(len(given) + count * (given.count("\n") + 1))
    lines = given.split("\n")
    padded = [" " * count + line if line and (first or number) else line for number, line in enumerate(lines)]
    return "\n".join(padded)


def quote(state: State, value: object) -> str:
    """The text quoted for a POSIX shell."""
    given = text(state, value)
    state.make(len(given) + 4 * given.count("'") + 2)
    return shlex.quote(given)


def urlencode(state: State, value: object) -> str:
    """The text percent-encoded, slashes included: safe in any part of a URL, such as a password in a DSN."""
    given = text(state, value)
    state.handle(8 * len(given))
    encoded = _utf8(given)
    state.make(3 * len(encoded))
    return percent_encode(encoded, safe="")


def b64encode(state: State, value: object) -> str:
    """Base64 of the text in UTF-8."""
    encoded = _utf8(text(state, value))
    state.make(4 * (len(encoded) // 3 + 1))
    return base64.b64encode(encoded).decode("ascii")


def b64decode(state: State, value: object) -> str:
    """The UTF-8 text that this Base64 encodes."""
    given = text(state, value)
    state.make(len(given))
    try:
        return base64.b64decode("".join(given.split()), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError, ValueError):
        raise Failed("b64decode was given something that is not the Base64 of UTF-8 text") from None


def _utf8(given: str) -> bytes:
    try:
        return given.encode("utf-8")
    except UnicodeError:
        raise Failed("a text is not valid Unicode") from None


def tojson(state: State, value: object, indent: object = None) -> str:
    """The value as JSON with sorted keys: compact, or indented by the given number of spaces. Always the same text."""
    width = None if indent is None else _whole(indent)
    if width is not None and not 0 <= width <= 16:
        raise Failed("tojson takes an indent from 0 to 16")
    state.handle(4 * measure(state, value))
    separators = (",", ":") if width is None else (",", ": ")
    try:
        encoder = json.JSONEncoder(
            ensure_ascii=False, sort_keys=True, separators=separators, indent=width, allow_nan=False, default=_as_dict
        )
        parts: list[str] = []
        size = 0
        for part in encoder.iterencode(value):  # bit by bit, since indentation grows with depth times elements
            size += len(part)
            if size > MAX_TEXT:
                raise Failed(f"a text would be longer than {MAX_TEXT} characters")
            parts.append(part)
        state.make(size)
        return "".join(parts)
    except (TypeError, ValueError):
        raise Failed("tojson was given something that JSON does not have") from None


def _as_dict(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def fromjson(state: State, value: object) -> object:
    """The value that this JSON text holds."""
    given = text(state, value)
    state.make(len(given))
    state.handle(4 * len(given))
    try:
        parsed: object = json.loads(given, parse_constant=_refuse)
    except ValueError:
        raise Failed("fromjson was given something that is not JSON") from None
    state.handle(16 * measure(state, parsed))
    return parsed


def _refuse(_: str) -> None:
    raise ValueError


def default(state: State, value: object, other: object = "", falsy: object = False) -> object:
    """The argument if the value is undefined; with ``true`` as second argument, also if it is empty, zero or null."""
    return other if value is ABSENT or (falsy and not value) else value


def length(state: State, value: object) -> int:
    """The number of characters, elements or fields."""
    if isinstance(value, (str, list, tuple, Mapping)):
        return len(value)
    raise Failed("length needs a text, a list or a mapping")


def first(state: State, value: object) -> object:
    """The first element or character."""
    return _at(value, 0)


def last(state: State, value: object) -> object:
    """The last element or character."""
    return _at(value, -1)


def _at(value: object, index: int) -> object:
    if not isinstance(value, (str, list, tuple)):
        raise Failed("first and last need a text or a list")
    if not value:
        raise Failed("first and last need something that is not empty")
    return value[index]


def sort(state: State, value: object, reverse: object = False) -> list[Any]:
    """The elements in order, all texts or all numbers; upper case sorts before lower case. ``true`` reverses it."""
    elements = _elements(state, value)
    texts = all(isinstance(element, str) for element in elements)
    if not texts and not all(isinstance(e, (int, float)) and not isinstance(e, bool) for e in elements):
        raise Failed("sort takes texts, or numbers")
    state.handle(measure(state, elements) * 4)
    state.spend(len(elements) * max(1, len(elements).bit_length() // 4))
    return sorted(elements, reverse=bool(reverse))


def items(state: State, value: object) -> list[tuple[object, object]]:
    """The fields of an object as pairs of name and value, ordered by name."""
    mapping = _mapping(state, value)
    return [(key, mapping[key]) for key in _names(mapping)]


def keys(state: State, value: object) -> list[str]:
    """The names of an object's fields, in order."""
    return _names(_mapping(state, value))


def values(state: State, value: object) -> list[object]:
    """The values of an object's fields, ordered by name."""
    mapping = _mapping(state, value)
    return [mapping[key] for key in _names(mapping)]


def _mapping(state: State, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Failed("items, keys and values need a mapping")
    state.spend(2 * len(value))
    return value


def _names(mapping: Mapping[str, object]) -> list[str]:
    return sorted(mapping)


def to_list(state: State, value: object) -> list[object]:
    """The elements as a list; of an object, its field names."""
    return build_list(state, *_elements(state, value))


def _elements(state: State, value: object) -> list[Any]:
    if not isinstance(value, (list, tuple, Mapping)):
        raise Failed("join, list and sort need a list or a mapping")
    state.spend(len(value))
    return _names(value) if isinstance(value, Mapping) else list(value)


def look_up(state: State, value: object, key: object, other: object = None) -> object:
    """An object's field by name; the second argument if there is none."""
    if not isinstance(value, Mapping):
        raise Failed("get needs a mapping")
    found = get(state, value, key)
    return other if found is ABSENT else found


def integer(state: State, value: object) -> int:
    """The value as a whole number; a text must hold nothing else."""
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float) and abs(value) < MAX_INTEGER:
        return int(value)
    if isinstance(value, str) and len(value) <= 18:
        try:
            return int(value)
        except ValueError:
            pass
    raise Failed("int was given something that is not a whole number of at most 18 digits")


def string(state: State, value: object) -> str:
    """The value as text."""
    return text(state, value)


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Failed("a whole number is needed")


FILTERS: dict[str, Callable[..., object]] = {
    "b64dec": b64decode,
    "b64decode": b64decode,
    "b64enc": b64encode,
    "b64encode": b64encode,
    "count": length,
    "d": default,
    "default": default,
    "endswith": endswith,
    "first": first,
    "fromjson": fromjson,
    "get": look_up,
    "indent": indent,
    "int": integer,
    "items": items,
    "join": join,
    "keys": keys,
    "last": last,
    "length": length,
    "list": to_list,
    "lower": lower,
    "lstrip": lstrip,
    "quote": quote,
    "removeprefix": removeprefix,
    "removesuffix": removesuffix,
    "replace": replace,
    "rstrip": rstrip,
    "sort": sort,
    "split": split,
    "startswith": startswith,
    "string": string,
    "strip": trim,
    "tojson": tojson,
    "trim": trim,
    "upper": upper,
    "urlencode": urlencode,
    "values": values,
}

METHODS = frozenset(
    [
        "endswith",
        "get",
        "items",
        "keys",
        "lower",
        "lstrip",
        "removeprefix",
        "removesuffix",
        "replace",
        "rstrip",
        "split",
        "startswith",
        "strip",
        "upper",
        "values",
    ]
)
"""The filters that may be written as a method call. ``join`` is none: a text's own method takes them the other way."""

TESTS: dict[str, Callable[..., bool]] = {
    "boolean": lambda value: isinstance(value, bool),
    "defined": lambda value: value is not ABSENT,
    "false": lambda value: value is False,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "mapping": lambda value: isinstance(value, Mapping),
    "none": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "sequence": lambda value: isinstance(value, (list, tuple)),
    "string": lambda value: isinstance(value, str),
    "true": lambda value: value is True,
    "undefined": lambda value: value is ABSENT,
}
"""The tests of ``x is ...``. They take no arguments."""
