"""What is red, green and said of it, point by point, on the real webserver and daemon: by GraphQL, as the pages ask it.

A SyncJob for each point. All of them are run once, and then once more after something has happened to each; the tests
look at what came of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from dagster_jobs.processes import wait_until

from secretsync_core.demo.ui import LOCATION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsync_core.demo.ui import WebUi
    from ui.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ui"), pytest.mark.timeout(600)]

_SECONDS = 240
_REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
_RELOAD = """mutation { reloadRepositoryLocation(repositoryLocationName: "%s") { __typename } }"""
_LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } } }"""
_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } } }"""
_DUE = """mutation($schedule: ScheduleSelector!, $at: Float) { scheduleDryRun(selectorData: $schedule, timestamp: $at) {
  ... on DryRunInstigationTick { evaluationResult { skipReason runRequests { tags { key value } } } } } }"""
_TICKS = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
  sensorState { ticks(limit: 1) { status } } } } }"""
_ITEMS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { description opVersion
  partitionStats { numMaterialized numFailed } } } }"""
_CHECK = """query($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 9) { status evaluation { success severity description
    metadataEntries { label ... on IntMetadataEntry { intValue } } } } }"""
_EVENTS = """query($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events { __typename
  ... on MessageEvent { message level }
  ... on ExecutionStepFailureEvent { error { message } }
  ... on ObservationEvent { partition metadataEntries { label ... on IntMetadataEntry { intValue } } } } } } }"""
_RUNS = """{ runsOrError(limit: 500) { ... on Runs { results { runId jobName status assetSelection { path }
  tags { key value } } } } }"""

_STORE = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: {name}}}
spec: {{permissions: ReadWrite, provider: {{file: {{path: {name}}}}}}}
---
"""
_JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: {name}}}
spec:
  source: {source}
  dest: {name}-dest
{spec}
  plan:
{plan}
"""
_ITEM = """\
  - name: {item}
    query: {{path: {of}/{item}}}
    valueTransform: [{{template: {{data: {{url: "{{{{ {field} }}}}"}}}}}}]
