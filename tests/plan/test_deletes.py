"""Deletes: only what this job created, only on proof, never too many at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.making import plan_of
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.inventory import Entry
from secretsync_core.model.state import KeyState
from secretsync_core.plan.deletes import Doubts, decide_delete, guard, orphans
from secretsync_core.plan.diff import Sight
from secretsync_core.schema.quantities import Amount

PLAN = "[{name: a, query: {}}, {name: b, query: {path: b}}]"
SEE, BLIND = Sight(readable=True, versioned=True), Sight(readable=False, versioned=True)


def _held(item: str = "a", *, owned: bool = True, version: str | None = "d1") -> KeyState:
    return KeyState("s1", version, "def", owned, item)


def _decide(state: KeyState, entry: Entry | None, **more: Any) -> Change:
    given = {"hidden": False, "sight": SEE, "doubts": Doubts((), any=False), **more}
    return decide_delete("k", state, "dst", plan=plan_of(PLAN), entry=entry, **given)


PRESENT = Entry("k", "d1")


@pytest.mark.parametrize(
    ("state", "entry", "more", "action", "reason", "drift"),
    [
        (_held(), PRESENT, {}, "delete", "source-gone", "none"),
        (_held("gone"), PRESENT, {}, "delete", "item-gone", "none"),
        (_held(), Entry("k", "d2"), {}, "refuse", "changed-outside", "changed"),
        (_held(), None, {}, "delete", "removed-outside", "removed"),
        (_held(), Entry("k", "d1", deleted=True), {}, "delete", "removed-outside", "removed"),
        (_held(), Entry("k"), {}, "delete", "source-gone", "none"),  # no versions: the engine compares values
        (_held(), None, {"hidden": True}, "refuse", "cannot-see", "unknown"),
        (_held(), None, {"sight": BLIND}, "delete", "source-gone", "unknown"),
        (_held(), PRESENT, {"doubts": Doubts({"a"}, any=True)}, "refuse", "item-failed", "none"),
        (_held(), PRESENT, {"doubts": Doubts({"b"}, any=True)}, "delete", "source-gone", "none"),
        (_held("gone"), PRESENT, {"doubts": Doubts({"b"}, any=True)}, "refuse", "item-failed", "none"),
        (_held("gone"), PRESENT, {"doubts": Doubts((), any=True)}, "refuse", "item-failed", "none"),
    ],
)
def test_the_table(
    state: KeyState, entry: Entry | None, more: dict[str, Any], action: str, reason: str, drift: str
) -> None:
    """A key goes only if nothing is in doubt and it is as we left it; while anything is, a renamed item keeps all."""
    change = _decide(state, entry, **more)
    assert (change.action, change.reason, change.drift) == (action, reason, drift)


_items = st.sampled_from(["a", "b", "gone"])
_states = st.dictionaries(
    st.sampled_from("uvwxyz"), st.builds(KeyState, st.just("1"), st.just("1"), st.just("d"), st.booleans(), _items)
)


@given(_states, st.sets(st.sampled_from("uvwxyz")), st.sampled_from([(), ("a",), ("b",), ("a", "b")]))
def test_only_our_own_unwanted_keys_are_orphans(
    state: dict[str, KeyState], wanted: set[str], only: tuple[str, ...]
) -> None:
    """What is foreign or wanted is no orphan; a partial run finds none of the items that it leaves out."""
    plan = plan_of(PLAN, only)
    found = orphans(plan, wanted, state)
    for key in found:
        assert state[key].owned
        assert key not in wanted
        assert not plan.partial or state[key].item in only
    if not plan.partial:
        assert set(found) == {key for key, held in state.items() if held.owned and key not in wanted}


@given(_states, st.sets(st.sampled_from(["a", "b"]), min_size=1), st.booleans())
def test_an_item_in_doubt_loses_nothing(state: dict[str, KeyState], doubted: set[str], hidden: bool) -> None:
    """No key of an item whose listing has gaps is deleted, and none of an item that is no longer in the document."""
    doubts = Doubts(doubted, any=True)
    for key in orphans(plan_of(PLAN), set(), state):
        change = _decide(state[key], PRESENT, doubts=doubts, hidden=hidden)
        if state[key].item in {*doubted, "gone"}:
            assert change.action is Action.REFUSE


def _delete(number: int, action: Action, reason: Reason) -> Change:
    return Change("a", "dst", f"k{number}", action, reason)


_kinds = st.sampled_from(
    [
        (Action.DELETE, Reason.SOURCE_GONE),
        (Action.DELETE, Reason.ITEM_GONE),
        (Action.DELETE, Reason.REMOVED_OUTSIDE),
        (Action.REFUSE, Reason.CHANGED_OUTSIDE),
    ]
)


@given(st.lists(_kinds), st.integers(0, 10))
def test_the_guard_lets_all_through_or_none(kinds: list[tuple[Action, Reason]], allowed: int) -> None:
    """Beyond ``maxDelete`` nothing is taken away; keys that are gone already count for nothing and may be forgotten."""
    changes = [_delete(number, *kind) for number, kind in enumerate(kinds)]
    guarded = guard(changes, allowed)
    assert [change.key for change in guarded] == [change.key for change in changes]
    going = [change for change in guarded if change.action is Action.DELETE]
    real = [change for change in going if change.reason is not Reason.REMOVED_OUTSIDE]
    wanted = sum(kind[0] is Action.DELETE and kind[1] is not Reason.REMOVED_OUTSIDE for kind in kinds)
    assert len(real) == (wanted if wanted <= allowed else 0)
    assert len(going) - len(real) == kinds.count((Action.DELETE, Reason.REMOVED_OUTSIDE))
    if wanted > allowed:
        assert sum(change.reason is Reason.MAX_DELETE for change in guarded) == wanted


@pytest.mark.parametrize(
    ("amount", "owned", "allowed"),
    [("5", 1, 5), ("0", 100, 0), ("10%", 9, 0), ("10%", 10, 1), ("29%", 100, 29), ("100%", 7, 7), ("0%", 7, 0)],
)
def test_max_delete_is_a_count_or_a_share(amount: str, owned: int, allowed: int) -> None:
    """A share is of what the job created there, rounded down."""
    assert Amount.parse(amount).allowed(owned) == allowed


def test_a_change_keeps_what_the_ledger_held() -> None:
    """A delete carries the version that it was decided for, so that what comes later can be told apart."""
    assert _decide(_held(), PRESENT).dest_version == "d1"
    assert _decide(_held(), None, sight=BLIND).dest_version == "d1"
    assert _decide(_held(), PRESENT).drift is Drift.NONE
