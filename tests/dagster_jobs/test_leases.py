"""No two runs of one SyncJob at once, however they were started."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagster_jobs.lab import failures
from secretsync_core.errors import AccessDenied, LeaseHeld
from secretsync_dagster.holders import holder_of

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab


def _hold(lab: Lab, status: dg.DagsterRunStatus) -> str:
    """Let a run of this instance, in this state, hold the lease."""
    run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def("job"), status=status)
    lab.ledger.acquire_lease("job", holder_of(run.run_id), 600)
    return str(run.run_id)


def test_a_second_run_is_refused_and_does_nothing(lab: Lab) -> None:
    """While a run of this instance goes on, another one fails in its first step, says who it is, and writes nothing."""
    lab.two_items()
    holder = _hold(lab, dg.DagsterRunStatus.STARTED)
    result = lab.run()
    assert not result.success
    told = failures(result)["expand"]
    assert told["code"].value == "lease-held"
    assert holder in told["told"]
    assert lab.held() == {}
    assert lab.records() == []
    lease = lab.ledger.lease("job")
    assert lease is not None
    assert lease.holder == holder_of(holder)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_the_lease_of_a_run_that_is_over_is_taken_over(lab: Lab, status: dg.DagsterRunStatus) -> None:
    """Who was killed, terminated or failed does not keep the next run waiting."""
    lab.two_items()
    _hold(lab, status)
    assert lab.run().success
    assert lab.ledger.lease("job") is None


def test_a_run_of_another_instance_is_believed(lab: Lab) -> None:
    """A run that this Dagster does not know may be going on in another one that shares the ledger."""
    lab.two_items()
    lab.ledger.acquire_lease("job", holder_of("0000"), 600)
    assert failures(lab.run())["expand"]["code"].value == "lease-held"


def test_a_failed_run_does_not_keep_its_retry_waiting(lab: Lab) -> None:
    """A step that failed leaves the lease to the steps after it; the next run takes it over at once."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not lab.run().success
    assert lab.ledger.lease("job") is not None
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
