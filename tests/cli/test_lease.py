"""``secretsync lease break`` ends a lease, and says whose it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.audit.keys import load_key
from secretsync_core.audit.ledger import Ledger

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_a_lease_is_broken_and_the_job_runs_again(started: Cli) -> None:
    """A holder on another machine is believed; who knows better ends its lease."""
    assert started("sync").code == 0
    home = started.directory / "secretsync" / ".secretsync"
    with Ledger.open(home / "ledger.db", seal_key=load_key(environ={}, directory=home, create=False).seal) as ledger:
        ledger.leases.acquire("example", "elsewhere/1/2/abc", 600)
    refused = started("sync")
    assert refused.code == 3
    assert "secretsync lease break example" in refused.err
    broken = started("lease", "break", "example")
    assert broken.code == 0
    assert "the lease of example was held by elsewhere/1/2/abc, since " in broken.out
    assert "nobody holds the lease of example" in started("lease", "break", "example").out
    assert started("lease", "break", "example", "--output", "json").json == {
        "job": "example", "lease": None, "exitCode": 0
    }  # fmt: skip
    assert started("sync").code == 0


def test_a_job_that_the_ledger_does_not_know(started: Cli) -> None:
    """A name that is mistyped breaks nothing, and is not repeated."""
    started("sync")
    ran = started("lease", "break", "canary")
    assert ran.code == 2
    assert "canary" not in ran.err
