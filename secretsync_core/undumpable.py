"""Keeps what a process holds in its memory out of core dumps, and from other processes of the same user.

For the entries of programs alone: whoever imports SecretSync into a program of theirs decides on it themselves. Python
gives no way to wipe a text, so a core dump of a process that has held a value or a token holds it, as a file.

On Linux the process counts as not dumpable besides. Then there is no dump either where the kernel hands them to a
program (systemd-coredump), whatever the limit; debuggers and profilers of the same user are refused, and so is reading
its ``/proc/PID/environ``, ``mem`` and ``fd``. A fork keeps that; a program that is executed begins anew, and has to ask
for it itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "SECRETSYNC_DUMPABLE"
"""``1`` leaves a process as it is, to look into it with a debugger."""

_PR_SET_DUMPABLE = 4


def keep_out_of_dumps(environ: Mapping[str, str] = os.environ) -> None:
    """Let this process leave no core dump from now on. Never fails: where a system has no such thing, nothing is done.

    The limit goes on to the programs that it starts.
    """
    if environ.get(VARIABLE) == "1":
        return
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
