"""What a run of the job does, and what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagster_jobs.lab import checked, evaluations, failures, moved, planned, rows, succeeded
from secretsync_core.audit.counts import results_of
from secretsync_core.errors import AccessDenied, StoreUnavailable

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

ALL = {"alpha/1", "alpha/2", "beta/1", "beta/2"}


def test_a_whole_run_copies_all_and_shows_each_item_once(lab: Lab) -> None:
    """One press: all is in place, every item is shown as in sync with what was copied, and the check is green."""
    lab.two_items()
    result = lab.run()
    assert result.success
    assert set(lab.held()) == ALL
    assert succeeded(result) == {"expand", "transfer[alpha]", "transfer[beta]", "audit"}
    assert lab.materialized() == {"alpha", "beta"}
    assert moved(result) == {"alpha": [2], "beta": [2]}
    assert checked(result) == [True]
    assert lab.sound()
    assert lab.ledger.leases.find("job") is None


def test_the_ledger_has_one_run_with_all_that_it_copied(lab: Lab) -> None:
    """The steps of a run are one run in the ledger: started once, finished once, with the counts of all of them."""
    lab.two_items()
    result = lab.run()
    events = [record.draft for record in lab.records() if record.draft.event.startswith("run-")]
    assert [(draft.event, draft.run) for draft in events] == [
        ("run-started", result.run_id),
        ("run-finished", result.run_id),
    ]
    assert events[-1].reason == ""
    assert results_of(events[-1].counts) == {"created": 4}
    intents = [record.draft.intent for record in lab.records() if record.draft.event == "intended"]
    assert len(set(intents)) == len(intents) == 4


def test_the_requests_of_all_steps_are_told(lab: Lab) -> None:
    """What a run asked of each store is that of expand, the transfers and the audit together: each secret was read once
    and written once, beside the listings."""
    lab.two_items()
    assert lab.run().success
    last = lab.ledger.runs.summary("job").last_run
    assert last is not None
    assert last.requests["src"] >= 4 + 2
    assert last.requests["dst"] >= 4 + 2


def test_a_second_run_finds_nothing_to_do(lab: Lab) -> None:
    """Nothing changed: no transfer step runs, nothing is written, and the items are shown as in sync again."""
    lab.two_items()
    lab.run()
    before = lab.at()
    again = lab.run()
    assert again.success
    assert succeeded(again) == {"expand", "audit"}
    assert lab.at() == before
    assert moved(again, "unchanged") == {"alpha": [2], "beta": [2]}


def test_chosen_items_only(lab: Lab) -> None:
    """``items`` of the Launchpad: the others are left alone, and not shown as in sync."""
    lab.two_items()
    assert lab.run(items=["beta"]).success
    assert set(lab.held()) == {"beta/1", "beta/2"}
    assert lab.materialized() == {"beta"}


def test_an_unknown_item_starts_no_run(lab: Lab) -> None:
    """A slip in the Launchpad is refused there, by the schema of the run's config."""
    lab.two_items()
    with pytest.raises(dg.DagsterInvalidConfigError, match=r"path root:items\[0\]"):
        lab.run(items=["gamma"])
    assert lab.held() == {}


def test_a_dry_run_writes_nothing_and_shows_its_plan(lab: Lab) -> None:
    """Neither a store nor the ledger is written to, no lease is left, and the plan is a table."""
    lab.two_items()
    result = lab.run(dryRun=True)
    assert result.success
    assert lab.held() == {}
    assert lab.records() == []
    assert lab.ledger.leases.find("job") is None
    assert lab.materialized() == set()
    (outputs,) = [
        event.step_output_data.metadata
        for event in result.all_events
        if event.is_successful_output and event.step_output_data.output_name == "manifest"
    ]
    assert {row["key"] for row in rows(outputs["plan"].value)} == set(ALL)
    assert outputs["would create"].value == 4


