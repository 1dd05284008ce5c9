"""A run worker whose event loop stands still ends, and no other."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from secretsync_dagster.watchdog import Turns, watch

_HANGS = """
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from secretsync_dagster import watchdog
from secretsync_dagster.event_loop import run_async

async def work():
    def dies_in_its_start(thread):
        raise MemoryError
    threading.Thread._bootstrap = dies_in_its_start
    await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), print)

watchdog.STILL_SECONDS = 1.0
run_async(work())
"""


def test_a_worker_that_waits_for_a_thread_without_memory_ends() -> None:
    """Python itself never comes back from there, whatever the version; the words say what happened."""
    done = subprocess.run([sys.executable, "-c", _HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 70
    assert "the event loop has stood still" in done.stderr


@pytest.mark.parametrize("stands", [True, False], ids=["stands still", "turns"])
def test_only_a_loop_that_stands_still_is_ended(stands: bool) -> None:
    """One that is busy all the time but turns between is left alone."""
    turns, ended, over = Turns(), threading.Event(), threading.Event()

    async def work() -> None:
        with turns.counted(0.01):
            for _ in range(10):
                await asyncio.sleep(0)
                time.sleep(0.1 if stands else 0.01)  # noqa: ASYNC251  blocking is the point

    watching = threading.Thread(target=watch, args=(turns, 0.05 if stands else 2.0, ended.set, over))
    watching.start()
    asyncio.run(work())
    over.set()
    watching.join()
    assert ended.is_set() is stands


def test_where_no_loop_runs_nothing_is_ended() -> None:
    """A worker that waits for its steps' processes has no loop of its own, and may wait for hours."""
    turns, ended, over = Turns(), threading.Event(), threading.Event()

    async def work() -> None:
        with turns.counted(0.01):
            await asyncio.sleep(0.02)

    asyncio.run(work())
    watching = threading.Thread(target=watch, args=(turns, 0.02, ended.set, over))
    watching.start()
    time.sleep(0.2)
    over.set()
    watching.join()
    assert not ended.is_set()
