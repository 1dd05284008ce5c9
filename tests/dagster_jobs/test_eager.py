"""``automation: Eager``: what one SyncJob writes, another one reads, and follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs.lab import TWO_ITEMS

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

NEXT = dg.AssetKey(["sync", "next"])


def _chain(lab: Lab, **spec: str) -> None:
    """A job from `src` to `dst`, and another one from `dst` to `far`."""
    lab.two_items()
    lab.store("far")
    told = "".join(f"  {name}: {value}\n" for name, value in spec.items())
    (lab.config / "next.yaml").write_text(
        "apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {name: next}\nspec:\n"
        f"  source: dst\n  dest: far\n{told}  plan:\n" + "".join(f"    {line}\n" for line in TWO_ITEMS.splitlines())
    )


def _tick(lab: Lab, cursor: Any = None) -> Any:
    return dg.evaluate_automation_conditions(lab.definitions, lab.instance, cursor=cursor)


def test_it_follows_the_sync_that_writes_its_source(lab: Lab) -> None:
    """All of its items are requested after a run of the other job, once; and none without one."""
    _chain(lab, automation="Eager")
    dg.Definitions.validate_loadable(lab.definitions)
    tick = _tick(lab)
    assert tick.total_requested == 0
    assert lab.run().success
    tick = _tick(lab, tick.cursor)
    assert tick.get_requested_partitions(NEXT) == {"alpha", "beta"}
    assert tick.total_requested == 2
    tick = _tick(lab, tick.cursor)
    assert tick.total_requested == 0
    assert lab.run().success
    assert _tick(lab, tick.cursor).get_requested_partitions(NEXT) == {"alpha", "beta"}


@pytest.mark.parametrize("spec", [{}, {"automation": "Eager", "suspend": "true"}])
def test_without_it_nothing_follows(lab: Lab, spec: dict[str, str]) -> None:
    """Nor does a job that is suspended; no sensor is there to look."""
    _chain(lab, **spec)
    assert not [each for each in lab.definitions.sensors or () if each.name == "secretsync_eager"]
    assert all(each.automation_condition is None for each in lab.definitions.resolve_all_asset_specs())


def test_the_sensor_is_on_from_the_start(lab: Lab) -> None:
    """And looks after all jobs that ask for it, and no other: for one that was left, Dagster would add a sensor."""
    _chain(lab, automation="Eager")
    repository = lab.definitions.get_repository_def()
    (sensor,) = [each for each in repository.sensor_defs if each.name == "secretsync_eager"]
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    graph = repository.asset_graph
    asking = {key for key in graph.get_all_asset_keys() if graph.get(key).automation_condition is not None}
    assert sensor.asset_selection.resolve(graph) == asking == {NEXT}
