"""What a run's parts are: which items have a step of their own, and which share one."""

from __future__ import annotations

import pytest

from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.run.shards import Part, look_again, split


def _changes(items: int, each: int = 1) -> list[Change]:
    return [
        Change(f"i{item}", "dst", f"i{item}/{number}", Action.CREATE, Reason.NEW)
        for item in range(items)
        for number in range(each)
    ]


@pytest.mark.parametrize(("items", "parts"), [(50, [Part.ITEM] * 50), (51, [Part.ITEMS])])
def test_so_many_small_items_have_a_step_each(items: int, parts: list[Part]) -> None:
    """Up to fifty; of more than that all share steps, which costs less than to start one for each."""
    changes = _changes(items)
    shards = split("job", changes, [], 1)
    assert [shard.part for shard in shards] == parts
    assert sorted(change for shard in shards for change in shard.changes) == sorted(changes)
    assert [item for shard in shards for item in shard.covers] == [f"i{item}" for item in range(items)]


@pytest.mark.parametrize(("items", "sizes"), [(50, [1] * 50), (51, [2] * 25 + [1]), (101, [3] * 33 + [2])])
def test_so_many_items_are_looked_at_again_one_by_one(items: int, sizes: list[int]) -> None:
    """Up to fifty; more than that share fifty steps at the most."""
    names = [f"i{item}" for item in range(items)]
    shards = look_again("job", names)
    assert [len(shard.covers) for shard in shards] == sizes
    assert [item for shard in shards for item in shard.covers] == names
    assert all(shard.look_again for shard in shards)
