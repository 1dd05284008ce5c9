"""A run that was taken over and wakes says nothing over newer state, and what it wrote late is found and settled."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from run.world import counted
from secretsync_core.audit.record import Event
from secretsync_core.errors import LeaseHeld, LedgerBroken, SecretNotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from run.world import World

ALL = "- {name: all, query: {}}"
KEYS = [f"k{number}" for number in range(4)]


async def _begin(world: World, *, concurrency: int = 2) -> None:
    world.job(ALL, limits=f"{{concurrency: {concurrency}}}", deletionPolicy="Delete", maxDelete="100")
    await world.seed("src", {key: {"x": "1"} for key in KEYS})


async def _sync_that_sleeps(
    world: World, operation: str, meanwhile: Callable[[], Awaitable[None]], *, after: bool
) -> str:
    """A sync that is stopped around its first write, taken over by another run, and woken; gives what it says."""
    slept: list[str] = []

    async def sleep(_: str) -> None:
        if slept:
            return
        slept.append("")
        (held,) = world.ledger.leases.held()
        mine, world.ledger = world.ledger, world.another_ledger()
        with world.ledger:
            world.ledger.leases.release("job", held.holder)  # it expired, and was taken over
            await meanwhile()
        world.ledger = mine

    world.fault("dst").run(operation, sleep, after=after)
    with pytest.raises(LeaseHeld) as caught:
        await world.sync()
    assert slept
    return str(caught.value)


def _outcomes(world: World) -> Counter[str]:
    """How many outcomes each announcement has."""
    return Counter(
        record.draft.intent
        for record in world.records()
        if record.draft.intent and record.draft.event in (Event.DONE, Event.FAILED, Event.SKIPPED)
    )


def _ends(world: World) -> Counter[str]:
    return Counter(record.draft.run for record in world.records() if record.draft.event is Event.RUN_FINISHED)


async def _is_in_sync(world: World) -> None:
    """No false drift; the next sync needs nothing; the chains hold; no run ended twice, no write twice settled."""
    assert counted(await world.check(verify=True)).get("failed", 0) == 0
    assert (await world.sync()).ok
    assert counted(await world.sync()) == {"unchanged": len(await world.all("src"))}
    assert await world.all("src") == await world.all("dst")
    assert {key for _, key in world.state()} == set(await world.all("dst"))
    assert max(_outcomes(world).values()) == 1
    assert max(_ends(world).values()) == 1
    assert world.ledger.runs.unsettled("job") == []
    assert world.sound()


@pytest.mark.parametrize("after", [False, True])
async def test_what_was_written_before_it_slept_is_told_once(world: World, after: bool) -> None:
    """Its outcomes are those that the next run found; newer state stays, and it says that it lost the lease."""
    await _begin(world)
    assert counted(await world.sync()) == {"created": 4}
    await world.seed("src", {key: {"x": "2"} for key in KEYS})

    async def meanwhile() -> None:
        await world.seed("src", {key: {"x": "3"} for key in KEYS})
        assert (await world.sync()).ok

    said = await _sync_that_sleeps(world, "write_if", meanwhile, after=after)
    assert "was lost" in said
    state = world.state()
    assert {held.dest_version for held in state.values()} <= set((await world.versions("dst")).values())
    await _is_in_sync(world)


async def test_a_delete_that_it_tells_late_leaves_no_copy_that_is_nobodys(world: World) -> None:
    """The source is back, and the copy with it, when it wakes and would say that the copy is gone."""
    await _begin(world)
    assert counted(await world.sync()) == {"created": 4}
    for key in KEYS[:2]:
        await world.remove("src", key)

    async def meanwhile() -> None:
        await world.seed("src", {key: {"x": "2"} for key in KEYS[:2]})
        assert (await world.sync()).ok

    await _sync_that_sleeps(world, "delete", meanwhile, after=True)
    await _is_in_sync(world)
    for key in KEYS[:2]:
        await world.remove("src", key)
    assert counted(await world.sync()) == {"deleted": 2, "unchanged": 2}


async def test_a_delete_that_it_makes_late_takes_nothing_away(world: World) -> None:
    """What another run has just written is another version than the one that it saw."""
    await _begin(world)
    assert counted(await world.sync()) == {"created": 4}
    await world.remove("src", "k0")

    async def meanwhile() -> None:
        await world.seed("src", {"k0": {"x": "2"}})
        assert (await world.sync()).ok

    await _sync_that_sleeps(world, "delete", meanwhile, after=False)
    assert await world.get("dst", "k0") == {"x": "2"}
    await _is_in_sync(world)


async def test_a_create_that_it_makes_late_is_still_ours(world: World) -> None:
    """The source is gone by then, and the next run settled that nothing was made: it is found, and deleted."""
    await _begin(world, concurrency=1)
    assert counted(await world.sync()) == {"created": 4}
    await world.seed("src", {"new": {"x": "1"}})

    async def meanwhile() -> None:
        await world.remove("src", "new")
        assert (await world.sync()).ok

    await _sync_that_sleeps(world, "write_if", meanwhile, after=False)
    assert await world.get("dst", "new") == {"x": "1"}
    before = world.state()
    assert ("dst", "new") not in before
    assert counted(await world.sync()) == {"unchanged": 4, "deleted": 1}
    assert await world.get("dst", "new") is None
    await _is_in_sync(world)


async def test_a_late_write_over_which_a_newer_one_stands_is_no_news(world: World) -> None:
    """Before anybody looked, another run wrote the key anew: nothing of that is anybody else's."""
    await _begin(world, concurrency=1)
    assert counted(await world.sync()) == {"created": 4}
    await world.seed("src", {"new": {"x": "1"}})

    async def meanwhile() -> None:
        await world.remove("src", "new")
        assert (await world.sync()).ok

    await _sync_that_sleeps(world, "write_if", meanwhile, after=False)
    await world.seed("src", {"new": {"x": "2"}})
    report = await world.sync()
    assert report.ok
    assert report.warnings == []
    await _is_in_sync(world)


