"""Reading goes on where writing cannot: with a lost key, and with a full disk; what is wrong is said."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest
from audit.lab import SEAL_KEY, finished
from audit.lab import started as run_started

from secretsync_core.audit import sqlite
from secretsync_core.audit.ledger import Ledger
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Cli


def test_with_a_lost_key_what_reads_answers(started: Cli) -> None:
    """``plan``, ``status``, ``check`` and ``audit log`` answer and say that it is gone; what proves or writes stops."""
    assert started("sync").code == 0
    (started.directory / "secretsync" / ".secretsync" / "ledger.key").unlink()
    for command in (["plan"], ["status"], ["check"], ["audit", "log"]):
        ran = started(*command)
        assert ran.code == 0, (command, ran.err)
        assert "ledger.key is missing" in ran.err, command
        assert ran.out, command
    assert "unchanged" in started("plan").out
    for command in (["sync"], ["audit", "verify"], ["plan", "--out", "saved.plan"]):
        ran = started(*command)
        assert ran.code == 3, command
        assert "ledger.key is missing" in ran.err, command


def test_with_a_full_disk_what_reads_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite wants room beside the file to read it; there is none, and who writes is told so in those words."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path, seal_key=SEAL_KEY) as ledger:
        ledger.append("job", [run_started(), finished()])
    monkeypatch.setattr(sqlite, "_is_full", lambda _: True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # no file may grow
    try:
        with Ledger.open(path, seal_key=SEAL_KEY, read_only=True) as ledger:
            events = [record.draft.event for record in ledger.records()]
            trouble = ledger.trouble
        with pytest.raises(LedgerError) as caught:
            Ledger.open(path, seal_key=SEAL_KEY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert events == ["run-started", "run-finished"]
    assert "no space left on the disk of the ledger" in trouble
    assert "no space left" in caught.value.message
    assert caught.value.exit_code == 3
