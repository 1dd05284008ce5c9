"""A dry run says at first sight that it is one, and shows all of its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster_jobs.lab import planned, rows
from secretsync_dagster import plans
from secretsync_dagster.naming import DRY_RUN_TAG

if TYPE_CHECKING:
    import dagster as dg
    import pytest

    from dagster_jobs.lab import Lab


def _outputs(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (shown,) = [
        event.step_output_data.metadata
        for event in result.all_events
        if event.is_successful_output and event.step_output_data.output_name == "manifest"
    ]
    return dict(shown)


def _logged(lab: Lab, result: dg.ExecuteInProcessResult) -> list[str]:
    return [str(entry.user_message) for entry in lab.instance.all_logs(result.run_id) if entry.dagster_event is None]


def _tag(lab: Lab, result: dg.ExecuteInProcessResult) -> str | None:
    run = lab.instance.get_run_by_id(result.run_id)
    assert run is not None
    return run.tags.get(DRY_RUN_TAG)


def test_it_says_so_at_first_sight(lab: Lab) -> None:
    """The run has a tag, its log begins with it, and it is in the output of ``expand``; a run that syncs has no tag."""
    lab.two_items()
    dry = lab.run(dryRun=True)
    assert _tag(lab, dry) == "true"
    assert _logged(lab, dry)[0] == plans.ONLY_LOOKS
    assert "DRY RUN" in str(_outputs(dry)["dry run"].value)
    assert any(text.startswith("Plan: 4 to create") for text in _logged(lab, dry))
    assert _tag(lab, lab.run()) is None


def test_a_plan_of_an_undo_is_a_dry_run_too(lab: Lab) -> None:
    """A run that shows what an undo would do says that it only looks; one that undoes does not."""
    lab.two_items()
    run = lab.run().run_id
    assert _tag(lab, lab.run(undo={"run": run})) == "true"
    assert _tag(lab, lab.run(undo={"run": run, "apply": True})) is None


def test_a_sync_that_was_made_of_a_dry_run_does_not_call_itself_one(lab: Lab) -> None:
    """A run that is executed again takes its parent's tags along; it takes this one's word back where it writes."""
    lab.two_items()
    job = lab.definitions.resolve_job_def("job")
    result = job.execute_in_process(run_config={}, instance=lab.instance, tags={DRY_RUN_TAG: "true"})
    assert len(lab.held()) == 4
    assert _tag(lab, result) == "false"


def test_deletes_and_refusals_come_first_and_are_all_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """They open the table; what does not fit into it is in the log, line by line, and the rest is counted by prefix."""
    monkeypatch.setattr(plans, "ROWS", 5)
    monkeypatch.setattr(plans, "_LINES", 2)
    lab.job("- {name: all, query: {recursive: true}}", deletionPolicy="Delete", maxDelete="50")
    lab.fill("src", {f"goes/{number}": {"x": "1"} for number in range(8)})
    assert lab.run().success
    lab.fill("src", {f"new/{number}": {"x": "1"} for number in range(3)})
    for number in range(8):
        lab.take("src", f"goes/{number}")
    result = lab.run(dryRun=True)
    outputs = _outputs(result)
    table = rows(outputs["plan"].value)
    assert [(row["key"], planned(row)[0]) for row in table] == [(f"goes/{number}", "delete") for number in range(5)]
    assert outputs["stores"].value == "src -> dst"
    more = str(outputs["more of the plan"].value)
    assert "more: to create (3), to delete (3);" in more
    assert {"keys": "new/", "would": "3 to create"} in rows(outputs["more by the first part of the key"].value)
    assert "`secretsync plan job` shows every key" in more
    log = "\n".join(_logged(lab, result))
    assert all(f"delete src -> dst: goes/{number}: gone from the source" in log for number in range(5, 8))
    assert "ledger has all" not in more + log


def test_several_stores_are_a_column(lab: Lab) -> None:
    """Only where a job goes between several stores each row says between which."""
    lab.store("second")
    lab.job("- {name: all, query: {}}", dest="[dst, second]")
    lab.fill("src", {"a": {"x": "1"}})
    table = rows(_outputs(lab.run(dryRun=True))["plan"].value)
    assert [(row["key"], row["stores"]) for row in table] == [("a", "src -> dst"), ("a", "src -> second")]
