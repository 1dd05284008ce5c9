"""A run undone from the Launchpad: its plan first, then, on request, what the plan shows; and never by mistake."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from run.world import actions
from support.slow import one_in

from dagster_jobs.lab import checked, failures, planned, rows
from secretsync_core.audit.record import Event
from secretsync_core.errors import StoreUnavailable
from secretsync_dagster.run_config import asked_of, only_looks

if TYPE_CHECKING:
    import dagster as dg

    from dagster_jobs.lab import Lab

AFTER = {"alpha/1": {"x": "new"}, "alpha/2": {"x": "alpha/2"}, "alpha/3": {"x": "3"}, "beta/1": {"x": "beta/1"}}
BEFORE = {key: {"x": key} for key in ("alpha/1", "alpha/2", "beta/1", "beta/2")}


def _rotated(lab: Lab) -> str:
    """A run of Dagster's that updated, created and deleted a secret; gives it."""
    lab.two_items(deletionPolicy="Delete", maxDelete="5")
    assert lab.run().success
    lab.fill("src", {"alpha/1": {"x": "new"}, "alpha/3": {"x": "3"}})
    asyncio.run(lab.remove("src", "beta/2"))
    result = lab.run()
    assert result.success
    assert lab.held() == AFTER
    return result.run_id


def _shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of what ``expand`` tells the audit."""
    (shown,) = [
        event.step_output_data.metadata
        for event in result.all_events
        if event.is_successful_output and event.step_output_data.output_name == "manifest"
    ]
    return dict(shown)


@pytest.mark.parametrize("more", one_in(2, [{}, {"dryRun": True}]), ids=["by default", "as a dry run"])
def test_the_plan_comes_first(lab: Lab, more: dict[str, Any]) -> None:
    """Naming a run shows what undoing it would do, key by key, and writes nothing, to no store and no ledger."""
    run = _rotated(lab)
    records = lab.records()
    result = lab.run(undo={"run": run, "apply": bool(more)}, **more)
    assert result.success
    shown = _shown(result)
    assert {row["key"]: planned(row)[0] for row in rows(shown["plan"].value)} == {
        "alpha/1": "update",
        "alpha/3": "delete",
        "beta/2": "create",
    }
    assert (shown["would update"].value, shown["would delete"].value) == (1, 1)
    assert "makes these changes again" in shown["warning 1"].value
    assert lab.held() == AFTER
    assert lab.records() == records
    assert only_looks(asked_of(result.dagster_run, "job"))


def test_apply_does_it(lab: Lab) -> None:
    """With ``apply`` the run is undone by this one, which tells what it did; the check is red until the next sync."""
    run = _rotated(lab)
    result = lab.run(undo={"run": run, "apply": True})
    assert result.success
    assert lab.held() == BEFORE
    shown = _shown(result)
    assert {row["key"]: row["result"].partition(":")[0] for row in rows(shown["undone"].value)} == {
        "alpha/1": "updated",
        "alpha/3": "deleted",
        "beta/2": "created",
    }
    (start,) = [
        record.draft
        for record in lab.records()
        if record.draft.run == result.run_id and record.draft.event is Event.RUN_STARTED
    ]
    assert (start.reason, start.intent) == ("undo", run)
    assert checked(result) == [False]
    assert lab.ledger.runs.unfinished("job") == []
    assert lab.ledger.leases.find("job") is None
    assert lab.sound()
    assert not only_looks(asked_of(result.dagster_run, "job"))
    again = lab.run()
    assert again.success
    assert lab.held() == AFTER
    assert checked(again) == [True]


def test_the_undo_is_undone(lab: Lab) -> None:
    """The run that undid another can be undone from the Launchpad too, and the next sync finds nothing to do."""
    run = _rotated(lab)
    first = lab.run(undo={"run": run, "apply": True})
    assert lab.run(undo={"run": first.run_id, "apply": True}).success
    assert lab.held() == AFTER
    assert set(actions(asyncio.run(lab.plan())).values()) == {"unchanged"}


def test_some_keys_alone(lab: Lab) -> None:
    """``keys`` undoes these and no others, and leaves the other item in sync."""
    run = _rotated(lab)
    assert lab.run(undo={"run": run, "keys": ["alpha/3"], "apply": True}).success
    assert lab.held() == {key: value for key, value in AFTER.items() if key != "alpha/3"}
    assert [each.item for each in lab.ledger.items.out_of_sync("job")] == ["alpha"]


def test_what_cannot_be_undone_fails_the_step_and_is_listed(lab: Lab) -> None:
    """A key that was changed since stays, the others go back, and the step fails with a table of why."""
    run = _rotated(lab)
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    result = lab.run(undo={"run": run, "apply": True})
    assert not result.success
    told = failures(result)["expand"]
    assert told["told"] == f"1 secret of run {run} could not be undone: alpha/1: kept: changed outside SecretSync"
    assert [(row["key"], row["result"]) for row in rows(told["not undone"].value)] == [
        ("alpha/1", "refused: kept: changed outside SecretSync")
    ]
    assert lab.held() == {**BEFORE, "alpha/1": {"x": "theirs"}}
    assert lab.ledger.runs.unfinished("job") == []


def test_a_step_that_failed_goes_on_where_it_was(lab: Lab) -> None:
    """Where the store is away for a moment the step is tried again, and does what is left."""
    run = _rotated(lab)
    lab.fault("dst").fail("undelete", StoreUnavailable("down"), times=1)
    result = lab.run(undo={"run": run, "apply": True})
    assert result.success
    assert lab.held() == BEFORE
    assert lab.sound()


def test_a_call_that_is_wrong(lab: Lab) -> None:
    """A slip in the Launchpad fails the first step in words, and nothing is written."""
    run = _rotated(lab)
    slips: list[tuple[dict[str, Any], str]] = [
        ({"undo": {"run": "nope"}}, "the ledger has no run with that id"),
        ({"undo": {"run": run, "keys": ["gamma"]}}, "wrote no key of that name"),
        ({"undo": {"run": run}, "items": ["alpha"]}, "`items` says how to sync"),
        ({"undo": {"run": run}, "adopt": ["a"], "verify": True}, "`adopt`, `verify` say how to sync"),
        ({"undo": {"run": "", "apply": True}}, "`undo` names no run"),
        ({"undo": {"run": "", "keys": ["gamma"]}}, "`undo` names no run"),
    ]
    for config, told in slips:
        assert told in failures(lab.run(**config))["expand"]["told"]
    assert lab.held() == AFTER


def test_a_run_of_another_job(lab: Lab) -> None:
    """A run that the ledger knows of another SyncJob is undone there, and not here."""
    _rotated(lab)
    lab.ledger.runs.start("other", "of-other")
    assert "wrote nothing of that" in failures(lab.run(undo={"run": "of-other"}))["expand"]["told"]
