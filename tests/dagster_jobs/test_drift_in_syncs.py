"""Drift that a sync meets stands in the history of the check ``drift``; a check that is due with it comes first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (  # as the UI makes them
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)

from dagster_jobs.lab import KEY, rows
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_dagster import drift_looks, metadata
from secretsync_dagster.metadata import ROWS
from secretsync_dagster.naming import CHECK_FIRST_TAG, DRIFT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dagster_jobs.lab import Lab

MIDNIGHT = datetime(2026, 3, 4, tzinfo=UTC)


def _said(lab: Lab, result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    """What stands in the check's history of a run, oldest first: not all that was said, as Dagster keeps less."""
    found = []
    storage = lab.instance.event_log_storage
    for record in storage.get_asset_check_execution_history(dg.AssetCheckKey(KEY, DRIFT), limit=100):
        said = record.event.asset_check_evaluation if record.event is not None else None
        told = said.metadata.get("run") if said is not None else None
        if said is not None and result.run_id in (record.run_id, getattr(told, "run_id", "")):
            found.append(said)
    return found[::-1]


def _history(lab: Lab, result: dg.ExecuteInProcessResult) -> list[tuple[bool, Any, str]]:
    """The same: whether it is well, how many had drifted, and in words."""
    return [(said.passed, said.metadata["drifted"].value, str(said.description)) for said in _said(lab, result)]


def _drifted(lab: Lab) -> None:
    lab.two_items()
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    lab.take("dst", "beta/2")


def test_what_a_sync_repairs_is_red_in_the_history_and_then_green(lab: Lab) -> None:
    """A look afterwards finds nothing; the keys stand where they were found, and where all of it was put right."""
    _drifted(lab)
    result = lab.run()
    assert result.success
    one = "1 secret had been changed or removed outside SecretSync, a sync found"
    assert _history(lab, result) == [
        (False, 1, one),
        (True, 0, "2 secrets had drifted: this sync has put that right"),
    ]
    right = _said(lab, result)[-1]
    assert {row["key"] for row in rows(right.metadata["put right"].value)} == {"alpha/1", "beta/2"}
    assert _history(lab, lab.run()) == []


def test_a_run_of_the_asset_says_at_its_end_what_it_put_right(lab: Lab) -> None:
    """Dagster plans the check there, and keeps one entry of it: nothing that was said before stands above that."""
    _drifted(lab)
    result = lab.materialize("alpha", "beta")
    assert result.success
    assert _history(lab, result) == [(True, 0, "2 secrets had drifted: this sync has put that right")]
    newest = lab.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, DRIFT))
    assert newest is not None
    assert newest.run_id == result.run_id
    assert {row["key"] for row in rows(_said(lab, result)[-1].metadata["put right"].value)} == {"alpha/1", "beta/2"}


@pytest.mark.slow
def test_what_a_sync_cannot_repair_stays_red(lab: Lab) -> None:
    """Nor does one say that it put right what it is to leave alone."""
    _drifted(lab)
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert {passed for passed, *_ in _history(lab, lab.run())} == {False}
    # Nor does a run of the other item know of it, after which it stays red; only one of all items does.
    found = "2 secrets had been changed or removed outside SecretSync, a sync found"
    for _ in range(2):
        assert _history(lab, lab.run(items=["beta"])) == [(False, 2, f"this run did not look; before: {found}")]
    lab.faults["dst"].clear()
    assert [passed for passed, *_ in _history(lab, lab.run())] == [False, True]
    assert _history(lab, lab.run()) == []
    lab.two_items(writePolicy="IfNotExists")
    lab.fill("dst", {"alpha/1": {"x": "theirs again"}})
    result = lab.run()
    assert result.success
    assert {passed for passed, *_ in _history(lab, result)} == {False}


def test_a_later_run_says_that_what_was_met_is_right_by_now(lab: Lab) -> None:
    """A run repaired its drift and failed for something else: the check is red until a run has gone well."""
    _drifted(lab)
    lab.fill("src", {"beta/1": {"x": "new"}})
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="beta/1")
    result = lab.run()
    # The first step's finding, and what the run says in all.
    assert [(passed, count) for passed, count, _ in _history(lab, result)] == [(False, 1), (False, 2)]
    keys = rows(_said(lab, result)[-1].metadata["drifted keys"].value)
    assert {row["key"] for row in keys} == {"alpha/1", "beta/2"}
    lab.faults["dst"].clear()
    assert _history(lab, lab.run()) == [(True, 0, "what earlier syncs found to have drifted is as it should be")]


