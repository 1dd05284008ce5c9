"""What each filter and operator costs against what it pays for, with arguments made to cost the most."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.expression import operations
from secretsync_core.expression.bounds import MAX_WORK, Failed, State
from secretsync_core.expression.filters import FILTERS

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 20.0  # for all the work that one render may make: of this thread's own time, with room for a slow machine
SIZE = 20_000
ALPHABET = "".join(map(chr, range(0x4E00, 0x4E00 + SIZE)))  # as many different characters
LAST = ALPHABET[-1] * SIZE  # a text of the one that is found last
NAMES = {f"n{number:06}": number for number in range(SIZE)}

CALLS: dict[str, list[tuple[Any, ...]]] = {
    "b64decode": [("QUJD" * SIZE,), ("Q U\n" * SIZE,)],
    "b64encode": [(LAST,)],
    "count": [(LAST,)],
    "default": [(operations.ABSENT, LAST)],
    "endswith": [(LAST, LAST), (LAST, LAST[:-1])],
    "first": [(LAST,)],
    "fromjson": [("[" + "1," * SIZE + "1]",), ('"' + "\\\\u0041" * SIZE + '"',), ("9" * 4000,), ("[" * SIZE,)],
    "get": [(NAMES, LAST)],
    "indent": [("\n" * SIZE, 20, True)],
    "int": [("9" * 18,), (LAST,)],
    "items": [(NAMES,)],
    "join": [(list("ab" * SIZE), ALPHABET[:20]), (NAMES, "")],
    "keys": [(NAMES,)],
    "last": [(LAST,)],
    "length": [(LAST,)],
    "list": [(NAMES,)],
    "lower": [("\u0130" * SIZE,)],
    "lstrip": [(LAST, ALPHABET), (LAST, LAST), (" " * SIZE,)],
    "quote": [("'" * SIZE,)],
    "removeprefix": [(LAST, LAST), (LAST, LAST[:-1])],
    "removesuffix": [(LAST, LAST), (LAST, LAST[:-1])],
    "replace": [("a" * SIZE, "a" * 90 + "b", ""), ("a" * SIZE, "a", "b"), ("ab" * SIZE, "ab" * 99 + "b", "x")],
    "rstrip": [(LAST, ALPHABET), (LAST, LAST), (" " * SIZE,)],
    "sort": [(list(reversed(NAMES)),), ([LAST[:number] for number in range(1000)],)],
    "split": [("a" * SIZE, "a" * 90 + "b"), ("a" * SIZE, "a"), (" a" * SIZE,)],
    "startswith": [(LAST, LAST), (LAST, LAST[:-1])],
    "string": [(LAST,), (1e300,)],
    "tojson": [(NAMES,), (list(range(SIZE)), 16), (LAST,), ("\x00" * SIZE,)],
    "trim": [(LAST, ALPHABET), (LAST, LAST), (" " * SIZE,)],
    "upper": [("\u0149" * SIZE,)],
    "urlencode": [(LAST,)],
    "values": [(NAMES,)],
}
SAME = {"b64dec": "b64decode", "b64enc": "b64encode", "d": "default", "strip": "trim"}
OPERATORS: dict[str, tuple[Callable[..., object], tuple[Any, ...]]] = {
    "add texts": (operations.add, (LAST, LAST)),
    "add lists": (operations.add, (list(LAST), list(LAST))),
    "concat": (operations.concat, (LAST, LAST, LAST)),
    "contains": (operations.compare, ("a" * 90 + "b", "in", "a" * SIZE)),
    "contains in a list": (operations.compare, (LAST[:-1] + "x", "in", [LAST] * 40)),
    "cut": (operations.cut, (LAST, None, None, -1)),
    "equals": (operations.compare, (list(LAST), "eq", list(LAST))),
    "iterate": (operations.iterate, (NAMES, 1, None)),
    "less": (operations.compare, (LAST, "lt", LAST)),
    "mapping": (operations.build_mapping, ("a", LAST)),
    "subtract": (operations.subtract, (1, 2)),
}


def seconds_for_the_budget(call: Callable[[State], object]) -> float:
    """How long as many of these calls would take as one render can pay for; it pays a step for each besides."""
    best = float("inf")
    for _ in range(3):
        state = State()
        started = time.thread_time()
        with contextlib.suppress(Failed, RecursionError):  # both are told by a render's error
            call(state)
        best = min(best, (time.thread_time() - started) / (state.work + 1) * MAX_WORK)
    return best


def test_every_filter_is_measured() -> None:
    """A filter that is added is measured as well; one function under two names is measured once."""
    assert set(FILTERS) == set(CALLS) | set(SAME)
    assert all(FILTERS[name] is FILTERS[other] for name, other in SAME.items())


@pytest.mark.parametrize("name", CALLS)
def test_a_filter_pays_for_all_of_its_arguments(name: str) -> None:
    """Stripping was paid by the text alone, and cost its length times that of the argument: minutes in one call."""
    for arguments in CALLS[name]:
        assert seconds_for_the_budget(lambda state, given=arguments: FILTERS[name](state, *given)) < SECONDS  # type: ignore[misc]


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_pays_for_its_operands(name: str) -> None:
    """Likewise."""
    operate, operands = OPERATORS[name]
    assert seconds_for_the_budget(lambda state: operate(state, *operands)) < SECONDS
