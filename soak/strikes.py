"""Moments to strike a run at: after some time, or at one of its writes."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from soak.proxy import PHASES

if TYPE_CHECKING:
    import subprocess
    from random import Random

    from soak.world import World

_POLL = 0.004
_PATIENCE = 4.0


class Moment(NamedTuple):
    """``seconds`` after the start; or the ``write``-th write, in ``phase``, if that comes before."""

    seconds: float
    write: int = 0
    phase: str = ""


def some_moment(random: Random) -> Moment:
    """By time or by write, one as often as the other."""
    if random.random() < 0.5:
        return Moment(random.uniform(0.02, 1.0))
    return Moment(_PATIENCE, random.randint(1, random.choice((2, 6, 30))), random.choice(PHASES))


def strike(world: World, process: subprocess.Popen[bytes], moment: Moment, number: int = signal.SIGKILL) -> bool:
    """Send a signal at a moment; gives whether the process was still there."""
    hit = threading.Event()

    def send() -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
            hit.set()

    if moment.write:
        world.dest_proxy.at(moment.write, moment.phase, send)
    deadline = time.monotonic() + moment.seconds
    while time.monotonic() < deadline and process.poll() is None and not hit.is_set():
        time.sleep(_POLL)
    world.dest_proxy.forget()
    if not hit.is_set() and process.poll() is None:
        send()
    return hit.is_set()
