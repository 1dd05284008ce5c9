"""What people report without a run: forged greens, forged items. The ledger decides, and says so within a tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from dagster_jobs.lab import KEY, checked
from dagster_jobs.test_drift_schedule import Look
from dagster_jobs.test_run_reaper import tick
from secretsync_core.errors import AccessDenied
from secretsync_dagster.naming import DRIFT, IN_SYNC

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

QUIET = "every run has ended by itself, or goes on"


def _report(lab: Lab, check: str = IN_SYNC, *, passed: bool = True) -> None:
    """As by the webserver's ``/report_asset_check``."""
    lab.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=KEY, check_name=check, passed=passed, metadata={"items": 2})
    )


def _shown(lab: Lab, check: str = IN_SYNC) -> bool:
    """Whether the newest evaluation of a check is green."""
    key = dg.AssetCheckKey(KEY, check)
    record = lab.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    assert record.event.asset_check_evaluation is not None
    return record.event.asset_check_evaluation.passed


def _break(lab: Lab) -> None:
    """Leave ``beta`` out of sync, by a run."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="beta/1")
    assert not lab.run().success


def test_a_forged_green_of_a_failed_run_is_red_at_the_next_tick(lab: Lab) -> None:
    """An item is out of sync by the ledger: the check is red again, names the item, and is not reported over and
    over."""
    _break(lab)
    _report(lab)
    assert _shown(lab)
    assert "in_sync of job was reported as passed by somebody; by the ledger it has not" in tick(lab)
    assert not _shown(lab)
    assert tick(lab) == QUIET


def test_nor_is_a_job_green_that_never_ran(lab: Lab) -> None:
    """Without a run, and without a ledger, there is nothing that could have passed."""
    lab.two_items()
    _report(lab)
    assert "reported as passed" in tick(lab)
    assert not _shown(lab)


def test_a_green_that_is_true_stays(lab: Lab) -> None:
    """What the ledger says too is left alone, whoever reported it, and so is what a run said."""
    lab.two_items()
    assert lab.run().success
    assert tick(lab) == QUIET
    _report(lab)
    assert tick(lab) == QUIET
    assert _shown(lab)


def test_a_run_that_goes_on_speaks_for_itself(lab: Lab) -> None:
    """While a job's lease is held, its run will say how it is; afterwards the ledger is asked."""
    _break(lab)
    assert "closed" in tick(lab)
    lab.ledger.leases.acquire("job", "host/1/1/x", 60)
    _report(lab)
    assert tick(lab) == QUIET
    lab.ledger.leases.release("job", "host/1/1/x")
    assert "reported as passed" in tick(lab)


def test_a_forged_green_of_drift_is_red_at_the_next_tick(lab: Lab) -> None:
    """The last look found copies that were changed by hand: the check is red again until the next look."""
    lab.two_items(driftCheck="{schedule: '@daily'}")
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "by hand"}})
    assert not Look(lab).passed
    _report(lab, DRIFT)
    assert _shown(lab, DRIFT)
    assert tick(lab) == "drift of job was reported as passed by somebody; by the ledger it has not"
    assert not _shown(lab, DRIFT)
    assert tick(lab) == QUIET


def test_forged_items_and_wiped_assets_change_nothing_that_is_done(lab: Lab) -> None:
    """The next run syncs what is out of sync by the ledger, though Dagster shows the item as in sync; and nothing that
    is in sync is written again, though Dagster has forgotten the asset."""
    _break(lab)
    lab.instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="beta"))
    assert "beta" in lab.materialized()
    before = lab.at()
    lab.faults["dst"].clear()
    lab.instance.wipe_assets([KEY])
    assert lab.materialized() == set()
    result = lab.run()
    assert checked(result)[-1]
    assert lab.materialized() == {"alpha", "beta"}
    after = lab.at()
    assert {key: after[key] for key in before} == before
    assert set(after) - set(before) == {"beta/1"}
