"""What people report without a run: forged greens, forged items. The ledger decides, and says so within a tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from support.slow import one_in

from dagster_jobs.lab import KEY, checked
from dagster_jobs.test_drift_schedule import Look
from dagster_jobs.test_run_reaper import tick
from secretsync_core.errors import AccessDenied
from secretsync_dagster.naming import DRIFT, IN_SYNC

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

QUIET = "every run has ended by itself, or goes on"


def _report(lab: Lab, check: str = IN_SYNC, *, passed: bool = True, severity: str = "ERROR") -> None:
    """As by the webserver's ``/report_asset_check``."""
    lab.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=KEY,
            check_name=check,
            passed=passed,
            severity=dg.AssetCheckSeverity(severity),
            metadata={"items": 2, "drifted": 0, "run": "a text, which is all that a report can give"},
        )
    )


YELLOW: dict[str, Any] = {"passed": False, "severity": "WARN"}


def _colour(lab: Lab, check: str = IN_SYNC) -> str:
    """What the newest evaluation of a check is shown in."""
    key = dg.AssetCheckKey(KEY, check)
    record = lab.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    said = record.event.asset_check_evaluation
    assert said is not None
    return "green" if said.passed else {"WARN": "yellow", "ERROR": "red"}[said.severity.value]


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
    assert _colour(lab) == "green"
    assert "in_sync of job was reported as passed by somebody; by the ledger it has not" in tick(lab)
    assert _colour(lab) == "red"
    assert tick(lab) == QUIET


def test_nor_is_a_job_green_that_never_ran(lab: Lab) -> None:
    """Without a run, and without a ledger, there is nothing that could have passed, nor that failed."""
    lab.two_items()
    _report(lab)
    assert "reported as passed" in tick(lab)
    assert _colour(lab) == "yellow"


def test_a_green_that_is_true_stays(lab: Lab) -> None:
    """What the ledger says too is left alone, whoever reported it, and so is what a run said."""
    lab.two_items()
    assert lab.run().success
    assert tick(lab) == QUIET
    _report(lab)
    assert tick(lab) == QUIET
    assert _colour(lab) == "green"


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
    assert _colour(lab, DRIFT) == "green"
    assert tick(lab) == "drift of job was reported as passed by somebody; by the ledger it has not"
    assert _colour(lab, DRIFT) == "red"
    assert tick(lab) == QUIET


def _drifted(lab: Lab, *keys: str) -> None:
    """Have a look find copies that were changed by hand."""
    lab.two_items(driftCheck="{schedule: '@daily'}")
    assert lab.run().success
    lab.fill("dst", {key: {"x": "by hand"} for key in keys})
    assert not Look(lab).passed


@pytest.mark.parametrize(("forged", "times"), one_in(2, [({"passed": True}, 25), (YELLOW, 1)]))
def test_a_forged_word_on_drift_is_not_said_again_by_a_run(lab: Lab, forged: dict[str, Any], times: int) -> None:
    """A run that did not look says what was found last, and not what somebody reported between, however often."""
    _drifted(lab, "alpha/1")
    for _ in range(times):
        _report(lab, DRIFT, **forged)
    assert lab.materialize("beta").success
    assert _colour(lab, DRIFT) == "red"
    (newest, *_) = lab.instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(KEY, DRIFT), 1)
    assert newest.event is not None
    assert newest.event.asset_check_evaluation is not None
    assert newest.event.asset_check_evaluation.metadata["what to do"].value == "execute this check"


def test_nor_does_a_sync_of_one_item_put_all_right_by_it(lab: Lab) -> None:
    """It repairs what it meets; what was found of the other item it cannot speak of, whatever was reported."""
    _drifted(lab, "alpha/1", "beta/1")
    _report(lab, DRIFT)
    assert lab.run(items=["alpha"]).success
    assert _colour(lab, DRIFT) == "red"


def test_a_forged_yellow_is_red_at_the_next_tick_too(lab: Lab) -> None:
    """A report may choose how bad a failure is."""
    _drifted(lab, "alpha/1")
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    assert not lab.run().success
    for check in (IN_SYNC, DRIFT):
        _report(lab, check, **YELLOW)
        assert _colour(lab, check) == "yellow"
    assert tick(lab).count("of job was reported") == 2
    assert [_colour(lab, check) for check in (IN_SYNC, DRIFT)] == ["red", "red"]


def test_what_a_sync_found_and_left_is_red_again_as_well(lab: Lab) -> None:
    """No look was made, and the ledger keeps none: what the check said before the report counts."""
    lab.two_items()
    assert lab.run().success
    lab.two_items(writePolicy="IfNotExists")
    lab.fill("dst", {"alpha/1": {"x": "by hand"}})
    assert lab.run().success
    assert _colour(lab, DRIFT) == "red"
    _report(lab, DRIFT)
    assert "drift of job was reported" in tick(lab)
    assert _colour(lab, DRIFT) == "red"


def test_a_green_of_drift_that_is_true_stays(lab: Lab) -> None:
    """A sync has put right what the last look found: a report that says so too is no reason for red."""
    _drifted(lab, "alpha/1")
    assert lab.run().success
    assert _colour(lab, DRIFT) == "green"
    _report(lab, DRIFT)
    assert tick(lab) == QUIET
    assert _colour(lab, DRIFT) == "green"


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
