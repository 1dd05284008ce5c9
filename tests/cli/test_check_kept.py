"""What ``secretsync check`` leaves in the ledger for others to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.opening import open_ledger

if TYPE_CHECKING:
    from cli.conftest import Cli
    from secretsync_core.audit.drift import Look


def _last_look(cli: Cli) -> Look | None:
    with open_ledger(cli.directory / "secretsync" / DIRECTORY, environ={}, write=False) as opened:
        (job,) = opened.ledger.jobs()
        return opened.ledger.drift.last_look(job)


def test_a_check_keeps_what_it_found(started: Cli) -> None:
    """Key by key, until the next check finds it put right."""
    assert started("sync").code == 0
    assert _last_look(started) is None
    started.write("secretsync/example/dest/mail/smtp", "edited")
    assert started("check").code == 10
    look = _last_look(started)
    assert look is not None
    assert look.count == 1
    assert [(key.key, key.kind) for key in look.keys] == [("mail/smtp", "changed")]
    assert started("sync").code == 0
    assert started("check").code == 0
    look = _last_look(started)
    assert look is not None
    assert (look.count, look.keys) == (0, ())
