"""A translator of somebody's own: what it says holds in the definitions, in runs, in sensors and in notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from dagster_jobs.lab import checked, failures, succeeded
from secretsync_core.errors import AccessDenied
from secretsync_dagster import SecretSyncTranslator, SyncDirectoryComponent
from secretsync_dagster.notifications import NAME as NOTIFICATIONS
from secretsync_dagster.standing_checks import SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dagster_jobs.lab import Lab
    from secretsync_core.notify.ending import Ending
    from secretsync_core.schema.documents import JobDocument
    from secretsync_dagster.translator import OpData, SecretStoreData, ShardData, SyncJobData

KEY = dg.AssetKey(["team", "secrets-of.job"])
SPEC = {"driftCheck": "{schedule: '@daily'}", "schedule": "'@hourly'", "onChange": "{interval: 10s}"}


class Theirs(SecretSyncTranslator):
    """Calls everything something else."""

    def get_job_name(self, data: SyncJobData) -> str:
        return f"sync_{data.name}_now"

    def get_tags(self, data: SyncJobData) -> Mapping[str, str]:
        return {"team": data.document.spec.source}

    def get_asset_spec(self, data: SyncJobData) -> dg.AssetSpec:
        theirs = super().get_asset_spec(data)
        return theirs.replace_attributes(
            key=["team", f"secrets-of.{data.name}"],
            group_name="theirs",
            description="in words of theirs",
            owners=["team:security"],
            code_version="7",
            freshness_policy=None,
        ).merge_attributes(tags={"tier": "gold"}, kinds={"vault"}, deps=[dg.AssetKey(["up", "stream"])])

    def get_store_asset_spec(self, data: SecretStoreData) -> dg.AssetSpec:
        return super().get_store_asset_spec(data).replace_attributes(key=["vaults", data.name], group_name="theirs")

    def get_partition_key(self, data: SyncJobData, item: str) -> str:
        return f"{data.name} / {item}"

    def get_mapping_key(self, data: ShardData) -> str:
        return f"copy_{data.item}"

    def get_op_name(self, data: OpData) -> str:
        return "THEIR_" + super().get_op_name(data)

    def get_pool(self, data: SecretStoreData) -> str:
        return f"pool-of-{data.name}"

    def get_change_sensor_name(self, data: SecretStoreData) -> str:
        return f"watch_{data.name}"


@pytest.fixture
def theirs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose documents are translated so, with everything that a job may ask for."""
    monkeypatch.setenv("HOOK", "http://127.0.0.1:1/")
    lab.translator = Theirs()
    lab.two_items(**SPEC, notify="[{webhook: {url: {env: HOOK}}}]")
    return lab


def _run(lab: Lab, name: str = "sync_job_now", **options: Any) -> dg.ExecuteInProcessResult:
    job = lab.definitions.resolve_job_def(name)
    return job.execute_in_process(instance=lab.instance, raise_on_error=False, **options)


def _keys(lab: Lab) -> set[dg.AssetKey]:
    """Every asset that any event of any run is about."""
    found = set()
    for run in lab.instance.get_runs():
        for entry in lab.instance.all_logs(run.run_id):
            if entry.dagster_event is not None and entry.dagster_event.asset_key is not None:
                found.add(entry.dagster_event.asset_key)
    return found


def test_the_definitions_are_theirs(theirs: Lab) -> None:
    """Names of jobs, schedules, sensors and ops, keys, groups, tags, owners, lineage, partitions and pools."""
    definitions = theirs.definitions
    dg.Definitions.validate_loadable(definitions)
    job = definitions.resolve_job_def("sync_job_now")
    assert {job.tags["team"], job.tags["secretsync/job"]} == {"src", "job"}
    assert {node.definition.name for node in job.nodes} == {
        "THEIR_EXPAND_sync_job_now", "THEIR_TRANSFER_to_dst", "THEIR_AUDIT",
    }  # fmt: skip
    assert set().union(*(node.definition.pools for node in job.nodes)) == {"pool-of-dst"}
    repository = definitions.get_repository_def()
    assert {each.name for each in repository.schedule_defs} == {
        "sync_job_now_schedule", "sync_job_now_drift_schedule", SCHEDULE,
    }  # fmt: skip
    assert "watch_src" in {each.name for each in repository.sensor_defs}
    graph = definitions.resolve_asset_graph()
    node = graph.get(KEY)
    assert node.group_name == "theirs"
    assert node.description == "in words of theirs"
    assert node.owners == ["team:security"]
    assert node.code_version == "7"
    assert {"tier", "secretsync/job", "dagster/kind/vault"} <= set(node.tags)
    assert node.parent_keys == {dg.AssetKey(["vaults", "src"]), dg.AssetKey(["up", "stream"])}
    assert node.child_keys == {dg.AssetKey(["vaults", "dst"])}
    assert node.partitions_def is not None
    assert list(node.partitions_def.get_partition_keys()) == ["job / alpha", "job / beta"]
    stores = {dg.AssetKey(["vaults", "src"]), dg.AssetKey(["vaults", "dst"])}
    assert {each.asset_key for each in graph.asset_check_keys} == {KEY, *stores}


