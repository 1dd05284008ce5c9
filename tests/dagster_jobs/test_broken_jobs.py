"""A SyncJob that has errors keeps its pages, says there what is wrong, and fails when it is run.

``test_documents_for_real`` does the same with the real webserver and daemon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.execution.api import create_execution_plan  # what the process of a run begins with

from dagster_jobs.lab import KEY, TWO_ITEMS, checked, evaluations
from dagster_jobs.locations import Ticks
from secretsync_core.errors import UsageError
from secretsync_dagster import notifications
from secretsync_dagster.load import load
from secretsync_dagster.on_disk import OnDisk
from secretsync_dagster.run_reaper import NAME as REAPER

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab

SCHEDULED = {"schedule": "'@daily'", "timezone": "Europe/Berlin", "driftCheck": "{schedule: '@weekly'}"}


def _break(lab: Lab, old: str, new: str) -> None:
    file = lab.config / "job.yaml"
    file.write_text(file.read_text().replace(old, new))


def _failure(lab: Lab, **config: object) -> str:
    """What the run of ``job`` fails with, as the documents are now."""
    result = lab.definitions.resolve_job_def("job").execute_in_process(
        run_config=config, instance=lab.instance, raise_on_error=False
    )
    assert not result.success
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.user_failure_data is not None
    return str(event.step_failure_data.user_failure_data.description)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("dest: dst", "dset: dst", "spec.dest is missing"),
        ("source: src", "source: scr", "spec.source names a SecretStore that does not exist"),
    ],
)
def test_a_run_fails_by_what_is_wrong_with_its_document(lab: Lab, old: str, new: str, told: str) -> None:
    """Under the name that the SyncJob has had, with whatever was asked of the run, and told to whom it concerns."""
    lab.job(TWO_ITEMS)
    _break(lab, old, new)
    for config in ({}, {"items": ["alpha"], "dryRun": True, "undo": {"run": "x"}}):
        text = _failure(lab, **config)
        assert text.startswith("SyncJob job cannot run, for its document has errors: ")
        assert told in text
    run = lab.instance.get_runs(limit=1)[0]
    assert notifications._errors(lab.instance, run) == [f"expand: {text}"]


def test_what_was_probably_meant_is_said_too(lab: Lab) -> None:
    """As the command line has it: by the run, on the page and by the check."""
    lab.job(TWO_ITEMS)
    _break(lab, "dest: dst", "dest: dst\n  shedule: '@daily'")
    meant = f"{lab.config / 'job.yaml'}:7: unknown field in spec (Did you mean schedule?)"
    assert meant in _failure(lab)
    assert meant in str(lab.definitions.resolve_job_def("job").description)


def test_a_run_says_what_is_wrong_with_its_store(lab: Lab) -> None:
    """Where it is the store that has errors, the first of them is told with its place, and not only that there are."""
    lab.job(TWO_ITEMS)
    (lab.config / "other.yaml").write_text(
        "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: other}\n"
        "spec: {provider: {file: {path: 7}}}\n"
    )
    _break(lab, "dest: dst", "dest: other")
    text = _failure(lab)
    assert "spec.dest names the SecretStore other, which has errors itself" in text
    assert "other.yaml:4: spec.provider.file.path" in text


def test_it_has_the_steps_that_a_run_was_started_with(lab: Lab) -> None:
    """Dagster holds a run to the steps of its job as it was when it was started."""
    lab.job(TWO_ITEMS)
    before = _steps(lab)
    _break(lab, "dest: dst", "dset: dst")
    assert _steps(lab) == before


def _steps(lab: Lab) -> set[str]:
    plan = create_execution_plan(lab.definitions.resolve_job_def("job"), run_config={"dryRun": True})
    return set(plan.step_keys_to_execute)


def test_a_store_that_is_broken_is_told_too(lab: Lab) -> None:
    """The document is whole, and its SecretStore is not."""
    lab.job(TWO_ITEMS)
    lab.store("src", "vualt: {}")
    assert "spec.source names the SecretStore src, which has errors itself" in _failure(lab)


def test_the_real_job_comes_back_with_its_document(lab: Lab) -> None:
    """A warning breaks nothing, and no whole document has a stand-in."""
    lab.job(TWO_ITEMS)
    _break(lab, "dest: dst", "dset: dst")
    assert lab.definitions.resolve_job_def("job").tags["secretsync/broken"] == "true"
    _break(lab, "dset: dst", "dest: dst")
    assert "secretsync/broken" not in lab.definitions.resolve_job_def("job").tags


def test_a_job_that_is_gone_is_told_as_that(lab: Lab) -> None:
    """Where the file cannot be read at all, or the SyncJob is gone, Dagster's own words are known again."""
    lab.job(TWO_ITEMS)
    run = lab.instance.create_run_for_job(lab.definitions.resolve_job_def("job"))
    lab.instance.report_run_failed(run)
    assert notifications._errors(lab.instance, run) == [notifications._LOST]
    lab.instance.report_engine_event("Could not load job definition.", run)
    assert notifications._errors(lab.instance, run) == [notifications._UNKNOWN]


