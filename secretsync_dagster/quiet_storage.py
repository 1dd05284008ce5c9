"""Keeps what Dagster's storage logs while an op of ours asks it out of the logs that Dagster captures.

Its SQLite event log opens a database under a lock that its own thread cannot take twice, and Alembic and SQLAlchemy log
within. Where ``python_logs`` has Dagster capture these loggers, or the root, it writes each record to that event log,
and the step waits for itself for ever. Dagster asks its storage where it captures nothing; an op asks in the middle.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBRARIES = ("alembic", "sqlalchemy")
_STORAGE = str(Path(dg.__file__).parent / "_core" / "storage")

_this_thread = threading.local()


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(_this_thread, "in_op", False):
            return True
        # The storage itself logs by the root logger, and so do others.
        return record.name.partition(".")[0] not in _LIBRARIES and not record.pathname.startswith(_STORAGE)


_silence = _Silence()


@contextlib.contextmanager
def quiet_storage() -> Iterator[None]:
    """Nothing that Dagster's storage or its libraries log in this thread, while it lasts, reaches any handler."""
    logging.getLogger().addFilter(_silence)
    # A logger's filters do not count for its children. Dagster has imported all of these before a run begins.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(_silence)
    before = getattr(_this_thread, "in_op", False)
    _this_thread.in_op = True
    try:
        yield
    finally:
        _this_thread.in_op = before
