"""Re-execution as the UI does it: from failure, and of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagster_jobs import worker
from secretsync_core.errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dagster_jobs.lab import Lab


@pytest.fixture
def execute(lab: Lab, tmp_path: Path) -> Callable[..., tuple[dg.JobExecutionResult, set[str]]]:
    """Executes the job with an instance on disk; gives its result, and the steps that were started."""
    home = tmp_path / "home"
    home.mkdir()
    lab.instance = dg.DagsterInstance.local_temp(str(home), overrides=worker.QUIET)

    def run(parent: str = "") -> tuple[dg.JobExecutionResult, set[str]]:
        options = dg.ReexecutionOptions.from_failure(parent, lab.instance) if parent else None
        result = worker.execute(lab.instance, str(lab.config), options)
        return result, {str(event.step_key) for event in result.all_events if event.is_step_start}

    return run


def test_from_failure_only_what_failed_is_synced_again(
    lab: Lab, execute: Callable[..., tuple[dg.JobExecutionResult, set[str]]]
) -> None:
    """The failed item's step and the audit run; of that item only what is not in place is written, and of the run's
    numbers what it did itself."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    first, _ = execute()
    assert not first.success
    before = lab.at()
    lab.faults["dst"].clear()
    lab.faults["dst"].log.clear()
    again, started = execute(first.run_id)
    assert again.success
    assert started == {"transfer[alpha]", "audit"}
    assert [key for operation, key in lab.faults["dst"].log if operation.startswith("write")] == ["alpha/1"]
    after = lab.at()
    assert {key: after[key] for key in before} == before
    assert lab.materialized() == {"alpha", "beta"}
    assert [_copied(lab, each.run_id) for each in (first, again)] == [[3], [1]]
    assert lab.sound()
    assert lab.ledger.runs.unfinished("job") == []


def _copied(lab: Lab, run: str) -> list[object]:
    """What the point of a run says in the plot of whole runs."""
    events = [
        entry.dagster_event for entry in lab.instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_OBSERVATION)
    ]
    told = [event.asset_observation_data.asset_observation for event in events if event is not None]
    return [each.metadata["run: copied"].value for each in told if "run: copied" in each.metadata]


def test_from_failure_looks_anew_at_what_it_writes(
    lab: Lab, execute: Callable[..., tuple[dg.JobExecutionResult, set[str]]]
) -> None:
    """What moved between the run and its re-execution is synced as it is now, not as it was decided then."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    first, _ = execute()
    lab.faults["dst"].clear()
    lab.fill("src", {"alpha/1": {"x": "newer"}, "alpha/2": {"x": "newer"}})
    lab.fill("dst", {"alpha/2": {"x": "theirs"}})
    again, _ = execute(first.run_id)
    assert again.success
    assert lab.held()["alpha/1"] == lab.held()["alpha/2"] == {"x": "newer"}


def test_an_item_in_parts_is_well_once_all_of_them_are(
    lab: Lab, execute: Callable[..., tuple[dg.JobExecutionResult, set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large item's parts are steps of their own; a failed part alone is executed again."""
    monkeypatch.setattr("secretsync_core.run.shards.PART_SIZE", 2)
    lab.job("- {name: all, query: {recursive: true}}", limits="{shards: 3}")
    lab.fill("src", {f"k{number}": {"x": str(number)} for number in range(6)})
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="k2")
    first, started = execute()
    parts = {f"transfer[all_PART_{number}_of_3]" for number in (1, 2, 3)}
    assert started == {"expand", *parts}
    assert lab.materialized() == set()
    lab.faults["dst"].clear()
    again, started = execute(first.run_id)
    assert again.success
    assert started == {"transfer[all_PART_2_of_3]", "audit"}
    assert len(lab.held()) == 6
    assert lab.materialized() == {"all"}
