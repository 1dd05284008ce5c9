"""Looking at processes, and waiting for them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def wait_until(true: Callable[[], bool], seconds: float = 60.0, pause: float = 0.01) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited for {seconds:.0f} s in vain"
        time.sleep(pause)


def offspring(pid: int) -> Iterator[tuple[int, str]]:
    """The processes below one, the nearest first, each with its command line."""
    by_parent: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue  # it has just ended
            if state != "Z":
                by_parent.setdefault(int(parent), []).append(int(path.name))
    waiting = [pid]
    while waiting:
        for child in by_parent.get(waiting.pop(0), ()):
            waiting.append(child)
            try:
                yield child, Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
            except OSError:
                continue


def is_alive(pid: int) -> bool:
    """Whether a process is still there, and not only waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
