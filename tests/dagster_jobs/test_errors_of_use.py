"""What people ask for by mistake, or ask of a job that is suspended, says nothing of how its items are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from support.slow import one_in

from dagster_jobs.lab import KEY, TWO_ITEMS, checked, evaluations, failures

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

SUSPENDED = "SyncJob job is suspended: its document says suspend: true"


def _statuses(lab: Lab) -> set[str]:
    definition = lab.definitions.resolve_asset_graph().get(KEY).partitions_def
    assert definition is not None
    found = lab.instance.get_status_by_partition(KEY, ["alpha", "beta"], definition) or {}
    return {status.value for status in found.values() if status is not None}


def _in_sync(lab: Lab) -> list[bool]:
    """What the check says as soon as somebody executes it."""
    check = dg.AssetCheckKey(KEY, "in_sync")
    job = dg.define_asset_job("look", dg.AssetSelection.checks(check))
    definitions = dg.Definitions.merge(lab.definitions, dg.Definitions(jobs=[job]))
    return checked(definitions.resolve_job_def("look").execute_in_process(instance=lab.instance))


@pytest.mark.parametrize(
    "config",
    one_in(
        3,
        [
            {"items": ["alhpa"]},
            {"restored": ["scr"]},
            {"undo": {"run": "nosuchrun", "apply": True}},
            {"undo": {"keys": ["alpha/1"]}},
            {"undo": {"run": "nosuchrun"}, "items": ["alpha"]},
        ],
    ),
    ids=["items", "restored", "undo", "undo without a run", "undo with items"],
)
def test_a_slip_in_the_launchpad_turns_nothing_red(
    lab: Lab, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails and says what was wrong with it; items and checks are as they were, also where they look anew."""
    monkeypatch.setattr("secretsync_dagster.run_config.MOST_CHOICES", 1)  # so that the step has to check the items
    lab.two_items()
    assert lab.run().success
    result = lab.run(**config)
    assert not result.success
    assert list(failures(result)) == ["expand"]
    assert evaluations(result) == []
    assert _statuses(lab) == {"MATERIALIZED"}
    assert _in_sync(lab) == [True]


@pytest.mark.parametrize("face", ["job", "asset"])
def test_a_suspended_job_writes_from_nowhere(lab: Lab, face: str) -> None:
    """Neither from its job nor by Materialize; no check turns red for it, and a plan may be looked at."""
    lab.two_items(suspend="true")
    result = lab.run() if face == "job" else lab.materialize("alpha", "beta")
    (failed,) = failures(result).values()
    assert failed["told"] == SUSPENDED
    assert "`runSuspended: true`" in failed["what to do"].value
    # Those that Dagster plans for a run of the asset are yellow, as nothing is known yet.
    assert {said.severity.value for said in evaluations(result)} <= {"WARN"}
    assert lab.held() == {}
    assert lab.run(dryRun=True).success
    assert lab.held() == {}


def test_a_suspended_job_is_synced_and_undone_on_purpose(lab: Lab) -> None:
    """By a field of its Launchpad that says so; an undo says so itself."""
    lab.two_items(suspend="true")
    done = lab.run(runSuspended=True)
    assert done.success
    assert len(lab.held()) == 4
    assert lab.run(undo={"run": done.run_id, "apply": True}).success
    assert lab.held() == {}


def test_its_pages_begin_with_that_it_is_suspended(lab: Lab) -> None:
    """The first word of the job's page and of the asset's; not of those that are not."""
    lab.job(TWO_ITEMS, suspend="true")
    told = [
        lab.definitions.resolve_job_def("job").description,
        lab.definitions.resolve_asset_graph().get(KEY).description,
    ]
    assert [str(text).split(":")[0] for text in told] == ["Suspended", "Suspended"]
    lab.job(TWO_ITEMS)
    assert "Suspended" not in str(lab.definitions.resolve_job_def("job").description)
