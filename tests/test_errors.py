"""The error tree says what it means to commands, retries and the ledger."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import TYPE_CHECKING

import secretsync_core
import secretsync_dagster
from secretsync_core import errors
from secretsync_core.errors import (
    DocumentError,
    MalformedAnswer,
    PlanRefused,
    Problem,
    RateLimited,
    SecretFails,
    SecretSyncError,
    StoreError,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, SecretSyncError)]
_NEEDS_DOCUMENTS = "secretsync_dagster.definitions"  # compiles what the working directory holds


def _everywhere() -> Iterator[type[SecretSyncError]]:
    """Every class of ours below the root, wherever it lives."""
    for package in (secretsync_core, secretsync_dagster):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations." not in module.name and module.name != _NEEDS_DOCUMENTS:
                importlib.import_module(module.name)
    todo = [SecretSyncError]
    while todo:
        below = todo.pop().__subclasses__()
        yield from (each for each in below if each.__module__.startswith(("secretsync_core.", "secretsync_dagster.")))
        todo += below


def test_the_drawing_is_the_tree() -> None:
    """Each class stands in the drawing, below its parent, with its exit code, its module and its retry mark."""
    drawn: set[tuple[str, str, int, bool, str]] = set()
    above: list[tuple[int, str]] = [(0, "SecretSyncError")]
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"([ |]+)\+-- (\w+) +(\d+)   (.*)", line.removeprefix("    "))
        if match is None:
            continue
        while above[-1][0] >= len(match[1]):
            above.pop()
        where = re.search(r"\(((?:[a-z_]+\.)+[a-z_]+)\)(?: +retryable)?$", match[4])
        home = f"secretsync_core.{where[1] if where else 'errors'}"
        drawn.add((home, match[2], int(match[3]), match[4].endswith("retryable"), above[-1][1]))
        above.append((len(match[1]), match[2]))
    real = {
        (each.__module__, each.__name__, each.exit_code, bool(each.retryable), each.__bases__[0].__name__)
        for each in _everywhere()
    }
    assert drawn == real
    assert len(real) > 25


def test_codes_are_slugs_and_tell_classes_apart() -> None:
    """The ledger and JSON output name errors by a slug that no two classes share."""
    codes = [error.code for error in TREE]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z-]+", code) for code in codes)


def test_only_waiting_helps_the_retryable() -> None:
    """Nothing is retried but what may be otherwise the next time."""
    assert {error for error in TREE if error.retryable} == {StoreUnavailable, SecretFails, MalformedAnswer, RateLimited}


def test_store_errors_say_where() -> None:
    """Store, key, hint and the wait that a store asks for are kept apart from the message."""
    error = RateLimited("slow down", store="s", key="a/b", hint="wait", retry_after=2.5)
    assert (str(error), error.store, error.key, error.hint, error.retry_after) == ("slow down", "s", "a/b", "wait", 2.5)
    assert StoreError("x").key is None


def test_many_problems_are_one_error() -> None:
    """A document error holds every problem and counts them; a refused plan holds every reason."""
    problems = [Problem("a.yaml", 3, "wrong"), Problem("b.yaml", 0, "worse")]
    error = DocumentError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "2 problems in the documents"
    assert str(DocumentError(problems[:1])) == "1 problem in the documents"
    assert [problem.where for problem in problems] == ["a.yaml:3", "b.yaml"]
    refused = PlanRefused(["one", "two"])
    assert (str(refused), refused.reasons) == ("one; two", ("one", "two"))