class _Loaded:
    """The documents as they were when the code location was loaded; their files may change afterwards."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.instance = lab.instance
        self.definitions = load([lab.config], directory=lab.config)

    def tick(self, sensor: str = REAPER) -> str:
        """What the sensor says at its next tick."""
        ticks = Ticks(self, "here", sensor)  # type: ignore[arg-type]
        return str(ticks.tick().skip_message or "")

    def said(self) -> tuple[bool, str]:
        """What the check says now."""
        record = self.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, "in_sync"))
        assert record is not None
        assert record.event is not None
        found: Any = record.event.asset_check_evaluation
        return found.passed, found.description


def _everything(lab: Lab) -> dict[str, Any]:
    """What people find of ``job``: its job, asset with partitions and freshness, schedules and checks."""
    repository = lab.definitions.get_repository_def()
    asset = repository.asset_graph.get(KEY)
    return {
        "job": repository.has_job("job"),
        "partitions": asset.partitions_def.get_partition_keys() if asset.partitions_def is not None else None,
        "freshness": asset.freshness_policy,
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
        "crons": sorted(str(schedule.cron_schedule) for schedule in repository.schedule_defs),
        "checks": {key.name for key in repository.asset_graph.asset_check_keys if key.asset_key == KEY},
    }


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("store-src.yaml", "provider", "provdier"),
        ("store-dst.yaml", "memory: {}", "memory: {nothing: 1}"),
        ("store-dst.yaml", "name: dst", "name: dts"),
        ("job.yaml", "dest: dst", "dset: dst"),
        ("job.yaml", "dest: dst", "dest: dst\n  maxDelete: lots"),
        ("job.yaml", "path: beta", "paht: beta"),
        ("job.yaml", "apiVersion: secretsync.io", "apiVersion: secretsink.io"),
    ],
)
def test_all_that_belongs_to_it_is_kept(lab: Lab, file: str, old: str, new: str) -> None:
    """Job, asset, items, schedules, freshness and checks are what they were, whichever document the typo is in."""
    lab.job(TWO_ITEMS, **SCHEDULED)
    before = _everything(lab)
    path = lab.config / file
    path.write_text(path.read_text().replace(old, new))
    assert _everything(lab) == before
    assert "cannot run" in _failure(lab)
    description = lab.definitions.resolve_job_def("job").description
    assert description is not None
    assert description.startswith("Broken: its runs fail.")
    assert f"{'job.yaml' if 'name' in new else file}:" in description.splitlines()[0]


def test_what_cannot_be_understood_is_left_out_alone(lab: Lab) -> None:
    """A schedule that is none is no schedule; the rest of the job is there."""
    lab.job(TWO_ITEMS, **SCHEDULED)
    _break(lab, "'@daily'", "sometimes")
    found = _everything(lab)
    assert (found["job"], found["partitions"], found["freshness"]) == (True, ["alpha", "beta"], None)
    assert found["schedules"] == ["job_drift_schedule", "secretsync_ledger_and_stores"]


def test_the_others_go_on(lab: Lab) -> None:
    """A store that has errors takes along only the jobs that need it."""
    lab.two_items()
    lab.files("other")
    path = lab.config / "well.yaml"
    path.write_text((lab.config / "job.yaml").read_text().replace("name: job", "name: well").replace("src", "other"))
    assert _everything(lab)["job"]
    store = lab.config / "store-src.yaml"
    store.write_text(store.read_text().replace("provider", "provdier"))
    assert "cannot run" in _failure(lab)
    well = lab.definitions.resolve_job_def("well")
    assert "secretsync/broken" not in well.tags
    assert well.execute_in_process(instance=lab.instance, raise_on_error=False).success


def test_its_run_turns_it_red(lab: Lab) -> None:
    """Items and check, by the words of ``validate``; nothing is read or written."""
    lab.two_items()
    assert lab.run().success
    _break(lab, "dest: dst", "dset: dst")
    calls = dict(lab.fault("src").calls)
    for result in (lab.run(), lab.materialize("alpha", "beta")):
        assert not result.success
        assert checked(result) == [False]
        assert "job.yaml:4: spec.dest is missing" in str(evaluations(result)[0].description)
    assert dict(lab.fault("src").calls) == calls


def test_a_wrong_place_of_a_credential_is_shown_nowhere(lab: Lab) -> None:
    """What is not of the schema may be anything: the pages have only what is."""
    lab.job(TWO_ITEMS, token="hvs.CAESIJ-canary", schedule="s.canary-too")
    job = lab.definitions.resolve_job_def("job")
    graph = lab.definitions.get_repository_def().asset_graph.get(KEY)
    assert "canary" not in f"{job.description}{job.metadata}{graph.description}{graph.metadata}{_failure(lab)}"


def test_the_daemon_turns_its_check_red_and_green_again(lab: Lab) -> None:
    """Without a run: of a job that was loaded broken, and of one that broke since; once it is whole, by the ledger."""
    lab.two_items()
    assert lab.run().success
    loaded = _Loaded(lab)
    assert "dest" not in loaded.tick()
    _break(lab, "dest: dst", "dset: dst")
    told = "SyncJob job cannot run, for its document has errors: "
    for reloaded in (False, True):
        if reloaded:
            loaded = _Loaded(lab)
        assert told in loaded.tick()
        passed, description = loaded.said()
        assert not passed
        assert description.startswith(told)
        assert "job.yaml:4: spec.dest is missing" in description
    still_broken = loaded
    _break(lab, "dset: dst", "dest: dst")
    loaded = _Loaded(lab)
    loaded.tick()
    assert loaded.said() == (True, "its document is whole again: all 2 items are in sync")
    assert "reload" in still_broken.tick()


def test_a_document_that_broke_since_is_mended_within_a_tick(lab: Lab) -> None:
    """The check and the sensor for changes both follow the files: no run is started in between, and one after it."""
    lab.job(TWO_ITEMS, onChange="{interval: 1s}")
    lab.fill("src", {"alpha/1": {"x": "1"}})
    loaded = _Loaded(lab)
    file = lab.config / "job.yaml"
    whole = file.read_text()
    for text, why in ((whole.replace("dest: dst", "dset: dst"), "spec.dest is missing"), (f"{whole}\n: [", ":")):
        file.write_text(text)
        assert why in loaded.tick("src_changes")
        assert f"{file}:" in loaded.tick("src_changes")
        loaded.tick()
        assert loaded.said()[0] is False
    file.write_text(whole)
    loaded.tick()
    assert loaded.said()[1].startswith("its document is whole")
    (request,) = Ticks(loaded, "here", "src_changes").tick().run_requests  # type: ignore[arg-type]
    assert request.job_name == "job"


def test_a_gate_fails(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """``dg check defs`` and ``dagster definitions validate`` are told every error, where a code server goes on."""
    lab.job(TWO_ITEMS)
    _break(lab, "dest: dst", "dset: dst")
    assert _Loaded(lab).definitions is not None
    monkeypatch.setenv("DAGSTER_IS_DEFS_VALIDATION_CLI", "1")
    with pytest.raises(UsageError, match=r"job.yaml:4: spec.dest is missing(.|\n)*job.yaml:6: unknown field"):
        _Loaded(lab)
    _break(lab, "dset: dst", "dest: dst")
    assert _Loaded(lab).definitions is not None


def test_a_report_that_all_is_well_does_not_stand_beside_a_broken_document(lab: Lab) -> None:
    """Whoever may launch runs may report a check as passed: the next tick turns it back."""
    lab.two_items()
    assert lab.run().success
    loaded = _Loaded(lab)
    _break(lab, "dest: dst", "dset: dst")
    loaded.tick()
    assert not loaded.said()[0]
    passed = dg.AssetCheckEvaluation(asset_key=KEY, check_name="in_sync", passed=True)
    lab.instance.report_runless_asset_event(passed)
    loaded.tick()
    assert not loaded.said()[0]
    assert "spec.dest is missing" in loaded.said()[1]


def test_what_a_run_found_broken_is_well_again_once_it_is_mended(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no tick came between the run and the mend; and it stays red where these files never were broken."""
    lab.two_items()
    assert lab.run().success
    loaded = _Loaded(lab)
    loaded.tick()
    _break(lab, "dest: dst", "dset: dst")
    assert not lab.run().success
    _break(lab, "dset: dst", "dest: dst")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(OnDisk, "changed", lambda _: None)
        loaded.tick()
        assert not loaded.said()[0]
    loaded.tick()
    assert loaded.said() == (True, "its document is whole again: all 2 items are in sync")
