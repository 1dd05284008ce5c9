"""Ways to die, and one round of it: a run that is struck at some moment, executed again, and looked at."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg
from support.dice import told

from dagster_jobs.crash import Runs
from dagster_jobs.processes import is_alive, offspring, wait_until

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from multiprocessing.process import BaseProcess

    from dagster_jobs.crash import Crash


class Kill(NamedTuple):
    """One round: what struck, what the run was doing, how it was healed, how long that took in seconds.

    ``struck`` is whether it struck at all: a run may end before.
    """

    kind: str
    moment: str
    again: str
    seconds: float
    struck: bool = True


@dataclass(frozen=True)
class Kind:
    """A way to die.

    Attributes:
        name: what it is called in the figures.
        executor: the job's.
        strike: does it to a run worker, whose process it is given; gives the processes that it leaves behind.
        exact: whether the ledger must have exactly one outcome of each write afterwards.
    """

    name: str
    executor: str
    strike: Callable[[Runs, BaseProcess, random.Random], list[int]]
    exact: bool = True


def _kill(_: Runs, process: BaseProcess, __: random.Random) -> list[int]:
    process.kill()
    return []


def _terminate(_: Runs, process: BaseProcess, __: random.Random) -> list[int]:
    process.terminate()
    return []


def _starve(_: Runs, process: BaseProcess, dice: random.Random) -> list[int]:
    """Let the worker have hardly more memory than it has now: an allocation fails soon, wherever that may be."""
    assert process.pid is not None
    try:
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + dice.randrange(1 << 21)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))
    except (OSError, ProcessLookupError):
        pass  # it has just ended
    return []


def _orphan(_: Runs, process: BaseProcess, __: random.Random) -> list[int]:
    """Kill the worker; the processes of its steps go on without it."""
    assert process.pid is not None
    below = [pid for pid, command in offspring(process.pid) if "resource_tracker" not in command]
    process.kill()
    return below


def _kill_step(runs: Runs, process: BaseProcess, dice: random.Random) -> list[int]:
    """Kill the process of one step, as the kernel does where memory is short: just that one, by SIGKILL."""
    alive: list[int] = []

    def found() -> bool:
        run = runs.instance.get_run_records(limit=1)[0].dagster_run
        alive[:] = [pid for pids in runs.pids(run.run_id).values() for pid in pids if is_alive(pid)]
        return bool(alive) or not process.is_alive()

    wait_until(found)
    if alive:
        os.kill(dice.choice(alive), signal.SIGKILL)
    return []


KILL = Kind("kill -9 of the run worker", "InProcess", _kill)
TERMINATE = Kind("SIGTERM to the run worker", "InProcess", _terminate)
STARVE = Kind("no memory left in the run worker", "InProcess", _starve, exact=False)
ORPHAN = Kind("kill -9 of the run worker, steps live on", "Multiprocess", _orphan, exact=False)
KILL_STEP = Kind("kill -9 of a step's process (out of memory)", "Multiprocess", _kill_step)
TERMINATE_ALL = Kind("SIGTERM to the run worker, with step processes", "Multiprocess", _terminate)


def wait_for_a_moment(crash: Crash, dice: random.Random, over: Callable[[], bool]) -> None:
    """Wait a random time; or until the ledger holds some random number of a run's records. Or it is ``over``."""
    if dice.random() < 0.25:
        until = time.monotonic() + dice.uniform(0, 3)
        wait_until(lambda: time.monotonic() > until or over())
    else:
        wanted = dice.randrange(2 * len(crash.keys) + 3)
        wait_until(lambda: crash.recorded() >= wanted or over(), 200, pause=0.02)
        time.sleep(dice.uniform(0, 0.1))


def one_round(crash: Crash, home: Path, kind: Kind, how: str, dice: random.Random) -> Kill:
    """Strike a run at a random moment, execute it again (``all`` or ``from failure``), and check everything."""
    runs = Runs(crash, home)
    process = runs.start()
    runs.wait_for_start()
    wait_for_a_moment(crash, dice, lambda: not process.is_alive())
    moment = what_it_did(runs.began(runs.instance.get_run_records(limit=1)[0].dagster_run.run_id))
    left = kind.strike(runs, process, dice)
    process.join(100)
    assert process.exitcode is not None, "the run worker does not end"
    run = runs.last()
    assert run is not None
    began = time.monotonic()
    struck = True
    if run.status is dg.DagsterRunStatus.SUCCESS:
        again = "in the same run"
        struck = any(len(pids) > 1 for pids in runs.pids(run.run_id).values())
    else:
        steps = runs.began(run.run_id)
        # Without a step there is nothing to execute from; nor where only the run's own end is missing.
        again = "afresh" if not steps else "all" if steps.get("audit") == "SUCCESS" else how
        process = runs.start("" if again == "afresh" else run.run_id, again)
        process.join(100)
        assert process.exitcode == 0, f"executed again, {again}: {process.exitcode}"
    wait_until(lambda: not any(is_alive(pid) for pid in left))
    crash.check(exact=kind.exact)
    runs.instance.dispose()
    return Kill(kind.name, moment, again, time.monotonic() - began, struck)


def what_it_did(steps: Mapping[str, str]) -> str:
    """What a run was doing when it was struck, by how its steps stand."""
    if not steps:
        return "before the first step"
    open_steps = [name for name, status in steps.items() if status not in ("SUCCESS", "FAILURE", "SKIPPED")]
    if steps.get("audit") == "SUCCESS":
        return "after the last step"
    name = (open_steps or list(steps))[-1].partition("[")[0]
    return f"in {name}" if open_steps or "FAILURE" in steps.values() else f"after {name}"


@dataclass
class Figures:
    """What came of all rounds, as text."""

    rounds: list[Kill] = field(default_factory=list)

    @property
    def kills(self) -> list[Kill]:
        """The rounds in which a run was struck before its end."""
        return [kill for kill in self.rounds if kill.struck]

    def text(self) -> str:
        """A table by kind, with moments and ways of re-execution."""
        too_late = len(self.rounds) - len(self.kills)
        lines = [f"{told()}: {len(self.kills)} kills, each healed ({too_late} more came too late)"]
        for kind in dict.fromkeys(kill.kind for kill in self.kills):
            of_kind = [kill for kill in self.kills if kill.kind == kind]
            moments, again = (
                ", ".join(f"{name} {count}" for name, count in sorted(Counter(values).items()))
                for values in ([kill.moment for kill in of_kind], [kill.again for kill in of_kind])
            )
            slowest = max(kill.seconds for kill in of_kind)
            lines.append(f"{len(of_kind):3} {kind}\n      struck: {moments}\n      executed again: {again}")
            lines.append(f"      healed within {slowest:.0f} s")
        return "\n".join(lines)
