"""The sensor that ends what a killed run worker could not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.record import Draft, Event
from secretsync_core.run import lease
from secretsync_dagster import run_reaper
from secretsync_dagster.lease_holders import holder_of
from secretsync_dagster.run_workers import _WORKER_TAG, sign_as_worker

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


def tick(lab: Lab) -> str:
    """One tick; gives what it says."""
    repository = lab.definitions.get_repository_def()
    resources = {"secretsync": repository.get_top_level_resources()["secretsync"]}
    with dg.build_sensor_context(lab.instance, repository_def=repository, resources=resources) as context:
        return str(repository.get_sensor_def(run_reaper.NAME).evaluate_tick(context).skip_message)


def _run(lab: Lab, status: dg.DagsterRunStatus = STARTED) -> str:
    job = lab.definitions.resolve_job_def("job")
    return str(lab.instance.create_run_for_job(job, status=status, tags={"secretsync/job": "job"}).run_id)


def _status(lab: Lab, run: str) -> dg.DagsterRunStatus:
    found = lab.instance.get_run_by_id(run)
    assert found is not None
    return found.status


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever signs is a process that is no more."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host, _, born, _ = lease.name_of_this_process("x").split("/")
    monkeypatch.setattr(
        "secretsync_dagster.run_workers.name_of_this_process", lambda mark: f"{host}/{gone.pid}/{born}/{mark}"
    )


@pytest.mark.usefixtures("dead")
def test_a_run_without_a_worker_is_failed_and_its_books_are_closed(lab: Lab) -> None:
    """In one tick the run has failed, its lease is free, and the ledger says how it ended."""
    lab.two_items()
    run = _run(lab)
    sign_as_worker(lab.instance, run)
    lab.ledger.leases.acquire("job", holder_of(run), 60)
    lab.ledger.runs.start("job", run)
    closed = f"run {run} was lost; the books of run {run} were closed"
    assert tick(lab) == f"{closed}; in_sync of job is red: the last run was cut off"
    assert _status(lab, run) is FAILURE
    assert lab.ledger.leases.held() == []
    last = lab.ledger.runs.summary("job").last_run
    assert last is not None
    assert (last.run, last.reason) == (run, "failed")
    assert tick(lab) == "every run has ended by itself, or goes on"
    assert asyncio.run(lab.sync()).ok


@pytest.mark.usefixtures("dead")
def test_a_lost_run_that_never_took_the_lease(lab: Lab) -> None:
    """A dry run, or one that was killed as it began: it would keep the job's queue for ever."""
    lab.two_items()
    run = _run(lab)
    sign_as_worker(lab.instance, run)
    assert "was lost" in tick(lab)
    assert _status(lab, run) is FAILURE


def test_a_run_that_goes_on_is_left_alone(lab: Lab) -> None:
    """Its worker is alive, whether it has the lease or not; and so is one that no worker has signed for yet."""
    lab.two_items()
    signed, unsigned = _run(lab), _run(lab)
    sign_as_worker(lab.instance, signed)
    lab.ledger.leases.acquire("job", holder_of(signed), 60)
    assert tick(lab) == "every run has ended by itself, or goes on"
    assert _status(lab, signed) is _status(lab, unsigned) is STARTED
    assert lab.ledger.leases.find("job") is not None


@pytest.mark.usefixtures("dead")
def test_the_signature_of_the_run_before_is_not_taken_for_ones_own(lab: Lab) -> None:
    """A re-execution gets its parent's tags, and counts only once its own worker has signed."""
    lab.two_items()
    run, other = _run(lab), _run(lab)
    sign_as_worker(lab.instance, other)
    tags = lab.instance.get_run_by_id(other).tags  # type: ignore[union-attr]
    lab.instance.add_run_tags(run, {_WORKER_TAG: tags[_WORKER_TAG]})
    lab.instance.delete_run(other)
    tick(lab)
    assert _status(lab, run) is STARTED


@pytest.mark.parametrize(("expired", "after"), [(100.0, STARTED), (130.0, FAILURE)])
def test_a_worker_on_another_machine(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, expired: float, after: dg.DagsterRunStatus
) -> None:
    """Nothing is known of its process; it counts as lost once it has not renewed its lease for a long time."""
    lab.two_items()
    monkeypatch.setattr("secretsync_dagster.run_workers.name_of_this_process", lambda mark: f"elsewhere/1/2/{mark}")
    run = _run(lab)
    sign_as_worker(lab.instance, run)
    lab.ledger.leases.acquire("job", holder_of(run), -expired)
    tick(lab)
    assert _status(lab, run) is after


def test_a_write_of_unknown_end_is_left_to_the_next_run(lab: Lab) -> None:
    """The lease is freed, the run ends with one write uncertain, and the next one looks at the destination."""
    lab.two_items()
    run = _run(lab, FAILURE)
    lab.ledger.leases.acquire("job", holder_of(run), 60)
    lab.ledger.runs.start("job", run)
    intended = Draft(Event.INTENDED, run, "1", item="alpha", dest="dst", key="alpha/1", action="create")
    lab.ledger.append("job", [intended])
    tick(lab)
    assert lab.ledger.leases.held() == []
    assert lab.ledger.runs.unsettled_runs("job") == {run: True}
    assert lab.run().success
    assert lab.ledger.runs.unsettled_runs("job") == {}


def test_no_ledger_is_made_to_find_nothing(lab: Lab) -> None:
    """Before the first run there is none, and the sensor leaves it so; leases of others are left alone."""
    lab.two_items()
    lab.ledger.leases.acquire("job", "elsewhere/1/2/abc", 60)
    lab.ledger.leases.acquire("gone", holder_of("0000"), 60)
    tick(lab)
    assert len(lab.ledger.leases.held()) == 2
    lab.ledger.close()
    for path in (lab.config / DIRECTORY).iterdir():
        path.unlink()
    assert tick(lab) == "every run has ended by itself, or goes on"
    assert list((lab.config / DIRECTORY).iterdir()) == []


def test_a_ledger_that_fails_does_not_keep_lost_runs_from_being_found(lab: Lab, dead: None) -> None:
    """The tick says what is wrong with it, and ends the run all the same."""
    lab.two_items()
    run = _run(lab)
    sign_as_worker(lab.instance, run)
    lab.ledger.close()
    (lab.config / DIRECTORY / "ledger.db").write_text("not a database")
    told = tick(lab)
    assert "is not an SQLite database" in told
    assert f"run {run} was lost" in told
    assert _status(lab, run) is FAILURE
