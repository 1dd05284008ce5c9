"""The numbers of a whole run are those of all its steps; items have their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_jobs import worker
from dagster_jobs.lab import KEY, evaluations, moved
from secretsync_core.errors import AccessDenied

if TYPE_CHECKING:
    from pathlib import Path

    from dagster_jobs.lab import Lab


def _of_run(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The numbers that the asset's plots show of a run, which are of no item."""
    found: list[dict[str, Any]] = [
        {name.removeprefix("run: "): value.value for name, value in observed.metadata.items() if "run: " in name}
        for observed in (
            event.asset_observation_data.asset_observation for event in result.all_events if event.is_asset_observation
        )
        if observed.partition is None
    ]
    (numbers,) = found
    return numbers


def test_a_run_counts_what_all_of_its_steps_did(lab: Lab) -> None:
    """Drift that a transfer put right, the requests of expand and the transfers, and the time since the run began."""
    lab.two_items()
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "theirs"}, "alpha/2": {"x": "theirs"}, "beta/1": {"x": "theirs"}})
    result = lab.run()
    assert result.success
    (shown,) = evaluations(result)
    numbers: dict[str, Any] = {
        name: shown.metadata[name].value for name in ("copied", "drifted", "seconds", "requests")
    }
    assert (numbers["copied"], numbers["drifted"]) == (3, 3)
    last = lab.ledger.runs.summary("job").last_run
    assert last is not None
    assert numbers["requests"] == sum(last.requests.values())
    assert last.counts["drifted"] == 3
    assert numbers["seconds"] > sum(sum(moved_of) for moved_of in _seconds(result).values()) > 0
    assert {name: _of_run(result)[name] for name in numbers} == numbers
    assert moved(result, "drifted") == {"alpha": [2], "beta": [1]}


def test_a_run_of_which_an_item_failed_has_the_numbers_of_all_its_steps_too(lab: Lab, tmp_path: Path) -> None:
    """In the plots of the asset and in the check: what each of the steps told, though the last one was left out."""
    lab.instance = dg.DagsterInstance.local_temp(str(tmp_path), overrides=worker.QUIET)
    lab.two_items()
    assert worker.execute(lab.instance, str(lab.config), None).success
    lab.fill("dst", {"beta/1": {"x": "theirs"}})
    lab.fill("src", {"alpha/1": {"x": "new"}, "alpha/2": {"x": "new"}})
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    run = worker.execute(lab.instance, str(lab.config), None).run_id
    observed = [
        entry.asset_observation
        for entry in lab.instance.all_logs(run, of_type=dg.DagsterEventType.ASSET_OBSERVATION)
        if entry.asset_observation is not None and entry.asset_observation.partition is None
    ]
    shown = [each.metadata for each in observed if "run: copied" in each.metadata]
    assert [each["run: copied"].value for each in shown] == [2]
    numbers = {"copied": 2, "unchanged": 1, "failed": 1, "drifted": 1}
    assert {name: shown[0][f"run: {name}"].value for name in numbers} == numbers
    last = lab.ledger.runs.summary("job").last_run
    assert last is not None
    assert last.run == run
    newest = lab.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, "in_sync"))
    assert newest is not None
    assert newest.event is not None
    said = newest.event.asset_check_evaluation
    assert said is not None
    assert (newest.run_id, said.passed, said.description) == (run, False, "out of sync: alpha")
    assert {name: said.metadata[name].value for name in numbers} == numbers
    more: dict[str, Any] = {name: said.metadata[name].value for name in ("requests", "seconds")}
    assert more == {name: shown[0][f"run: {name}"].value for name in more}
    assert more["requests"] > 6
    assert more["seconds"] > 0


def _seconds(result: dg.ExecuteInProcessResult) -> dict[str, list[float]]:
    return moved(result, "seconds")


def test_drift_of_several_items_in_one_step_is_counted_by_item(lab: Lab) -> None:
    """Items that share a step have numbers of their own."""
    lab.job("\n".join(f"- {{name: item-{at}, secret: {{key: a/{at}}}}}" for at in range(60)))
    lab.fill("src", {f"a/{at}": {"x": "1"} for at in range(60)})
    assert lab.run().success
    lab.fill("dst", {f"a/{at}": {"x": "theirs"} for at in range(55)})
    lab.fill("src", {f"a/{at}": {"x": "new"} for at in range(55, 60)})
    shown = moved(lab.run(), "drifted")
    assert (shown["item-3"], shown["item-57"]) == ([1], [0])
