"""Code locations that have SyncJobs of one name: told apart by a prefix, and refused while they are not.

``test_two_code_locations`` does the same with real code servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs.lab import KEY, checked, evaluations, failures
from dagster_jobs.locations import Ticks, another_signs, job_origin, label, runs_of
from secretsync_core.errors import UsageError
from secretsync_core.run import steps
from secretsync_core.schema.loader import examine
from secretsync_dagster.compile import compile_documents
from secretsync_dagster.location_signs import assets_by_location, mark_of
from secretsync_dagster.run_reaper import NAME as REAPER

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

TOLD = (
    "SyncJob job is not synced from Dagster while the code locations prod and staging share its asset sync/job: each "
    "would show its state as the other's"
)
CHECKS = ("in_sync", "drift")


def _prefixed(lab: Lab, prefix: str) -> dg.Definitions:
    documents, problems = examine([lab.config])
    return compile_documents(documents, problems, directory=lab.config, prefix=prefix)


def _statuses(lab: Lab) -> dict[str, str]:
    definition = lab.definitions.resolve_asset_graph().get(KEY).partitions_def
    assert definition is not None
    found = lab.instance.get_status_by_partition(KEY, ["alpha", "beta"], definition) or {}
    return {item: status.value for item, status in found.items() if status is not None}


def _latest(lab: Lab, check: str = "in_sync") -> Any:
    """The last evaluation of a check, as the asset's page has it."""
    record = lab.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, check))
    assert record is not None
    assert record.event is not None
    return record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]


# -- Refused while an asset is shared


def test_a_run_is_refused_before_anything_is_opened(lab: Lab) -> None:
    """No store is asked and the ledger is as it was; the step says with whom, and what to do; items turn red."""
    lab.two_items()
    with runs_of("staging"):
        assert lab.run().success
    lab.fill("src", {"alpha/1": {"x": "newer"}})
    held, calls = lab.held(), dict(lab.fault("src").calls)
    another_signs(lab, "prod", KEY)
    with runs_of("staging"):
        result = lab.run()
    (failed,) = failures(result).values()
    assert failed["told"] == TOLD
    assert "SECRETSYNC_PREFIX" in failed["what to do"].value
    assert "forgotten within 5 minutes" in failed["what to do"].value
    assert lab.held() == held
    assert dict(lab.fault("src").calls) == calls
    assert _statuses(lab) == {"alpha": "FAILED", "beta": "FAILED"}
    assert checked(result) == [False]
    assert evaluations(result)[0].description == TOLD


def test_neither_of_two_shows_anything_green(lab: Lab) -> None:
    """The first run of one is not yet told; from the first run of the other on, both are refused."""
    lab.two_items()
    succeeded = []
    for location in ("staging", "prod", "staging", "prod"):
        with runs_of(location):
            succeeded.append(lab.run().success)
    assert succeeded == [True, False, False, False]
    assert set(_statuses(lab).values()) == {"FAILED"}
    assert not _latest(lab).passed


def test_a_run_of_the_asset_is_refused_too(lab: Lab) -> None:
    """As people start it from the catalog."""
    lab.two_items()
    another_signs(lab, "prod", KEY)
    with runs_of("staging"):
        result = lab.materialize("alpha")
    assert [failed["told"] for failed in failures(result).values()] == [TOLD]
    assert lab.materialized() == set()
    assert lab.held() == {}


@pytest.mark.parametrize(
    ("after", "copied"),
    [("expand", 0), ("transfer", 1)],
    ids=["no step writes", "audit says nothing"],
)
def test_a_run_that_has_begun_goes_no_further(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, after: str, copied: int
) -> None:
    """Another location comes while it runs: no later step writes, or says that all is in sync."""
    lab.job("- {name: alpha, query: {path: alpha}}")
    lab.fill("src", {"alpha/1": {"x": "1"}})
    done = getattr(steps, after)

    async def then_another_comes(*args: Any, **options: Any) -> Any:
        result = await done(*args, **options)
        another_signs(lab, "prod", KEY)
        return result

    monkeypatch.setattr(steps, after, then_another_comes)
    with runs_of("staging"):
        result = lab.run()
    (step,) = failures(result)
    assert step == {"expand": "transfer[alpha]", "transfer": "audit"}[after]
    assert failures(result)[step]["told"] == TOLD
    assert len(lab.held()) == copied
    assert not any(checked(result))