async def test_a_write_without_an_answer_is_looked_at_once_more(world: World) -> None:
    """It was settled as not made, made late, and its answer lost: nobody told of it, and it is found all the same."""
    await _begin(world, concurrency=1)
    assert counted(await world.sync()) == {"created": 4}
    await world.seed("src", {"new": {"x": "1"}})

    async def meanwhile() -> None:
        await world.remove("src", "new")
        assert (await world.sync()).ok
        world.lose("new", done=True)

    await _sync_that_sleeps(world, "write_if", meanwhile, after=False)
    world.faults.clear()
    assert await world.get("dst", "new") == {"x": "1"}
    assert [record.draft.key for record in world.ledger.runs.unsettled("job")] == ["new"]
    assert counted(await world.sync()) == {"unchanged": 4, "deleted": 1}
    with pytest.raises(SecretNotFound):
        await (await world.handle("dst")).read("new")
    await _is_in_sync(world)


async def test_a_run_whose_lease_ended_and_was_not_taken_goes_on(world: World) -> None:
    """A lease that expired is still its holder's, as long as nobody took it over."""
    await _begin(world)

    held: list[str] = []

    async def sleep(_: str) -> None:
        if not held:
            held.append(world.ledger.leases.held()[0].holder)
            with world.another_ledger() as ledger:
                ledger.leases.acquire("job", held[0], -600)

    world.fault("dst").run("write_if", sleep)
    assert counted(await world.sync()) == {"created": 4}


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM current", "UPDATE ledger SET dest_version = '9' WHERE event = 'done'", "UPDATE heads SET seq = '[]'"],
)
async def test_a_broken_chain_stops_the_job(world: World, sql: str) -> None:
    """The run says what is wrong before it looks at any store; a plan still answers where it can."""
    await _begin(world)
    assert counted(await world.sync()) == {"created": 4}
    file = sqlite3.connect(world.path / "ledger.db")
    for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        file.execute(f"DROP TRIGGER {name}")
    file.execute("PRAGMA ignore_check_constraints = ON")
    file.execute(sql)
    file.commit()
    file.close()
    await world.seed("src", {"k0": {"x": "2"}})
    before = await world.versions("dst")
    with pytest.raises(LedgerBroken, match="job is not synced with it"):
        await world.sync()
    assert await world.versions("dst") == before
