"""Others write at the same time, destinations fail, the ledger fails, somebody presses stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from run.world import counted, reasons, wrote
from secretsync_core.audit.counts import results_of
from secretsync_core.errors import AccessDenied, LedgerError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from run.world import World
    from secretsync_core.audit.record import Draft

ALL = "- {name: all, query: {}}"


async def _one(world: World, **spec: str) -> None:
    world.job(ALL, **spec)
    await world.put("src", "k", {"x": "1"})


async def test_a_writer_between_look_and_write(world: World) -> None:
    """With Replace, what somebody wrote in between is looked at and then replaced; he is not run over blindly."""
    await _one(world, writePolicy="Replace")
    world.fault("dst").run("write_if", lambda key: world.put("dst", key, {"x": "theirs"}))
    assert (await world.sync()).ok
    assert await world.get("dst", "k") == {"x": "1"}
    assert not world.state()["dst", "k"].owned


async def test_a_writer_between_look_and_write_keeps_his_value(world: World) -> None:
    """By default what somebody created in between is his: the key is refused, and the ledger tells why."""
    await _one(world)
    world.fault("dst").run("write_if", lambda key: world.put("dst", key, {"x": "theirs"}))
    report = await world.sync()
    assert (counted(report), reasons(report.failures)) == ({"refused": 1}, {"k": "not-managed"})
    assert report.failures[0].hint.startswith("`secretsync sync job --adopt k` takes it over")
    assert await world.get("dst", "k") == {"x": "theirs"}
    assert ("dst", "k") not in world.state()
    assert world.records()[-2].draft.reason == "not-managed"


async def test_a_writer_of_the_very_same_value(world: World) -> None:
    """If what he wrote is what we want, nothing is written, and the key is not counted as ours."""
    await _one(world)
    world.fault("dst").run("write_if", lambda key: world.put("dst", key, {"x": "1"}))
    report = await world.sync()
    assert (counted(report), report.ok) == ({"unchanged": 1}, True)
    assert not world.state()["dst", "k"].owned
    assert (await world.versions("dst"))["k"].startswith("1@")  # type: ignore[union-attr]


async def test_a_writer_who_never_ends(world: World) -> None:
    """After a few rounds the key is given up with a conflict, and the others are copied."""
    await _one(world, writePolicy="Replace")
    await world.put("src", "other", {"x": "1"})
    world.fault("dst").run("write_if", lambda key: world.put("dst", key, {"x": "t"}), key="k", times=None)
    report = await world.sync()
    assert counted(report) == {"created": 1, "failed": 1}
    assert report.failures[0].code == "conflict"
    assert world.fault("dst").calls["write_if"] <= 6
    assert report.errors == []


async def test_removed_between_look_and_read(world: World) -> None:
    """A destination that vanishes while it is compared is created again."""
    await _one(world)
    await world.sync()
    await world.put("src", "k", {"x": "2"})
    world.fault("dst").run("read", lambda key: world.remove("dst", key))
    report = await world.sync()
    assert counted(report) == {"created": 1}
    assert [change.drift.value for change in report.drifted] == ["removed"]
    assert await world.get("dst", "k") == {"x": "2"}


async def test_a_lost_answer_is_no_failure(world: World) -> None:
    """A write that was done although its answer was lost is found done: ours, recorded, and not written twice."""
    await _one(world)
    world.gate_fault("dst").fail("write", StoreUnavailable("lost"), times=1, after=True)
    assert counted(await world.sync()) == {"created": 1}
    assert world.state()["dst", "k"].owned
    assert wrote(await world.sync()) == 0


async def test_one_failing_write_does_not_stop_the_others(world: World) -> None:
    """Each failure is named with its code, the rest arrives, and the next sync does only what is left."""
    world.job(ALL)
    await world.seed("src", {f"k{number}": {"x": "1"} for number in range(9)})
    world.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="k3", times=1)
    report = await world.sync()
    assert counted(report) == {"created": 8, "failed": 1}
    assert [(failure.change.key, failure.code) for failure in report.failures] == [("k3", "access-denied")]
    assert not report.ok
    report = await world.sync()
    assert (counted(report), wrote(report)) == ({"created": 1, "unchanged": 8}, 1)


async def test_a_destination_out_of_reach(world: World) -> None:
    """One destination that does not answer is an error with exit code 3, and the other one is served."""
    world.store("two")
    world.job(ALL, dest="[dst, two]")
    await world.put("src", "k", {"x": "1"})
    world.gate_fault("dst").fail("stat", StoreUnavailable("down", store="dst"))
    report = await world.sync()
    assert counted(report) == {"created": 1}
    assert [error.exit_code for error in report.errors] == [3]
    assert await world.all("two") == {"k": {"x": "1"}}


async def test_a_source_out_of_reach(world: World) -> None:
    """Of two sources one fails: its item is an error, the other item is copied."""
    world.store("old")
    world.job("- {name: a, query: {path: a}}\n- {name: b, source: old, query: {path: b}}")
    await world.put("src", "a/k", {"x": "1"})
    world.gate_fault("old").fail("list", StoreUnavailable("down"))
    report = await world.sync()
    assert counted(report) == {"created": 1}
    assert [(error.item, error.code) for error in report.errors] == [("b", "unavailable")]


async def test_a_store_that_closes_badly(world: World) -> None:
    """A store that fails while it is given back spoils no report."""
    await _one(world)
    world.fault("dst").fail("aclose", RuntimeError("no goodbye"))
    assert counted(await world.sync()) == {"created": 1}


async def test_many_destinations_one_read(world: World) -> None:
    """However many destinations, a source's value is read once."""
    for name in ("two", "three"):
        world.store(name)
    world.job(ALL, dest="[dst, two, three]")
    await world.seed("src", {"a": {"x": "1"}, "b": {"x": "1"}})
    report = await world.sync()
    assert counted(report) == {"created": 6}
    assert report.requests["src"]["read"] == 2
    assert await world.all("three") == await world.all("src")


