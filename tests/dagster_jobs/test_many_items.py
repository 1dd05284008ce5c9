"""Jobs of many plan items and of many secrets: steps, events and tables stay few enough to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dagster_jobs.lab import KEY, failures, moved, rows, succeeded
from secretsync_core.errors import AccessDenied
from secretsync_core.run import shards
from secretsync_dagster import metadata

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

COUNT = 120


def _static(lab: Lab) -> None:
    """A job of so many static keys, each of which is an item."""
    lab.job("\n".join(f"- {{name: k{number}, secret: {{key: k/{number}}}}}" for number in range(COUNT)))
    lab.fill("src", {f"k/{number}": {"x": str(number)} for number in range(COUNT)})


def test_static_keys_share_steps(lab: Lab) -> None:
    """A thousand static keys are no thousand steps; each is an item with a state of its own all the same."""
    _static(lab)
    result = lab.run()
    assert result.success
    assert succeeded(result) == {"expand", "transfer[ITEMS_1_of_1]", "audit"}
    assert len(lab.held()) == COUNT
    assert lab.materialized() == {f"k{number}" for number in range(COUNT)}
    assert moved(result) == {f"k{number}": [1] for number in range(COUNT)}
    assert lab.sound()


def test_one_that_fails_fails_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of items that share a step only those that failed are out of sync; from failure their step looks again."""
    monkeypatch.setattr(shards, "PART_SIZE", 40)
    monkeypatch.setattr(shards, "STEPS", 3)
    _static(lab)
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="k/7")
    result = lab.run()
    assert set(failures(result)) == {"transfer[ITEMS_1_of_3]"}
    assert failures(result)["transfer[ITEMS_1_of_3]"]["told"] == "1 of 40 secrets of 40 items failed: k/7: no"
    assert len(lab.held()) == COUNT - 1
    assert "k7" not in lab.materialized()
    lab.faults["dst"].clear()
    before = lab.at()
    assert lab.run().success
    assert {key: version for key, version in lab.at().items() if key in before} == before
    assert lab.materialized() == {f"k{number}" for number in range(COUNT)}


@pytest.mark.slow
def test_items_that_cannot_be_seen_share_steps_as_well(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that does not answer is no step an item."""
    monkeypatch.setattr(shards, "STEPS", 3)
    _static(lab)
    lab.fault("src").fail("stat", AccessDenied("no", store="src"))
    lab.fault("src").fail("list", AccessDenied("no", store="src"))
    lab.fault("src").fail("read", AccessDenied("no", store="src"))
    result = lab.run()
    assert not result.success
    assert 1 <= len(failures(result)) <= 4
    assert lab.instance.get_materialized_partitions(KEY) == set()
    lab.faults["src"].clear()
    assert lab.run().success
    assert len(lab.held()) == COUNT


@pytest.mark.slow
def test_tables_end_and_say_how_many_there_are(lab: Lab) -> None:
    """Of 5,000 secrets a table shows a hundred, and says how many more there are; of 20 it shows all."""
    lab.job("- {name: few, query: {path: few}}\n- {name: many, query: {path: many}}")
    lab.fill("src", {f"few/{number}": {"x": "1"} for number in range(20)})
    lab.fill("src", {f"many/{number}": {"x": "1"} for number in range(5000)})
    result = lab.run()
    assert result.success
    tables = {
        str(event.step_materialization_data.materialization.partition): rows(
            event.step_materialization_data.materialization.metadata["secrets"].value
        )
        for event in result.all_events
        if event.is_step_materialization
    }
    assert len(tables["few"]) == 20
    assert len(tables["many"]) == metadata.ROWS + 1
    assert tables["many"][-1]["key"] == (
        "... and 4,900 more; `secretsync audit log --run` has every write and every failure"
    )
