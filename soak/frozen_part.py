"""Runs that are frozen for longer than their lease lasts, taken over, and woken: they change nothing, and say so."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from soak.model import FILES
from soak.parts import end, guarded
from soak.proxy import PHASES
from soak.rounds import changes, drop_refused, renew
from soak.world import world

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from soak.findings import Findings
    from soak.parts import Task
    from soak.world import World

_LEASE = 62.0
_LEASE_HELD = 3  # the exit code of a run that finds another one at work
_WORLDS = 5
"""So many at once: each sleeps for a minute."""


def frozen(task: Task) -> list[Findings]:
    """Several worlds, one frozen sync in each."""
    with contextlib.ExitStack() as stack:
        worlds = [
            stack.enter_context(world(task.directory / str(number), f"{task.seed} {number}", small=True))
            for number in range(_WORLDS)
        ]
        while all(task.goes_on(made.findings) for made in worlds):
            sleeping = [(made, _freeze(made)) for made in worlds]
            held: list[bool] = []
            for made, _ in sleeping:
                beside = made.product.run("sync", "main", "--output", "json").code
                made.findings.counts[f"beside a frozen one: {beside}"] += 1
                held.append(beside == _LEASE_HELD)
            time.sleep(_LEASE)
            for (made, process), had in zip(sleeping, held, strict=True):
                guarded(made.findings, lambda made=made, process=process, had=had: _take_over(made, process, had))  # type: ignore[misc]
        for made in worlds:
            end(made)
        return [made.findings for made in worlds]


def _freeze(made: World) -> subprocess.Popen[bytes]:
    """Start a sync with much to do, and freeze it at one of its first writes."""
    made.findings.begin("frozen beyond its lease")
    made.begin()
    changes(made)
    renew(made, 20)
    process = made.product.start("sync", "main", "--output", "json")
    made.dest_proxy.latency = 0.1  # so that there are answers to come
    write = made.random.randint(1, 8)
    while process.poll() is None:
        hit = threading.Event()

        def freeze(hit: threading.Event = hit) -> None:
            process.send_signal(signal.SIGSTOP)
            hit.set()

        made.dest_proxy.at(write, made.random.choice(PHASES), freeze)
        # What sleeps inside an SQLite transaction keeps everybody out, as the docs say: another moment then.
        if not hit.wait(20) or not _is_locked(made.ledger):
            break
        process.send_signal(signal.SIGCONT)
        write = 1
    made.dest_proxy.heal()
    return process


def _is_locked(ledger: Path) -> bool:
    time.sleep(0.05)  # it does not stop at once
    with contextlib.closing(sqlite3.connect(ledger, timeout=0.3, isolation_level=None)) as file:
        try:
            file.execute("BEGIN IMMEDIATE")
            file.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
    return False


def _take_over(made: World, process: subprocess.Popen[bytes], had_lease: bool) -> None:
    """The source moves on, another run takes over, and then the first one wakes.

    Without the lease it slept after its end, or before its beginning, and nothing was taken from it.
    """
    renew(made, 30)
    drop_refused(made)
    code = made.clean_sync().code
    made.findings.counts[f"the next run: {code}"] += 1
    if code:
        made.findings.add("a lease that is over is not taken", f"exit code {code}")
    made.look("after it was taken over")
    if missing := made.missing():
        made.findings.add("not all is in place after it was taken over", missing[:4])
    process.send_signal(signal.SIGCONT)
    ended = made.product.finish(process, "woken", 60)
    made.findings.counts[f"woken: {ended.code}"] += 1
    made.look("after it woke")
    # A file has no compare-and-set: what was on its way arrives, is announced anew, and put right by the next run.
    late = [place for place in made.missing() if place[0] == FILES and made.witness.is_reopened(*place)]
    made.findings.counts["files written late"] += len(late)
    if wrong := [(place, made.story(place)) for place in made.missing() if place not in late]:
        made.findings.add("the woken run undid something", f"{len(wrong)} {wrong[:3]}")
    if ended.code == 0 and had_lease:
        made.findings.add("the woken run was taken over, and ends with 0", ended.said)
    _no_drift(made)
    made.come_to_rest()


def _no_drift(made: World) -> None:
    check = made.product.run("check", "--output", "json")
    if check.code:
        with contextlib.suppress(json.JSONDecodeError, KeyError):
            told = [(one["dest"], one["key"]) for job in check.document()["jobs"] for one in job["drifted"]]
            made.findings.add("drift that is none", [(place, made.story(place)) for place in told[:3]])
            return
        made.findings.add("drift that is none", check.said)
