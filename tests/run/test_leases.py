"""At most one run of a SyncJob at a time."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

from run.world import counted
from secretsync_core.audit.ledger import Lease
from secretsync_core.audit.record import Event
from secretsync_core.errors import LeaseHeld
from secretsync_core.run import lease
from secretsync_core.run.record import Recorder

if TYPE_CHECKING:
    from run.world import World
    from secretsync_core.audit.record import Draft

ALL = "- {name: all, query: {}}"
NOW = 1e9


async def _two(world: World) -> None:
    world.job(ALL, limits="{concurrency: 1}")
    await world.seed("src", {f"k{number}": {"x": "1"} for number in range(6)})


async def test_a_second_run_is_refused(world: World) -> None:
    """While one run goes on another is told who it is, and does nothing; afterwards the lease is free."""
    await _two(world)
    refused: list[LeaseHeld] = []

    async def meanwhile(_: str) -> None:
        mine, world.ledger = world.ledger, world.another_ledger()
        with world.ledger, pytest.raises(LeaseHeld) as caught:
            await world.sync()
        world.ledger = mine
        refused.append(caught.value)

    world.fault("dst").run("write_if", meanwhile)
    assert counted(await world.sync()) == {"created": 6}
    assert f"/{os.getpid()}/" in str(refused[0])
    assert world.ledger.leases.find("job") is None
    assert len({record.draft.run for record in world.records()}) == 1


async def test_a_dead_holder_on_this_machine_is_taken_over(world: World) -> None:
    """A lease of a process that is no more does not have to be waited out."""
    await _two(world)
    dead = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await dead.wait()
    host = lease._holder().split("/")[0]
    world.ledger.leases.acquire("job", f"{host}/{dead.pid}/12345/abc", 600)
    assert counted(await world.sync()) == {"created": 6}


async def test_a_pid_that_was_used_again_is_not_the_holder(world: World) -> None:
    """Our own pid, but of a process that began at another time: that one is dead."""
    await _two(world)
    host, pid, born, _ = lease._holder().split("/")
    world.ledger.leases.acquire("job", f"{host}/{pid}/{int(born) + 1}/abc", 600)
    assert counted(await world.sync()) == {"created": 6}


@pytest.mark.parametrize("holder", ["elsewhere/1/2/abc", "strange", "a/b/c/d"])
async def test_other_machines_are_believed(world: World, holder: str) -> None:
    """Of a holder on another machine nothing is known: it holds until its lease ends."""
    await _two(world)
    world.ledger.leases.acquire("job", holder, 600)
    with pytest.raises(LeaseHeld, match=holder):
        await world.sync()
    assert await world.all("dst") == {}


async def test_a_lost_lease_stops_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds that another has taken over stops, and says so; the write that it was about to make is not sent."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.06)
    await _two(world)

    async def steal(_: str) -> None:
        with world.another_ledger() as ledger:
            (held,) = ledger.leases.held()  # which may have expired: nobody has taken it yet
            ledger.leases.release("job", held.holder)
            ledger.leases.acquire("job", "thief", 600)

    world.fault("dst").run("write_if", steal)
    world.fault("dst").delay("write_if", 0.5)
    with pytest.raises(LeaseHeld, match=r"thief|was lost"):
        await world.sync()
    assert await world.all("dst") == {}
    assert world.state() == {}
    held = world.ledger.leases.find("job")
    assert held is not None
    assert held.holder == "thief"


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_who_was_taken_over_writes_nothing_more(world: World, concurrency: int) -> None:
    """A run that does not know yet that it was taken over announces no further write; what it wrote last stays
    announced, for the next run to look at."""
    world.job(ALL, limits=f"{{concurrency: {concurrency}}}")
    await world.seed("src", {f"k{number}": {"x": "1"} for number in range(30)})

    async def steal(_: str) -> None:
        with world.another_ledger() as ledger:
            (held,) = ledger.leases.held()  # which may have expired: nobody has taken it yet
            ledger.leases.release("job", held.holder)
            ledger.leases.acquire("job", "thief", 600)

    world.fault("dst").run("write_if", steal, first=3)
    world.fault("dst").delay("write_if", 0.02)
    with pytest.raises(LeaseHeld, match="by thief"):
        await world.sync()
    # Those that were announced before the theft, and none after it.
    assert 3 <= len(await world.all("dst")) < 3 + 2 * 2 * concurrency
    left = {record.draft.key for record in world.ledger.runs.unsettled("job")}
    assert left
    assert {key for _, key in world.state()} | left == set(await world.all("dst"))
    assert [lease.holder for lease in world.ledger.leases.held()] == ["thief"]
    assert world.sound()


async def test_what_wakes_beyond_its_lease_sends_nothing_that_it_announced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is frozen between its announcement and the request looks at its lease before it goes on."""
    await _two(world)
    slept = 0.0
    now, record = lease._now, Recorder.record
    monkeypatch.setattr(lease, "_now", lambda: now() + slept)

    async def freeze(recorder: Recorder, draft: Draft) -> None:
        nonlocal slept
        await record(recorder, draft)
        if draft.event is Event.INTENDED and len(await world.all("dst")) == 2:
            slept = lease.LEASE_SECONDS + 1
            with world.another_ledger() as ledger:
                (held,) = ledger.leases.held()
                ledger.leases.release("job", held.holder)
                ledger.leases.acquire("job", "thief", 600)

    monkeypatch.setattr(Recorder, "record", freeze)
    with pytest.raises(LeaseHeld, match="thief"):
        await world.sync()
    assert len(await world.all("dst")) == 2
    assert [held.holder for held in world.ledger.leases.held()] == ["thief"]
    assert world.sound()