def test_a_dry_run_works_and_warns(lab: Lab) -> None:
    """It shows nothing on the asset, and people need it to see what would come."""
    lab.two_items()
    another_signs(lab, "prod", KEY)
    with runs_of("staging"):
        result = lab.run(dryRun=True)
    assert result.success
    logged = [entry.user_message for entry in lab.instance.all_logs(result.run_id)]
    assert any(TOLD in message for message in logged)
    assert _statuses(lab) == {}


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_is_red_and_says_why(lab: Lab, check: str) -> None:
    """Executed while the asset is shared, it neither looks nor says that all is well."""
    lab.two_items()
    with runs_of("staging"):
        assert lab.run().success
    another_signs(lab, "prod", KEY)
    calls = dict(lab.fault("dst").calls)
    selection = dg.AssetSelection.checks(dg.AssetCheckKey(KEY, check))
    job = dg.define_asset_job("look", selection)
    definitions = dg.Definitions.merge(lab.definitions, dg.Definitions(jobs=[job]))
    with runs_of("staging"):
        assert definitions.resolve_job_def("look").execute_in_process(instance=lab.instance).success
    found = _latest(lab, check)
    assert not found.passed
    assert found.description == TOLD
    assert dict(lab.fault("dst").calls) == calls


def test_a_run_without_a_code_location(lab: Lab) -> None:
    """As of `dagster job execute`: taken for that of the one location that has the asset, and refused between two."""
    lab.two_items()
    another_signs(lab, "prod", KEY)
    with runs_of(""):
        assert lab.run().success
        another_signs(lab, "staging", KEY)
        assert [failed["told"] for failed in failures(lab.run()).values()] == [TOLD]


def test_other_assets_disturb_nobody(lab: Lab) -> None:
    """Another location of the same instance, which has SyncJobs of other names."""
    lab.two_items()
    another_signs(lab, "prod", dg.AssetKey(["sync", "another"]), dg.AssetKey(["prod", "sync", "job"]))
    with runs_of("staging"):
        assert lab.run().success


