"""Dagster's storage under a step: what it logs is not written to itself."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import pytest

from secretsync_dagster.quiet_storage import quiet_storage

ROOT = Path(__file__).parents[2]
STORAGE = str(Path(dg.__file__).parent / "_core" / "storage" / "event_log" / "sqlite" / "sqlite_event_log.py")
DOCUMENTS = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: here}
spec: {provider: {file: {path: here}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: there}
spec: {provider: {file: {path: there}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: copy}
spec: {source: here, dest: there, executor: Multiprocess, plan: [{query: {recursive: true}}]}
"""


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.names.append(record.name)


def _say_all() -> None:
    for name in ("alembic.runtime.migration", "sqlalchemy.engine.Engine", "root", "mine"):
        logger = logging.getLogger() if name == "root" else logging.getLogger(name)
        path = STORAGE if name == "root" else __file__
        logger.handle(logging.LogRecord(name, logging.INFO, path, 1, "said", (), None))


def test_nothing_of_the_storage_is_heard_while_an_op_asks_it() -> None:
    """What the storage and its libraries log in an op's thread reaches no handler; all else does, before and after."""
    logging.getLogger("alembic.runtime.migration")
    logging.getLogger("sqlalchemy.engine.Engine")
    heard, root = _Heard(), logging.getLogger()
    root.addHandler(heard)
    try:
        with quiet_storage():
            _say_all()
            assert heard.names == ["mine"]
            other = threading.Thread(target=_say_all)
            other.start()
            other.join(10)
        assert len(heard.names) == 5
        _say_all()
        assert len(heard.names) == 9
    finally:
        root.removeHandler(heard)


@pytest.mark.slow
@pytest.mark.parametrize("captured", ["root", "alembic, sqlalchemy"])
def test_a_run_ends_where_dagster_captures_what_its_storage_logs(tmp_path: Path, captured: str) -> None:
    """With the root logger, or the storage's own, at DEBUG, steps in processes of their own do not wait for ever."""
    home, config = tmp_path / "home", tmp_path / "secretsync"
    for folder in (home, config / "here", config / "there"):
        folder.mkdir(parents=True)
    logs = f"{{managed_python_loggers: [{captured}], python_log_level: DEBUG}}"
    (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\npython_logs: {logs}\n")
    (config / "all.yaml").write_text(DOCUMENTS)
    (config / "here" / "key").write_text("value")
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("DAGSTER_", "SECRETSYNC_"))}
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "job", "execute", "-m", "secretsync_dagster.definitions", "-j", "copy"],
        cwd=tmp_path,
        env=environ | {"DAGSTER_HOME": str(home), "SECRETSYNC_CONFIG": str(config), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (config / "there" / "key").read_text() == "value"
