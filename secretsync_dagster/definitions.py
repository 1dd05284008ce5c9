"""The code location that ``workspace.yaml`` loads: every document under ``SECRETSYNC_CONFIG``, compiled."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from secretsync_dagster.io_manager import own_io_manager
from secretsync_dagster.load import load, without_collecting

_directory = Path(os.environ.get("SECRETSYNC_CONFIG") or "secretsync").resolve()

with without_collecting():
    definitions = load(
        [_directory],
        directory=_directory,
        ledger_url=os.environ.get("SECRETSYNC_LEDGER", ""),
        prefix=os.environ.get("SECRETSYNC_PREFIX", ""),
        io_manager=own_io_manager(os.environ),
    )
    definitions.get_repository_def()  # what Dagster asks for next, and is given as it is then
    gc.freeze()  # all of it stays as long as this process does
