"""``driftCheck``: a schedule that executes the drift check, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs.lab import KEY, rows
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_dagster.naming import DRIFT, JOB_TAG
from secretsync_dagster.standing_checks import SCHEDULE

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

DAILY = "{schedule: '@daily'}"


class Look:
    """What a run of the drift schedule found."""

    def __init__(self, lab: Lab) -> None:
        repository = lab.definitions.get_repository_def()
        schedule = repository.get_schedule_def("job_drift_schedule")
        with dg.build_schedule_context(instance=lab.instance, repository_def=repository) as context:
            (request,) = schedule.evaluate_tick(context).run_requests or ()
        job = repository.get_job(schedule.job_name)
        self.result = job.execute_in_process(
            run_config=request.run_config, tags=request.tags, instance=lab.instance, raise_on_error=False
        )
        self.tags = self.result.dagster_run.tags
        (found,) = [each for each in self.result.get_asset_check_evaluations() if each.asset_key == KEY]
        assert found.check_name == DRIFT
        self.passed, self.told = found.passed, found.description
        self.metadata = found.metadata

    def count(self, name: str) -> Any:
        """A number, or a text, of what was found."""
        return self.metadata[name].value

    @property
    def keys(self) -> list[tuple[str, str]]:
        """The drifted keys, and how."""
        return [(row["key"], row["drift"]) for row in rows(self.metadata["drifted keys"].value)]


def test_it_says_when_and_where(lab: Lab) -> None:
    """Cron and time zone come from the document; it is on from the start, unless the document says suspend."""
    for suspend, status in (("false", "RUNNING"), ("true", "STOPPED")):
        lab.two_items(driftCheck="{schedule: '@every 30m'}", timezone="Europe/Berlin", suspend=suspend)
        schedule = lab.definitions.get_repository_def().get_schedule_def("job_drift_schedule")
        assert (schedule.cron_schedule, schedule.execution_timezone) == ("*/30 * * * *", "Europe/Berlin")
        assert schedule.default_status.name == status
        assert schedule.job_name == "job_drift"
    lab.two_items()
    schedules = lab.definitions.get_repository_def().schedule_defs
    assert [schedule.name for schedule in schedules] == [SCHEDULE]


def test_a_job_called_like_the_check_of_another_loads(lab: Lab) -> None:
    """``job`` with a drift check and a SyncJob called ``job-drift`` stand beside each other."""
    lab.two_items(driftCheck=DAILY, schedule="'@hourly'")
    text = (lab.config / "job.yaml").read_text()
    (lab.config / "other.yaml").write_text(text.replace("name: job", "name: job-drift"))
    dg.Definitions.validate_loadable(lab.definitions)
    repository = lab.definitions.get_repository_def()
    made = {schedule.name: schedule.job_name for schedule in repository.schedule_defs}
    del made[SCHEDULE]
    assert made == {
        "job_schedule": "job",
        "job_drift_schedule": "job_drift",
        "job_drift__schedule": "job_drift_",
        "job_drift__drift_schedule": "job_drift__drift",
    }


def test_green_while_the_copies_are_as_they_were_left(lab: Lab) -> None:
    """A run of the schedule executes the check alone; it writes nothing to a store, and no record to the ledger."""
    lab.two_items(driftCheck=DAILY)
    assert lab.run().success
    before, records = lab.at(), lab.records()
    look = Look(lab)
    assert (look.passed, look.count("drifted"), look.count("secrets looked at")) == (True, 0, 4)
    assert [event.step_key for event in look.result.all_events if event.is_step_start] == ["CHECK_drift_of_job"]
    assert (lab.at(), lab.records()) == (before, records)


def test_red_with_the_list_of_drifted_keys(lab: Lab) -> None:
    """A copy that somebody changed and one that somebody removed are named; a sync makes it green again."""
    lab.two_items(driftCheck=DAILY)
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    asyncio.run(lab.remove("dst", "beta/2"))
    look = Look(lab)
    assert not look.passed
    assert look.told == "2 of 4 secrets were changed or removed outside SecretSync"
    assert look.keys == [("alpha/1", "changed outside SecretSync"), ("beta/2", "removed outside SecretSync")]
    assert look.count("what to do").startswith("run the job: it puts back what its plan wants there")
    kept = lab.ledger.drift.last_look("job")
    assert kept is not None
    assert (kept.run, kept.count) == (look.result.run_id, 2)
    assert [key[1:] for key in kept.keys] == [("dst", "alpha/1", "changed"), ("dst", "beta/2", "removed")]
    assert lab.run().success
    assert Look(lab).passed


@pytest.mark.parametrize("operation", ["stat", "read"])
def test_red_where_the_copies_cannot_be_seen(lab: Lab, operation: str) -> None:
    """A destination that refuses us, as a whole or one secret of it, is no drift, and not well either."""
    lab.two_items(driftCheck=DAILY)
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "alpha/1"}})  # as it was, under another version: it has to be read
    lab.fault("dst").fail(operation, AccessDenied("not allowed", store="dst", key="alpha/1"))
    look = Look(lab)
    assert (look.passed, look.count("drifted")) == (False, 0)
    assert look.told == "1 error"
    assert "not allowed" in look.count("error 1")


def test_it_waits_for_no_sync_and_keeps_none_waiting(lab: Lab) -> None:
    """It looks while a sync holds the lease, takes none itself, and does not wait in the queue of the job's runs."""
    lab.two_items(driftCheck=DAILY)
    assert lab.run().success
    lab.ledger.leases.acquire("job", "elsewhere/1/2/abc", 600)
    look = Look(lab)
    assert look.passed
    assert JOB_TAG not in look.tags
    lease = lab.ledger.leases.find("job")
    assert lease is not None
    assert lease.holder == "elsewhere/1/2/abc"
    lab.ledger.leases.release("job", "elsewhere/1/2/abc")

    during: list[bool] = []

    async def sync(_: str) -> None:
        lab.faults["dst"].clear()
        during.append((await asyncio.to_thread(lab.run)).success)

    lab.fill("src", {"alpha/1": {"x": "new"}})
    lab.fault("dst").run("stat", sync, times=1)
    assert Look(lab).passed
    assert during == [True]
    assert lab.held()["alpha/1"] == {"x": "new"}


def test_a_store_that_is_away_leaves_the_sync_alone(lab: Lab) -> None:
    """A look that fails says so in its check; the asset's state and the other check stay as they were."""
    lab.two_items(driftCheck=DAILY)
    assert lab.run().success
    lab.fault("dst").fail("stat", StoreUnavailable("away", store="dst"))
    assert not Look(lab).passed
    record = lab.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, "in_sync"))
    assert record is not None
    assert record.event is not None
    assert record.event.dagster_event is not None
    assert record.event.dagster_event.asset_check_evaluation_data.passed
    assert lab.materialized() == {"alpha", "beta"}
