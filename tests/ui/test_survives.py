"""The programs behind the UI die, runs are terminated and fail: what the daemon and the buttons make of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from dagster_jobs import programs
from dagster_jobs.processes import wait_until

from secretsync_core.audit.keys import load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(300)]


@pytest.fixture
def ledger(ui: WebUi, stage: Stage) -> Iterator[Ledger]:
    """The ledger of the code location."""
    home = stage.directory / ".secretsync"
    wait_until(lambda: (home / "ledger.db").exists() or not programs.status(ui, programs.launch(ui, "press")))
    with Ledger.open(home / "ledger.db", seal_key=load_key(environ={}, directory=home, create=False).seal) as opened:
        yield opened


def _written(stage: Stage, job: str) -> dict[Path, int]:
    """When each copy was written."""
    top = stage.directory / f"{job}-dest"
    return {path: path.stat().st_mtime_ns for path in top.rglob("*") if path.is_file() and "key-" in path.name}


def _assert_closed(ledger: Ledger, job: str) -> None:
    """No run of the job is open, its lease is free, and its chain holds."""
    assert ledger.runs.unfinished(job) == []
    assert ledger.leases.find(job) is None
    assert all(report.sound for report in ledger.verify(job))


@pytest.mark.slow
def test_the_code_server_dies_with_its_run(ui: WebUi, stage: Stage, ledger: Ledger) -> None:
    """The lost run is found and failed, the daemon executes it again, and each copy was written once."""
    run = programs.launch(ui, "crash", {"dagster/max_retries": "1"})
    wait_until(lambda: len(_written(stage, "crash")) >= 2, 120)
    programs.kill_code_server(ui)
    assert ui.wait_for(run, 180) == "FAILURE"
    assert ui.wait_for(programs.retried_by_the_daemon(ui, run), 180) == "SUCCESS"
    assert len(_written(stage, "crash")) == 9
    _assert_closed(ledger, "crash")
    records = [record.draft for record in ledger.records(job="crash")]
    done = [draft.key for draft in records if draft.event is Event.DONE]
    assert len(done) == len(set(done)) == 9


@pytest.mark.slow
def test_terminate_ends_a_run(ui: WebUi, stage: Stage, ledger: Ledger) -> None:
    """Within seconds it is canceled, its lease is free, and the ledger has the end; From failure does the rest."""
    for item in ("team-a", "team-b", "team-c"):
        for number in range(3):
            stage.write(f"{item}/key-{number}", {"host": "moved.internal", "port": str(number)})
    run = programs.launch(ui, "crash")
    announced = ledger.runs.summary("crash").records
    wait_until(lambda: ledger.runs.summary("crash").records >= announced + 4, 120)
    programs.terminate(ui, run)
    asked = time.monotonic()
    assert ui.wait_for(run) == "CANCELED"
    assert time.monotonic() - asked < 20
    _assert_closed(ledger, "crash")
    last = ledger.runs.summary("crash").last_run
    assert last is not None
    assert (last.run, last.reason) == (run, "stopped")
    again = programs.execute_again(ui, run, "FROM_FAILURE")
    assert ui.wait_for(again, 180) == "SUCCESS"
    assert all("moved.internal" in text for text in stage.dest("crash").values())
    _assert_closed(ledger, "crash")


def test_the_daemon_retries_what_failed(ui: WebUi, stage: Stage, ledger: Ledger) -> None:
    """An automatic retry of a run of which one secret failed writes that secret, and nothing else."""
    tags = {"dagster/max_retries": "1", "dagster/retry_on_asset_or_op_failure": "true"}
    run = programs.launch(ui, "again", tags)
    assert ui.wait_for(run) == "FAILURE"
    stage.write("again-broken/key-0", {"host": "broken.internal", "port": "2"})
    before = _written(stage, "again")
    assert len(before) == 10
    again = programs.retried_by_the_daemon(ui, run)
    assert ui.wait_for(again, 180) == "SUCCESS"
    after = _written(stage, "again")
    assert {path: after[path] for path in before} == before
    assert len(after) == 11
    assert set(programs.steps(ui, again)) == {"expand", "transfer[again_broken]", "audit"}
    _assert_closed(ledger, "again")
