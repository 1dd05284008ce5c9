"""The sensor that tells how runs in Dagster ended: the same as the command line tells."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from support.slow import one_in

from notify.conftest import HOOK, PLAN, SPOILED, write_documents
from secretsync_core.schema.loader import load_directory
from secretsync_dagster.compile import compile_documents
from secretsync_dagster.naming import JOB_TAG
from secretsync_dagster.notifications import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.conftest import Cli

    from notify.servers import Hook

COPY = dg.AssetKey(["sync", "copy"])

# Dagster marks by these what it may still change.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


class Place:
    """A code location over a configuration, an instance, and the sensor's ticks."""

    def __init__(self, directory: Path, instance: dg.DagsterInstance) -> None:
        self.directory = directory
        self.instance = instance
        self.cursor: str | None = None
        for key in ("a", "b"):
            (directory / "source").mkdir(parents=True, exist_ok=True)
            (directory / "source" / key).write_text(f"canary-{key}")
        self.load(PLAN)

    def load(self, plan: str) -> None:
        """Load documents with another plan."""
        write_documents(self.directory, HOOK, plan)
        self.definitions = compile_documents(load_directory(self.directory), directory=self.directory)

    def run(self, **config: Any) -> dg.ExecuteInProcessResult:
        """Run the job ``copy``."""
        job = self.definitions.resolve_job_def("copy")
        return job.execute_in_process(run_config=config or None, instance=self.instance, raise_on_error=False)

    def tick(self) -> str:
        """Evaluate the sensor once; gives why it started nothing."""
        (sensor,) = (each for each in self.definitions.sensors or () if each.name == NAME)
        assert isinstance(sensor, dg.SensorDefinition)
        resources = dict(self.definitions.resources or {})
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources) as context:
            result = sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return result.skip_message or ""


@pytest.fixture
def place(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A code location whose job notifies ``hook``."""
    monkeypatch.setenv("HOOK_URL", hook.url("/canary"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Place(tmp_path / "secretsync", instance)


def test_failure_and_recovery(place: Place, hook: Hook) -> None:
    """What ended before the first tick is not told; then a failure is, once, and the success after it."""
    place.load(PLAN + SPOILED)
    assert not place.run().success
    place.tick()
    assert hook.posts == []
    assert not place.run().success
    place.tick()
    assert place.tick() == "no run has ended since"
    place.load(PLAN)
    assert place.run().success
    place.tick()
    assert place.run().success
    place.tick()
    first, second = (post.body for post in hook.posts)
    assert (first["event"], first["counts"]) == ("failure", {"failed": 1})
    assert first["failed"] == [{"item": "bad", "dest": "dest", "key": "bad", "reason": "transform-failed"}]
    assert second["events"] == ["recovery"]
    assert "canary" not in str(first) + str(second)


def test_what_a_tick_has_no_time_for_the_next_one_tells(
    place: Place, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run of two jobs, and time for one message a tick: each job is told of once, in one tick or the next."""
    text = (place.directory / "docs.yaml").read_text()
    job = text[text.rindex("apiVersion") :].replace("name: copy", "name: other")
    job = job.replace("query: {recursive: true}", "query: {recursive: true}, keyTransform: [{prefix: other-}]")
    (place.directory / "other.yaml").write_text(job)
    place.definitions = compile_documents(load_directory(place.directory), directory=place.directory)
    place.tick()
    (place.directory / "dest" / "a").parent.mkdir(exist_ok=True)
    assert place.run().success
    (place.directory / "dest" / "a").write_text("tampered")
    both = place.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[COPY, dg.AssetKey(["sync", "other"])], partition_key="all", instance=place.instance
    )
    assert both.success
    clock = itertools.count(0.0, 10.0)
    monkeypatch.setattr("secretsync_dagster.notifications.time.monotonic", lambda: next(clock))
    looked = []
    for _ in range(8):
        looked.append(place.tick())
        clock = itertools.count(0.0, 10.0)
    assert looked.count("1 ended runs were looked at") >= 3
    assert looked[-1] == "no run has ended since"
    assert len({(post.body["run"], post.body["job"]) for post in hook.posts}) == len(hook.posts) >= 1


