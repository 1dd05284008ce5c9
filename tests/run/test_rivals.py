"""What another item has, or may claim, is neither overwritten nor deleted by a run that does not see that item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run.making import item_of
from run.world import FINGERPRINT_KEY, actions, counted, reasons
from secretsync_core.errors import AccessDenied
from secretsync_core.run import steps
from secretsync_core.run.lease import claim_of_this_process
from secretsync_core.run.rivals import claimable

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.model.report import Report
    from secretsync_core.run.shards import Shard

OF_A = "- {name: a, query: {path: a}}"
OF_B = "- {name: b, query: {path: b}, keyTransform: [{regexp: {source: ^b, target: a}}]}"
BOTH = f"{OF_A}\n{OF_B}"
DELETING = {"deletionPolicy": "Delete", "maxDelete": "100%"}


def _done(report: Report) -> dict[str, int]:
    """Results by name, without those that there are none of."""
    return {result: count for result, count in counted(report).items() if count}


async def _b_has_it(world: World, plan: str = BOTH) -> None:
    """Item b has made ``a/1`` of ``b/1``, and item a claims it by now as well."""
    world.job(plan, **DELETING)
    await world.put("src", "b/1", {"x": "b"})
    assert (await world.sync()).ok
    await world.put("src", "a/1", {"x": "a"})


@pytest.mark.parametrize(
    ("item", "claimed"),
    [
        ("{query: {path: a}}", "a/1"),
        ("{query: {path: a, recursive: true, key: {regexp: x$}}}", "a/1/x"),
        ("{query: {path: b}, keyTransform: [{prefix: a/}]}", ""),
        ("{query: {path: '1'}, keyTransform: [{prefix: a/}]}", "a/1/x"),
        ("{query: {path: b}, keyTransform: [{prefix: x}, {case: Lower}]}", "a/1 a/1/x b"),
        ("{secret: {key: b}}", "b"),
        ("{secret: {key: x}, keyTransform: [{template: a/1}]}", "a/1"),
        ("{secret: {key: x}, keyTransform: [{template: '{{ parts[5] }}'}]}", ""),
        ("{secret: {key: a/1}, split: fields}", "a/1/x"),
        ("{query: {}, split: fields}", "a/1 a/1/x"),
        ("{query: {path: a}, split: fields}", "a/1/x"),
        ("{combine: [{name: p, query: {}}], key: b}", "b"),
    ],
)
def test_what_an_item_may_claim(item: str, claimed: str) -> None:
    """Its definition alone tells which keys it may make; where it cannot tell, it may be any."""
    assert claimable(item_of(item), ["a/1", "a/1/x", "b"]) == claimed.split()


async def test_a_run_of_one_item_leaves_what_another_has(world: World) -> None:
    """A key that both claim, and the other one has, is refused by plan and sync of one item as by those of the job."""
    await _b_has_it(world)
    report = await world.sync("a")
    assert reasons(report.failures) == {"a/1": "ambiguous"}
    assert "item b has it" in report.failures[0].message
    assert actions(await world.plan("a")) == {"a/1": "refuse"}
    assert _done(await world.sync()) == {"refused": 2}
    assert await world.get("dst", "a/1") == {"x": "b"}


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(OF_A, id="the document has that item no longer"),
        pytest.param(f"{OF_A}\n- {{name: b, query: {{path: b}}}}", id="it makes other keys now"),
        pytest.param(f"{OF_A}\n- {{name: c, query: {{path: c}}}}", id="another is left out"),
    ],
)
async def test_what_another_item_had_is_taken_over(world: World, plan: str) -> None:
    """A run of one item goes on where the one that had the key cannot claim it any more, at the cost of any update."""
    await _b_has_it(world)
    world.job(plan, **DELETING)
    report = await world.sync("a")
    assert _done(report) == {"updated": 1}
    assert report.requests == {"src": {"list": 1, "read": 1}, "dst": {"stat": 1, "read": 1, "write": 1}}
    assert await world.get("dst", "a/1") == {"x": "a"}


async def test_a_run_of_one_item_deletes_nothing_that_another_claims(world: World) -> None:
    """A copy whose source is gone stays where another item wants it, until a run of the job gives it to that one."""
    await _b_has_it(world)
    await world.remove("src", "b/1")
    report = await world.sync("b")
    assert reasons(report.failures) == {"a/1": "ambiguous"}
    assert "item a may claim it" in report.failures[0].message
    assert await world.get("dst", "a/1") == {"x": "b"}
    assert _done(await world.sync()) == {"updated": 1}
    assert await world.get("dst", "a/1") == {"x": "a"}


@pytest.mark.parametrize(
    ("other", "requests"),
    [
        ("{name: c, query: {path: c}}", {"list": 1, "read": 2}),  # it cannot, so nobody is asked
        ("{name: a, query: {path: a}}", {"list": 2, "read": 2}),  # it might, and its source says that it does not
    ],
)
async def test_a_run_of_one_item_deletes_what_no_other_claims(
    world: World, other: str, requests: dict[str, int]
) -> None:
    """One question about what may claim the key, and none where nothing may."""
    await _b_has_it(world, f"- {other}\n{OF_B}")
    await world.remove("src", "b/1")
    await world.remove("src", "a/1")
    report = await world.sync("b")
    assert _done(report) == {"deleted": 1}
    assert report.requests["src"] == requests


@pytest.mark.parametrize(
    "other",
    [
        "{name: a, query: {path: a}, source: elsewhere}",  # a store that a run of b has not opened
        "{name: a, query: {}, split: fields}",  # fields, which no listing tells
        "{name: a, combine: [{name: p, query: {path: a}}], key: a/1}",
    ],
)
async def test_what_cannot_be_asked_may_claim_it(world: World, other: str) -> None:
    """Where no listing of an open store tells what the other item claims, the copy waits for a run of the job."""
    world.store("elsewhere")
    await _b_has_it(world, OF_B)
    world.job(f"- {other}\n{OF_B}", **DELETING)
    await world.remove("src", "b/1")
    assert reasons((await world.sync("b")).failures) == {"a/1": "ambiguous"}
    await world.remove("src", "a/1")
    assert _done(await world.sync()) == {"deleted": 1}


async def test_an_item_that_was_not_seen_keeps_what_it_has(world: World) -> None:
    """A run of the job overwrites nothing of an item whose source it could not list; once it can, the other gets it."""
    await _b_has_it(world)
    await world.remove("src", "b/1")
    world.fault("src").fail("list", AccessDenied("no", store="src"), key="b/")
    report = await world.sync()
    assert reasons(report.failures) == {"a/1": "ambiguous"}
    assert "not seen whole" in report.failures[0].message
    assert await world.get("dst", "a/1") == {"x": "b"}
    world.faults["src"].clear()
    assert _done(await world.sync()) == {"updated": 1}


async def test_an_item_that_was_renamed_keeps_what_it_has_while_it_is_not_seen(world: World) -> None:
    """Under its new name an item may go on with the key, so that no other overwrites it before that is known."""
    await _b_has_it(world)
    world.job(f"{OF_A}\n{OF_B.replace('name: b', 'name: renamed')}", **DELETING)
    world.fault("src").fail("list", AccessDenied("no", store="src"), key="b/")
    report = await world.sync()
    assert reasons(report.failures) == {"a/1": "ambiguous"}
    assert "item renamed may claim it" in report.failures[0].message
    assert reasons((await world.sync("a")).failures) == {"a/1": "ambiguous"}
    assert await world.get("dst", "a/1") == {"x": "b"}
    world.faults["src"].clear()
    assert _done(await world.sync()) == {"refused": 2}
    await world.remove("src", "a/1")
    assert _done(await world.sync()) == {"unchanged": 1}


async def test_an_item_that_was_not_seen_may_claim_it(world: World) -> None:
    """A run of the job deletes nothing that an item may claim whose source it could not list."""
    await _b_has_it(world)
    await world.remove("src", "b/1")
    world.fault("src").fail("list", AccessDenied("no", store="src"), key="a/")
    assert reasons((await world.sync()).failures) == {"a/1": "ambiguous"}
    assert await world.get("dst", "a/1") == {"x": "b"}


def _step(world: World, run: str = "run", *, again: bool = False) -> steps.Step:
    return steps.Step(world.documents, world.ledger, FINGERPRINT_KEY, {}, run, claim_of_this_process(), again=again)


async def _shards(world: World) -> dict[str, Shard]:
    _, shards = await steps.expand(_step(world), "job", items=["a", "b"], verify=False)
    return {shard.item: shard for shard in shards}


@pytest.mark.parametrize("run", ["run", "another"])
@pytest.mark.parametrize("swapped", [False, True])
async def test_a_step_that_looks_again_refuses_what_is_ambiguous(world: World, run: str, swapped: bool) -> None:
    """What a look at both items refused stays refused in a retried step of one, whoever has it; the rest is copied."""
    await _b_has_it(world)
    if swapped:  # it is a's in the ledger
        world.job(f"{OF_B.replace('name: b', 'name: a')}\n{OF_A.replace('name: a', 'name: b')}", **DELETING)
    await world.seed("src", {"a/2": {"x": "a"}, "b/3": {"x": "b"}})
    for shard in (await _shards(world)).values():
        done = await steps.transfer(_step(world, run, again=True), shard)
        assert _done(done.report) == {"refused": 1, "created": 1}
        assert set(reasons(done.report.failures).values()) == {"ambiguous"}
        assert ("an earlier run" in done.report.failures[0].message) is (run == "another")
    assert await world.all("dst") == {"a/1": {"x": "b"}, "a/2": {"x": "a"}, "a/3": {"x": "b"}}


async def test_a_step_that_looks_again_takes_over_what_its_item_was_given(world: World) -> None:
    """A key that the look at both items gave to one is its in a retried step too; not so in a run of its own."""
    await _b_has_it(world)
    await world.remove("src", "b/1")
    shard = (await _shards(world))["a"]
    done = await steps.transfer(_step(world, "another"), shard)
    assert reasons(done.report.failures) == {"a/1": "ambiguous"}
    done = await steps.transfer(_step(world, again=True), shard)
    assert _done(done.report) == {"updated": 1}
    assert await world.get("dst", "a/1") == {"x": "a"}


async def test_a_step_that_looks_again_deletes_what_was_released(world: World) -> None:
    """A delete that the look at both items released is done in a retried step, without asking for the other item."""
    await _b_has_it(world)
    for key in ("a/1", "b/1"):
        await world.remove("src", key)
    shard = (await _shards(world))["b"]
    done = await steps.transfer(_step(world, again=True), shard)
    assert _done(done.report) == {"deleted": 1}
    assert done.report.requests["src"]["list"] == 1
