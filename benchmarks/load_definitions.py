"""Loads the code location as Dagster's code server does; prints how many jobs it has. A process of its own."""

from __future__ import annotations

import dagster as dg

from secretsync_dagster.definitions import definitions


def main() -> None:
    """Resolve everything: each job, the job of all assets, the schedules and the sensors."""
    dg.Definitions.validate_loadable(definitions)
    print(sum(not job.name.startswith("__") for job in definitions.resolve_all_job_defs()))


if __name__ == "__main__":
    main()
