"""``secretsync metrics``: what it says of real runs, and that whatever reads it understands it."""

from __future__ import annotations

import sqlite3
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from secretsync_core.cli import due

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Cli, Ran

Samples = dict[str, dict[tuple[str, ...], float]]
"""Values by the name of a metric, and by the values of its labels in the order of the labels' names."""


def parse(text: str) -> Samples:
    """The samples of an exposition, by Prometheus's own parser."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type in ("gauge", "counter"), family.name
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {})
            found[sample.name][labels] = sample.value
    return found


def asked(cli: Cli, *arguments: str) -> Samples:
    """What a command that goes well says."""
    ran: Ran = cli("metrics", *arguments)
    assert (ran.code, ran.err) == (0, "")
    return parse(ran.out)


def test_before_the_first_sync(started: Cli) -> None:
    """No ledger yet is no failure, and nothing is made up about runs that never were."""
    found = asked(started)
    assert found["secretsync_ledger_up"] == {(): 1}
    assert found["secretsync_job_info"] == {("example-dest", "@hourly", "example-source", "example"): 1}
    assert found["secretsync_job_suspended"] == {("example",): 0}
    assert "secretsync_job_last_run_ok" not in found
    assert "secretsync_job_schedule_lag_seconds" not in found
    assert not (started.directory / "secretsync/.secretsync").exists()


def test_runs_are_counted(started: Cli) -> None:
    """The last run by itself, all runs together, and the moments as the status has them."""
    started("sync")
    started.write("secretsync/example/dest/mail/smtp", "edited")
    started("sync")
    started("sync")
    found = asked(started)
    last, every = found["secretsync_job_last_run_secrets"], found["secretsync_job_secrets_total"]
    assert {result: value for (result, _), value in last.items() if value} == {"unchanged": 4}
    assert {result: value for (result, _), value in every.items() if value} == {
        "created": 4, "updated": 1, "unchanged": 3 + 4,
    }  # fmt: skip
    assert found["secretsync_job_runs_total"][("ok", "example")] == 3
    assert found["secretsync_job_last_run_ok"] == {("example",): 1}
    assert found["secretsync_job_held_secrets"] == {("example",): 4}
    assert found["secretsync_job_last_run_drifted_secrets"] == {("example",): 0}
    assert found["secretsync_job_open_runs"] == found["secretsync_job_lease_held"] == {("example",): 0}
    assert found["secretsync_ledger_sound"] == {("heads",): 1}
    status = started("status", "--output", "json").json["jobs"][0]
    for name, text in (
        ("last_run_timestamp", status["lastRun"]["started"]),
        ("last_success_timestamp", status["lastSuccess"]),
        ("next_run_timestamp", status["nextRun"]),
    ):
        moment = datetime.fromisoformat(text).timestamp()
        assert found[f"secretsync_job_{name}_seconds"][("example",)] == pytest.approx(moment, abs=1e-3)
    assert (
        found["secretsync_job_records_total"][("example",)]
        == started("audit", "verify", "--output", "json").json["chains"][0]["seq"]
    )


def test_requests_are_those_of_the_last_run_by_store(started: Cli) -> None:
    """The sums of what the run itself showed; the status does not take them for results."""
    shown = started("sync", "--output", "json").json["jobs"][0]["requests"]
    assert shown
    assert asked(started)["secretsync_job_last_run_requests"] == {
        (store, "example"): sum(kinds.values()) for store, kinds in shown.items()
    }
    assert started("status", "--output", "json").json["jobs"][0]["lastRun"]["counts"] == {"created": 4}


def test_drift_is_that_of_the_last_run(started: Cli) -> None:
    """Until the next run finds the copies as it left them."""
    started("sync")
    started.write("secretsync/example/dest/mail/smtp", "edited")
    started("sync")
    assert asked(started)["secretsync_job_last_run_drifted_secrets"] == {("example",): 1}


def test_a_run_that_failed(troubled: Callable[..., Cli]) -> None:
    """It is not ok, its failed secrets are counted, and there was no success yet."""
    cli = troubled(3, fail={"write key-001": "denied"})
    assert cli("sync").code == 1
    found = asked(cli)
    assert found["secretsync_job_last_run_ok"] == {("copy",): 0}
    assert found["secretsync_job_last_run_failed_secrets"] == {("copy",): 1}
    assert found["secretsync_job_runs_total"][("failed", "copy")] == 1
    assert "secretsync_job_last_success_timestamp_seconds" not in found
    assert "secretsync_job_schedule_lag_seconds" not in found  # it has no schedule


def test_deletes_that_are_held_back(started: Cli) -> None:
    """maxDelete keeps them, and the metric says how many."""
    path = started.directory / "secretsync/jobs.yaml"
    path.write_text(path.read_text().replace("deletionPolicy: Retain", "maxDelete: 0\n  deletionPolicy: Delete"))
    started("sync")
    (started.directory / "secretsync/example/source/payments/api-key").unlink()
    assert started("sync").code == 1
    assert asked(started)["secretsync_job_last_run_blocked_deletes"] == {("example",): 1}


def test_a_run_that_was_cut_off_or_goes_on(started: Cli) -> None:
    """A started run without an end is open; whether somebody works on it is told by the lease."""
    from secretsync_core.audit.keys import load_key
    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.audit.record import Draft, Event

    started("sync")
    home = started.directory / "secretsync/.secretsync"
    with Ledger.open(home / "ledger.db", seal_key=load_key(environ={}, directory=home, create=False).seal) as ledger:
        ledger.append("example", [Draft(Event.RUN_STARTED, run="cut-off")])
        ledger.leases.acquire("example", "somebody", 60)
        found = asked(started)
        assert found["secretsync_job_open_runs"] == found["secretsync_job_lease_held"] == {("example",): 1}
        assert found["secretsync_job_last_run_ok"] == {("example",): 1}  # of the one that ended
        ledger.leases.release("example", "somebody")
    assert asked(started)["secretsync_job_lease_held"] == {("example",): 0}


@pytest.mark.parametrize(
    ("cron", "started", "now", "expected"),
    [
        ("0 * * * *", "2026-01-01T10:00:03", "2026-01-01T10:59:00", 0),
        ("0 * * * *", "2026-01-01T10:00:03", "2026-01-01T11:01:00", 60),
        ("0 * * * *", "2026-01-01T10:00:03", "2026-01-01T13:30:00", 2.5 * 3600),  # since the first that was missed
        ("0 4 * * MON", "2026-01-05T04:00:01", "2026-01-11T00:00:00", 0),
    ],
)
def test_the_lag_grows_from_the_first_run_that_was_missed(cron: str, started: str, now: str, expected: float) -> None:
    """It does not begin anew with each further run that does not come, or no alert would ever fire."""
    moments = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (started, now))
    assert due.lag(cron, "UTC", *moments) == expected


def test_a_job_that_is_late(started: Cli) -> None:
    """The metric is the lag of the job's own schedule."""
    started("sync")
    with sqlite3.connect(started.directory / "secretsync/.secretsync/ledger.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE ledger SET time = time - 3 * 3600 * 1000000")
    lag = asked(started)["secretsync_job_schedule_lag_seconds"][("example",)]
    assert 2 * 3600 <= lag <= 3 * 3600


