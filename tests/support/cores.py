"""Whether a process leaves a core dump when it is struck down."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

from dagster_jobs.processes import is_alive

PATTERN = Path("/proc/sys/kernel/core_pattern")

NO_LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
resource.setrlimit = lambda *_: None
"""
"""Code that keeps a program from lowering its limit: what is left is that it counts as not dumpable."""


def can_be_seen() -> bool:
    """Whether dumps are files beside the process here."""
    lifted = resource.getrlimit(resource.RLIMIT_CORE)[1] != 0
    return lifted and PATTERN.exists() and PATTERN.read_text().strip() in ("core", "core.%p")


def limits_of(pid: int) -> str:
    """The limit of a process on core dumps, both halves."""
    (line,) = [each for each in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file size" in each]
    return " ".join(line.split()[4:6])


def strike(pid: int, number: int = signal.SIGABRT) -> list[Path]:
    """End a process by a signal that dumps core where nothing forbids it; gives the dumps."""
    where = Path(f"/proc/{pid}/cwd").readlink()
    os.kill(pid, number)
    deadline = time.monotonic() + 60
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [path for path in where.glob("core*") if path.is_file() and path.name in ("core", f"core.{pid}")]