def test_a_dry_run_refuses_what_the_run_would_fail_on(lab: Lab) -> None:
    """What cannot be rendered is refused in the table with the message that the failed run has, before and after it."""
    lab.job("- {name: a, query: {path: alpha}, valueTransform: [{template: {text: '{{ nope }}'}}]}")
    lab.fill("src", {"alpha/1": {"x": "1"}})
    told = "valueTransform[0] of item a, text: line 1: 'nope' is undefined"
    for _ in range(2):
        result = lab.run(dryRun=True)
        assert result.success
        (outputs,) = [
            event.step_output_data.metadata
            for event in result.all_events
            if event.is_successful_output and event.step_output_data.output_name == "manifest"
        ]
        (row,) = rows(outputs["plan"].value)
        action, why = planned(row)
        assert (action, why.startswith(told)) == ("refuse", True)
        failed = lab.run()
        assert not failed.success
        assert any(told in str(event.event_specific_data) for event in failed.all_events)


def test_what_is_not_the_jobs_is_refused_until_it_is_adopted(lab: Lab) -> None:
    """A dry run names the fields that differ and how to go on, a run fails, and ``adopt`` in the Launchpad mends it."""
    lab.two_items()
    lab.fill("dst", {"alpha/1": {"x": "theirs", "note": "keep"}})
    result = lab.run(dryRun=True)
    assert result.success
    (outputs,) = [
        event.step_output_data.metadata
        for event in result.all_events
        if event.is_successful_output and event.step_output_data.output_name == "manifest"
    ]
    (row,) = [row for row in rows(outputs["plan"].value) if row["key"] == "alpha/1"]
    action, why = planned(row)
    assert action == "refuse"
    assert why.endswith("not managed by this job: a write would change x and drop note")
    assert "--adopt alpha/1" in str(outputs["warning 1"].value)
    assert not lab.run().success
    assert lab.held()["alpha/1"] == {"x": "theirs", "note": "keep"}
    assert len(lab.held()) == len(ALL)
    result = lab.run(adopt=["alpha/1"])
    assert result.success
    assert lab.held()["alpha/1"] == {"x": "alpha/1"}
    told = [record.draft.reason for record in lab.records() if record.draft.key == "alpha/1"]
    assert told[0] == "adopted"
    assert not [event for event in result.all_events if "nothing to take over" in str(event.event_specific_data)]


def test_a_dry_run_needs_no_lease(lab: Lab) -> None:
    """People may look while a run goes on."""
    lab.two_items()
    lab.ledger.leases.acquire("job", "elsewhere/1/2/abc", 600)
    assert lab.run(dryRun=True).success


def test_drift_is_repaired_by_the_transfer(lab: Lab) -> None:
    """A copy that somebody else changed is put right by its item's step, which also says that it had drifted."""
    lab.two_items()
    lab.run()
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    result = lab.run()
    assert result.success
    assert lab.held()["alpha/1"] == {"x": "alpha/1"}
    assert moved(result) == {"beta": [0], "alpha": [1]}
    assert moved(result, "drifted")["alpha"] == [1]
    assert moved(result, "unchanged") == {"beta": [2], "alpha": [1]}


def test_verify_compares_values_where_versions_match(lab: Lab) -> None:
    """A verify run reads every value again, and writes nothing where all is well."""
    lab.two_items()
    lab.run()
    before = lab.at()
    reads = lab.fault("dst").calls
    assert lab.run(verify=True).success
    assert reads["read"] == 4
    assert lab.at() == before


