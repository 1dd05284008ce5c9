"""What a run may suffer: signals, faults between it and the stores, full disks, a second run, changes meanwhile."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soak import disk
from soak.model import VAULT
from soak.proxy import FAULTS
from soak.strikes import Moment, some_moment, strike

if TYPE_CHECKING:
    from collections.abc import Callable

    from soak.world import World

_RATES = (0.01, 0.04, 0.12, 0.35)
_GOOD_CODES = (0, 1, 3)
_SLOW_TO_STOP = 15.0


@dataclass(slots=True)
class Suffered:
    """What became of a run.

    Attributes:
        code: its exit code; None where there were two of them.
        still: nothing was changed while it ran, and it ran to its end.
    """

    code: int | None
    still: bool = True


def arguments(world: World) -> list[str]:
    """A sync, with what may be asked of it."""
    made = world.random.choice((["sync", "--output", "json"], ["sync"], ["sync", "--quiet"]))
    return [*made, "--verify"] if world.random.random() < 0.05 else made


def kill(world: World) -> Suffered:
    """SIGKILL, at any moment."""
    process = world.product.start(*arguments(world))
    still = not (world.random.random() < 0.3 and _change(world, world.random.uniform(0, 0.4)))
    hit = strike(world, process, some_moment(world.random))
    world.findings.counts["kills" if hit else "kills too late"] += 1
    return Suffered(world.product.finish(process, "killed").code, still)


def faults(world: World) -> Suffered:
    """Requests that fail, hang or are answered in part, on one side or on both."""
    _hinder(world)
    return _to_the_end(world, world.product.start(*arguments(world)), world.random.uniform(3, 14))


def faults_and_kill(world: World) -> Suffered:
    """Both."""
    _hinder(world)
    return kill(world)


def terminate(world: World) -> Suffered:
    """SIGTERM."""
    return _stop(world, signal.SIGTERM, (143, 0, -signal.SIGTERM))


def interrupt(world: World) -> Suffered:
    """Ctrl-C, at times twice."""
    return _stop(world, signal.SIGINT, (130, 0, -signal.SIGINT))


def freeze(world: World) -> Suffered:
    """SIGSTOP for less time than its lease lasts; meanwhile perhaps another run, and perhaps it never wakes."""
    random = world.random
    process = world.product.start(*arguments(world))
    still = True
    if strike(world, process, some_moment(random), signal.SIGSTOP):
        if random.random() < 0.6:
            beside = world.product.run("sync", "--output", "json").code
            world.findings.counts[f"beside a frozen one: {beside}"] += 1
            if beside not in _GOOD_CODES:
                world.findings.add("exit code", f"{beside} beside a frozen run")
        else:
            time.sleep(random.uniform(0.2, 3))
        still = not (random.random() < 0.3 and _change(world))
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        if random.random() < 0.3:
            time.sleep(random.uniform(0, 0.1))
            process.kill()
    world.product.finish(process, "frozen")
    return Suffered(None, still)


def two_at_once(world: World) -> Suffered:
    """Two runs of the same jobs, one of which may be killed."""
    random = world.random
    runs = [world.product.start(*arguments(world))]
    time.sleep(random.choice((0, 0, random.uniform(0, 0.6))))
    runs.append(world.product.start("sync", "--output", "json"))
    dead = random.choice(runs) if random.random() < 0.4 else None
    if dead is not None:
        strike(world, dead, Moment(random.uniform(0.1, 1.2)))
    codes = {run: world.product.finish(run, "two at once").code for run in runs}
    for run, code in codes.items():
        if run is not dead and code not in _GOOD_CODES:
            world.findings.add("exit code", f"{code} of two at once")
    world.findings.counts[f"two at once: {sorted(codes.values())}"] += 1
    if dead is None and set(codes.values()) == {3}:
        # Each may have done one of the two jobs, and was refused the other: then all is in place.
        world.destinations.look()
        if missing := world.missing():
            world.findings.add("of two at once, neither went through", missing[:4])
    return Suffered(None, still=False)


def small_files(world: World) -> Suffered:
    """The ledger's file may not grow."""
    process = world.product.start(*arguments(world), prepare=disk.small_files(world.ledger, world.random))
    return _to_the_end(world, process, 30)


def full_disk(world: World) -> Suffered:
    """The ledger's disk is full."""
    with disk.filled(world.ledger.parent, world.random):
        return _to_the_end(world, world.product.start(*arguments(world)), 30)


DISRUPTIONS: dict[str, Callable[[World], Suffered]] = {
    "kill": kill, "faults": faults, "faults and kill": faults_and_kill, "SIGTERM": terminate, "SIGINT": interrupt,
    "freeze": freeze, "two at once": two_at_once, "small files": small_files, "full disk": full_disk,
}  # fmt: skip


def _hinder(world: World) -> None:
    random = world.random
    rates = dict.fromkeys(random.sample(FAULTS, random.choice((1, 1, 2, 4))), random.choice(_RATES))
    sides = random.choice(((world.dest_proxy,), (world.source_proxy,), (world.source_proxy, world.dest_proxy)))
    for proxy in sides:
        proxy.rates = dict(rates)


def _to_the_end(world: World, process: subprocess.Popen[bytes], seconds: float) -> Suffered:
    """Wait for a run, which is killed after so long; sources may change under its hands."""
    still = not (world.random.random() < 0.3 and _change(world, world.random.uniform(0.2, 0.6)))
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        world.findings.counts["hindered for too long, and killed"] += 1
        process.kill()
        still = False
    return Suffered(world.product.finish(process, "hindered").code, still)


def _change(world: World, after: float = 0.0) -> bool:
    """Perhaps change sources, perhaps copies; gives whether anything was changed."""
    time.sleep(after)
    random, changed = world.random, False
    if random.random() < 0.5:
        world.change_sources(random.randint(1, 8))
        changed = True
    if random.random() < 0.3:
        copies = sorted(place for place in world.sources.places() if place[0] == VAULT and place in world.owned)
        for place in random.choices(copies, k=3):
            world.strangers.write(place)
            world.allowed[place[1]] += 1
        changed = True
    return changed


def _stop(world: World, number: signal.Signals, good: tuple[int, ...]) -> Suffered:
    process = world.product.start(*arguments(world))
    hit = strike(world, process, some_moment(world.random), number)
    if hit and number == signal.SIGINT and world.random.random() < 0.3:  # people press it twice
        time.sleep(world.random.uniform(0, 0.05))
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
    struck = time.monotonic()
    ended = world.product.finish(process, number.name, 60)
    world.findings.counts[f"{number.name}: {ended.code}"] += 1
    if ended.code not in good:
        world.findings.add("exit code", f"{ended.code} after {number.name}: {ended.said}")
    if time.monotonic() - struck > _SLOW_TO_STOP:
        world.findings.add("slow to stop", f"{number.name}: {time.monotonic() - struck:.1f} s")
    return Suffered(ended.code)
