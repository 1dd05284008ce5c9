"""A code location as it was before run workers compiled their own job alone: every process loads every document.

What :mod:`benchmarks.press_to_done` compares with.
"""

from __future__ import annotations

import os
from pathlib import Path

from secretsync_dagster.load import load

_directory = Path(os.environ["SECRETSYNC_CONFIG"])
definitions = load([_directory], directory=_directory, ledger_url=os.environ.get("SECRETSYNC_LEDGER", ""))
