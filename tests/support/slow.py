"""Which of many cases of one kind `make test` tries, and which are left to `make test-slow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _pytest.mark import ParameterSet


def one_in(count: int, cases: Iterable[Any]) -> list[ParameterSet]:
    """The cases for ``parametrize``; but for each ``count``-th of them they are slow.

    Where the cases are a product, take a ``count`` that has no factor in common with the lengths of its parts: then
    each value of each part comes up among the quick ones, with another one of the other parts every time.
    """
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.slow] if at % count else [])
        for at, case in enumerate(cases)
    ]
