"""Checks that a run of the asset plans and does not come to: they say what was known, and neither red nor grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs.lab import KEY, TWO_ITEMS, failures
from dagster_jobs.locations import another_signs, runs_of
from secretsync_core.errors import AccessDenied
from secretsync_core.run import steps

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

CHECKS = ("in_sync", "drift", "ledger_intact")


def _shown(lab: Lab) -> dict[str, tuple[str, str]]:
    """The newest entry of each check, as its page colours it, and its first words."""
    keys = [dg.AssetCheckKey(KEY, name) for name in CHECKS]
    found = {}
    for key, record in lab.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys).items():
        said = record.event.asset_check_evaluation if record.event is not None else None
        colour = said.severity.value if said is not None and not said.passed else record.status.value
        found[key.name] = (colour, str(said.description).split(":")[0] if said is not None else "")
    return found


def _look(lab: Lab) -> None:
    job = dg.define_asset_job("look", dg.AssetSelection.checks(dg.AssetCheckKey(KEY, "drift")))
    definitions = dg.Definitions.merge(lab.definitions, dg.Definitions(jobs=[job]))
    assert definitions.resolve_job_def("look").execute_in_process(instance=lab.instance).success


def test_drift_that_was_found_stays_red_when_another_item_is_materialized(lab: Lab) -> None:
    """Dagster would show the check as skipped, though the copy is as it was; after a run that puts it right it is
    green."""
    lab.two_items()
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    _look(lab)
    assert lab.materialize("beta").success
    assert _shown(lab)["drift"] == ("ERROR", "this run did not look; before")
    assert lab.materialize("beta").success
    assert lab.materialize("alpha", "beta").success
    assert _shown(lab)["drift"][0] == "SUCCEEDED"


@pytest.mark.parametrize("synced", [True, False])
def test_a_suspended_job_that_is_materialized_turns_no_check_red(lab: Lab, synced: bool) -> None:
    """They say what the ledger does; where nothing is known they are yellow. Each item's events say why."""
    lab.two_items()
    if synced:
        assert lab.run().success
        _look(lab)
    lab.job(TWO_ITEMS, suspend="true")
    result = lab.materialize("alpha", "beta")
    assert list(failures(result)) == ["job.expand"]
    green = {"in_sync": "all 2 items are in sync", "drift": "this run did not look; before"}
    if synced:
        shown = _shown(lab)
        assert {shown[name] for name in CHECKS[:2]} == {("SUCCEEDED", told) for told in green.values()}
        assert shown["ledger_intact"][0] == "SUCCEEDED"
    else:
        assert {colour for colour, _ in _shown(lab).values()} == {"WARN"}
        assert _shown(lab)["in_sync"] == ("WARN", "nothing was synced yet")
    told = [event.asset_observation_data.asset_observation for event in result.all_events if event.is_asset_observation]
    assert {(each.partition, each.description) for each in told} == {
        (item, "this item was not synced") for item in ("alpha", "beta")
    }


def test_a_run_that_fails_leaves_none_of_them_as_failed_to_execute(lab: Lab) -> None:
    """One item fails, twice: `in_sync` is red by its own word, the ledger is intact, and nobody looked for drift."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    for _ in range(2):
        assert not lab.materialize("alpha", "beta").success
        shown = _shown(lab)
        assert {name: colour for name, (colour, _) in shown.items()} == {
            "in_sync": "ERROR",
            "drift": "WARN",
            "ledger_intact": "SUCCEEDED",
        }
        assert shown["drift"][1] == "this run did not look, and nobody did before"


_FOUND = "1 secret had been changed or removed outside SecretSync, a sync found"


@pytest.mark.parametrize("step", ["transfer", "audit"])
def test_nor_does_a_step_that_fails_in_a_way_nobody_foresaw(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A transfer, or the last look: the run is not over by the ledger, so that the job is red; the rest holds on."""
    lab.two_items()
    assert lab.run().success
    lab.fill("dst", {"alpha/1": {"x": "theirs"}})
    _look(lab)
    lab.fill("src", {"beta/1": {"x": "new"}})

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a text that is nobody's business")

    monkeypatch.setattr(steps, step, fail)
    result = lab.materialize("alpha", "beta")
    told = {str(failed["told"]) for failed in failures(result).values()}
    assert all(text.startswith("an unexpected RuntimeError at ") for text in told)
    assert _shown(lab) == {
        "in_sync": ("ERROR", "out of sync"),
        "drift": ("ERROR", "this run did not look; before" if step == "transfer" else _FOUND),
        "ledger_intact": ("SUCCEEDED", _shown(lab)["ledger_intact"][1]),
    }


def test_a_job_whose_asset_is_shared_is_not_called_in_sync(lab: Lab) -> None:
    """Also where it is suspended, and by the ledger all is well: what is shown could be another code location's."""
    lab.two_items()
    with runs_of("staging"):
        assert lab.run().success
    lab.job(TWO_ITEMS, suspend="true")
    another_signs(lab, "prod", KEY)
    with runs_of("staging"):
        assert not lab.materialize("alpha", "beta").success
    assert _shown(lab)["in_sync"] == (
        "ERROR",
        "SyncJob job is not synced from Dagster while the code locations prod and staging share its asset sync/job",
    )


def test_nor_is_one_that_turned_out_to_be_shared_while_it_ran(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first step began; the transfers refuse, and the check says why."""
    lab.two_items()
    expand = steps.expand

    async def then_another_comes(*args: Any, **options: Any) -> Any:
        found = await expand(*args, **options)
        another_signs(lab, "prod", KEY)
        return found

    monkeypatch.setattr(steps, "expand", then_another_comes)
    with runs_of("staging"):
        result = lab.materialize("alpha", "beta")
    assert set(failures(result)) == {"job.transfer[alpha]", "job.transfer[beta]"}
    colour, told = _shown(lab)["in_sync"]
    assert colour == "ERROR"
    assert told.startswith("SyncJob job is not synced from Dagster")


def test_a_run_that_is_kept_out_by_another_one_leaves_it_to_that(lab: Lab) -> None:
    """A sync of the command line is under way: until it has ended, nothing is known to be wrong."""
    lab.two_items()
    assert lab.run().success
    lab.ledger.leases.acquire("job", "host/1/1/x", 60)
    lab.ledger.runs.start("job", "other")
    assert not lab.materialize("alpha", "beta").success
    assert _shown(lab)["in_sync"] == ("WARN", "another run is under way")