def test_a_failing_key_fails_its_item_alone(lab: Lab) -> None:
    """The item's other secrets and the other items are done; the step has a table of what failed; the check is red."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("not allowed", store="dst", key="alpha/1"), key="alpha/1")
    result = lab.run()
    assert not result.success
    assert set(lab.held()) == ALL - {"alpha/1"}
    failed = failures(result)
    assert set(failed) == {"transfer[alpha]"}
    assert failed["transfer[alpha]"]["told"] == "1 of 2 secrets of item alpha failed: alpha/1: not allowed"
    (row,) = rows(failed["transfer[alpha]"]["failed secrets"].value)
    assert (row["key"], row["result"]) == ("alpha/1", "failed: not allowed")
    assert lab.materialized() == {"beta"}
    assert checked(result) == [False]

    lab.faults["dst"].clear()
    again = lab.run()
    assert again.success
    assert checked(again) == [True]
    assert lab.materialized() == {"alpha", "beta"}
    assert moved(again) == {"beta": [0], "alpha": [1]}
    assert lab.sound()


def test_only_what_may_heal_is_retried(lab: Lab) -> None:
    """A store that was away is asked again by the step's retry, which does only what is left; a refusal is final."""
    lab.two_items()
    faults = lab.fault("dst")
    faults.fail("write_if", StoreUnavailable("away", store="dst"), key="alpha/1", times=1)
    result = lab.run()
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == ["transfer[alpha]"]
    assert {str(version).partition("@")[0] for version in lab.at().values()} == {"1"}
    assert moved(result)["alpha"] == [2], "what both attempts copied"

    lab.fill("src", {"beta/1": {"x": "new"}})
    faults.fail("write_if", AccessDenied("no", store="dst"), key="beta/1")
    refused = lab.run()
    assert set(failures(refused)) == {"transfer[beta]"}
    assert not [event for event in refused.all_events if event.is_step_up_for_retry]


def test_a_source_that_cannot_be_seen_fails_its_item(lab: Lab) -> None:
    """An item whose source does not answer fails in a step of its own; the other item is copied."""
    lab.two_items()
    lab.fault("src").fail("list", AccessDenied("no", store="src"), key="alpha/")
    result = lab.run()
    assert set(failures(result)) == {"transfer[alpha]"}
    assert set(lab.held()) == {"beta/1", "beta/2"}
    assert lab.materialized() == {"beta"}


def test_deletes_come_last_and_are_counted(lab: Lab) -> None:
    """What left the source leaves the destination, in the audit; the item's numbers say so."""
    import asyncio

    lab.two_items(deletionPolicy="Delete", maxDelete="50%")
    lab.run()
    asyncio.run(lab.remove("src", "alpha/1"))
    result = lab.run()
    assert result.success
    assert set(lab.held()) == ALL - {"alpha/1"}
    assert moved(result, "deleted")["alpha"] == [1]


def test_one_item_as_a_partition(lab: Lab) -> None:
    """A partition of the asset is one item: only that is synced, and marked."""
    lab.two_items()
    result = lab.materialize("beta")
    assert result.success
    assert set(lab.held()) == {"beta/1", "beta/2"}
    assert lab.materialized() == {"beta"}


def test_a_range_of_items_in_one_run(lab: Lab) -> None:
    """A backfill of all items is one run."""
    lab.two_items()
    result = lab.materialize("alpha", "beta")
    assert result.success
    assert set(lab.held()) == ALL
    assert lab.materialized() == {"alpha", "beta"}


def test_a_range_in_which_an_item_fails(lab: Lab) -> None:
    """The asset shows the item that failed as failed, and the other as in sync."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    result = lab.materialize("alpha", "beta")
    assert not result.success
    assert lab.materialized() == {"beta"}
    assert checked(result) == [False]


def test_the_check_stays_red_until_the_item_itself_is_well(lab: Lab) -> None:
    """A later run of other items alone does not turn it green; a retry of the failed item does."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert checked(lab.run()) == [False]
    assert checked(lab.run(items=["beta"])) == [False]
    lab.faults["dst"].clear()
    assert checked(lab.materialize("alpha")) == [True]


def test_what_fails_is_plotted_as_well(lab: Lab) -> None:
    """A failed item and the check have the same numbers as what went well, so that plots show both."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    result = lab.run()
    observed = [
        event.asset_observation_data.asset_observation
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION
    ]
    (seen,) = [each for each in observed if each.partition is not None]
    assert seen.partition == "alpha"
    assert {name: seen.metadata[name].value for name in ("copied", "failed")} == {"copied": 1, "failed": 1}
    (check,) = evaluations(result)
    assert check.description == "out of sync: alpha"
    assert {name: check.metadata[name].value for name in ("copied", "failed")} == {"copied": 1, "failed": 1}
    lab.faults["dst"].clear()
    (check,) = evaluations(lab.run())
    assert check.description == "all 2 items are in sync"
    assert {name: check.metadata[name].value for name in ("copied", "unchanged", "failed")} == {
        "copied": 1,
        "unchanged": 3,
        "failed": 0,
    }