async def test_many_sources_one_destination(world: World) -> None:
    """An item may have a source of its own."""
    world.store("old")
    world.job("- {name: a, query: {path: a}}\n- {name: b, source: old, query: {path: b}}")
    await world.put("src", "a/k", {"x": "1"})
    await world.put("old", "b/k", {"x": "2"})
    assert counted(await world.sync()) == {"created": 2}
    assert await world.all("dst") == {"a/k": {"x": "1"}, "b/k": {"x": "2"}}


async def test_stop_in_the_middle(world: World) -> None:
    """What is in flight is finished and recorded, the rest is not reached, and the next sync completes it."""
    world.job(ALL, limits="{concurrency: 1}")
    await world.seed("src", {f"k{number}": {"x": "1"} for number in range(9)})
    stop = asyncio.Event()

    async def press(_: str) -> None:
        stop.set()

    world.fault("dst").run("write_if", press, first=2)
    report = await world.sync(stop=stop)
    counts = counted(report)
    assert report.stopped
    assert not report.ok
    assert 2 <= counts["created"] < 9
    assert counts["created"] + counts["not-reached"] == 9
    assert len(world.state()) == counts["created"] == len(await world.all("dst"))
    assert world.records()[-1].draft.reason == "stopped"
    report = await world.sync()
    assert counted(report) == {"created": counts["not-reached"], "unchanged": counts["created"]}


class _Failing:
    """A ledger that fails from the n-th append on."""

    def __init__(self, ledger: Any, first: int) -> None:
        self._ledger, self._left = ledger, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def append(self, job: str, drafts: Sequence[Draft], **options: Any) -> list[int]:
        self._left -= 1
        if self._left < 0:
            raise LedgerError("disk full")
        numbers: list[int] = self._ledger.append(job, drafts, **options)
        return numbers


@pytest.mark.parametrize("first", [0, 1, 2, 3, 5, 8])
async def test_a_ledger_that_fails_in_the_middle(world: World, first: int) -> None:
    """From then on nothing is written, nothing stands at the destination unannounced, and the next sync heals."""
    world.job(ALL, limits="{concurrency: 1}")
    await world.seed("src", {f"k{number}": {"x": "1"} for number in range(9)})
    whole = world.ledger
    world.ledger = _Failing(whole, first)  # type: ignore[assignment]
    with pytest.raises(LedgerError, match="disk full"):
        await world.sync()
    world.ledger = whole
    announced = {record.draft.key for record in world.records() if record.draft.event == "intended"}
    assert set(await world.all("dst")) <= announced
    before = await world.versions("dst")
    report = await world.sync()
    assert report.ok
    assert await world.all("dst") == await world.all("src")
    assert {key: version for key, version in (await world.versions("dst")).items() if key in before} == before
    assert all(held.owned for held in world.state().values())
    assert world.sound()


async def test_a_failure_is_told_in_the_ledger(world: World) -> None:
    """Every announced write has its outcome, and the run's end says how many there were of each."""
    await _one(world)
    world.fault("dst").fail("write_if", AccessDenied("no"))
    await world.sync()
    events = [(record.draft.event.value, record.draft.reason) for record in world.records()]
    assert events == [
        ("run-started", ""),
        ("skipped", "placed"),
        ("intended", "new"),
        ("failed", "access-denied"),
        ("run-finished", "failed"),
    ]
    assert results_of(world.records()[-1].draft.counts) == {"failed": 1}


async def test_a_defective_store_fails_its_key_alone(world: World) -> None:
    """An exception that is none of ours, raised above the gate, is one failed key with a settled record."""
    await _one(world)
    await world.put("src", "ok", {"x": "1"})
    world.fault("dst").fail("write_if", RuntimeError("boom"), key="k")
    report = await world.sync()
    assert counted(report) == {"created": 1, "failed": 1}
    assert reasons(report.failures) == {"k": "new"}
    assert "RuntimeError" in report.failures[0].message
    assert "boom" not in report.failures[0].message
    open_intents = {record.draft.intent for record in world.records() if record.draft.event == "intended"}
    settled = {record.draft.intent for record in world.records() if record.draft.event in ("done", "failed")}
    assert open_intents == settled
