"""Runs a command as a process of its own, and tells how long it took and how much memory it had at its peak."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A process inherits the peak of the one that starts it (the kernel carries ru_maxrss over an exec), and the benchmark
# itself is large. So the command is started by an interpreter that has loaded nothing, and which holds the clock too:
# the time is from the start of the process to its end, without that of the interpreter in between.
_STARTER = """
import os, sys, time
clock = time.perf_counter()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
elapsed = time.perf_counter() - clock
with open(sys.argv[1], "w") as out:
    out.write(f"{os.waitstatus_to_exitcode(status)} {elapsed} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}")
"""


class ChildError(Exception):
    """A measured command failed; what it last said is in the message."""


class Usage(NamedTuple):
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: str
    stderr: str


def measure(
    command: Sequence[str], *, work: Path, environ: Mapping[str, str], stdin: str = "", timeout: float = 900.0
) -> Usage:
    """Run ``command`` (its first word an absolute path) to its end; raise ChildError where its exit code is not 0.

    Its output goes to files: reading a pipe would take a core from it, and there are few.
    """
    work.mkdir(parents=True, exist_ok=True)
    usage, out, err, given = (work / name for name in ("usage", "stdout", "stderr", "stdin"))
    usage.unlink(missing_ok=True)
    given.touch(mode=0o600)
    given.write_text(stdin)
    try:
        with out.open("wb") as stdout, err.open("wb") as stderr, given.open("rb") as input_:
            subprocess.run(
                [sys.executable, "-I", "-S", "-c", _STARTER, str(usage), *command],
                stdin=input_,
                stdout=stdout,
                stderr=stderr,
                env={"PATH": os.defpath, "HOME": str(work), "NO_COLOR": "1", **environ},
                cwd=work,
                timeout=timeout,
                check=True,
            )
    except subprocess.TimeoutExpired:
        raise ChildError(f"{Path(command[0]).name} did not end within {timeout:.0f} s: see {err}") from None
    finally:
        given.unlink()
    code, elapsed, cpu, peak = usage.read_text().split()
    result = Usage(float(elapsed), float(cpu), int(peak) * 1024, out.read_text(), err.read_text())
    if int(code):
        said = (result.stderr.strip() or result.stdout.strip())[-1500:]
        raise ChildError(f"{Path(command[0]).name} exited with {code}:\n{said}")
    return result
