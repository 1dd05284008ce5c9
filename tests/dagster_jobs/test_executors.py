"""Steps in processes of their own, and what is done around all steps of a run, wherever they are executed."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagster_jobs import worker
from dagster_jobs.crash import Crash, Runs
from dagster_jobs.lab import KEY, checked
from dagster_jobs.processes import offspring, wait_until
from secretsync_core.audit.counts import results_of
from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.opening import open_ledger
from secretsync_core.errors import AccessDenied, StoreUnavailable
from secretsync_core.run import lease, parts, shards, steps
from secretsync_core.schema.job import Executor, SyncJobSpec
from secretsync_dagster.lease_holders import holder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Mount

    from dagster_jobs.lab import Lab
    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.demo.openbao import OpenBaoServer

    Execute = Callable[..., dg.JobExecutionResult]

_JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: src}}
spec: {{permissions: Read, provider: {{file: {{path: src}}}}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: dst}}
spec: {{provider: {{file: {{path: dst}}}}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: job}}
spec:
  source: src
  dest: dst
  executor: {executor}
  plan:
"""
_ITEM = "    - {{name: {name}, query: {{path: {name}}}, valueTransform: [{{template: {{text: '{{{{ x }}}}'}}}}]}}\n"


# -- Around all steps ---------------------------------------------------------------------------------------------


@pytest.fixture
def execute(lab: Lab, tmp_path: Path) -> Execute:
    """Executes the lab's job as a run worker does, in this process, with an instance on disk."""
    home = tmp_path / "home"
    home.mkdir()
    lab.instance = dg.DagsterInstance.local_temp(str(home), overrides=worker.QUIET)
    return lambda options=None: worker.execute(lab.instance, str(lab.config), options)


