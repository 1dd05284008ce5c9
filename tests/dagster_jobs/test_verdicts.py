"""Runs that end otherwise than by their last step: what they did not finish is red, until the next run has done it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from support.slow import one_in

from dagster_jobs.lab import KEY, Lab, checked
from dagster_jobs.test_item_state import _shown as shown
from dagster_jobs.test_reported import _colour as shown_of_check
from dagster_jobs.test_run_reaper import tick
from secretsync_core.errors import AccessDenied
from secretsync_dagster import notifications
from secretsync_dagster.catalog import Catalog
from secretsync_dagster.lease_holders import holder_of
from secretsync_dagster.naming import JOB_TAG, VERDICT_TAG
from secretsync_dagster.verdicts import items_asked

if TYPE_CHECKING:
    from typing import Any

QUIET = "every run has ended by itself, or goes on"


class Struck(BaseException):
    """Stands for what ends a process at once: nothing of ours may answer it."""


def _well(lab: Lab) -> None:
    lab.two_items()
    assert lab.run().success
    assert shown(lab) == {"green": {"alpha", "beta"}}
    assert shown_of_check(lab) == "green"


def _cut_off(lab: Lab, status: dg.DagsterRunStatus, *, begun: tuple[str, ...] = (), **config: Any) -> str:
    """What a run leaves that was ended while it worked at ``begun``, or before it had found out what to do."""
    job = lab.definitions.resolve_job_def("job")
    run = lab.instance.create_run_for_job(job, run_config=config, status=status, tags={JOB_TAG: "job"}).run_id
    lab.ledger.leases.acquire("job", holder_of(run), 60)
    if begun:
        lab.ledger.runs.start("job", run)
        lab.ledger.items.begin("job", run, begun)
    return str(run)


@pytest.mark.parametrize("status", one_in(2, [dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE]))
def test_what_a_run_had_begun_is_red_within_a_tick_and_green_after_the_next_run(
    lab: Lab, status: dg.DagsterRunStatus
) -> None:
    """Terminated or killed: the item that it did not finish, and the check; the other item stays green."""
    _well(lab)
    run = _cut_off(lab, status, begun=("beta",))
    assert shown(lab) == {"green": {"alpha", "beta"}}
    told = tick(lab)
    assert "in_sync of job is red" in told
    assert "1 item of job is red" in told
    assert shown(lab) == {"green": {"alpha"}, "red": {"beta"}}
    assert shown_of_check(lab) == "red"
    record = lab.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, "in_sync"))
    assert record is not None
    assert record.event is not None
    said = record.event.asset_check_evaluation
    assert said is not None
    assert said.description == f"out of sync: beta; left so by run {run}"
    assert tick(lab) == QUIET
    assert lab.run(items=["beta"]).success
    assert shown(lab) == {"green": {"alpha", "beta"}}
    assert shown_of_check(lab) == "green"
    assert tick(lab) == QUIET


@pytest.mark.parametrize(("config", "red"), one_in(2, [({}, {"alpha", "beta"}), ({"items": ["beta"]}, {"beta"})]))
def test_a_run_that_was_cut_off_while_it_looked_leaves_what_it_was_asked_for(
    lab: Lab, config: dict[str, Any], red: set[str]
) -> None:
    """Nobody knows how these are."""
    _well(lab)
    _cut_off(lab, dg.DagsterRunStatus.CANCELED, **config)
    tick(lab)
    assert shown(lab).get("red") == red
    assert shown_of_check(lab) == "red"
    assert lab.run().success
    assert shown(lab) == {"green": {"alpha", "beta"}}
    assert shown_of_check(lab) == "green"


def test_a_run_that_never_began_says_nothing(lab: Lab) -> None:
    """Cancelled in the queue it never had the lease; a dry run has none."""
    _well(lab)
    job = lab.definitions.resolve_job_def("job")
    lab.instance.create_run_for_job(job, status=dg.DagsterRunStatus.CANCELED, tags={JOB_TAG: "job"})
    _cut_off(lab, dg.DagsterRunStatus.CANCELED, dryRun=True)
    assert tick(lab) == QUIET
    assert shown(lab) == {"green": {"alpha", "beta"}}


def test_a_run_that_goes_on_is_not_judged(lab: Lab) -> None:
    """What it is working at is neither red nor out of sync yet."""
    _well(lab)
    _cut_off(lab, dg.DagsterRunStatus.STARTED, begun=("beta",))
    assert tick(lab) == QUIET
    assert shown(lab) == {"green": {"alpha", "beta"}}
    assert lab.ledger.items.out_of_sync("job") == []


def test_a_step_that_was_struck_in_the_middle(lab: Lab) -> None:
    """The real steps, of which one never comes back: alpha is done and green, beta is red, and soon the check is."""
    _well(lab)
    lab.fill("src", {"alpha/1": {"x": "new"}, "beta/1": {"x": "new"}})

    async def strike(_: str) -> None:
        raise Struck

    lab.fault("dst").run("write_if", strike, key="beta/1", times=1)
    assert not lab.run().success
    lab.faults["dst"].clear()
    assert shown(lab) == {"green": {"alpha"}, "red": {"beta"}}
    tick(lab)
    assert [each.item for each in lab.ledger.items.out_of_sync("job")] == ["beta"]
    assert shown_of_check(lab) == "red"
    assert lab.run().success
    assert shown(lab) == {"green": {"alpha", "beta"}}
    assert shown_of_check(lab) == "green"
    assert lab.sound()


def test_what_the_command_line_left_out_of_sync_is_red_too(lab: Lab) -> None:
    """One ledger, one verdict: a sync from a terminal that fails for an item turns it red in the UI."""
    _well(lab)
    lab.fill("src", {"alpha/1": {"x": "new"}})
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not asyncio.run(lab.sync()).ok
    tick(lab)
    assert shown(lab) == {"green": {"beta"}, "red": {"alpha"}}
    assert shown_of_check(lab) == "red"


def test_what_was_yellow_is_red_too(lab: Lab) -> None:
    """Nothing was known of the job, which was suspended; then its first run was terminated."""
    lab.two_items(suspend="true")
    assert not lab.materialize("alpha", "beta").success
    assert shown_of_check(lab) == "yellow"
    lab.two_items()
    _cut_off(lab, dg.DagsterRunStatus.CANCELED, begun=("alpha",))
    tick(lab)
    assert shown_of_check(lab) == "red"


def test_an_item_that_was_reported_as_materialized_and_is_not_is_red_again(lab: Lab) -> None:
    """A forged item stands as long as a forged check: until the next tick."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="beta/1")
    assert not lab.run().success
    lab.instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="beta"))
    assert shown(lab) == {"green": {"alpha", "beta"}}
    tick(lab)
    assert shown(lab) == {"green": {"alpha"}, "red": {"beta"}}


