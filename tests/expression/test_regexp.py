"""Regular expressions: what is found, what is replaced, and what does not compile."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretsync_core.expression.errors import ExpressionError, RenderError
from secretsync_core.expression.regexp import MAX_MATCHES, MAX_PATTERN, MAX_REWRITTEN, Rewrite, compile_regexp


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("api", "my-api-key", True),
        ("^api", "my-api-key", False),
        ("-test$", "db-test", True),
        ("(?i)API", "api", True),
        ("", "anything", True),
        ("^.$", "é", True),
        ("a", "\ud800", False),
    ],
)
def test_found_anywhere_unless_anchored(pattern: str, text: str, found: bool) -> None:
    """An expression is found anywhere in a key unless ``^`` and ``$`` anchor it."""
    assert compile_regexp(pattern).found(text) is found


@pytest.mark.parametrize(
    ("source", "target", "key", "expected"),
    [
        ("^payments/(.*)$", "prod/$1", "payments/api/key", "prod/api/key"),
        ("^payments/(.*)$", "prod/$1", "billing/db", "billing/db"),
        ("(a)(b)", r"\2\1", "abab", "baba"),
        ("(a)", "${1}0", "a", "a0"),
        ("(a)", "$1x", "a", "ax"),
        ("(?P<env>dev|prod)/", "${env}-", "dev/db", "dev-db"),
        ("(?P<env>dev|prod)/", "$env-", "dev/db", "dev-db"),
        ("b", "[$0]", "abc", "a[b]c"),
        ("b", r"[\0]", "abc", "a[b]c"),
        ("b", "$$", "abc", "a$c"),
        ("b", r"\\", "abc", r"a\c"),
        ("(a)|b", "<$1>", "ab", "<a><>"),
        ("a*", "x", "baaac", "xbxcx"),
        ("^a", "x", "aaa", "xaa"),
        ("", "-", "éa", "-é-a-"),
        ("a", "b", "\ud800a", "\ud800a"),
    ],
)
def test_every_match_is_replaced(source: str, target: str, key: str, expected: str) -> None:
    """Every match is replaced, groups go by number or name, and a key without a match passes through."""
    assert Rewrite(source, target).apply(key) == expected


@pytest.mark.parametrize(
    "target", ["$2", r"\2", "${2}", "$12", "${name}", "$name", "$", "a$-", "\\", r"\d", "${", "$" + "9" * 5000]
)
def test_a_target_that_names_what_is_not_there_does_not_compile(target: str) -> None:
    """A group that the expression lacks, and a lone dollar or backslash, are errors when the rewrite is made."""
    with pytest.raises(ExpressionError):
        Rewrite("(a)", target)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(CANARY", "missing )"),
        ("[CANARY", "missing ]"),
        ("CANARY)", "unexpected )"),
        ("*CANARY", "no argument for repetition operator"),
        ("(?=CANARY)", "look-ahead"),
        (r"(CANARY)\1", "invalid escape sequence"),
        ("CANARY{1001}", "invalid repetition size"),
        ("\ud800CANARY", "invalid UTF-8"),
        ("CANARY" * MAX_PATTERN, "longer than"),
        (r"((\pL{1,30}){1,30}CANARY){1,900}", "invalid repetition size"),
        (r"(?:[\pL\pN]{1,99}CANARY){10}" * 40, "pattern too large"),
    ],
)
def test_what_does_not_compile_tells_why_and_quotes_nothing(pattern: str, reason: str) -> None:
    """A pattern that RE2 refuses is an error that gives RE2's reason without the pattern's text."""
    with pytest.raises(ExpressionError) as caught:
        compile_regexp(pattern)
    assert reason in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "(a?){200}a{200}$", "(.*a){20}b"])
def test_patterns_that_explode_elsewhere_take_linear_time(pattern: str) -> None:
    """Patterns that take a backtracking engine for ever are answered at once, also on a very long key."""
    expression = compile_regexp(pattern)
    started = time.thread_time()
    expression.found("a" * 50_000 + "!")
    assert time.thread_time() - started < 3


def test_a_rewrite_cannot_multiply_a_key_without_end() -> None:
    """A rewrite whose result would get too long fails instead of filling the memory."""
    rewrite = Rewrite("", "$$" * 1000)
    with pytest.raises(RenderError, match=str(MAX_REWRITTEN)):
        rewrite.apply("a" * 1000)


@pytest.mark.parametrize("source", ["x", "x.*z|x", ""])
def test_a_rewrite_cannot_search_a_key_without_end(source: str) -> None:
    """A rewrite replaces so many matches in one key and no more: each search may look through all the rest of it."""
    assert len(Rewrite(source, "").apply("x" * (MAX_MATCHES - 1))) in (0, MAX_MATCHES - 1)
    with pytest.raises(RenderError, match=f"matches more than {MAX_MATCHES} times in one key"):
        Rewrite(source, "").apply("x" * (MAX_MATCHES + 1))


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=60))
def test_any_rewrite_compiles_or_tells(source: str, target: str, key: str) -> None:
    """Whatever source and target are, making and applying a rewrite gives text or one of the two errors."""
    with contextlib.suppress(ExpressionError, RenderError):
        assert isinstance(Rewrite(source, target).apply(key), str)


@given(st.text("ab/-é", max_size=30))
def test_replacing_a_match_by_itself_changes_nothing(key: str) -> None:
    """``$0`` for every match gives the key as it was, also around empty matches and letters of several bytes."""
    for source in ("a", "", "[ab]*", "é?", "$"):
        assert Rewrite(source, "$0").apply(key) == key
