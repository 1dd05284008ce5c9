"""What an item's page says of its keys, green or red, and the job that finds any key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_jobs.lab import rows
from secretsync_core.errors import AccessDenied
from secretsync_dagster import held_keys

if TYPE_CHECKING:
    import pytest

    from dagster_jobs.lab import Lab


def _shown(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """The metadata of each item's last event: a materialization where it is green, else an observation."""
    found: dict[str, dict[str, Any]] = {}
    for event in result.all_events:
        shown: dg.AssetMaterialization | dg.AssetObservation
        if event.is_step_materialization:
            shown = event.step_materialization_data.materialization
        elif event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            shown = event.asset_observation_data.asset_observation
        else:
            continue
        if shown.partition is not None:
            found[shown.partition] = {name: each.value for name, each in shown.metadata.items()}
    return found


def test_a_green_item_shows_its_keys_whether_or_not_the_run_wrote_them(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Destination and source key, both versions, and the run that wrote each, in short, which is not the one that found
    nothing to do; a long list ends with how many more there are."""
    lab.job("- {name: alpha, query: {path: alpha}, keyTransform: [{prefix: prod/}]}")
    lab.fill("src", {f"alpha/{number}": {"x": str(number)} for number in range(7)})
    first = lab.run()
    assert first.success
    monkeypatch.setattr(held_keys, "_ROWS_OF_ITEM", 5)
    (shown,) = _shown(lab.run()).values()
    assert shown["keys"] == 7
    table = rows(shown["keys held"])
    assert [row["key"] for row in table[:2]] == ["prod/alpha/0 <- alpha/0", "prod/alpha/1 <- alpha/1"]
    assert " <- " in table[0]["versions"]
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d \S+, run {first.run_id[:8]}", table[0]["since"])
    assert table[5]["key"].startswith("... and 2 more")
    assert len(table) == 6


def test_a_red_item_shows_what_failed_and_what_to_do(lab: Lab) -> None:
    """Its own failures alone, named with their destinations where there are two."""
    lab.store("second")
    lab.two_items(dest="[dst, second]")
    refused = AccessDenied("not allowed", hint="grant it", store="dst", key="alpha/1")
    for name in ("dst", "second"):
        lab.fault(name).fail("write_if", refused, key="alpha/1")
    result = lab.run()
    shown = _shown(result)
    assert [row["key"] for row in rows(shown["alpha"]["failed secrets"])] == ["dst: alpha/1", "second: alpha/1"]
    assert shown["alpha"]["what to do"] == "grant it"
    assert shown["beta"]["keys"] == 4
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert str(told.description).endswith("failed: dst and second: alpha/1: not allowed")


def test_where_nothing_could_begin_each_item_says_why(lab: Lab) -> None:
    """A destination without credentials: both items show the message and the hint that the command line has."""
    lab.store("dst", "vault: {address: 'http://127.0.0.1:9', mount: kv, auth: {token: {env: NOWHERE}}}")
    lab.two_items()
    shown = _shown(lab.run())
    assert set(shown) == {"alpha", "beta"}
    assert "NOWHERE" in str(shown["alpha"])
    assert set(shown["beta"]) == {"error 1", "what to do"}


def _find(lab: Lab, **config: str) -> dg.ExecuteInProcessResult:
    job = lab.definitions.resolve_job_def("FIND_key")
    return job.execute_in_process(run_config=config, instance=lab.instance, raise_on_error=False)


def test_a_key_is_found_by_a_part_of_its_name(lab: Lab) -> None:
    """With its job, item, source and run; a key that the last run failed at comes first, with the reason."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    run = lab.run()
    result = _find(lab, key="ALPHA/")
    (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
    assert (output.metadata["held"].value, output.metadata["failed"].value) == (1, 1)
    bad, good = rows(output.metadata["keys"].value)
    assert (bad["job / item"], bad["key"]) == ("job / alpha", "dst: alpha/1 <- src: alpha/1")
    assert bad["since"].endswith("access denied by the store")
    assert good["key"] == "dst: alpha/2 <- src: alpha/2"
    assert good["since"].endswith(run.run_id)
    for wrong in ({"key": " "}, {"key": "a", "syncJob": "none"}):
        assert not _find(lab, **wrong).success


def test_there_is_nothing_to_find_before_the_first_run(lab: Lab) -> None:
    """The search ends well all the same."""
    lab.two_items()
    result = _find(lab, key="alpha")
    assert result.success
    (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
    assert {name: each.value for name, each in output.metadata.items()} == {"held": 0, "failed": 0}
