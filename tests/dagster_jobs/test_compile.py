"""Compiling documents into Dagster definitions."""

from __future__ import annotations

import contextlib
import gc
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, NoReturn

import dagster as dg
import pytest

import secretsync_dagster
from secretsync_core.audit.home import DIRECTORY
from secretsync_core.schema.loader import examine
from secretsync_dagster import component
from secretsync_dagster.compile import compile_documents
from secretsync_dagster.load import without_collecting

if TYPE_CHECKING:
    from dagster_jobs.lab import Lab


def _job(name: str, spec: str = "") -> str:
    return (
        f"apiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {{name: {name}}}\n"
        f"spec:\n  source: src\n  dest: dst\n{spec}  plan:\n    - {{name: all, query: {{}}}}\n"
    )


def _names(definitions: dg.Definitions) -> set[str]:
    return {job.name for job in definitions.resolve_all_job_defs()}


def test_compiling_touches_no_network_and_no_ledger(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compile step is pure: no socket, no ledger, no file."""
    lab.store("src", "vault: {address: 'http://127.0.0.1:1', mount: kv, auth: {token: {env: NOWHERE}}}")
    (lab.config / "job.yaml").write_text(_job("job", "  schedule: '0 * * * *'\n  onChange: {interval: 1m}\n"))
    before = sorted(lab.path.rglob("*"))

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    definitions = lab.definitions
    dg.Definitions.validate_loadable(definitions)
    assert _names(definitions) >= {"job"}
    assert sorted(lab.path.rglob("*")) == before


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_jobs_compile(lab: Lab, count: int) -> None:
    """All of many documents compile and resolve; how fast is a benchmark's to say."""
    text = "---\n".join(_job(f"job-{number}", "  schedule: '0 * * * *'\n") for number in range(count))
    (lab.config / "many.yaml").write_text(text)
    definitions = lab.definitions
    assert len(_names(definitions)) == count + 3  # and the assets' own, what finds keys, and what looks at the ledger


def test_loading_leaves_the_garbage_collector_as_it_was() -> None:
    """It rests while documents are loaded, also where that fails, and only then."""
    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            with contextlib.suppress(ZeroDivisionError), without_collecting():
                assert not gc.isenabled()
                raise ZeroDivisionError
            assert gc.isenabled() is before
        finally:
            gc.enable()


def test_a_broken_document_is_shown_and_takes_nothing_down(lab: Lab) -> None:
    """The others load; the broken one is a job of its own that says what is wrong, and fails with it."""
    (lab.config / "job.yaml").write_text(_job("good"))
    (lab.config / "bad.yaml").write_text(_job("bad", "  schedule: sometimes\n"))
    definitions = lab.definitions
    assert _names(definitions) >= {"good", "BROKEN_0_bad_yaml"}
    broken = definitions.resolve_job_def("BROKEN_0_bad_yaml")
    assert "schedule" in str(broken.description)
    result = broken.execute_in_process(instance=lab.instance, raise_on_error=False)
    assert not result.success


def test_a_long_list_of_errors_says_that_it_is_cut(lab: Lab) -> None:
    """Of a hundred errors in a file fifty are listed, and how many there are besides."""
    items = "".join(f"    - {{name: i{number}, query: {{}}, wrong: x}}\n" for number in range(100))
    (lab.config / "bad.yaml").write_text(_job("bad").rpartition("    - ")[0] + items)
    told = str(lab.definitions.resolve_job_def("BROKEN_0_bad_yaml").description)
    assert told.count("unknown field") == 50
    assert "... and 50 more" in told


def test_two_stores_that_are_copied_both_ways_load(lab: Lab) -> None:
    """Assets may not go round in circles; documents may."""
    there, back = _job("there"), _job("back").replace("source: src\n  dest: dst", "source: dst\n  dest: src")
    (lab.config / "jobs.yaml").write_text(f"{there}---\n{back}")
    dg.Definitions.validate_loadable(lab.definitions)


def test_lineage_runs_from_store_to_store(lab: Lab) -> None:
    """The source's asset is above the job's, and the destination's below it."""
    (lab.config / "job.yaml").write_text(_job("job"))
    graph = lab.definitions.resolve_asset_graph()
    job = graph.get(dg.AssetKey(["sync", "job"]))
    assert job.parent_keys == {dg.AssetKey(["store", "src"])}
    assert job.child_keys == {dg.AssetKey(["store", "dst"])}
    assert job.partitions_def is not None
    assert list(job.partitions_def.get_partition_keys()) == ["all"]


def test_schedules_say_when_and_where(lab: Lab) -> None:
    """Cron and time zone come from the document; it runs from the start, unless it is suspended."""
    (lab.config / "a.yaml").write_text(_job("a", "  schedule: '5 4 * * *'\n  timezone: Europe/Berlin\n"))
    (lab.config / "b.yaml").write_text(_job("b", "  schedule: '@hourly'\n  suspend: true\n"))
    repository = lab.definitions.get_repository_def()
    a, b = repository.get_schedule_def("a_schedule"), repository.get_schedule_def("b_schedule")
    assert (a.cron_schedule, a.execution_timezone, a.job_name) == ("5 4 * * *", "Europe/Berlin", "a")
    assert a.default_status is dg.DefaultScheduleStatus.RUNNING
    assert b.default_status is dg.DefaultScheduleStatus.STOPPED


def test_a_suspended_schedule_starts_nothing_though_it_is_on(lab: Lab) -> None:
    """A switch in the UI outlives the document's change: both schedules are evaluated all the same, and skip."""
    spec = "  schedule: '@hourly'\n  driftCheck: {schedule: '@daily'}\n  suspend: true\n"
    (lab.config / "job.yaml").write_text(_job("job", spec))
    repository = lab.definitions.get_repository_def()
    for name in ("job_schedule", "job_drift_schedule"):
        with dg.build_schedule_context(lab.instance) as context:
            found = repository.get_schedule_def(name).evaluate_tick(context)
        assert not found.run_requests
        assert found.skip_message == "the document says suspend: true"


def test_sets_of_documents_share_a_code_location(lab: Lab) -> None:
    """Two scopes with stores of the same names load beside each other, and each syncs between its own stores."""
    spec = "  schedule: '0 * * * *'\n  onChange: {interval: 1m}\n  driftCheck: {schedule: '@daily'}\n"
    spec += "  notify: [{webhook: {url: {env: HOOK}}}]\n"
    parts = []
    for scope in ("one", "two"):
        directory = lab.path / scope
        for store, permissions in (("src", "Read"), ("dst", "ReadWrite")):
            (directory / store).mkdir(parents=True)
            (directory / f"{store}.yaml").write_text(
                f"apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {{name: {store}}}\n"
                f"spec: {{permissions: {permissions}, provider: {{file: {{path: {store}}}}}}}\n"
            )
        (directory / "job.yaml").write_text(_job(f"job-{scope}", spec))
        (directory / "bad.yaml").write_text(_job("bad", "  schedule: sometimes\n"))
        (directory / "src" / "key").write_text(scope)
        documents, problems = examine([directory])
        parts.append(compile_documents(documents, problems, directory=directory, scope=scope))

    @dg.asset
    def theirs() -> None: ...

    own = dg.Definitions(assets=[theirs], executor=dg.multiprocess_executor)
    definitions = dg.Definitions.merge(own, *parts)
    dg.Definitions.validate_loadable(definitions)
    assert definitions.executor is dg.multiprocess_executor
    for scope in ("one", "two"):
        for part in (definitions.resolve_job_def(f"job_{scope}"), definitions.resolve_job_def(f"job_{scope}_drift")):
            assert part.execute_in_process(instance=lab.instance).success
        assert (lab.path / scope / "dst" / "key").read_text() == scope
        assert (lab.path / scope / DIRECTORY / "ledger.db").exists()
    assets = definitions.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(["sync", "job_two"])
    assert assets.execute_in_process(asset_selection=[key], partition_key="all", instance=lab.instance).success


@pytest.mark.slow
def test_the_components_are_found_only_when_they_are_asked_for() -> None:
    """Importing the package does not load Dagster; its components are there, and nothing else is."""
    code = "import sys, secretsync_dagster as s; assert 'dagster' not in sys.modules; s.SyncJobComponent"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {"SyncDirectoryComponent", "SyncJobComponent"} <= set(dir(secretsync_dagster))
    assert secretsync_dagster.SyncDirectoryComponent is component.SyncDirectoryComponent
    with pytest.raises(AttributeError, match="NoComponent"):
        secretsync_dagster.NoComponent  # noqa: B018


def test_a_run_takes_a_place_at_every_destination(lab: Lab) -> None:
    """A destination's pool bounds how many runs write there at a time, also of jobs that write to three of them."""
    for name in ("second", "third"):
        lab.store(name, "memory: {}")
    (lab.config / "job.yaml").write_text(_job("job").replace("dest: dst", "dest: [second, dst, third]"))
    job = lab.definitions.resolve_job_def("job")
    assert set().union(*(node.definition.pools for node in job.nodes)) == {
        f"secretsync_{name}" for name in ("second", "dst", "third")
    }
