"""Dagster tells of a write of which nobody knows, as the command line does, and its next run settles it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagster_jobs import worker
from dagster_jobs.lab import KEY, evaluations, failures, rows

if TYPE_CHECKING:
    from pathlib import Path

    from dagster_jobs.lab import Lab


@pytest.fixture
def lab(lab: Lab, tmp_path: Path) -> Lab:
    """A lab whose instance is on disk, for runs as a run worker makes them."""
    home = tmp_path / "home"
    home.mkdir()
    lab.instance = dg.DagsterInstance.local_temp(str(home), overrides=worker.QUIET)
    lab.two_items(deletionPolicy="Delete", maxDelete="100%")
    return lab


def _execute(lab: Lab) -> dg.ExecuteJobResult:
    return worker.execute(lab.instance, str(lab.config), None)


def _story(lab: Lab, key: str) -> list[tuple[str, str]]:
    return [(str(record.draft.event), record.draft.reason) for record in lab.records() if record.draft.key == key]


def test_it_is_told_and_settled(lab: Lab) -> None:
    """Step, check, asset and ledger say that it is uncertain and what comes next; the next run finds it made."""
    lab.lose("alpha/1", done=True)
    result = _execute(lab)
    assert not result.success
    told = failures(result)["transfer[alpha]"]
    assert "1 secret uncertain: the next run looks at the destination and settles it" in told["told"]
    assert told["uncertain"].value == 1
    assert [row["result"].partition(":")[0] for row in rows(told["failed secrets"])] == ["uncertain"]
    (check,) = [one for one in evaluations(result) if not one.passed]
    assert check.description == (
        "out of sync: alpha; 1 secret uncertain: the next run looks at the destination and settles it"
    )
    assert check.metadata["uncertain"].value == 1
    last = lab.ledger.runs.summary("job").last_run
    assert last is not None
    assert (last.run, last.ok, last.counts["uncertain"]) == (result.run_id, False, 1)
    assert _story(lab, "alpha/1") == [("intended", "new")]

    lab.fault("dst").clear()
    result = _execute(lab)
    assert result.success
    assert [one.passed for one in evaluations(result)] == [True]
    assert _story(lab, "alpha/1") == [("intended", "new"), ("done", "settled")]
    assert lab.state()["dst", "alpha/1"].owned
    assert lab.ledger.runs.unsettled_runs("job") == {}
    assert lab.sound()


def test_a_step_that_is_tried_again_looks_first(lab: Lab) -> None:
    """Where the destination can be seen again by the step's next attempt, that one settles it and the run is well."""
    lab.lose("alpha/1", done=True)
    faults = lab.fault("dst")

    async def again(_: str) -> None:
        faults.clear()

    faults.run("read", again, key="alpha/1", first=2)
    result = _execute(lab)
    assert result.success
    assert [event for event, _ in _story(lab, "alpha/1")] == ["intended", "done"]
    assert lab.state()["dst", "alpha/1"].owned


def test_what_an_earlier_run_left_is_told_by_the_last_step(lab: Lab) -> None:
    """A run that has nothing else to do says so of it, leaves its item out of sync, and does not write there."""
    lab.lose("alpha/1", done=True)
    assert not asyncio.run(lab.sync()).ok
    before = lab.at()
    result = _execute(lab)
    assert not result.success
    assert set(failures(result)) == {"audit"}
    told = [one for one in evaluations(result) if not one.passed]
    assert {one.metadata["uncertain"].value for one in told} == {1}  # each of its attempts says so
    assert lab.instance.get_materialized_partitions(KEY) == {"beta"}
    assert lab.at() == before
    lab.fault("dst").clear()
    assert _execute(lab).success
    assert lab.at() == before