def test_a_runs_events_are_theirs(theirs: Lab) -> None:
    """A run in which an item fails, and one in which none does: all events are of their asset and partitions."""
    theirs.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    failed = _run(theirs)
    assert set(failures(failed)) == {"transfer[copy_alpha]"}
    assert checked(failed) == [False]
    assert theirs.instance.get_materialized_partitions(KEY) == {"job / beta"}
    theirs.faults["dst"].clear()
    # Another run of the other item alone knows of the first one's failure by their key.
    assert checked(_run(theirs, run_config={"items": ["beta"]})) == [False]
    well = _run(theirs)
    assert checked(well) == [True]
    assert {"transfer[copy_alpha]", "expand", "audit"} <= succeeded(well)
    assert theirs.instance.get_materialized_partitions(KEY) == {"job / alpha", "job / beta"}
    assert _keys(theirs) == {KEY}
    planned = {
        entry.dagster_event.partition
        for run in theirs.instance.get_runs()
        for entry in theirs.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        if entry.dagster_event is not None
    }
    assert planned == {"job / alpha", "job / beta"}


def test_their_partition_is_one_item(theirs: Lab) -> None:
    """Materializing a partition syncs the item that it stands for; a range of them, these items."""
    job = theirs.definitions.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(asset_selection=[KEY], partition_key="job / beta", instance=theirs.instance)
    assert done.success
    assert set(theirs.held()) == {"beta/1", "beta/2"}
    assert theirs.instance.get_materialized_partitions(KEY) == {"job / beta"}


def test_schedules_sensors_and_notifications_know_them(theirs: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drift schedule checks their asset, the change sensor starts their job, and drift there is told to people."""
    told: list[Any] = []

    def notify(job: JobDocument, ending: Ending, *_: object, **__: object) -> list[str]:
        told.append((job.name, ending.drifted_count))
        return []

    monkeypatch.setattr("secretsync_dagster.notifications.send.notify", notify)
    ticks = _Ticks(theirs)
    (request,) = ticks("watch_src").run_requests
    assert request.job_name == "sync_job_now"
    ticks(NOTIFICATIONS)
    assert _run(theirs, run_config=request.run_config, tags=request.tags).success
    theirs.fill("dst", {"alpha/1": {"x": "changed"}})
    drift = _run(theirs, "sync_job_now_drift")
    assert [(each.asset_key, each.passed) for each in drift.get_asset_check_evaluations()] == [(KEY, False)]
    ticks(NOTIFICATIONS)
    assert sorted(told) == [("job", 0), ("job", 1)]


class _Ticks:
    """Ticks of sensors, each with the cursor that its last one left."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.cursors: dict[str, str | None] = {}

    def __call__(self, name: str) -> Any:
        repository = self.lab.definitions.get_repository_def()
        resources = {"secretsync": repository.get_top_level_resources()["secretsync"]}
        with dg.build_sensor_context(
            self.lab.instance, cursor=self.cursors.get(name), repository_def=repository, resources=resources
        ) as context:
            found = repository.get_sensor_def(name).evaluate_tick(context)
        self.cursors[name] = found.cursor
        return found


class _Same(SecretSyncTranslator):
    def get_mapping_key(self, data: ShardData) -> str:
        return "same"


class _Odd(SecretSyncTranslator):
    def get_mapping_key(self, data: ShardData) -> str:
        return f"not allowed {data.item}"


class _Broken(SecretSyncTranslator):
    def get_mapping_key(self, data: ShardData) -> str:
        raise ValueError("whatever this may hold")


@pytest.mark.parametrize(
    ("translator", "says"),
    [
        (_Same(), "2 steps of SyncJob job would have the same name"),
        (_Odd(), "Dagster does not take what a step would be called"),
        (_Broken(), "an unexpected ValueError at test_translator.py:"),
    ],
    ids=["same", "odd", "broken"],
)
def test_what_dagster_would_refuse_is_an_error_of_ours(lab: Lab, translator: SecretSyncTranslator, says: str) -> None:
    """Names of steps that Dagster would not take fail expand in words of ours, before any step has begun."""
    lab.translator = translator
    lab.two_items()
    (told,) = failures(lab.run()).values()
    assert told["told"].startswith(says)
    assert "whatever" not in str(told)
    assert lab.held() == {}


class TheirComponent(SyncDirectoryComponent):
    """A component with a translator of its own."""

    def get_translator(self) -> SecretSyncTranslator:
        return Theirs()


def _component(component: type[SyncDirectoryComponent], translation: dict[str, Any]) -> Iterator[dg.Definitions]:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component, defs_path="here")
        text = (path / "defs.yaml").read_text()
        assert "attributes:" in text
        (path / "defs.yaml").write_text(f"{text.rstrip()}\n  translation: {translation}\n" if translation else text)
        with sandbox.build_all_defs() as definitions:
            yield definitions


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # Dagster's own
@pytest.mark.parametrize("component", [SyncDirectoryComponent, TheirComponent], ids=["ours", "theirs"])
def test_a_components_yaml_translates(component: type[SyncDirectoryComponent]) -> None:
    """``translation`` in YAML changes every asset, whatever the translator has made of it, and the lineage holds."""
    translation = {
        "group_name": "{{ kind | lower }}s",
        "tags": {"document": "{{ name }}"},
        "key_prefix": "prod",
    }
    for definitions in _component(component, translation):
        dg.Definitions.validate_loadable(definitions)
        graph = definitions.resolve_asset_graph()
        ours = component is SyncDirectoryComponent
        key = dg.AssetKey(["prod", "sync", "here"] if ours else ["prod", "team", "secrets-of.here"])
        store = ["prod", "store", "here"] if ours else ["prod", "vaults"]
        names = ("here_source", "here_dest") if ours else ("here-source", "here-dest")
        source, dest = (dg.AssetKey([*store, name]) for name in names)
        assert {source, dest, key} <= graph.get_all_asset_keys()
        assert graph.get(key).parent_keys >= {source}
        assert graph.get(key).child_keys == {dest}
        assert [graph.get(each).group_name for each in (key, source)] == ["syncjobs", "secretstores"]
        assert graph.get(key).tags["document"] == "here"