"""
_FIVE = ("a", "b", "c", "d", "e")
_TWO = _FIVE[:2]
_SPECS: dict[str, tuple[tuple[str, ...], str]] = {
    "newer": (_TWO, ""),
    "slip": (_TWO, ""),
    "held": (_FIVE, "  deletionPolicy: Delete\n  maxDelete: 1"),
    "paused": (_TWO, "  suspend: true"),
    "numbers": (_TWO, ""),
    # Once a year, so that nothing starts by itself while these tests run.
    "drifts": (_TWO, '  schedule: "@yearly"\n  driftCheck: {schedule: "@yearly"}'),
    "leads": (_TWO, ""),
}
_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
_SLIPS: tuple[dict[str, Any], ...] = ({"items": ["bilings-db"]}, {"restored": ["scource"]})


def _document(name: str, source: str = "source", of: str = "", spec: str = "", field: str = "host") -> str:
    items, told = _SPECS.get(name, (_TWO, spec))
    plan = "".join(_ITEM.format(item=item, of=of or name, field=field) for item in items)
    return _JOB.format(name=name, source=source, spec=told, plan=plan)


@dataclass
class Seen:
    """What was started, and how it ended."""

    runs: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    due: dict[str, Any] = field(default_factory=dict)
    slips: list[dict[str, Any]] = field(default_factory=list)


def _key(job: str) -> dict[str, list[str]]:
    return {"path": ["sync", job]}


def _launch(ui: WebUi, job: str, config: Mapping[str, Any] | None = None, tags: Any = ()) -> dict[str, Any]:
    params = {
        "selector": {**_REPOSITORY, "jobName": job},
        "runConfigData": config or {},
        "executionMetadata": {"tags": list(tags)},
    }
    answer: dict[str, Any] = ui.graphql(_LAUNCH, params=params)["launchRun"]
    return answer


def _reload(ui: WebUi) -> None:
    assert ui.graphql(_RELOAD % LOCATION)["reloadRepositoryLocation"]["__typename"] == "WorkspaceLocationEntry"


def _due(ui: WebUi, schedule: str) -> dict[str, Any]:
    """What a schedule does in the first second of a year."""
    selector = {**_REPOSITORY, "scheduleName": schedule}
    found: dict[str, Any] = ui.graphql(_DUE, schedule=selector, at=_NEW_YEAR)["scheduleDryRun"]["evaluationResult"]
    return found


def _runs(ui: WebUi) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ui.graphql(_RUNS)["runsOrError"]["results"]
    return found


def _tags(run: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


@pytest.fixture(scope="module")
def seen(ui: WebUi, stage: Stage) -> Iterator[Seen]:
    """Each job was synced, something happened to it, and it was started once more; the documents go afterwards."""
    _write(stage)
    _reload(ui)
    yield _press(ui, stage)
    for name in ("colours", *_SPECS):
        (stage.directory / f"{name}.yaml").unlink()
    _reload(ui)


def _press(ui: WebUi, stage: Stage) -> Seen:
    told = Seen()
    first = {job: ui.launch(job) for job in _SPECS if job not in ("paused", "leads")}
    # Materialize, All: Dagster looks for backfills twice a minute.
    params = {"assetSelection": [_key("paused")], "partitionNames": list(_TWO), "fromFailure": False, "tags": []}
    backfill = str(ui.graphql(_BACKFILL, params=params)["launchPartitionBackfill"]["backfillId"])
    sensor = {**_REPOSITORY, "sensorName": "secretsync_eager"}
    # What happened before the sensor has looked for the first time is no news to it.
    wait_until(lambda: bool(ui.graphql(_TICKS, sensor=sensor)["sensorOrError"]["sensorState"]["ticks"]), _SECONDS, 0.5)
    told.runs["leads"] = ui.launch("leads")
    assert {job: ui.wait_for(run, _SECONDS) for job, run in first.items()} == dict.fromkeys(first, "SUCCESS")
    _happen(stage)
    told.due = {name: _due(ui, name) for name in ("drifts_schedule", "drifts_drift_schedule")}
    told.slips = [_launch(ui, "slip", slip) for slip in _SLIPS]
    told.runs |= {job: ui.launch(job) for job in ("newer", "held", "numbers")}
    (asked,) = told.due["drifts_schedule"]["runRequests"]
    told.runs["drifts"] = _launch(ui, "drifts", tags=asked["tags"])["run"]["runId"]
    told.runs["slip"] = told.slips[1]["run"]["runId"]

    def started() -> bool:
        found = [run["runId"] for run in _runs(ui) if _tags(run).get("dagster/backfill") == backfill]
        for run in found:
            told.runs["paused"] = run
        return bool(found)

    wait_until(started, _SECONDS, 0.5)
    told.ended = {job: ui.wait_for(run, _SECONDS) for job, run in told.runs.items()}
    return told


def _write(stage: Stage) -> None:
    """The documents, and two secrets for each item."""
    follows = _document("follows", "leads-dest", "leads", "  automation: Eager", "url")
    stores = "".join(_STORE.format(name=f"{job}-dest") for job in (*_SPECS, "follows"))
    (stage.directory / "colours.yaml").write_text(stores + follows)
    for job, (items, _) in _SPECS.items():
        (stage.directory / f"{job}.yaml").write_text(_document(job))
        for item in items:
            for number in range(2):
                stage.write(f"{job}/{item}/{number}", {"host": f"{item}-{number}"})
    for job in (*_SPECS, "follows"):
        (stage.directory / f"{job}-dest").mkdir()


def _happen(stage: Stage) -> None:
    """What people do before they press the button once more."""
    path = stage.directory / "newer.yaml"
    path.write_text(path.read_text().replace("{{ host }}", "{{ host }}:5432"))
    stage.write("newer/a/0", {"host": "moved"})
    for key in ("held/a/0", "held/b/0"):
        (stage.directory / "source" / key).unlink()
    stage.write("numbers/a/0", {"no": "host"})
    stage.write("numbers/a/1", {"host": "moved"})
    stage.tamper("numbers", "numbers/b/0")
    stage.tamper("drifts", "drifts/a/0")


def _items(ui: WebUi, job: str) -> tuple[int, int]:
    """How many items are green, and how many red."""
    stats = ui.graphql(_ITEMS, key=_key(job))["assetNodeOrError"]["partitionStats"]
    return stats["numMaterialized"], stats["numFailed"]


def _code_version(ui: WebUi, job: str) -> str:
    return str(ui.graphql(_ITEMS, key=_key(job))["assetNodeOrError"]["opVersion"])


def _check(ui: WebUi, job: str, name: str = "in_sync") -> list[dict[str, Any]]:
    """The check's history, the newest first."""
    found: list[dict[str, Any]] = ui.graphql(_CHECK, key=_key(job), name=name)["assetCheckExecutions"]
    return found


def _numbers(entries: list[dict[str, Any]]) -> dict[str, int]:
    return {entry["label"]: entry["intValue"] for entry in entries if entry.get("intValue") is not None}


