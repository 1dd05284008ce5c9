"""What people are told of secrets that a job does not manage."""

from __future__ import annotations

from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.run.adopting import told_of_refused


def refused(*keys: str) -> list[Change]:
    """Such secrets at ``dst``."""
    return [Change("item", "dst", key, Action.REFUSE, Reason.NOT_MANAGED) for key in keys]


def test_keys_are_named_in_order_whatever_was_answered_first() -> None:
    """So that two plans of one state say the same."""
    (told,) = told_of_refused("job", refused("b", "a"), ["dst"])
    assert "dst holds 2 secrets" in told
    assert "`secretsync sync job --adopt a --adopt b` takes them over;" in told


def test_of_very_many_the_first_are_named() -> None:
    """And it is said that the command takes over no more than those."""
    (told,) = told_of_refused("job", refused("e", "d", "c", "b", "a"), ["dst"])
    assert "`secretsync sync job --adopt a --adopt b --adopt c` takes the first 3 over;" in told


def test_of_one_and_of_none() -> None:
    """One is it; where nothing is refused, nothing is said."""
    (told,) = told_of_refused("job", refused("a"), ["dst", "other"])
    assert "`secretsync sync job --adopt dst:a` takes it over;" in told
    assert told_of_refused("job", [], ["dst"]) == []
