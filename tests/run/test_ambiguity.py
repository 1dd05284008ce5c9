"""Two sources for one destination key are found before anything is read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from run.making import listed, made, plan_of
from run.world import counted
from secretsync_core.model.plan import Target
from secretsync_core.model.report import Result
from secretsync_core.run.targets import Claims

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.model.inventory import Entry

BOTH_TO_ONE = "keyTransform: [{template: one}]"
B_TO_A = "keyTransform: [{regexp: {source: ^b, target: a}}]"


def _clashes(plan: str, entries: list[Entry], found: tuple[str, ...] = ()) -> list[str]:
    targets = [target for item in plan_of(plan).items for target in made(item, entries, found=found)]
    claims = Claims()
    for target in targets:
        if isinstance(target, Target):
            claims.claim(target, keep=True)
    return claims.clashes


def test_one_source_for_each_key_is_fine() -> None:
    """A static key and a query side by side do not disturb each other."""
    plan = "[{name: a, secret: {key: x}}, {name: b, query: {path: q}}]"
    assert _clashes(plan, listed("q/1", "q/2"), found=("x",)) == []


def test_within_an_item() -> None:
    """Two secrets of one query that a transform maps to one key clash, and both are named."""
    (clash,) = _clashes(f"[{{name: a, query: {{}}, {BOTH_TO_ONE}}}]", listed("x", "y"))
    assert clash == "one: claimed by item a (src:x) and by item a (src:y)"


def test_across_items() -> None:
    """Two items that make one key clash, and both are named."""
    (clash,) = _clashes(
        f"[{{name: a, secret: {{key: x}}, {BOTH_TO_ONE}}}, {{name: b, secret: {{key: y}}, {BOTH_TO_ONE}}}]",
        [], found=("x", "y"),
    )  # fmt: skip
    assert "item a (src:x)" in clash
    assert "item b (src:y)" in clash


def test_a_static_key_within_a_query() -> None:
    """A secret that is named and also found by a query of another item clashes with itself."""
    assert len(_clashes("[{name: a, secret: {key: x}}, {name: b, query: {}}]", listed("x"), found=("x",))) == 1


def test_a_combined_key_against_a_query() -> None:
    """The key of a combined secret is a claim like any other; at most three of its sources are named."""
    plan = (
        "[{name: a, combine: [{name: p, query: {path: q}}], key: q/1}, {name: b, query: {path: q, key: {regexp: ^1}}}]"
    )
    (clash,) = _clashes(plan, listed("q/1", "q/2", "q/3", "q/4", "q/5"))
    assert clash.startswith("q/1: claimed by item a (src:q/1, src:q/2, src:q/3 and 2 more) and by item b")


async def test_many_clashes_refuse_their_keys_only(world: World) -> None:
    """Hundreds of keys that are claimed twice are refused each by its name, and one that is not is copied."""
    world.job(f"- {{name: a, query: {{path: a}}}}\n- {{name: b, query: {{path: b}}, {B_TO_A}}}")
    await world.seed("src", {f"{folder}/{number:03}": {"x": "1"} for folder in "ab" for number in range(300)})
    await world.put("src", "b/other", {"x": "1"})
    report = await world.sync()
    assert counted(report) == {"refused": 600, "created": 1}
    assert await world.all("dst") == {"a/other": {"x": "1"}}


async def test_many_that_claim_one_key(world: World) -> None:
    """Of hundreds of secrets that a transform maps to one key the first twenty are named, and how many there are."""
    world.job(f"- {{name: a, query: {{}}, {BOTH_TO_ONE}}}")
    await world.seed("src", {f"{number:03}": {"x": "1"} for number in range(300)})
    report = await world.sync()
    assert counted(report) == {"refused": 300}
    assert report.failures[0].message.endswith("by item a (src:019), and 280 more")


@pytest.mark.parametrize("first", ["a", "b"])
async def test_what_stands_and_clashes_is_counted_once(world: World, first: str) -> None:
    """A copy that stands, and that another source claims too, is refused and not also unchanged, in either order."""
    other = "b" if first == "a" else "a"
    world.job(f"""
        - {{name: a, query: {{path: a}}}}
        - {{name: b, query: {{path: b}}, {B_TO_A}}}
        """)
    await world.seed("src", {f"{first}/1": {"x": "1"}, f"{first}/2": {"x": "2"}})
    assert (await world.sync()).ok
    await world.put("src", f"{other}/1", {"x": "other"})
    report = await world.sync()
    assert {item: +Counter(counts) for item, counts in report.counts.items()} == {
        first: {Result.UNCHANGED: 1, Result.REFUSED: 1},
        other: {Result.REFUSED: 1},
    }
