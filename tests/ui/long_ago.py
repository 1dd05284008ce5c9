"""Runs a job as a run worker does, by a clock that is days slow: ``python -m ui.long_ago JOB DAYS``.

What it leaves in ``DAGSTER_HOME`` is what a run leaves that ended so many days ago.
"""

from __future__ import annotations

import sys
import time


def _set_back(days: float) -> None:
    seconds = days * 86_400
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() - seconds
    time.time_ns = lambda: now_ns() - int(seconds * 1e9)


def main(job: str, days: float) -> None:
    """Run it."""
    _set_back(days)
    import dagster as dg

    from secretsync_dagster.definitions import definitions

    with dg.DagsterInstance.get() as instance:
        assert definitions.resolve_job_def(job).execute_in_process(instance=instance).success


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