def test_a_ledger_that_is_broken_or_out_of_reach(started: Cli) -> None:
    """Both are metrics, so that an alert can tell; what cannot be read also ends with 3."""
    started("sync")
    with sqlite3.connect(started.directory / "secretsync/.secretsync/ledger.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE ledger SET item = 'forged' WHERE seq = 3")
    assert asked(started)["secretsync_ledger_sound"] == {("heads",): 1}
    assert asked(started, "--verify")["secretsync_ledger_sound"] == {("heads",): 1, ("records",): 0}
    with sqlite3.connect(started.directory / "secretsync/.secretsync/ledger.db") as database:
        database.execute("DELETE FROM ledger WHERE seq = 11")
    assert asked(started)["secretsync_ledger_sound"] == {("heads",): 0}
    ran = started("metrics", "--ledger", "postgresql://app:hunter2-canary@127.0.0.1:1/l", SECRETSYNC_KEY="00" * 32)
    assert ran.code == 3
    assert parse(ran.out)["secretsync_ledger_up"] == {(): 0}
    assert "canary" not in ran.out + ran.err


def test_a_file_for_the_node_exporter(started: Cli) -> None:
    """Written whole, over the one before it, readable for others, and nothing is left beside it."""
    started("sync")
    place = started.directory / "metrics"
    place.mkdir()
    for _ in range(2):
        assert started("metrics", "--textfile", "metrics/secretsync.prom").out == ""
    assert [path.name for path in place.iterdir()] == ["secretsync.prom"]
    assert stat.S_IMODE((place / "secretsync.prom").stat().st_mode) & 0o044
    assert parse((place / "secretsync.prom").read_text())["secretsync_ledger_up"] == {(): 1}
    ran = started("metrics", "--textfile", "nowhere/secretsync.prom")
    assert ran.code == 2
    assert "cannot be written" in ran.err


def test_labels_are_escaped(started: Cli) -> None:
    """A schedule with quotes or backslashes stays one label; documents' names cannot hold any."""
    from secretsync_core.cli.exposition import Facts, registry
    from secretsync_core.schema.loader import load_directory

    jobs = list(load_directory(started.directory / "secretsync").jobs.values())
    from prometheus_client import generate_latest

    strange = 'a"b\\c\nd'
    text = generate_latest(registry(Facts(jobs, {}, {strange: True}, 0, datetime.now(UTC)))).decode()
    assert parse(text)["secretsync_ledger_sound"] == {(strange,): 1}


def test_without_the_library_the_extra_is_named(started: Cli) -> None:
    """Exit code 2, and the command that installs it."""
    started.write("sitecustomize.py", "import sys\nsys.modules['prometheus_client'] = None\n")
    ran = started("metrics", PYTHONPATH=f"{started.directory}:{started.environ['PYTHONPATH']}")
    assert ran.code == 2
    assert "install the extra [metrics]; see Install in the README" in ran.err
