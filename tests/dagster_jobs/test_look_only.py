"""A destination that shows no values, in Dagster: refusals, drift and dry runs as on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster_jobs.lab import checked, moved, planned, rows
from dagster_jobs.test_drift_schedule import DAILY, Look

if TYPE_CHECKING:
    import dagster as dg

    from dagster_jobs.lab import Lab

THEIRS = "it exists, is not managed by this job, and its value cannot be read to compare"


def _planned(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What a dry run shows: its plan by key, and the rest of its numbers and warnings."""
    (outputs,) = [
        event.step_output_data.metadata
        for event in result.all_events
        if event.is_successful_output and event.step_output_data.output_name == "manifest"
    ]
    return {**outputs, "plan": {row["key"]: planned(row) for row in rows(outputs["plan"].value)}}


def test_what_is_not_the_jobs_is_refused_until_it_is_adopted(lab: Lab) -> None:
    """A dry run says why and what to do, a run fails and leaves it, and ``adopt`` in the Launchpad writes it."""
    lab.unread("dst")
    lab.two_items()
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    shown = _planned(lab.run(dryRun=True))
    assert shown["plan"]["alpha/1"] == ("refuse", THEIRS)
    assert "whose values cannot be read to compare" in str(shown["warning 1"].value)
    assert not lab.run().success
    assert lab.held() == {"alpha/1": {"x": "theirs"}, **{key: {"x": key} for key in ("alpha/2", "beta/1", "beta/2")}}
    result = lab.run(adopt=["alpha/1"])
    assert (result.success, checked(result), lab.held()["alpha/1"]) == (True, [True], {"x": "alpha/1"})


def test_drift_is_red_and_put_right(lab: Lab) -> None:
    """The check names what others changed and removed, by versions alone; the next run writes both, and no more."""
    lab.unread("dst")
    lab.two_items(driftCheck=DAILY)
    assert lab.run().success
    assert Look(lab).passed
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    lab.take("dst", "beta/2")
    look = Look(lab)
    assert look.keys == [("alpha/1", "changed outside SecretSync"), ("beta/2", "removed outside SecretSync")]
    assert (look.passed, look.count("may not be read")) == (False, 0)
    would = _planned(lab.run(dryRun=True))["plan"]
    assert would["alpha/1"] == ("update", "changed outside SecretSync: its value cannot be read to compare")
    assert would["beta/2"][0] == "create"
    result = lab.run()
    assert moved(result) == {"alpha": [1], "beta": [1]}
    assert moved(result, "drifted") == {"alpha": [1], "beta": [1]}
    assert lab.held() == {key: {"x": key} for key in ("alpha/1", "alpha/2", "beta/1", "beta/2")}
    assert Look(lab).passed
    before = lab.at()
    assert moved(lab.run(verify=True), "unchanged") == {"alpha": [2], "beta": [2]}
    assert lab.at() == before
