"""The code location that ``workspace.yaml`` loads: every document under ``SECRETSYNC_CONFIG``, compiled."""

from __future__ import annotations

import os
from pathlib import Path

from secretsync_core.schema.loader import examine
from secretsync_dagster.compile import compile_documents

_directory = Path(os.environ.get("SECRETSYNC_CONFIG") or "secretsync").resolve()
_documents, _problems = examine([_directory])

definitions = compile_documents(
    _documents, _problems, directory=_directory, ledger_url=os.environ.get("SECRETSYNC_LEDGER", "")
)
