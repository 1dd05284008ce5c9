"""Every way in which a run can die, at random moments, with the real programs and without: `make test-kills`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from dagster_jobs import programs
from dagster_jobs.crash import Crash
from dagster_jobs.kills import (
    KILL,
    KILL_STEP,
    ORPHAN,
    STARVE,
    TERMINATE,
    TERMINATE_ALL,
    Figures,
    Kill,
    one_round,
    wait_for_a_moment,
    what_it_did,
)
from dagster_jobs.processes import is_alive, offspring, wait_until
from secretsync_core.demo.ui import WebUi

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Mount

    from secretsync_core.demo.openbao import OpenBaoServer

pytestmark = pytest.mark.nightly

WORKERS = {KILL: 5, TERMINATE: 4, STARVE: 4, ORPHAN: 3, KILL_STEP: 3, TERMINATE_ALL: 2}
"""How many of each there are to be."""


@pytest.mark.timeout(3600)
def test_run_workers(
    tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount, dice: random.Random
) -> None:
    """Run workers, and the processes of their steps, are killed, terminated, starved of memory and left alone."""
    figures = Figures()
    number = 0
    while due := [kind for kind, count in WORKERS.items() if sum(k.kind == kind.name for k in figures.kills) < count]:
        number += 1
        assert number < 3 * sum(WORKERS.values()), f"most came too late\n{figures.text()}"
        kind, how = dice.choice(due), ("from failure", "all")[number % 2]
        crash = Crash(
            tmp_path / str(number) / "config", openbao, openbao_dest, (mount(openbao), mount(openbao_dest)),
            executor=kind.executor, limits="concurrency: 2",
        )  # fmt: skip
        try:
            figures.rounds.append(one_round(crash, tmp_path / str(number) / "home", kind, how, dice))
            print(figures.rounds[-1], flush=True)
        except AssertionError as error:
            raise AssertionError(f"round {number}, {kind.name}, {how}\n{figures.text()}") from error
        finally:
            crash.close()
    print(f"\n{figures.text()}")


def _kill_worker(ui: WebUi, _: str) -> None:
    for pid in programs.run_workers(ui):
        os.kill(pid, 9)


def _kill_all(ui: WebUi, _: str) -> None:
    programs.kill_code_server(ui)


def _kill_server(ui: WebUi, _: str) -> None:
    programs.kill_code_server(ui, with_runs=False)


PROGRAMS: tuple[tuple[str, str, Callable[[WebUi, str], None]], ...] = (
    ("kill -9 of the run worker, under the code server", "", _kill_worker),
    ("kill -9 of the code server and its run workers", "", _kill_all),
    ("Terminate in the UI", "", programs.terminate),
    ("kill -9 of the code server alone", "", _kill_server),
    ("kill -9 of the code server and its run workers, retried by the daemon", "1", _kill_all),
    ("kill -9 of the run worker, retried by the daemon", "1", _kill_worker),
)
TIMES = 3


@pytest.mark.timeout(3600)
def test_programs(
    tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount, dice: random.Random
) -> None:
    """The code server, daemon and webserver as the product starts them; runs by GraphQL, as the pages do it."""
    figures = Figures()
    crashes = [  # and one more
        Crash(
            tmp_path / "config", openbao, openbao_dest, (mount(openbao), mount(openbao_dest)),
            name=f"job{number}", executor=("InProcess", "Multiprocess")[number % 7 == 2], limits="rate: 20/s",
        )
        for number in range(len(PROGRAMS) * TIMES + 1)
    ]  # fmt: skip
    with WebUi(tmp_path / "home", config=tmp_path / "config", environ=os.environ) as ui:
        ui.wait()
        _queued(ui, crashes.pop())
        for number, crash in enumerate(crashes):
            kind, retries, strike = PROGRAMS[number % len(PROGRAMS)]
            try:
                figures.rounds.append(_round(ui, crash, kind, retries, strike, dice))
                print(figures.rounds[-1], flush=True)
            except AssertionError as error:
                raise AssertionError(f"round {number}, {kind}\n{figures.text()}") from error
            finally:
                crash.close()
    print(f"\n{figures.text()}")


def _queued(ui: WebUi, crash: Crash) -> None:
    """A run whose turn comes while the code server is away waits until it is back."""
    first, second = (programs.launch(ui, crash.name) for _ in range(2))
    wait_until(lambda: crash.recorded() > 3, 120, pause=0.1)
    assert programs.status(ui, second) == "QUEUED"
    programs.kill_code_server(ui, with_runs=False, start=False)
    assert ui.wait_for(first) == "SUCCESS"
    time.sleep(5)  # the daemon tries every second
    assert programs.status(ui, second) == "QUEUED"
    ui.start_code()
    assert ui.wait_for(second) == "SUCCESS"
    crash.check()
    crash.close()


def _round(
    ui: WebUi, crash: Crash, kind: str, retries: str, strike: Callable[[WebUi, str], None], dice: random.Random
) -> Kill:
    run = programs.launch(ui, crash.name, {"dagster/max_retries": retries} if retries else None)
    wait_until(lambda: programs.status(ui, run) not in ("QUEUED", "NOT_STARTED", "STARTING"), 120, pause=0.1)
    wait_for_a_moment(crash, dice, lambda: programs.status(ui, run) == "SUCCESS")
    moment = what_it_did(programs.steps(ui, run))
    left = [pid for worker in programs.run_workers(ui) for pid, _ in offspring(worker)]
    strike(ui, run)
    began = time.monotonic()
    ended = ui.wait_for(run, 240)
    found = programs.steps(ui, run)
    if ended == "SUCCESS":
        again = "it went on to its end"
    elif retries:
        again = "by the daemon"
        assert ui.wait_for(programs.retried_by_the_daemon(ui, run), 240) == "SUCCESS"
    else:
        again = ("FROM_FAILURE", "ALL_STEPS")[dice.random() < 0.5 or found.get("audit") == "SUCCESS"]
        # Without a step there is nothing to execute again from.
        other = programs.execute_again(ui, run, again) if found else programs.launch(ui, crash.name)
        again = again if found else "afresh"
        assert ui.wait_for(other, 240) == "SUCCESS"
    wait_until(lambda: not any(is_alive(pid) for pid in left))
    crash.check(exact=not left)
    return Kill(kind, moment, again, time.monotonic() - began, struck=ended != "SUCCESS" or strike is _kill_server)
