"""Each item's state as the asset's page shows it: green in place, red failed, whatever kind of run it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import dagster as dg

# What the web UI itself asks; Dagster has no public question for the state of partitions.
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from dagster_jobs.lab import KEY, TWO_ITEMS, checked, failures, moved
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_dagster.naming import IN_SYNC

if TYPE_CHECKING:
    import pytest

    from dagster_jobs.lab import Lab


def _shown(lab: Lab) -> dict[str, set[str]]:
    """The items by the state that their partitions have."""
    graph = lab.definitions.resolve_asset_graph()
    partitions = graph.get(KEY).partitions_def
    assert partitions is not None
    cached = get_and_update_asset_status_cache_value(lab.instance, KEY, partitions)
    assert cached is not None
    subsets: dict[str, Any] = {
        "green": cached.deserialize_materialized_partition_subsets(partitions),
        "red": cached.deserialize_failed_partition_subsets(partitions),
        "at work": cached.deserialize_in_progress_partition_subsets(partitions),
    }
    names = {name: set(subset.get_partition_keys()) for name, subset in subsets.items()}
    # What failed last is shown red, though it was in place once.
    names["green"] -= names["red"]
    return {name: held for name, held in names.items() if held}


def test_an_item_that_was_green_turns_red(lab: Lab) -> None:
    """A plain run, as of a schedule, in which an item fails: that item is red, also if it was in place before."""
    lab.two_items()
    assert lab.run().success
    assert _shown(lab) == {"green": {"alpha", "beta"}}
    lab.fill("src", {"alpha/1": {"x": "new"}})
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not lab.run().success
    assert _shown(lab) == {"green": {"beta"}, "red": {"alpha"}}
    lab.faults["dst"].clear()
    assert lab.run().success
    assert _shown(lab) == {"green": {"alpha", "beta"}}


def test_an_item_that_is_copied_and_may_not_be_cleared_up_is_red(lab: Lab) -> None:
    """One copy was made and one delete was held back: the item was never green in that run."""
    lab.two_items(deletionPolicy="Delete", maxDelete="1")
    assert lab.run().success
    asyncio.run(lab.remove("src", "alpha/2"))
    asyncio.run(lab.remove("src", "beta/2"))
    lab.fill("src", {"alpha/1": {"x": "new"}})
    result = lab.run()
    assert set(failures(result)) == {"audit"}
    assert lab.held()["alpha/1"] == {"x": "new"}
    assert moved(result) == {}
    assert _shown(lab) == {"red": {"alpha", "beta"}}


def test_other_items_keep_their_state(lab: Lab) -> None:
    """A run of chosen items says nothing of the others, and a dry run says nothing at all."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not lab.run().success
    assert _shown(lab) == {"green": {"beta"}, "red": {"alpha"}}
    assert lab.run(items=["beta"]).success
    assert lab.run(dryRun=True).success
    assert _shown(lab) == {"green": {"beta"}, "red": {"alpha"}}


def test_an_asset_run_plans_its_items_once(lab: Lab) -> None:
    """Of a backfill Dagster itself says what is planned, and nothing is said twice."""
    lab.two_items()
    result = lab.materialize("alpha", "beta")
    planned = [event for event in result.all_events if event.is_asset_materialization_planned]
    assert len(planned) <= 2
    assert _shown(lab) == {"green": {"alpha", "beta"}}


def test_a_run_that_cannot_look_leaves_all_of_it_red(lab: Lab) -> None:
    """Where no destination answers no item is known to be in sync: the items and the check are red."""
    lab.two_items()
    assert lab.run().success
    lab.fault("dst").fail("stat", StoreUnavailable("away", store="dst"))
    lab.fault("dst").fail("list", StoreUnavailable("away", store="dst"))
    result = lab.run()
    assert set(failures(result)) == {"expand"}
    assert checked(result) == [False]
    assert _shown(lab) == {"red": {"alpha", "beta"}}
    lab.faults["dst"].clear()
    assert checked(lab.run()) == [True]
    assert _shown(lab) == {"green": {"alpha", "beta"}}


def test_a_run_that_was_kept_out_says_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that finds another one going on leaves the items' states to that one."""
    monkeypatch.setattr("secretsync_core.run.lease.PATIENCE_SECONDS", 0.0)
    lab.two_items()
    assert lab.run().success
    lab.ledger.leases.acquire("job", "somebody", 600)
    result = lab.run()
    assert failures(result)["expand"]["code"].value == "lease-held"
    assert checked(result) == []
    assert _shown(lab) == {"green": {"alpha", "beta"}}


def test_a_slip_in_the_launchpad_says_nothing_of_the_items(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that asks for an item that there is not fails, and everything stays as green as it was."""
    monkeypatch.setattr("secretsync_dagster.run_config.MOST_CHOICES", 1)  # of fewer the Launchpad lets none pass
    lab.two_items()
    assert lab.run().success
    result = lab.run(items=["gamma"])
    assert set(failures(result)) == {"expand"}
    assert checked(result) == []
    assert _shown(lab) == {"green": {"alpha", "beta"}}


def _asked(lab: Lab) -> dg.AssetCheckEvaluation:
    """What the check ``in_sync`` says where people execute it."""
    job = lab.definitions.resolve_implicit_global_asset_job_def()
    only = job.get_subset(asset_selection=set(), asset_check_selection={dg.AssetCheckKey(KEY, IN_SYNC)})
    (found,) = only.execute_in_process(instance=lab.instance).get_asset_check_evaluations()
    return found


def test_before_the_first_run_the_check_is_yellow_in_words(lab: Lab) -> None:
    """Executed by hand it calls nothing wrong that nobody knows of; once all was synced it says so."""
    lab.two_items()
    found = _asked(lab)
    assert (found.passed, found.severity, found.description) == (
        *(False, dg.AssetCheckSeverity.WARN),
        "nothing was synced yet",
    )
    assert lab.run().success
    found = _asked(lab)
    assert (found.passed, found.description) == (True, "all 2 items are in sync")
    assert isinstance(found.metadata["last run"], dg.DagsterRunMetadataValue)  # which is a link


def test_the_check_says_where_its_green_is_the_command_lines(lab: Lab) -> None:
    """A sync of a terminal may have had other documents than those that are shown: executed by hand, it tells."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not lab.run().success
    with lab.another_ledger() as ledger:
        ledger.runs.start("job", "20261130T063829Z-1b4ecfe1")
        ledger.items.note("job", "20261130T063829Z-1b4ecfe1", out=(), well=("alpha", "beta"))
        ledger.runs.finish("job", "20261130T063829Z-1b4ecfe1", reason="", counts="unchanged=4")
    found = _asked(lab)
    assert found.passed
    assert found.description == (
        "all 2 items are in sync, as the last run of the command line left it, by the documents that it had"
    )


def test_an_item_that_left_the_document_keeps_no_check_red(lab: Lab) -> None:
    """No run could ever put it right: executed by hand the check is green again, as the next run says too."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not lab.run().success
    assert lab.run(items=["beta"]).success
    found = _asked(lab)
    assert (found.passed, found.metadata["out of sync"].value) == (False, ["alpha"])
    lab.job(TWO_ITEMS.splitlines()[1])
    found = _asked(lab)
    assert (found.passed, found.metadata["out of sync"].value) == (True, [])
    assert checked(lab.run()) == [True]
    # As long as it is out of the document: who takes it back sees what is left to do.
    lab.job(TWO_ITEMS)
    assert not _asked(lab).passed