def test_the_same_text_as_the_command_line(place: Place, hook: Hook, cli: Cli) -> None:
    """Of runs that did the same, Dagster and the command line say the same, but for the run's id."""
    place.tick()
    for key, change in (("a", "tampered"), ("b", "tampered too")):
        assert cli("sync", HOOK_URL=hook.url()).code == 0
        (place.directory / "dest" / key).write_text(change)
        assert cli("sync", HOOK_URL=hook.url()).code == 0
        (place.directory / "dest" / key).write_text(f"{change} again")
        run = place.run()
        assert run.success
        place.tick()
        theirs, ours = hook.posts[-2].body, hook.posts[-1].body
        assert ours["run"] == run.run_id
        assert theirs["text"].replace(theirs["run"], run.run_id) == ours["text"]
        assert {**theirs, "run": "", "text": "", "more": ""} == {**ours, "run": "", "text": "", "more": ""}


def test_runs_that_no_op_could_tell_of(place: Place, hook: Hook) -> None:
    """A run that was killed before it began, or terminated, is told with what is known of it."""
    place.tick()
    for event in (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED):
        run = place.instance.create_run_for_job(place.definitions.resolve_job_def("copy"), tags={JOB_TAG: "copy"})
        place.instance.report_dagster_event(
            dg.DagsterEvent(event_type_value=event.value, job_name="copy", message=""), run.run_id
        )
    place.tick()
    assert [post.body["errors"] for post in hook.posts] == [
        ["the run ended without a step that failed: its process was killed or lost"],
        ["the run was terminated"],
    ]
    assert place.run().success
    place.tick()
    assert hook.posts[-1].body["events"] == ["recovery"]


@pytest.mark.parametrize(("location", "told"), [("here", 1), ("there", 0)])
def test_runs_of_another_code_location(
    place: Place, hook: Hook, monkeypatch: pytest.MonkeyPatch, location: str, told: int
) -> None:
    """Each code location tells of its own runs: a SyncJob of the same name in another one is not this one's."""
    here, theirs = (
        RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(name), "__repository__"), "copy")
        for name in ("here", location)
    )
    monkeypatch.setattr(dg.SensorEvaluationContext, "code_location_origin", here.repository_origin.code_location_origin)
    monkeypatch.setattr(dg.SensorEvaluationContext, "repository_name", "__repository__")
    place.tick()
    run = place.instance.create_run_for_job(
        place.definitions.resolve_job_def("copy"), tags={JOB_TAG: "copy"}, remote_job_origin=theirs
    )
    place.instance.report_run_failed(run)
    place.tick()
    assert len(hook.posts) == told


def test_blocked_deletes(place: Place, hook: Hook) -> None:
    """Deletes that the guard held back are told with their number."""
    place.tick()
    assert place.run().success
    for key in ("a", "b"):
        (place.directory / "source" / key).unlink()
    assert not place.run().success
    place.tick()
    (post,) = hook.posts
    assert (post.body["events"], post.body["blockedDeletes"]) == (["failure", "blockedDeletes"], 2)


def test_dry_runs_and_other_jobs(place: Place, hook: Hook) -> None:
    """A dry run tells nobody, and neither does a run of something else."""
    place.tick()
    (place.directory / "source").rename(place.directory / "elsewhere")
    assert not place.run(dryRun=True).success

    @dg.op
    def bad() -> None:
        raise dg.Failure("canary")

    @dg.job
    def other() -> None:
        bad()

    assert not other.execute_in_process(instance=place.instance, raise_on_error=False).success
    place.tick()
    assert hook.posts == []


def test_a_dry_run_of_the_asset_is_no_recovery(place: Place, hook: Hook) -> None:
    """What was asked in the Launchpad of an asset counts like what was asked in that of the job."""
    place.tick()
    place.load(PLAN + SPOILED)
    assert not place.run().success
    place.tick()
    asset = place.definitions.resolve_implicit_global_asset_job_def()
    config = {"ops": {"copy": {"ops": {"expand": {"config": {"dryRun": True}}}}}}
    assert asset.execute_in_process(
        instance=place.instance, asset_selection=[COPY], partition_key="bad", run_config=config
    ).success
    place.tick()
    assert [post.body["events"] for post in hook.posts] == [["failure"]]


