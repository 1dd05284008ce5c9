"""Values that stand deep in themselves: copied as far as they can be, and refused by themselves beyond."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.endurance import DEPTH

if TYPE_CHECKING:
    from run.world import World


def _deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"a": "end"}
    for _ in range(levels - 1):
        found = {"a": found}
    return found


async def test_a_value_as_deep_as_may_be_is_copied(world: World) -> None:
    """With all that compares and converts on its way, to fields and to a blob, and again."""
    world.files("blobs")
    world.job("- secret: {key: a}", dest="[dst, blobs]")
    await world.seed("src", {"a": _deep(DEPTH)})
    assert (await world.sync()).ok
    assert (await world.sync(verify=True)).ok
    assert await world.get("dst", "a") == _deep(DEPTH)
    await world.seed("src", {"a": {**_deep(DEPTH), "b": "1"}})
    assert (await world.sync()).ok
    await world.put("dst", "a", {"theirs": "1"})
    await world.plan()


@pytest.mark.parametrize("levels", [DEPTH + 1, 300])
async def test_a_value_that_is_deeper_is_refused_by_itself(world: World, levels: int) -> None:
    """The other secrets are copied, and the error says how deep a value may be."""
    world.job("- secret: {key: a}\n- secret: {key: b}")
    await world.seed("src", {"a": _deep(levels), "b": {"x": "1"}})
    report = await world.sync()
    assert not report.ok
    told = [error.message for error in report.errors] + [outcome.message for outcome in report.failures]
    assert any(f"more than {DEPTH} deep" in message for message in told)
    assert await world.get("dst", "b") == {"x": "1"}


async def test_a_text_may_be_as_deep_as_it_likes(world: World) -> None:
    """A blob of JSON that is deeper is a text like another, and stays one."""
    world.files("src")
    world.files("dst")
    world.job("- secret: {key: a}")
    text = json.dumps({"a": 1}).replace("1", "[" * 900 + "]" * 900).encode()
    await world.seed("src", {"a": text})
    assert (await world.sync()).ok
    assert await world.get("dst", "a") == text
