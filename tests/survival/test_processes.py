"""Processes that are stopped, killed or started twice: the ledger stays true, and the next sync completes the work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from support.servers import ConfiguredServer
from support.slow import one_in

from secretsync_core.audit.record import Event
from secretsync_core.model.report import Result
from secretsync_core.run.gate import RetryPolicy
from survival.world import exit_code, side_of

if TYPE_CHECKING:
    import random
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from survival.watcher import Watcher
    from survival.world import World

pytestmark = pytest.mark.xdist_group("survival-processes")


@asynccontextmanager
async def _started(world: World, *arguments: str) -> AsyncIterator[Process]:
    """A process of the CLI; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *world.command(*(arguments or ("sync", "--quiet"))),
        env=world.process_environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _run(world: World, *arguments: str) -> tuple[int | None, str]:
    """Run the CLI to its end; its exit code, and all that it said."""
    async with _started(world, *arguments) as process:
        said, complained = await process.communicate()
    return process.returncode, (said + complained).decode()


async def _until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def _freeze(process: Process, world: World) -> None:
    """Let a sync hold still between two transactions of its ledger."""
    while True:
        process.send_signal(signal.SIGSTOP)
        with contextlib.closing(sqlite3.connect(world.home / "ledger.db", timeout=0, isolation_level=None)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                await asyncio.sleep(0.02)
            else:
                file.execute("ROLLBACK")
                return


def _assert_true(world: World) -> None:
    """Everything is copied, and what the ledger says of every write is what the destination's history says."""
    assert world.dest.contents() == world.source.contents()
    details = world.dest.details()
    assert {info["current_version"] for info in details.values()} == {1}
    world.assert_sound()
    done: dict[str, list[str]] = {}
    for record in world.records(Event.DONE):
        done.setdefault(record.draft.key, []).append(record.draft.dest_version or "")
    history = {
        key: [f"{number}@{version['created_time']}" for number, version in sorted(info["versions"].items())]
        for key, info in details.items()
    }
    assert done == history
    for record in world.records(Event.FAILED):
        assert record.draft.reason == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), one_in(2, [(signal.SIGTERM, 143), (signal.SIGINT, 130)]))
async def test_stop_signal(world: World, number: signal.Signals, code: int) -> None:
    """A signal ends a sync within seconds, with what was in flight finished and recorded; the next one completes it."""
    world.source.fill(120)
    world.spec["limits"] = {"rate": "40/s", "concurrency": 8}
    async with _started(world, "sync", "--output", "json") as process:
        await _until(lambda: len(world.dest.versions()) >= 5)
        asked = time.monotonic()
        process.send_signal(number)
        said, complained = await process.communicate()
    assert time.monotonic() - asked < 20
    assert process.returncode == code, complained
    assert json.loads(said)["exitCode"] == code
    written = len(world.dest.versions())
    assert written < 120
    world.assert_sound()
    assert len(world.records(Event.DONE)) == written
    report = await world.sync(retry=RetryPolicy())
    assert report.total(Result.CREATED) == 120 - written
    _assert_true(world)


@pytest.mark.parametrize("hangs", one_in(3, ["away", "listing", "reading"]))
async def test_signal_while_a_store_hangs(world: World, source_proxy: Watcher, hangs: str) -> None:
    """A signal ends a sync soon even while a store is out of reach, or takes long to list or to read."""
    world.source.fill(5)
    if hangs == "away":
        world.dest.section["address"] = "http://127.0.0.1:1"
    else:
        source_proxy.delay("^SCAN " if hangs == "listing" else "^GET .*/data/", 30 if hangs == "listing" else 2)
    async with _started(world) as process:
        await _until(lambda: source_proxy.count("mounts" if hangs == "away" else "SCAN|/data/") > 0)
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        await process.communicate()
    assert time.monotonic() - asked < 20  # and not 30
    assert process.returncode == 143
    world.assert_sound()
    assert world.dest.contents() == {} or hangs == "reading"


@pytest.mark.slow
async def test_two_at_once(world: World) -> None:
    """Of two syncs of one job at the same time, the second is told that the first is going on, and does nothing."""
    world.source.fill(60)
    world.spec["limits"] = {"rate": "40/s"}
    async with _started(world) as first:
        await _until(lambda: len(world.dest.versions()) >= 2)
        # However long the second one takes to start here, the first is in the middle of its work, if not of a record.
        await _freeze(first, world)
        try:
            code, said = await _run(world)
        finally:
            first.send_signal(signal.SIGCONT)
        assert code == 3, said
        assert "another run" in said.lower() or "lease" in said.lower()
        await first.communicate()
    assert first.returncode == 0
    assert len(world.records(Event.RUN_STARTED)) == 1
    _assert_true(world)