async def test_a_lease_that_nobody_took_is_renewed_before_a_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that slept goes on where no other run has begun meanwhile."""
    await _two(world)
    slept = 0.0
    now, record = lease._now, Recorder.record
    monkeypatch.setattr(lease, "_now", lambda: now() + slept)

    async def sleep(recorder: Recorder, draft: Draft) -> None:
        nonlocal slept
        await record(recorder, draft)
        slept += lease.LEASE_SECONDS + 1

    monkeypatch.setattr(Recorder, "record", sleep)
    assert counted(await world.sync()) == {"created": 6}
    assert world.ledger.leases.find("job") is None


async def test_a_long_run_keeps_its_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is renewed for as long as the run goes on, however short it is."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.06)
    await _two(world)
    world.fault("dst").delay("write_if", 0.03)
    assert counted(await world.sync()) == {"created": 6}
    assert world.ledger.leases.find("job") is None


async def test_plan_and_check_need_no_lease(world: World) -> None:
    """Reading may go on while another run writes."""
    await _two(world)
    world.ledger.leases.acquire("job", "elsewhere/1/2/abc", 600)
    assert len((await world.plan()).changes) == 6
    await world.check()


async def test_a_holder_that_is_worth_waiting_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits until such a holder has given the lease back, and is refused by any other."""
    looks: list[str] = []

    def other_ends_on_the_second_look(holder: str) -> bool:
        looks.append(holder)
        if len(looks) == 2:
            world.ledger.leases.release("job", "other")
        return holder == "other"

    monkeypatch.setattr(lease, "_LOOK_AGAIN_SECONDS", 0)
    recorder = Recorder(world.ledger, "job", "mine")
    claim = lease.Claim("mine", lambda _: False, is_worth_waiting_for=other_ends_on_the_second_look)
    try:
        world.ledger.leases.acquire("job", "other", 600)
        async with lease.hold_lease("job", world.ledger, recorder, asyncio.Event(), claim):
            held = world.ledger.leases.find("job")
            assert held is not None
            assert held.holder == "mine"
        assert looks == ["other", "other"]
        world.ledger.leases.acquire("job", "stranger", 600)
        with pytest.raises(LeaseHeld):
            async with lease.hold_lease("job", world.ledger, recorder, asyncio.Event(), claim):
                pass
    finally:
        await recorder.aclose()


async def test_a_holder_that_ends_while_it_is_asked_about_is_taken_over(world: World) -> None:
    """Going on at the first question and over at the second: what was true of it at no moment refuses nobody."""
    ended: list[str] = []

    def ends_now(holder: str) -> bool:
        ended.append(holder)
        return False

    recorder = Recorder(world.ledger, "job", "mine")
    claim = lease.Claim("mine", lambda holder: holder in ended, is_worth_waiting_for=ends_now)
    try:
        world.ledger.leases.acquire("job", "other", 600)
        async with lease.hold_lease("job", world.ledger, recorder, asyncio.Event(), claim):
            held = world.ledger.leases.find("job")
            assert held is not None
            assert held.holder == "mine"
    finally:
        await recorder.aclose()


@pytest.mark.parametrize(("seconds", "forgotten"), [(-60, False), (0, False), (119, False), (121, True)])
def test_a_lease_that_ended_long_ago_is_forgotten(seconds: float, forgotten: bool) -> None:
    """Nobody renews it any more: two whole leases long it was neither renewed nor given back."""
    assert lease.is_forgotten(Lease("job", "elsewhere/1/2/abc", 0, int((NOW - seconds) * 1e6)), NOW) is forgotten
