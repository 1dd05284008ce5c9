"""Whether this process is one of Dagster's programs, and what they do first: they leave no core dumps.

A code location is loaded by its server, by the worker of each run and by the process of each step, and by nothing else
that holds credentials or values. Somebody's tests, or a program of theirs that executes a job, load it too, and their
limits are not ours to set.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

from secretsync_core.undumpable import keep_out_of_dumps

_PROGRAMS = ("dagster", "dg")
_WORKER = "_SECRETSYNC_EXECUTES_A_RUN"


def keep_workers_out_of_dumps() -> None:
    """Let this process leave no core dump, if it is Dagster's own. Processes that it starts by Python know by it too.

    What multiprocessing starts has the arguments of its parent.
    """
    if _is_dagsters(sys.argv[0] if sys.argv else ""):
        keep_out_of_dumps()


def _is_dagsters(program: str) -> bool:
    """Whether a process was started as ``dagster``, ``dagster-daemon``, ``dg`` or ``python -m dagster``."""
    path = Path(program)
    name = path.parent.name if path.name == "__main__.py" else path.stem
    return name in _PROGRAMS or name.startswith(("dagster-", "dagster_"))


def serves_a_code_location() -> bool:
    """Whether this process is a code server, which people see a code location by."""
    return _is_dagsters(sys.argv[0] if sys.argv else "") and "grpc" in sys.argv[1:3] and not executes_a_run()


def executes_a_run() -> bool:
    """Whether this process is the worker of one run, or of a step, and not what people see a code location by.

    It reads the documents anew, and they may have changed since the run was asked for. A code server starts its workers
    by multiprocessing, and a worker the processes of its steps; what those start to import ahead knows by a variable.
    """
    started = bool({"execute_run", "resume_run", "execute_step"} & set(sys.argv[1:4]))
    if started or (multiprocessing.parent_process() is not None and _is_dagsters(sys.argv[0] if sys.argv else "")):
        os.environ[_WORKER] = "1"
    return _WORKER in os.environ