def test_a_key_is_counted_once_however_often_its_step_is_tried(lab: Lab) -> None:
    """The second attempt finds the same copy that was changed, after another step has found one of its own."""
    lab.two_items()
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "theirs"}, "beta/1": {"x": "theirs"}})
    lab.fault("dst").fail("write_if", StoreUnavailable("not now", store="dst"), key="alpha/1", times=1)
    result = lab.run()
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == ["transfer[alpha]"]
    events = [event.asset_check_evaluation_data for event in result.all_events if _is_of_drift(event)]
    assert [said.metadata["drifted"].value for said in events] == [1, 2, 2, 0]
    assert sorted(row["key"] for row in rows(events[-2].metadata["drifted keys"].value)) == ["alpha/1", "beta/1"]


def _is_of_drift(event: dg.DagsterEvent) -> bool:
    is_check = event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    return is_check and event.asset_check_evaluation_data.check_name == DRIFT


def test_of_more_keys_than_a_table_shows_a_second_attempt_finds_the_same() -> None:
    """Its table has the first hundred, and one row that says how many more; what another step finds is added."""
    keys = [(f"alpha/{number:03}", "alpha", "changed") for number in range(ROWS)]
    first = drift_looks._evaluation(KEY, ROWS + 5, metadata.drift_rows(keys, ROWS + 5))
    again = drift_looks._together(first, first)
    other = drift_looks._evaluation(KEY, 1, metadata.drift_rows([("beta/1", "beta", "removed")], 1))
    both = drift_looks._together(again, other)
    assert [said.metadata["drifted"].value for said in (again, both)] == [ROWS + 5, ROWS + 6]
    for said, more in ((again, 5), (both, 6)):
        table = rows(said.metadata["drifted keys"].value)
        assert len({row["key"] for row in table}) == len(table) == ROWS + 1
        assert table[-1]["key"].startswith(f"... and {more} more")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with the states of schedules, which one in memory does not have."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def _tick(lab: Lab, instance: dg.DagsterInstance, name: str, at: datetime) -> Any:
    repository = lab.definitions.get_repository_def()
    schedule = repository.get_schedule_def(name)
    with dg.build_schedule_context(instance, repository_def=repository, scheduled_execution_time=at) as context:
        return schedule.evaluate_tick(context)


def _switch_off(instance: dg.DagsterInstance, schedule: str) -> None:
    where = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")
    origin = RemoteInstigatorOrigin(where, schedule)
    data = ScheduleInstigatorData("@daily", None)
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.STOPPED, data))


def test_a_check_that_is_due_with_a_sync_comes_first(lab: Lab, kept: dg.DagsterInstance) -> None:
    """At midnight both are due: the sync looks before it writes, and the check's own schedule leaves that to it."""
    lab.two_items(schedule="'@daily'", driftCheck="{schedule: '@hourly'}")
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    skipped = _tick(lab, kept, "job_drift_schedule", MIDNIGHT)
    assert not skipped.run_requests
    assert "job_schedule is due in the same second" in skipped.skip_message
    (request,) = _tick(lab, kept, "job_schedule", MIDNIGHT).run_requests
    job = lab.definitions.resolve_job_def("job")
    result = job.execute_in_process(tags=request.tags, instance=lab.instance)
    found, *_, right = _history(lab, result)
    assert found == (False, 1, "1 of 4 secrets were changed or removed outside SecretSync")
    assert right[0]
    look = lab.ledger.drift.last_look("job")
    assert look is not None
    assert (look.run, look.count) == (result.run_id, 1)


@pytest.mark.parametrize("off", [False, True])
def test_a_check_that_is_due_alone_runs_alone(lab: Lab, kept: dg.DagsterInstance, off: bool) -> None:
    """At one o'clock, or where somebody has switched the sync's schedule off."""
    lab.two_items(schedule="'@daily'", driftCheck="{schedule: '@hourly'}")
    if off:
        _switch_off(kept, "job_schedule")
    at = MIDNIGHT if off else MIDNIGHT.replace(hour=1)
    assert _tick(lab, kept, "job_drift_schedule", at).run_requests
    lab.two_items(schedule="'30 0 * * *'", driftCheck="{schedule: '@hourly'}")
    (request,) = _tick(lab, kept, "job_schedule", MIDNIGHT.replace(minute=30)).run_requests
    assert CHECK_FIRST_TAG not in request.tags
