"""Items that are out of sync, and the last look for drift, as ``secretsync status`` and ``metrics`` show them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from cli.test_metrics import asked
from cli.test_migrate import _age
from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.items import OutOfSync
from secretsync_core.audit.opening import open_ledger
from secretsync_core.cli.commands.status import _names

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Cli

ITEMS = """\
  plan:
    - {name: alpha, secret: {key: key-000}}
    - {name: beta, secret: {key: key-001}}
"""


def _job(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = cli("status", "--output", "json").json["jobs"][0]
    return found


@pytest.fixture
def left(troubled: Callable[..., Cli]) -> Cli:
    """A job whose item ``beta`` failed in one run, before another run of ``alpha`` alone that went well."""
    cli = troubled(2, fail={"write key-001": "denied"})
    path = cli.directory / "secretsync/job.yaml"
    path.write_text(path.read_text().partition("  plan:")[0] + ITEMS)
    assert cli("sync").code == 1
    assert cli("sync", "--item", "alpha").code == 0
    return cli


def test_what_an_earlier_run_left_out_of_sync_is_shown(left: Cli) -> None:
    """By name in the status, typed in JSON and counted in the metrics, though the last run went well."""
    assert left("status").out.splitlines()[-1] == "copy: out of sync: beta"
    job = _job(left)
    (out,) = job["outOfSync"]
    assert (set(out), out["item"], job["lastRun"]["ok"]) == ({"item", "run", "since"}, "beta", True)
    assert out["run"] != job["lastRun"]["run"]
    assert datetime.fromisoformat(out["since"]) <= datetime.fromisoformat(job["lastRun"]["started"])
    found = asked(left)
    assert found["secretsync_job_out_of_sync_items"] == found["secretsync_job_last_run_ok"] == {("copy",): 1}


def test_an_item_that_left_the_document_is_out_of_sync_no_longer(left: Cli) -> None:
    """No run could ever put it right, so that an alert would never end."""
    path = left.directory / "secretsync/job.yaml"
    path.write_text(path.read_text().replace("    - {name: beta, secret: {key: key-001}}\n", ""))
    assert _job(left)["outOfSync"] == []
    assert asked(left)["secretsync_job_out_of_sync_items"] == {("copy",): 0}


def test_a_job_as_a_whole_can_be_out_of_sync(left: Cli) -> None:
    """It has no item's name: null in JSON, words for people."""
    with open_ledger(left.directory / "secretsync" / DIRECTORY, environ={}, write=True) as opened:
        opened.ledger.items.note("copy", "run", out={""})
    assert left("status").out.splitlines()[-1] == "copy: out of sync: the job as a whole, beta"
    assert [out["item"] for out in _job(left)["outOfSync"]] == [None, "beta"]


def test_the_last_drift_check_is_shown(started: Cli) -> None:
    """When it was and what it found, until the next one; before the first there is nothing to show."""
    started("sync")
    assert "drift check" not in started("status").out
    assert _job(started)["lastDriftCheck"] is None
    assert "secretsync_job_last_drift_check_timestamp_seconds" not in asked(started)
    started.write("secretsync/example/dest/mail/smtp", "edited")
    assert started("check").code == 10
    shown = started("status").out.splitlines()[-1]
    assert shown == "example: drift check just now: 1 secret changed or removed outside SecretSync"
    look = _job(started)["lastDriftCheck"]
    assert set(look) == {"run", "time", "driftedCount", "drifted"}
    (key,) = look["drifted"]
    assert (set(key), key["key"], key["drift"]) == ({"item", "dest", "key", "drift"}, "mail/smtp", "changed")
    found = asked(started)
    assert found["secretsync_job_last_drift_check_drifted_secrets"] == {("example",): look["driftedCount"]}
    assert found["secretsync_job_last_drift_check_timestamp_seconds"][("example",)] == pytest.approx(
        datetime.fromisoformat(look["time"]).timestamp(), abs=1e-3
    )
    started("sync")
    assert started("check").code == 0
    assert started("status").out.splitlines()[-1] == "example: drift check just now: none found"
    assert asked(started)["secretsync_job_last_drift_check_drifted_secrets"] == {("example",): 0}


def test_a_ledger_of_an_older_version_has_neither(started: Cli) -> None:
    """What it does not keep is unknown, which is not the same as none."""
    started("audit", "migrate")
    _age(started)
    assert started("sync").code == 0
    job = _job(started)
    assert (job["outOfSync"], job["lastDriftCheck"], job["lastRun"]["ok"]) == (None, None, True)
    assert started("status").out.splitlines()[-1].startswith("example ")
    found = asked(started)
    assert found["secretsync_job_last_run_ok"] == {("example",): 1}
    assert not [name for name in found if "out_of_sync" in name or "drift_check" in name]


def test_many_items_fill_one_line_at_most() -> None:
    """The rest is counted; a first name that is longer than the line is shown all the same."""
    many = [OutOfSync(f"item-{number:04}", "run", 0) for number in range(2000)]
    line = _names("job: out of sync: ", many)
    assert len(line) <= 100
    assert line.startswith("job: out of sync: item-0000, item-0001, ")
    assert line.endswith(f", and {2000 - line.count('item-'):,} more")
    assert _names("job: ", [OutOfSync("x" * 120, "run", 0), *many[:1]]) == f"job: {'x' * 120}, and 1 more"