def _events(ui: WebUi, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ui.graphql(_EVENTS, run=run)["logsForRun"]["events"]
    return found


def _failures(ui: WebUi, run: str) -> list[str]:
    events = _events(ui, run)
    return [one["error"]["message"] for one in events if one["__typename"] == "ExecutionStepFailureEvent"]


def test_a_run_has_what_was_loaded_until_the_reload(ui: WebUi, stage: Stage, seen: Seen) -> None:
    """A document that was edited meanwhile changes nothing, and the run warns; after Reload it holds.

    So does the code version that the asset's page shows.
    """
    assert seen.ended["newer"] == "SUCCESS"
    assert json.loads(stage.dest("newer")["newer/a/0"]) == {"url": "moved"}
    (warned,) = [event["message"] for event in _events(ui, seen.runs["newer"]) if event.get("level") == "WARNING"]
    assert "Reload the code location for the next run to have them" in warned
    shown = {job: _code_version(ui, job) for job in ("newer", "held")}
    _reload(ui)
    assert _code_version(ui, "held") == shown["held"]
    assert _code_version(ui, "newer") != shown["newer"]
    assert ui.wait_for(ui.launch("newer"), _SECONDS) == "SUCCESS"
    assert json.loads(stage.dest("newer")["newer/a/0"]) == {"url": "moved:5432"}


def test_a_slip_in_the_launchpad_touches_no_item(ui: WebUi, seen: Seen) -> None:
    """An item that there is not is refused before there is a run; a store that there is not fails the run alone."""
    assert seen.slips[0]["__typename"] == "RunConfigValidationInvalid"
    assert seen.ended["slip"] == "FAILURE"
    assert _items(ui, "slip") == (2, 0)
    assert [said["status"] for said in _check(ui, "slip")] == ["SUCCEEDED"]


def test_deletes_that_max_delete_held_back_turn_their_items_red_alone(ui: WebUi, seen: Seen) -> None:
    """Two of five; and the first line says maxDelete, how many, and what to do."""
    assert seen.ended["held"] == "FAILURE"
    assert _items(ui, "held") == (3, 2)
    assert _check(ui, "held")[0]["evaluation"]["description"] == "out of sync: a, b"
    (said,) = _failures(ui, seen.runs["held"])
    assert said.startswith("Failed: maxDelete held back 2 deletes; if the plan is what you want, run ")


def test_a_suspended_job_is_not_materialized(ui: WebUi, stage: Stage, seen: Seen) -> None:
    """Nothing is written, the page begins with "Suspended", and no check is red for it: yellow, as nothing is known."""
    assert seen.ended["paused"] == "FAILURE"
    assert stage.dest("paused") == {}
    assert _failures(ui, seen.runs["paused"])[0].startswith("Failed: SyncJob paused is suspended")
    assert ui.graphql(_ITEMS, key=_key("paused"))["assetNodeOrError"]["description"].startswith("Suspended: ")
    for name in ("in_sync", "drift", "ledger_intact"):
        (said,) = _check(ui, "paused", name)
        assert said["evaluation"] is not None, (name, said["status"])
        assert said["evaluation"]["severity"] == "WARN"


def test_the_numbers_of_a_run_are_those_of_all_its_steps(ui: WebUi, seen: Seen) -> None:
    """Also where a transfer failed: the plots have a point, and the check the same numbers."""
    assert seen.ended["numbers"] == "FAILURE"
    right = {"copied": 2, "unchanged": 1, "failed": 1, "drifted": 1}
    observed = [event for event in _events(ui, seen.runs["numbers"]) if event["__typename"] == "ObservationEvent"]
    (whole,) = [found for event in observed if "run: copied" in (found := _numbers(event["metadataEntries"]))]
    assert {name: whole[f"run: {name}"] for name in right} == right
    newest = _check(ui, "numbers")[0]["evaluation"]
    assert (newest["success"], newest["description"]) == (False, "out of sync: a")
    assert {name: _numbers(newest["metadataEntries"])[name] for name in right} == right
    assert _numbers(newest["metadataEntries"])["requests"] == whole["run: requests"]


def test_drift_that_a_sync_repaired_stands_in_the_checks_history(ui: WebUi, seen: Seen) -> None:
    """A check that is due in the same second is left to the sync, which looks first; and what it put right is green."""
    assert "drifts_schedule is due in the same second" in seen.due["drifts_drift_schedule"]["skipReason"]
    assert seen.ended["drifts"] == "SUCCESS"
    assert [
        (said["evaluation"]["success"], said["evaluation"]["description"]) for said in _check(ui, "drifts", "drift")
    ] == [
        (True, "1 secret had drifted: this sync has put that right"),
        (False, "1 secret had been changed or removed outside SecretSync, a sync found"),
        (False, "1 of 4 secrets were changed or removed outside SecretSync"),
    ]


def test_an_eager_job_follows_the_one_that_writes_its_source(ui: WebUi, stage: Stage, seen: Seen) -> None:
    """The daemon's sensor sees to it: all items of it are synced, without a press."""
    assert seen.ended["leads"] == "SUCCESS"
    wait_until(lambda: len(stage.dest("follows")) == 4, _SECONDS, 0.5)
    wait_until(lambda: _items(ui, "follows") == (2, 0), _SECONDS, 0.5)


def test_every_run_of_a_sync_names_it(ui: WebUi, seen: Seen) -> None:
    """However it was started: by the Launchpad, a backfill or the sensor."""
    wait_until(lambda: _items(ui, "follows") == (2, 0), _SECONDS, 0.5)
    jobs = {*_SPECS, "follows"}
    mine = [
        run for run in _runs(ui) if {run["jobName"], *(key["path"][-1] for key in run["assetSelection"] or ())} & jobs
    ]
    assert len(mine) >= len(seen.runs) + 6
    assert {_tags(run).get("secretsync/job") for run in mine} == jobs