def test_a_failed_run_ends_in_the_ledger_and_frees_its_lease(lab: Lab, execute: Execute) -> None:
    """Though ``audit`` does not run: the ledger has the end, the verdict and the counts, and the next sync begins."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    result = execute()
    assert not result.success
    assert lab.ledger.leases.held() == []
    assert lab.ledger.runs.unfinished("job") == []
    last = lab.ledger.runs.summary("job").last_run
    assert last is not None
    assert (last.run, last.reason, last.counts, last.ok) == (
        *(result.run_id, "failed", {"created": 3, "failed": 1}, False),
    )
    lab.faults["dst"].clear()
    assert asyncio.run(lab.sync()).ok
    assert lab.sound()


def test_a_run_that_cannot_begin_leaves_no_lease(lab: Lab, execute: Execute) -> None:
    """Its first step fails for good before anything was recorded: there is no lease and no open run."""
    lab.two_items()
    lab.fault("src").fail("list", AccessDenied("no", store="src"))
    lab.fault("dst").fail("stat", AccessDenied("no", store="dst"))
    assert not execute().success
    assert lab.ledger.leases.held() == []
    assert lab.ledger.runs.unfinished("job") == []


def test_a_run_that_goes_well_ends_once(lab: Lab, execute: Execute) -> None:
    """What the last step recorded is not recorded again."""
    lab.two_items()
    assert execute().success
    events = [record.draft for record in lab.records() if record.draft.event.startswith("run-")]
    assert [(draft.event, draft.reason, results_of(draft.counts)) for draft in events] == [
        ("run-started", "", {}),
        ("run-finished", "", {"created": 4}),
    ]
    assert lab.ledger.leases.held() == []


def test_a_terminated_run_finishes_what_is_in_flight(lab: Lab, execute: Execute) -> None:
    """A signal in the middle of a write: that write is recorded, no step begins any more, and the books are closed."""
    lab.two_items(limits="{concurrency: 1}")

    async def terminate(_: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)

    lab.fault("dst").run("write_if", terminate)
    result = execute()
    assert not result.success
    assert {str(event.step_key) for event in result.all_events if event.is_step_start} == {"expand", "transfer[alpha]"}
    written = set(lab.held())
    assert 1 <= len(written) < 4
    assert {key for _, key in lab.state()} == written
    last = lab.ledger.runs.summary("job").last_run
    assert last is not None
    assert (last.reason, last.counts) == ("stopped", {"created": len(written)})
    (end,) = lab.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert end.dagster_event is not None
    error = end.dagster_event.job_failure_data.error
    assert error is not None
    assert error.message.startswith("Terminated: what this run wrote is in the ledger")
    assert not error.stack  # which would show where in the code it was, and nothing that happened
    assert lab.ledger.leases.held() == []
    assert lab.ledger.runs.unsettled("job") == []


@pytest.mark.slow
def test_the_lease_is_kept_between_steps(lab: Lab, execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the next step takes to start, no other run comes in between."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.3)
    monkeypatch.setattr("secretsync_dagster.executors.LEASE_SECONDS", 0.3)
    lab.two_items()
    seen: list[str | None] = []
    transfer = steps.transfer

    async def late(*arguments: Any) -> steps.Done:
        await asyncio.sleep(0.8)
        held = lab.ledger.leases.find("job")
        seen.append(held.holder if held else None)
        return await transfer(*arguments)

    monkeypatch.setattr(steps, "transfer", late)
    result = execute()
    assert result.success
    assert seen == [holder_of(result.run_id)] * 2


def test_a_retry_that_helped_leaves_nothing_red(lab: Lab) -> None:
    """An item whose step failed and was tried again with success is in sync, also if another item failed for good."""
    lab.two_items()
    lab.fault("dst").fail("write_if", StoreUnavailable("away", store="dst"), key="alpha/1", times=1)
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="beta/1")
    assert checked(lab.run()) == [False]
    assert _out_of(lab.ledger) == {"beta"}


def test_the_check_itself_keeps_what_is_out_of_sync(lab: Lab) -> None:
    """Executed by hand it says which items are out, and a later run of other items does not turn it green."""
    lab.two_items()
    lab.fault("dst").fail("write_if", AccessDenied("no", store="dst"), key="alpha/1")
    lab.run()
    job = lab.definitions.resolve_implicit_global_asset_job_def()
    only = job.get_subset(asset_selection=set(), asset_check_selection={dg.AssetCheckKey(KEY, "in_sync")})
    result = only.execute_in_process(instance=lab.instance)
    assert [each.passed for each in result.get_asset_check_evaluations()] == [False]
    assert _out_of(lab.ledger) == {"alpha"}
    assert checked(lab.run(items=["beta"])) == [False]


# -- Processes ----------------------------------------------------------------------------------------------------


def test_processes_share_the_limits() -> None:
    """Steps that work at a time take their parts of concurrency and rate, and at least one request each."""
    plan = ({"secret": {"key": "a"}},)

    def share(**limits: Any) -> tuple[int, float | None]:
        spec = SyncJobSpec.model_validate({"source": "a", "dest": "b", "limits": limits, "plan": plan})
        shared = parts._with_a_share(spec, 4).limits
        return shared.concurrency, shared.rate

    assert share(concurrency=32, rate="200/s") == (8, 50)
    assert share(concurrency=2) == (1, None)


@pytest.fixture
def crash(
    request: pytest.FixtureRequest, tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount
) -> Iterator[Crash]:
    """A job in processes; the parameters are the items, the secrets of each, and the limits."""
    items, each, limits = request.param
    made = Crash(
        tmp_path / "config", openbao, openbao_dest, (mount(openbao), mount(openbao_dest)),
        items=items, each=each, executor="Multiprocess", limits=limits,
    )  # fmt: skip
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("crash", [(2, 400, "concurrency: 16, shards: 2")], indirect=True)
def test_a_run_in_processes(crash: Crash, tmp_path: Path) -> None:
    """Each step is a process of its own, two of them at a time; all of it is one run under one lease."""
    runs = Runs(crash, tmp_path / "home")
    process = runs.start()
    process.join(200)
    assert process.exitcode == 0
    run = runs.last()
    assert run is not None
    pids = runs.pids(run.run_id)
    parts = {f"transfer[i{item}_PART_{part}_of_2]" for item in (0, 1) for part in (1, 2)}
    assert set(pids) == {"expand", *parts, "audit"}
    assert len({pid for step in pids.values() for pid in step}) == 6
    times = {
        str(step.step_key): (step.start_time, step.end_time)
        for step in runs.instance.get_run_step_stats(run.run_id)
        if step.step_key in parts
    }
    begun, ended = zip(*sorted(times.values()), strict=True)
    assert begun[1] < ended[0], "no two of them were at work at the same time"
    crash.check()
    started, *between, finished = [record.draft for record in crash.records()]
    assert (started.event, finished.event) == ("run-started", "run-finished")
    assert results_of(finished.counts) == {"created": 800}
    assert {draft.run for draft in between} == {run.run_id}
    runs.instance.dispose()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("crash", [(2, 60, "rate: 40/s, concurrency: 2")], indirect=True)
def test_a_step_that_runs_out_of_memory_is_tried_again(crash: Crash, tmp_path: Path) -> None:
    """Its process is killed as the kernel does it: Dagster tries that step again, and nothing is written twice."""
    runs = Runs(crash, tmp_path / "home")
    process = runs.start()
    assert process.pid is not None
    wait_until(lambda: crash.recorded() >= 10, pause=0.1)
    run = runs.instance.get_run_records(limit=1)[0].dagster_run
    victim = runs.pids(run.run_id)["transfer[i0]"][0]
    assert victim in [pid for pid, _ in offspring(process.pid)]
    os.kill(victim, signal.SIGKILL)
    process.join(200)
    assert process.exitcode == 0
    pids = runs.pids(run.run_id)
    assert {step: len(each) for step, each in pids.items()} == {
        "expand": 1,
        "transfer[i0]": 2,
        "transfer[i1]": 1,
        "audit": 1,
    }
    crash.check()
    told = results_of(crash.records()[-1].draft.counts)
    assert told == {"created": 120}, "the end of the run tells of both attempts"
    runs.instance.dispose()


def _out(config: Path) -> set[str]:
    """The items that the ledger beside the documents has as out of sync."""
    with open_ledger(config / DIRECTORY, environ=os.environ, write=False) as opened:
        return _out_of(opened.ledger)


def _out_of(ledger: Ledger) -> set[str]:
    return {each.item for each in ledger.items.out_of_sync("job")}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("executor", ["Multiprocess", pytest.param("Kubernetes", marks=pytest.mark.slow)])
def test_two_items_that_fail_at_once(executor: str, tmp_path: Path) -> None:
    """Both are out of sync, though neither step knows of the other; from failure executes just both. Where runs are no
    pods, as here, what asks for pods gets processes."""
    config = tmp_path / "config"
    config.mkdir()
    names = ("alpha", "beta", "gamma")
    (config / "all.yaml").write_text(
        _JOB.format(executor=executor) + "".join(_ITEM.format(name=name) for name in names)
    )
    (config / "dst").mkdir()
    for name in names:
        (config / "src" / name).mkdir(parents=True)
        (config / "src" / name / "good").write_text('{"x": "1"}')
        (config / "src" / name / "other").write_text('{"x": "1"}' if name == "gamma" else '{"y": "1"}')
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home), overrides=worker.QUIET) as instance:
        first = worker.execute(instance, str(config), None)
        assert not first.success
        assert instance.all_logs(first.run_id, of_type=dg.DagsterEventType.STEP_WORKER_STARTED)
        assert _out(config) == {"alpha", "beta"}
        assert set(instance.get_materialized_partitions(KEY)) == {"gamma"}
        for name in ("alpha", "beta"):
            (config / "src" / name / "other").write_text('{"x": "1"}')
        before = {path: path.stat().st_mtime_ns for path in (config / "dst").rglob("*") if path.is_file()}
        assert len(before) == 4
        again = worker.execute(instance, str(config), dg.ReexecutionOptions.from_failure(first.run_id, instance))
        assert again.success
        started = {str(event.step_key) for event in again.all_events if event.is_step_start}
        assert started == {"transfer[alpha]", "transfer[beta]", "audit"}
        after = {path: path.stat().st_mtime_ns for path in (config / "dst").rglob("*") if path.is_file()}
        assert {path: after[path] for path in before} == before
        assert len(after) == 6
        assert _out(config) == set()


def test_the_executor_is_the_documents(lab: Lab) -> None:
    """In process unless the document says otherwise; assets of several jobs take processes if one of them does."""
    lab.two_items()
    text = (lab.config / "job.yaml").read_text()
    (lab.config / "other.yaml").write_text(
        text.replace("name: job", "name: other").replace("  plan:", "  executor: Multiprocess\n  plan:")
    )
    definitions = lab.definitions
    needs = {
        job.name: bool(job.executor_def.get_requirements({}))
        for job in (*(definitions.resolve_job_def(name) for name in ("job", "other")),)
    }
    assert needs == {"job": False, "other": True}
    assert definitions.resolve_implicit_global_asset_job_def().executor_def.get_requirements({})
    assert set(shards.AT_ONCE) == set(Executor)
