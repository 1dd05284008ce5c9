"""What the operators of a template do. Each takes the render's State first and pays before it builds.

Values are what JSON has (with tuples for lists), and nothing but. Attributes are items: ``db.items`` is the field
called ``items``, and no Python attribute can be reached at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from secretsync_core.expression.bounds import MAX_INTEGER, MAX_TEXT, Failed, State

if TYPE_CHECKING:
    from collections.abc import Callable

Names: TypeAlias = "tuple[Names | None, ...]"
"""Names that take a value apart: None for each name, and for names in brackets of their own theirs."""

ABSENT = object()
"""What :func:`get` gives for something that is not there."""


def text(state: State, value: object) -> str:
    """A value as text: true, false and numbers as in JSON; null, lists and mappings have no text form."""
    if isinstance(value, str):
        return value
    if value is None:
        raise Failed("null has no text form: use default('', true) or tojson")
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, (list, tuple, Mapping)):
        raise Failed("a list or mapping has no text form: use tojson or join")
    raise Failed(f"a value of type {type(value).__name__} has no text form")


def output(state: State, value: object) -> str:
    """What ``{{ value }}`` writes."""
    shown = text(state, value)
    state.emit(len(shown))
    return shown


def concat(state: State, *values: object) -> str:
    """``a ~ b ~ c``"""
    texts = [text(state, value) for value in values]
    state.make(sum(map(len, texts)))
    return "".join(texts)


def add(state: State, left: object, right: object) -> object:
    """``a + b``: two numbers, two texts or two lists."""
    if isinstance(left, str) and isinstance(right, str):
        return concat(state, left, right)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return build_list(state, *left, *right)
    return _number(_numeric(left) + _numeric(right))


def subtract(state: State, left: object, right: object) -> object:
    """``a - b``: two numbers."""
    return _number(_numeric(left) - _numeric(right))


def _numeric(value: object) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Failed("these two cannot be added or subtracted")


def _number(value: float) -> int | float:
    if abs(value) >= MAX_INTEGER:
        raise Failed("a number is too large")
    return value


def get(state: State, value: object, key: object) -> object:
    """``value.key`` and ``value[key]``: a field of a mapping, an element of a list, a character of a text."""
    if isinstance(value, Mapping):
        return value.get(key, ABSENT) if isinstance(key, str) else ABSENT
    if isinstance(value, (list, tuple, str)) and isinstance(key, int) and not isinstance(key, bool):
        return value[key] if -len(value) <= key < len(value) else ABSENT
    return ABSENT


def cut(state: State, value: object, start: object, stop: object, step: object) -> object:
    """``value[start:stop:step]``"""
    if not isinstance(value, (list, tuple, str)):
        raise Failed("only a text or a list can be sliced")
    bounds = slice(_bound(start), _bound(stop), _bound(step))
    if bounds.step == 0:
        raise Failed("the step of a slice is zero")
    state.handle(len(value) * (1 if isinstance(value, str) else 8))
    return value[bounds]


def _bound(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise Failed("the bounds of a slice must be whole numbers")


def measure(state: State, value: object) -> int:
    """The size of a value as a tree: its characters, and one for each element; paid for while it is taken."""
    size = 1
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            size += len(part)
        elif isinstance(part, Mapping):
            state.spend(1 + len(part))
            size += len(part) + sum(len(key) for key in part if isinstance(key, str))
            pending.extend(part.values())
        elif isinstance(part, (list, tuple)):
            state.spend(1 + len(part))
            size += len(part)
            pending.extend(part)
        # The same list may stand in itself's parts many times over, so that the tree is far larger than memory.
        if size > MAX_TEXT:
            raise Failed(f"a value is larger than {MAX_TEXT} characters and elements")
    return size


def build_list(state: State, *items: object) -> list[object]:
    """``[a, b]``"""
    measure(state, items)
    return list(items)


def build_mapping(state: State, *pairs: object) -> dict[str, object]:
    """``{a: b}``, from keys and values in turn."""
    measure(state, pairs)
    keys = pairs[::2]
    mapping = {key: value for key, value in zip(keys, pairs[1::2], strict=True) if isinstance(key, str)}
    if not all(isinstance(key, str) for key in keys):
        raise Failed("the keys of a mapping must be texts")
    return mapping


def iterate(state: State, value: object, nodes: int, names: Names | None) -> list[object]:
    """What ``for`` goes over, a mapping by its names in order; the nodes of every round are paid for beforehand.

    ``names`` are those that take each element apart; None where one name takes it whole.
    """
    if not isinstance(value, (list, tuple, Mapping)):
        raise Failed("for needs a list or a mapping")
    state.spend(len(value) * (1 + nodes))
    elements = sorted(value) if isinstance(value, Mapping) else list(value)
    return elements if names is None else [apart(state, element, names) for element in elements]


def apart(state: State, value: object, names: Names) -> object:
    """A value, if it can be taken apart into so many names."""
    state.spend(len(names))
    if not isinstance(value, (str, list, tuple, Mapping)) or len(value) != len(names):
        raise Failed(f"only a list of {len(names)} can be taken apart into {len(names)} names")
    for part, inner in zip(value, names, strict=True):
        if inner is not None:
            apart(state, part, inner)
    return value


def _contains(left: object, right: object) -> bool:
    if isinstance(right, str):
        if not isinstance(left, str):
            raise Failed("only a text can be in a text")
        return left in right
    if isinstance(right, Mapping):
        return isinstance(left, str) and left in right
    if isinstance(right, (list, tuple)):
        return left in right
    raise Failed("in needs a text, a list or a mapping")


def _ordered(left: object, right: object) -> tuple[Any, Any]:
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    return _numeric_or(left), _numeric_or(right)


def _numeric_or(value: object) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Failed("these two cannot be ordered")


def _lt(left: object, right: object) -> bool:
    first, second = _ordered(left, right)
    return bool(first < second)


_COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": _lt,
    "gt": lambda left, right: _lt(right, left),
    "lteq": lambda left, right: not _lt(right, left),
    "gteq": lambda left, right: not _lt(left, right),
    "in": _contains,
    "notin": lambda left, right: not _contains(left, right),
}


def compare(state: State, left: object, *rest: Any) -> bool:
    """``a < b <= c``, from operators and operands in turn."""
    for operator, right in zip(rest[::2], rest[1::2], strict=True):
        state.handle(measure(state, left) + measure(state, right))
        if not _COMPARISONS[operator](left, right):
            return False
        left = right
    return True
