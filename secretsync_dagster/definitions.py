"""The code location that ``workspace.yaml`` loads: every document under ``SECRETSYNC_CONFIG``, compiled.

The process of a run gets the job of that run alone.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import dagster as dg

from secretsync_dagster.load import load, load_for_a_run, without_collecting
from secretsync_dagster.programs import executes_a_run
from secretsync_dagster.run_repository import REPOSITORY

_directory = Path(os.environ.get("SECRETSYNC_CONFIG") or "secretsync").resolve()
_ledger = os.environ.get("SECRETSYNC_LEDGER", "")
_prefix = os.environ.get("SECRETSYNC_PREFIX", "")


def _everything() -> dg.Definitions:
    found = load([_directory], directory=_directory, ledger_url=_ledger, prefix=_prefix)
    found.get_repository_def()  # what Dagster asks for next, and is given as it is then
    return found


def _of_a_run() -> Any:  # Dagster takes either; everybody else who imports this gets the other
    data = load_for_a_run([_directory], directory=_directory, ledger_url=_ledger, prefix=_prefix)
    return dg.RepositoryDefinition(REPOSITORY, repository_data=data)


with without_collecting():
    definitions: dg.Definitions = _of_a_run() if executes_a_run() else _everything()
    gc.freeze()  # all of it stays as long as this process does