async def test_two_jobs_at_once(world: World) -> None:
    """Two jobs that copy different folders to one destination at the same time do not disturb each other."""
    world.source.fill(30, "a/")
    world.source.fill(30, "b/")
    items = {name: [{"name": "all", "query": {"path": f"{name}/", "recursive": True}}] for name in "ab"}
    world.spec["plan"] = items["a"]
    world.jobs["other"] = {"plan": items["b"]}
    (one, said), (other, _) = await asyncio.gather(_run(world, "sync", "job"), _run(world, "sync", "other"))
    assert (one, other) == (0, 0), said
    _assert_true(world)


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, pytest.param(16, marks=pytest.mark.slow)])
async def test_kill_9(world: World, dice: random.Random, times: int) -> None:
    """A sync that is killed at random moments, again and again, still copies everything exactly once."""
    count = 60 + 15 * times
    world.source.fill(count)
    world.spec |= {"limits": {"rate": "70/s"}, "deletionPolicy": "Delete"}
    world.dest.put("foreign", {"password": "not ours"})
    world.source.put("foreign", {"password": "not ours"})
    for _ in range(times):
        async with _started(world) as process:
            if dice.random() < 0.8:  # mostly while it writes, sometimes while it starts
                announced = len(world.records(Event.INTENDED))
                await _until(lambda announced=announced: len(world.records(Event.INTENDED)) > announced)  # type: ignore[misc]
            await asyncio.sleep(dice.uniform(0, 0.3))
            process.kill()
    assert len(world.records(Event.DONE)) < count
    world.spec.pop("limits")
    code, said = await _run(world)
    assert code == 0, said
    details = world.dest.details()
    assert len(details) == count + 1
    _assert_true_but_foreign(world)
    versions = world.dest.versions()
    code, said = await _run(world)
    assert code == 0, said
    assert world.dest.versions() == versions
    # What was created is known as created, whichever run was killed after its write.
    for key in [key for key in versions if key != "foreign"]:
        world.source.forget(key)
    world.spec["maxDelete"] = "100%"
    report = await world.sync()
    assert report.total(Result.DELETED) == count
    assert set(world.dest.contents()) == {"foreign"}


def _assert_true_but_foreign(world: World) -> None:
    done = [record.draft.key for record in world.records(Event.DONE)]
    assert sorted(done) == sorted(set(world.dest.details()) - {"foreign"})
    foreign = [record.draft for record in world.records(key="foreign")]
    assert [(draft.event, draft.owned) for draft in foreign] == [(Event.SKIPPED, False)] * len(foreign)
    details = world.dest.details()
    for record in world.records(Event.DONE):
        assert record.draft.dest_version == f"1@{details[record.draft.key]['versions']['1']['created_time']}"
    assert {info["current_version"] for info in details.values()} == {1}
    assert world.dest.contents() == world.source.contents()
    assert {record.draft.reason for record in world.records(Event.FAILED)} <= {"interrupted"}
    world.assert_sound()


@pytest.mark.slow
async def test_destination_is_killed(world: World, tmp_path: Path) -> None:
    """A destination server that is killed and started again in the middle loses nothing and gets nothing twice."""
    server = ConfiguredServer(tmp_path / "raft-server", persistent=True)
    try:
        server.api().call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
        world.dest = side_of(server.address, server.root_token, "kv", "RAFT_TOKEN")
        world.environ["RAFT_TOKEN"] = server.root_token
        await _until(lambda: world.dest.api.ask("GET", "kv/config").status == 200)
        world.source.fill(150)
        world.spec["limits"] = {"rate": "60/s"}

        # Gone for good: the sync ends soon, and the next one takes up the rest.
        sync = asyncio.create_task(world.sync())
        await _until(lambda: len(world.records(Event.DONE)) >= 20)
        server.kill()
        killed = time.monotonic()
        report = await sync
        assert time.monotonic() - killed < 30
        assert exit_code(report) == 3
        await asyncio.to_thread(server.start)

        # Gone for a moment: the sync waits for it.
        already = len(world.records(Event.DONE))
        sync = asyncio.create_task(world.sync(retry=RetryPolicy(attempts=20, first_wait=0.2, longest_wait=0.5)))
        await _until(lambda: len(world.records(Event.DONE)) >= already + 20)
        server.kill()
        await asyncio.to_thread(server.start)
        report = await sync
        assert report.ok, (report.errors, report.failures)
        assert world.dest.contents() == world.source.contents()
        assert set(world.dest.versions().values()) == {1}
        world.assert_sound()
        report = await world.sync()
        assert report.total(Result.UNCHANGED) == 150
    finally:
        server.stop()