def test_the_entry_that_marks_an_item_is_no_run(lab: Lab) -> None:
    """It is told of nobody, is tried again by nobody, says what it is, and belongs to the job's runs."""
    _well(lab)
    run = _cut_off(lab, dg.DagsterRunStatus.CANCELED, begun=("beta",))
    tick(lab)
    entry = lab.instance.get_run_records(limit=1)[0].dagster_run
    assert entry.tags[VERDICT_TAG] == run
    assert (entry.tags[JOB_TAG], entry.tags["dagster/max_retries"]) == ("job", "0")
    assert notifications._is_no_sync(entry, "job")
    assert not lab.instance.all_logs(entry.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    (said,) = [
        event.dagster_event.message
        for event in lab.instance.all_logs(entry.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        if event.dagster_event is not None
    ]
    assert str(said).startswith(f"This is no run. Run {run} left 1 item of job out of sync")
    (beside,) = lab.instance.fetch_observations(KEY, limit=1).records
    observed = beside.asset_observation
    assert observed is not None
    assert (observed.partition, observed.description) == ("beta", "this item is out of sync")
    assert observed.metadata["left so by"] == dg.MetadataValue.dagster_run(run)
    assert checked(lab.run()) == [True]


def test_which_items_a_run_was_asked_for(lab: Lab) -> None:
    """By its config, or by the partitions of its asset; none of a run that only looks, or undoes."""
    lab.job("\n".join(f"- {{name: {name}, query: {{path: {name}}}}}" for name in ("a", "b", "c")))
    catalog = Catalog(lab.documents)

    def asked(config: Any = None, **tags: str) -> list[str]:
        named = {f"dagster/{name}": value for name, value in tags.items()}
        return items_asked(catalog, "job", dg.DagsterRun("job", run_config=config or {}, tags=named))

    assert asked() == ["a", "b", "c"]
    assert asked({"items": ["c", "gone"]}) == ["c"]
    assert asked({"ops": {"expand": {"config": {"items": ["b"]}}}}) == ["b"]
    assert asked(partition="b") == ["b"]
    assert asked(asset_partition_range_start="b", asset_partition_range_end="c") == ["b", "c"]
    assert asked(partition="gone") == []
    assert asked({"dryRun": True}) == asked({"undo": {"run": "x", "keys": [], "apply": True}}) == []
    for_expand = {"expand": {"config": {"dryRun": True}}}
    # In a run of the asset the job is a node, and Dagster heeds nothing that stands beside it.
    for ops, items in ((for_expand, ["a", "b", "c"]), ({"job": {"ops": for_expand}}, [])):
        assert items_asked(catalog, "job", dg.DagsterRun("assets", run_config={"ops": ops})) == items
