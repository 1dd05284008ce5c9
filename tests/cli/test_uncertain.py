"""What the command line says of a write of which nobody knows yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.test_metrics import asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Cli

TROUBLE = {"write key-001": "unavailable", "read key-001": "unavailable"}


def test_it_is_told_until_it_is_settled(troubled: Callable[..., Cli]) -> None:
    """By sync, plan, status and metrics, with what comes next; the next sync that can look ends all of it."""
    cli = troubled(2, fail=TROUBLE)
    # What may not be replaced would be read before the write, and is not written where that fails.
    job = cli.directory / "secretsync/job.yaml"
    job.write_text(job.read_text().replace("spec:", "spec:\n  writePolicy: Replace"))
    ran = cli("sync")
    assert ran.code == 1
    assert "1 created, 0 updated, 0 unchanged, 1 uncertain in" in ran.out
    told = ran.out[ran.out.index("  Uncertain (1):") :].splitlines()[:3]
    assert told == [
        "  Uncertain (1):",
        "  ! key-001  it may have been written, and cannot be looked at: the store cannot be reached",
        "      hint: the next run finds out whether it was made",
    ]
    assert "Failed" not in ran.out

    ran = cli("plan")
    assert "1 write of an earlier run is uncertain: a sync looks at the destination first" in ran.err
    status = cli("status").out
    assert "failed: 1 created, 1 uncertain" in status
    assert "copy: 1 secret uncertain: the next run settles it" in status
    assert cli("status", "--output", "json").json["jobs"][0]["lastRun"]["counts"]["uncertain"] == 1
    found = asked(cli)
    assert found["secretsync_job_last_run_secrets"]["uncertain", "copy"] == 1
    assert found["secretsync_job_last_run_ok"] == {("copy",): 0}

    ran = cli("sync", "--output", "json")
    (outcome,) = ran.json["jobs"][0]["outcomes"]
    assert (ran.code, outcome["key"], outcome["result"], outcome["code"]) == (1, "key-001", "uncertain", "uncertain")

    stores = cli.directory / "secretsync/stores.yaml"
    stores.write_text(stores.read_text().replace("unavailable", "denied").replace("key-001", "key-999"))
    assert cli("sync").code == 0
    assert "uncertain" not in cli("status").out
    assert "create dest:key-001 <- source @" in cli("audit", "log", "--key", "key-001", "--event", "failed").out
    assert "was uncertain; a later run settled it" in cli("audit", "log", "--key", "key-001").out
    assert cli("audit", "verify").code == 0
