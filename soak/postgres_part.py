"""Runs with their ledger in PostgreSQL, of which connections or all of the server are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from soak.parts import end, guarded
from soak.postgres import postgres
from soak.proxy import PHASES
from soak.rounds import changes
from soak.world import world

if TYPE_CHECKING:
    from collections.abc import Callable

    from soak.findings import Findings
    from soak.parts import Task
    from soak.postgres import Postgres
    from soak.world import World

_BACKENDS, _SERVER, _BOTH = "kill connections", "kill server", "kill server and sync"


def postgresql(task: Task) -> list[Findings]:
    """PostgreSQL's processes are killed while a sync is at work."""
    with postgres() as server, world(task.directory, task.seed, ledger=server.url) as made:
        while task.goes_on(made.findings):
            kind = made.random.choice((_BACKENDS, _BACKENDS, _SERVER, _SERVER, _BOTH))
            guarded(made.findings, lambda kind=kind: _round(made, server, kind))  # type: ignore[misc]
            if not server.running:
                server.start()
        end(made)
        return [made.findings]


def _round(made: World, server: Postgres, kind: str) -> None:
    made.findings.begin(kind)
    made.begin()
    changes(made)
    random = made.random
    made.dest_proxy.latency = random.choice((0, 0.02, 0.05))
    process = made.product.start("sync", "--output", "json")
    struck = _strike_at(made, lambda: _kill(made, server, kind), lambda: process.poll() is None)
    if kind == _BOTH and process.poll() is None:
        time.sleep(random.uniform(0, 0.2))
        process.kill()
    if not server.running:
        time.sleep(random.choice((0, 0, 1, 3)))
        server.start()
    ended = made.product.finish(process, kind)
    made.findings.counts[f"{kind}: exit code {ended.code}{'' if struck else ', not struck'}"] += 1
    made.findings.counts["kills"] += struck
    made.heal()
    made.settle()
    server.wait()
    made.look(f"right after {kind}")
    if ended.code == 0 and (missing := made.missing()):
        made.findings.add("exit code 0, and not all is in place", missing[:4])
    made.come_to_rest()


def _strike_at(made: World, strike: Callable[[], bool], alive: Callable[[], bool]) -> bool:
    """At a write, or after some time; gives whether anything was killed."""
    random = made.random
    if random.random() < 0.5:
        time.sleep(random.uniform(0.15, 1.5))
        return alive() and strike()
    reached = threading.Event()
    made.dest_proxy.at(random.randint(1, 25), random.choice(PHASES), reached.set)
    deadline = time.monotonic() + 6
    while time.monotonic() < deadline and alive():
        if reached.wait(0.01):
            break
    made.dest_proxy.forget()
    return reached.is_set() and strike()


def _kill(made: World, server: Postgres, kind: str) -> bool:
    if kind != _BACKENDS:
        server.kill()
        return True
    found = server.backends()
    killed = found if made.random.random() < 0.5 else found[:1]
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(killed)
