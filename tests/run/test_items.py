"""Items, partial runs, combined secrets and pinned versions."""

from __future__ import annotations

import pytest

from run.making import item_of, job, listed, made, plan_of
from secretsync_core.errors import AccessDenied, UsageError
from secretsync_core.model.inventory import Entry
from secretsync_core.model.plan import SourceRef, Target
from secretsync_core.run.items import build_plan
from secretsync_core.run.look import Taking
from secretsync_core.run.targets import joint_version, targets_of

PLAN = "[{name: a, secret: {key: x}}, {name: b, source: old, query: {}}]"


def test_sources_are_named_once_and_an_item_may_have_its_own() -> None:
    """The job's source is the default, an item's own overrides it."""
    assert plan_of(PLAN).sources == ["src", "old"]


def test_a_partial_run_knows_what_it_leaves_out() -> None:
    """Choosing items keeps the names of all, and choosing all of them is not partial."""
    plan = plan_of(PLAN, ["b"])
    assert [item.name for item in plan.items] == ["b"]
    assert plan.names == {"a", "b"}
    assert plan.partial
    assert not plan_of(PLAN, ["a", "b"]).partial
    assert not plan_of(PLAN).partial


def test_an_unknown_item_is_a_wrong_call() -> None:
    """Asking for an item that is not there says which there are."""
    with pytest.raises(UsageError, match="has no item of that name") as caught:
        build_plan(job(PLAN), ["a", "nope"])
    assert caught.value.hint == "its items are: a, b"


COMBINED = "{combine: [{name: p, secret: {key: x}}, {name: q, query: {path: f}}], key: k}"


def test_a_combined_item_makes_one_target_of_all() -> None:
    """All parts become one target; keys found by a query also go by what stands below its path."""
    (target,) = made(item_of(COMBINED), listed("f/1", "f/2"), found=("x",))
    assert isinstance(target, Target)
    assert target.key == "k"
    assert target.sources == (
        SourceRef("src", "f/1", "q", "1"), SourceRef("src", "f/2", "q", "2"), SourceRef("src", "x", "p"),
    )  # fmt: skip


@pytest.mark.parametrize("trouble", ["missing", "incomplete", "nothing"])
def test_a_combined_item_with_a_part_unseen_makes_nothing(trouble: str) -> None:
    """A secret that is missing, a listing with gaps, or nothing at all: no target, rather than half of one."""
    taking = Taking(item_of(COMBINED))
    if trouble != "nothing":
        taking.resolve(0, None if trouble == "missing" else Entry("x", "1"))
        taking.offer(1, Entry("f/1", "1"))
    if trouble == "incomplete":
        taking.fail(AccessDenied("no"))
    assert list(targets_of(taking.seen())) == []


def test_joint_version_moves_with_every_part() -> None:
    """One token for many sources: it changes when one of them changes, comes or goes; none without versions."""
    refs = [SourceRef("s", "a", "p"), SourceRef("s", "b", "p")]
    both = joint_version([(refs[0], "1"), (refs[1], "1")])
    assert both is not None
    assert both == joint_version([(refs[1], "1"), (refs[0], "1")])
    assert both != joint_version([(refs[0], "2"), (refs[1], "1")])
    assert both != joint_version([(refs[0], "1")])
    assert joint_version([(refs[0], "1"), (refs[1], None)]) is None


def test_a_pin_stays_what_it_is() -> None:
    """A pinned secret is at its pin, whatever the store is at, even where the newest version is deleted."""
    taking = Taking(item_of("secret: {key: x, version: 3}"))
    taking.resolve(0, Entry("x", "9", deleted=True))
    (target,) = targets_of(taking.seen())
    assert isinstance(target, Target)
    assert target.version == "pin:3"
