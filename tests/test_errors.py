"""The error tree says what it means to commands, retries and the ledger."""

from __future__ import annotations

import inspect
import re

import pytest

from secretsync_core import errors
from secretsync_core.errors import (
    DocumentError,
    PlanRefused,
    Problem,
    RateLimited,
    SecretSyncError,
    StoreError,
    StoreUnavailable,
)

TREE = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, SecretSyncError)]


@pytest.mark.parametrize("error", TREE)
def test_the_drawing_is_the_tree(error: type[SecretSyncError]) -> None:
    """Each class stands in the module's drawing, with the exit code and the retry mark that it has."""
    if error is SecretSyncError:
        return
    drawn = re.search(rf"\+-- {error.__name__}\b(.*)", errors.__doc__ or "")
    assert drawn, "not drawn"
    code = re.match(r"\s+(\d+)\s", drawn[1])
    if code:
        assert int(code[1]) == error.exit_code
    assert ("retryable" in drawn[1]) is error.retryable


def test_codes_are_slugs_and_tell_classes_apart() -> None:
    """The ledger and JSON output name errors by a slug that no two classes share."""
    codes = [error.code for error in TREE]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z-]+", code) for code in codes)


def test_only_waiting_helps_the_retryable() -> None:
    """Nothing is retried but what may be otherwise the next time."""
    assert {error for error in TREE if error.retryable} == {StoreUnavailable, RateLimited}


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
