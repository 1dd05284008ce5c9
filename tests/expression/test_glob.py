"""How a glob is read."""

from __future__ import annotations

import pytest

from secretsync_core.expression.errors import ExpressionError
from secretsync_core.expression.glob import escaped, is_glob, parts_of


@pytest.mark.parametrize(
    ("glob", "text", "matches"),
    [
        ("team-*", "team-a", True),
        ("team-*", "team-", True),
        ("team-*", "a-team-b", False),
        ("*", ".hidden", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a?c", "a\nc", True),
        ("*a*b*", "xxaxxbxx", True),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        (r"a\?\\", "a?\\", True),
        ("[ab]{1}.+$", "[ab]{1}.+$", True),
        ("[ab]", "a", False),
        ("ä*", "ärger", True),
    ],
)
def test_a_part_stands_for_texts(glob: str, text: str, matches: bool) -> None:
    """``*`` and ``?`` stand for characters, a backslash takes them as they are, and all else is itself."""
    (part,) = parts_of(glob)
    assert part.matches(text) is matches


@pytest.mark.parametrize("glob", ["a/**b", "***", "a**", r"q\qq", "qq\\", "x/" * 65])
def test_what_is_no_glob_is_refused_without_being_quoted(glob: str) -> None:
    """Stars that run together within a part, a lone backslash and endless paths are errors that do not quote them."""
    with pytest.raises(ExpressionError) as raised:
        parts_of(glob)
    assert glob[:9] not in str(raised.value)


def test_stars_next_to_each_other_are_one() -> None:
    """``**/**`` says what ``**`` says."""
    assert parts_of("a/**/**/b") == parts_of("/a/**/b/")


@pytest.mark.parametrize("text", ["plain", "a*b", "a?", "back\\slash", "**"])
def test_an_escaped_text_is_taken_as_it_is(text: str) -> None:
    """An escaped text is no glob, and stands for itself."""
    parts = parts_of(escaped(text))
    assert not is_glob(parts)
    assert [part.literal for part in parts] == [text]
