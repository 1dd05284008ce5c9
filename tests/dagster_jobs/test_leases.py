"""No two runs of one SyncJob at once, however they were started."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs.lab import failures
from secretsync_core.audit.leases import Leases
from secretsync_core.errors import AccessDenied, LeaseHeld
from secretsync_core.run import lease, steps
from secretsync_core.run.lease import Claim, hold_lease
from secretsync_core.run.record import Recorder
from secretsync_dagster import lease_holders, ops
from secretsync_dagster.lease_holders import holder_of

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab


def _hold(lab: Lab, status: dg.DagsterRunStatus) -> str:
    """Let a run of this instance, in this state, hold the lease."""
    run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def("job"), status=status)
    lab.ledger.leases.acquire("job", holder_of(run.run_id), 600)
    return str(run.run_id)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait seconds where the product waits an hour."""
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr(lease, "_LOOK_AGAIN_SECONDS", 0.05)


def test_a_second_run_waits_for_the_first(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a run of this instance goes on, another one waits in its first step, says for whom, and then does all."""
    lab.two_items()
    holder = _hold(lab, dg.DagsterRunStatus.STARTED)
    held: list[Any] = []
    waiting = threading.Event()
    asked: list[str] = []

    def is_going_on(instance: dg.DagsterInstance, of: str) -> bool:
        if asked:  # what it said when it was told so the first time is in the event log by now
            waiting.set()
        asked.append(of)
        return lease_holders.is_going_on(instance, of)

    def end() -> None:
        assert waiting.wait(60)
        held.append(lab.held())
        run = lab.instance.get_run_by_id(holder)
        assert run is not None
        lab.instance.report_run_failed(run)

    monkeypatch.setattr(ops, "is_going_on", is_going_on)
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 60.0)
    thread = threading.Thread(target=end)
    thread.start()
    result = lab.run()
    thread.join()
    assert result.success
    assert held == [{}]
    assert len(lab.held()) == 4
    told = [entry.user_message for entry in lab.instance.all_logs(result.run_id)]
    assert f"waiting for run {holder}, which syncs the same job" in told


def test_a_run_that_lost_its_lease_does_not_wait_for_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was decided for a transfer is stale by the time that another run has ended: it fails, and writes nothing."""
    lab.two_items()
    run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def("job"), status=dg.DagsterRunStatus.STARTED)
    expand = steps.expand

    async def robbed(step: steps.Step, *arguments: Any, **options: Any) -> Any:
        found = await expand(step, *arguments, **options)
        lab.ledger.leases.release("job", step.claim.holder)
        lab.ledger.leases.acquire("job", holder_of(run.run_id), 600)
        return found

    monkeypatch.setattr(steps, "expand", robbed)
    monkeypatch.setattr(lease, "PATIENCE_SECONDS", 30.0)
    began = time.monotonic()
    result = lab.run()
    assert time.monotonic() - began < 20
    assert {told["code"].value for told in failures(result).values()} == {"lease-held"}
    assert lab.held() == {}


def test_a_lease_that_is_given_back_just_now_is_taken(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose holder is gone by the time that we ask who it is, is nobody's."""
    lab.two_items()
    lab.ledger.leases.acquire("job", "somebody", 600)
    find = Leases.find

    def gone(leases: Leases, job: str) -> Any:
        leases.release(job, "somebody")
        return find(leases, job)

    monkeypatch.setattr(Leases, "find", gone)
    assert lab.run().success


def test_who_holds_a_lease_does_not_wait_for_another(lab: Lab) -> None:
    """A run of two jobs that has one of them already would wait for a run that may be waiting for it."""
    lab.two_items()
    holder = _hold(lab, dg.DagsterRunStatus.STARTED)
    run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def("job"), status=dg.DagsterRunStatus.STARTED)
    claim = Claim(holder_of(run.run_id), lambda _: False, is_worth_waiting_for=lambda _: True)
    lab.ledger.leases.acquire("other", claim.holder, 600)

    async def hold() -> None:
        async with hold_lease("job", lab.ledger, Recorder(lab.ledger, "job", claim.holder), asyncio.Event(), claim):
            pass

    with pytest.raises(LeaseHeld, match=holder):
        asyncio.run(hold())


@pytest.mark.slow
def test_a_second_run_is_refused_in_the_end_and_does_nothing(lab: Lab) -> None:
    """A run that waited in vain fails in its first step, says for whom, and writes nothing."""
    lab.two_items()
    holder = _hold(lab, dg.DagsterRunStatus.STARTED)
    result = lab.run()
    assert not result.success
    told = failures(result)["expand"]
    assert told["code"].value == "lease-held"
    assert holder in told["told"]
    assert lab.held() == {}
    assert lab.records() == []
    lease = lab.ledger.leases.find("job")
    assert lease is not None
    assert lease.holder == holder_of(holder)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_the_lease_of_a_run_that_is_over_is_taken_over(lab: Lab, status: dg.DagsterRunStatus) -> None:
    """Who was killed, terminated or failed does not keep the next run waiting."""
    lab.two_items()
    _hold(lab, status)
    assert lab.run().success
    assert lab.ledger.leases.find("job") is None


def test_a_run_of_another_instance_is_believed(lab: Lab) -> None:
    """A run that this Dagster does not know may be going on in another one that shares the ledger."""
    lab.two_items()
    lab.ledger.leases.acquire("job", holder_of("0000"), 600)
    assert failures(lab.run())["expand"]["code"].value == "lease-held"


def test_a_failed_run_does_not_keep_its_retry_waiting(lab: Lab) -> None:
    """A step that failed leaves the lease to the steps after it; the next run takes it over at once."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not lab.run().success
    assert lab.ledger.leases.find("job") is not None
    lab.faults["dst"].clear()
    assert lab.run().success


def test_the_command_line_waits_for_dagster(lab: Lab) -> None:
    """A sync from the command line is refused while a Dagster run goes on."""
    lab.two_items()
    holder = _hold(lab, dg.DagsterRunStatus.STARTED)
    with pytest.raises(LeaseHeld, match=holder):
        asyncio.run(lab.sync())
    assert lab.held() == {}


def test_dagster_waits_for_the_command_line(lab: Lab) -> None:
    """A Dagster run that begins in the middle of a sync from the command line is refused, and the sync ends well."""
    lab.two_items()
    refused: list[str] = []

    async def meanwhile(_: str) -> None:
        result = await asyncio.to_thread(lab.run)
        refused.append(failures(result)["expand"]["code"].value)

    lab.fault("dst").run("write_if", meanwhile)
    assert asyncio.run(lab.sync()).ok
    assert refused == ["lease-held"]
    assert len(lab.held()) == 4
    assert lab.run().success