def test_a_run_of_the_asset(place: Place, hook: Hook) -> None:
    """A run that materializes the job's asset is told too."""
    place.tick()
    place.load(PLAN + SPOILED)
    job = place.definitions.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(
        instance=place.instance,
        asset_selection=[COPY],
        partition_key="bad",
        raise_on_error=False,
    )
    assert not done.success
    place.tick()
    assert [post.body["event"] for post in hook.posts] == ["failure"]


@pytest.mark.parametrize("way", one_in(2, ["by schedule", "by hand"]))
def test_drift_that_a_check_finds(place: Place, hook: Hook, way: str) -> None:
    """A run that only looks for drift is told where it finds some, each time, and is never told as a sync."""
    place.load("  driftCheck: {schedule: '@daily'}\n" + PLAN)
    assert place.run().success
    place.tick()

    def look() -> None:
        if way == "by schedule":
            job = place.definitions.resolve_job_def("copy_drift")
        else:  # as the page's Execute button does it
            whole = place.definitions.resolve_implicit_global_asset_job_def()
            check = dg.AssetCheckKey(COPY, "drift")
            job = whole.get_subset(asset_selection=set(), asset_check_selection={check})
        assert job.execute_in_process(instance=place.instance, raise_on_error=False).success
        place.tick()

    look()
    assert hook.posts == []
    (place.directory / "dest" / "a").write_text("canary of theirs")
    (place.directory / "dest" / "b").unlink()
    look()
    look()
    post, again = hook.posts
    assert (post.body["events"], post.body["ok"], post.body["driftedCount"]) == (["drift"], False, 2)
    assert post.body["drifted"] == [
        {"item": "all", "dest": "dest", "key": "a", "reason": "changed"},
        {"item": "all", "dest": "dest", "key": "b", "reason": "removed"},
    ]
    assert post.body["summary"] == "SecretSync: copy has drift"
    assert post.body["more"] == "secretsync check copy"
    assert again.body["drifted"] == post.body["drifted"]
    assert "canary" not in str(post.body)
    # The sync that puts it right tells of the drift it met, and nothing of a recovery: no sync had failed.
    assert place.run().success
    place.tick()
    assert hook.posts[-1].body["events"] == ["drift"]
    assert hook.posts[-1].body["ok"]


def test_a_check_tells_only_who_asks_for_drift(
    place: Place, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry without ``drift`` hears nothing of it; a check that could not look tells nobody."""
    plan = "  driftCheck: {schedule: '@daily'}\n" + PLAN
    place.load(plan)
    assert place.run().success
    place.tick()
    (place.directory / "dest" / "a").write_text("theirs")
    for notify, spoil in (("- webhook: {url: {env: HOOK_URL}}", False), (HOOK, True)):
        write_documents(place.directory, notify, plan)
        place.definitions = compile_documents(load_directory(place.directory), directory=place.directory)
        if spoil:
            (place.directory / "dest").rename(tmp_path / "away")
            (place.directory / "dest").write_text("no directory")
        job = place.definitions.resolve_job_def("copy_drift")
        (found,) = job.execute_in_process(instance=place.instance).get_asset_check_evaluations()
        assert not found.passed
        place.tick()
    assert hook.posts == []


def test_a_server_that_is_not_there(place: Place, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be sent is a warning of the tick, without the address, and is not tried for ever."""
    place.tick()
    place.load(PLAN + SPOILED)
    assert not place.run().success
    monkeypatch.setenv("HOOK_URL", "canary")
    told = place.tick()
    assert "does not hold an http:// or https:// URL" in told
    assert "canary" not in told
    assert place.tick() == "no run has ended since"


def test_no_sensor_where_nobody_asks(place: Place) -> None:
    """Without any notify there is no such sensor, and with many jobs there is one."""
    assert [sensor.name for sensor in place.definitions.sensors or ()].count(NAME) == 1
    text = (place.directory / "docs.yaml").read_text()
    (place.directory / "docs.yaml").write_text(
        text.replace("  notify:\n", "  suspend: false\n").replace(f"    {HOOK}\n", "")
    )
    definitions = compile_documents(load_directory(place.directory), directory=place.directory)
    assert NAME not in [sensor.name for sensor in definitions.sensors or ()]
