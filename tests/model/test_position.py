"""How far a server has got, and what the ledger keeps of it."""

from __future__ import annotations

import pytest

from secretsync_core.model.position import Position, position_of_text, text_of


def test_the_lowest_answer_counts_against_the_highest_known_one() -> None:
    """One answer of many that is older is enough to be behind."""
    known = Position("c", None, 10)
    assert Position("c", 9, 12).is_behind(known)
    assert not Position("c", 10, 12).is_behind(known)
    assert not Position("c").is_behind(known)
    assert not Position("c", 1, 1).is_behind(Position("c"))


def test_who_does_not_tell_is_not_another_one() -> None:
    """Only two names that differ are two servers."""
    assert Position("c").is_of_another_server(Position("d"))
    assert not Position("").is_of_another_server(Position("d"))
    assert not Position("c").is_of_another_server(Position(""))


def test_what_is_kept_never_goes_back_on_one_server() -> None:
    """The higher number stays; of another server its own does."""
    assert Position("c", 4, 5).after(Position("c", None, 9)) == Position("c", None, 9)
    assert Position("c", 4, 12).after(Position("c", None, 9)) == Position("c", None, 12)
    assert Position("c").after(Position("c", None, 9)) == Position("c", None, 9)
    assert Position("d", 4, 5).after(Position("c", None, 9)) == Position("d", None, 5)
    assert Position("c", 4, 5).after(None) == Position("c", None, 5)


@pytest.mark.parametrize("position", [Position("c", None, 2**62), Position("", None, 7), Position("c")])
def test_a_position_is_one_line_of_text(position: Position) -> None:
    """What the ledger keeps says the same again."""
    assert position_of_text(text_of(position)) == position


@pytest.mark.parametrize("text", ["", "7", "[]", '["c"]', "[1, 2]", '["c", "7"]', '["c", true]', "{"])
def test_any_other_text_is_none(text: str) -> None:
    """Nothing is guessed of what another version wrote."""
    assert position_of_text(text) is None


def test_a_bare_id_that_a_ledger_has_is_left_aside() -> None:
    """Ledgers were kept so before there were aliases: how far the server had got still counts."""
    known = position_of_text('["bebf56b4-8257-2b06-2fc5-9b6600e1668c",34]')
    assert known == Position("", None, 34)
    assert not Position("0123456789abcdef0123456789abcdef", 40, 41).is_of_another_server(known)
