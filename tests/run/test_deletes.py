"""Deletes: only what this job created, only on proof, never too many at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run.making import plan_of
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.inventory import Entry
from secretsync_core.model.state import KeyState
from secretsync_core.model.versions import VersionOrder
from secretsync_core.run.deletes import Doubts, decide_delete, doubts_of, guard, hold_to, orphans
from secretsync_core.run.seen import Destination, DestSeen
from secretsync_core.schema.quantities import Amount

PLAN = "[{name: a, query: {}}, {name: b, query: {path: b}}]"


def _held(item: str = "a", *, owned: bool = True, version: str | None = "d1") -> KeyState:
    return KeyState("s1", version, "def", owned, item)


FACTS = StoreFacts("dst", "memory", Shape.FIELDS, versioned=True)


def _decide(state: KeyState, entry: Entry | None, **more: Any) -> Change:
    given = {"hidden": False, "looks": True, "facts": FACTS, **more}
    return decide_delete("k", state, "dst", plan=plan_of(PLAN), entry=entry, **given)


LABELLED = StoreFacts("dst", "k", Shape.FIELDS, versioned=True, versions_of_all=True)
OF_ONE = replace(LABELLED, version_order=VersionOrder.NUMBER_OF_ONE)
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
        (_held(version="4@u"), Entry("k", "5@u"), {"facts": OF_ONE}, "delete", "source-gone", "unknown"),  # a label?
        (_held(version="4@u"), Entry("k", "5@v"), {"facts": OF_ONE}, "refuse", "changed-outside", "changed"),
        (_held(version="4"), Entry("k", "5"), {"facts": LABELLED}, "refuse", "changed-outside", "changed"),
        (_held(), None, {"hidden": True}, "refuse", "cannot-see", "unknown"),
        (_held(), None, {"looks": False}, "delete", "source-gone", "unknown"),
    ],
)
def test_the_table(
    state: KeyState, entry: Entry | None, more: dict[str, Any], action: str, reason: str, drift: str
) -> None:
    """A key goes only if it is as we left it, as far as that can be seen."""
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


@pytest.mark.parametrize(
    ("item", "doubts", "spared"),
    [
        ("a", Doubts((), any=False), False),
        ("a", Doubts({"a"}, any=True), True),
        ("a", Doubts({"b"}, any=True), False),
        ("gone", Doubts((), any=False), False),
        ("gone", Doubts({"b"}, any=True), True),
        ("gone", Doubts((), any=True), True),
    ],
)
def test_a_doubt_spares_its_item_and_every_item_that_left(item: str, doubts: Doubts, spared: bool) -> None:
    """An item in doubt loses nothing, and while anything is in doubt an item that left the document loses nothing."""
    assert doubts.spare(_decide(_held(item), PRESENT), {"a", "b"}) is spared


def test_what_is_refused_is_a_doubt() -> None:
    """A copy that is refused puts its item in doubt, but for a missing source that is what has the copy deleted."""
    missing = Change("a", "dst", "k", Action.REFUSE, Reason.NOT_FOUND)
    mistyped = Change("b", "dst", "kk", Action.REFUSE, Reason.NOT_FOUND)
    held = Change("a", "dst", "other", Action.UPDATE, Reason.SOURCE_CHANGED)
    assert doubts_of((), [missing, held], [_decide(_held(), PRESENT)], failed=False) == Doubts(set(), any=False)
    assert doubts_of((), [missing, mistyped], [_decide(_held(), PRESENT)], failed=False) == Doubts({"b"}, any=True)
    assert doubts_of((), [missing], [], failed=False) == Doubts({"a"}, any=True)
    assert doubts_of({"a"}, [], [], failed=False) == Doubts({"a"}, any=True)
    assert doubts_of((), [], [], failed=True) == Doubts(set(), any=True)


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
    guarded = hold_to(changes, allowed)
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
    [
        ("5", 1, 5),
        ("0", 9, 0),
        ("10%", 9, 1),
        ("10%", 0, 0),
        ("10%", 29, 2),
        ("29%", 100, 29),
        ("100%", 7, 7),
        ("0%", 7, 0),
    ],
)
def test_max_delete_is_a_count_or_a_share(amount: str, owned: int, allowed: int) -> None:
    """A share is of what the job created there, rounded down, and lets a small job delete one."""
    assert Amount.parse(amount).allowed(owned) == allowed


@pytest.mark.parametrize(("deleted", "going"), [(0, 2), (1, 0), (2, 0)])
def test_what_the_run_has_deleted_already_counts(deleted: int, going: int) -> None:
    """Steps of one run together delete no more than ``maxDelete``."""
    known = {f"k{number}": _held() for number in range(10)}
    dest = Destination("dst", FACTS, readable=True, seen=DestSeen(), known=known)
    deletes = [_delete(number, Action.DELETE, Reason.SOURCE_GONE) for number in range(2)]
    gone = {("dst", f"gone-{number}") for number in range(deleted)} | {("other", "x")}
    guarded, errors = guard(plan_of(PLAN, maxDelete="2"), deletes, [dest], gone)
    assert sum(change.action is Action.DELETE for change in guarded) == going
    assert [error.hint.partition("`")[2].partition("`")[0] for error in errors] == (
        [] if going else ["secretsync sync job --max-delete 2"]  # in another run, which has deleted nothing yet
    )


def test_a_change_keeps_what_the_ledger_held() -> None:
    """A delete carries the version that it was decided for, so that what comes later can be told apart."""
    assert _decide(_held(), PRESENT).dest_version == "d1"
    assert _decide(_held(), None, looks=False).dest_version == "d1"
    assert _decide(_held(), PRESENT).drift is Drift.NONE