def test_a_location_that_was_renamed_is_forgotten(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five minutes after it was last loaded its asset is the other's, history and all, and nobody has to say so."""
    lab.two_items()
    with runs_of("old"):
        assert lab.run().success
    with runs_of("new"):
        assert not lab.run().success
    # One turn of the signs more than they hold.
    monkeypatch.setattr("secretsync_dagster.location_signs.HOLDS_SECONDS", -60)
    with runs_of("new"):
        assert lab.run().success
    assert lab.materialized() == {"alpha", "beta"}


def test_a_sign_that_cannot_be_renewed_fails_no_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes may renew it at the same moment, and the database refuses one of them."""
    lab.two_items()

    def refuse(*_: object) -> None:
        raise RuntimeError("secret-value")

    monkeypatch.setattr(lab.instance, "add_dynamic_partitions", refuse)
    with runs_of("staging"):
        result = lab.run()
    assert result.success
    assert "secret-value" not in str([entry.user_message for entry in lab.instance.all_logs(result.run_id)])


# -- What sensors do


def test_the_reaper_says_so_before_any_run(lab: Lab) -> None:
    """One tick renews the location's sign and says what is shared; `in_sync` turns red once, not at every tick, and
    again when it is shared anew."""
    lab.two_items()
    ticks = Ticks(lab, "staging", REAPER)
    assert "every run has ended" in ticks.tick().skip_message
    assert assets_by_location(lab.instance) == {label("staging"): {mark_of(KEY)}}
    another_signs(lab, "prod", KEY)
    assert TOLD in ticks.tick().skip_message
    first = _latest(lab)
    assert (first.passed, first.description) == (False, TOLD)
    assert TOLD in ticks.tick().skip_message
    key = dg.AssetCheckKey(KEY, "in_sync")
    count = len(lab.instance.event_log_storage.get_asset_check_execution_history(key, limit=9))
    assert count == 1
    another_signs(lab, "prod")
    assert "every run has ended" in ticks.tick().skip_message
    another_signs(lab, "prod", KEY)
    ticks.tick()
    assert len(lab.instance.event_log_storage.get_asset_check_execution_history(key, limit=9)) == 2


def test_a_storage_that_fails_stops_no_reaper(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is there for is done all the same, and the tick says what it does not know."""
    lab.two_items()

    def refuse(_: str) -> list[str]:
        raise RuntimeError("secret-value")

    monkeypatch.setattr(lab.instance, "get_dynamic_partitions", refuse)
    told = Ticks(lab, "staging", REAPER).tick().skip_message
    assert told == "whether another code location has these assets is not known: RuntimeError"


def test_the_sensor_for_changes_starts_nothing_and_says_why(lab: Lab) -> None:
    """Neither is the store asked; once the other location is told apart, what changed meanwhile is started."""
    lab.two_items(onChange="{interval: 1s}")
    another_signs(lab, "prod", KEY)
    ticks = Ticks(lab, "staging", "src_changes")
    found = ticks.tick()
    assert found.run_requests == []
    assert TOLD in found.skip_message
    assert not lab.fault("src").calls
    another_signs(lab, "prod")
    ticks.cursor = None
    (request,) = ticks.tick().run_requests
    assert request.run_config == {"items": ["alpha", "beta"]}


@pytest.mark.parametrize(("location", "starts"), [("staging", False), ("prod", True)])
def test_only_runs_of_its_own_keep_a_sensor_waiting(lab: Lab, location: str, starts: bool) -> None:
    """Another location's run of a SyncJob of the same name, with keys that a translator tells apart, is none of it."""
    lab.two_items(onChange="{interval: 10s}")
    lab.instance.create_run_for_job(
        lab.definitions.resolve_job_def("job"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"secretsync/job": "job"},
        remote_job_origin=job_origin(location, "job"),
    )
    found = Ticks(lab, "staging", "src_changes").tick()
    assert bool(found.run_requests) is starts


# -- The prefix


def test_a_prefix_tells_everything_apart_that_dagster_shares(lab: Lab) -> None:
    """Assets of jobs and stores, checks, the tag that the queue goes by, pools; names that are the location's stay."""
    lab.two_items(schedule="'@hourly'", onChange="{interval: 10s}", driftCheck="{schedule: '@daily'}")
    before, after = lab.definitions, _prefixed(lab, "staging")
    dg.Definitions.validate_loadable(after)
    mine, theirs = (each.resolve_asset_graph() for each in (after, before))
    assert {key.to_user_string() for key in mine.get_all_asset_keys()} == {
        f"staging/{key.to_user_string()}" for key in theirs.get_all_asset_keys()
    }
    assert not mine.asset_check_keys & theirs.asset_check_keys
    job, other = (each.resolve_job_def("job") for each in (after, before))
    assert (job.tags["secretsync/job"], other.tags["secretsync/job"]) == ("staging/job", "job")
    pools = [set().union(*(node.definition.pools for node in each.nodes)) for each in (job, other)]
    assert pools == [{"staging/secretsync_dst"}, {"secretsync_dst"}]
    for kind in ("sensor_defs", "schedule_defs"):
        named = [{each.name for each in getattr(made.get_repository_def(), kind)} for made in (after, before)]
        assert named[0] == named[1]


def test_with_a_prefix_each_shows_its_own(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fails and stays red, the other succeeds and stays green; and the sensor knows its own runs by their tag."""
    lab.two_items(onChange="{interval: 10s}")
    definitions = _prefixed(lab, "staging")
    key = dg.AssetKey(["staging", "sync", "job"])
    with runs_of("staging"):
        done = definitions.resolve_job_def("job").execute_in_process(instance=lab.instance)
    assert done.success
    assert set(lab.instance.get_materialized_partitions(key)) == {"alpha", "beta"}
    lab.fault("src").fail("read", PermissionError())
    lab.fill("src", {"alpha/1": {"x": "newer"}})
    with runs_of("prod"):
        assert not lab.run().success
    assert set(lab.instance.get_materialized_partitions(key)) == {"alpha", "beta"}
    assert _statuses(lab)["alpha"] == "FAILED"
    lab.faults["src"].clear()
    monkeypatch.setattr(type(lab), "definitions", definitions)
    ticks = Ticks(lab, "staging", "src_changes")
    (request,) = ticks.tick().run_requests
    assert request.tags["secretsync/job"] == "staging/job"
    run = lab.instance.create_run_for_job(
        definitions.resolve_job_def("job"), status=dg.DagsterRunStatus.STARTED, tags=request.tags
    )
    ticks.cursor = None
    assert ticks.tick().skip_message == "job: a run is going on"
    lab.instance.report_run_failed(run)


def test_runs_from_before_the_prefix_are_known(lab: Lab) -> None:
    """Their tag has none, and a re-execution takes it over: the lease is kept, and the run is told of."""
    lab.two_items()
    definitions = _prefixed(lab, "staging")
    catalog = definitions.resources["secretsync"].resource_fn(None).catalog  # type: ignore[index]
    for tag in ("job", "staging/job"):
        run = dg.DagsterRun("job", tags={"secretsync/job": tag})
        assert [job.name for job in catalog.jobs_of(run)] == ["job"]
    assert catalog.jobs_of(dg.DagsterRun("job", tags={"secretsync/job": "prod/job"})) == []


@pytest.mark.parametrize("prefix", ["a b", "a/b", "-a", "ä", "a\n", "x" * 64])
def test_a_prefix_that_is_no_name_is_refused(lab: Lab, prefix: str) -> None:
    """It would be part of keys, tags and addresses. The message does not repeat it."""
    lab.two_items()
    with pytest.raises(UsageError, match="letters, digits, dashes and underscores, at most 63") as error:
        _prefixed(lab, prefix)
    assert "SECRETSYNC_PREFIX" in error.value.hint
