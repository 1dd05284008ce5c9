"""Where the steps of a run are executed, as the SyncJob's ``executor`` says, and what is done around all of them.

Dagster's own executors do the work. Around it the run's lease is kept for as long as its worker lives, however long
the next step takes to start, and once the last step has ended, whatever ended it, the run's books are closed: no step
can, for none knows that it was the last. Only a worker that is killed leaves that to the sensor of
:mod:`secretsync_dagster.run_reaper`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_core.errors import SecretSyncError
from secretsync_core.run.lease import LEASE_SECONDS
from secretsync_core.run.record import close_run
from secretsync_core.run.shards import AT_ONCE
from secretsync_core.schema.job import Executor
from secretsync_dagster.executor_wrappers import (
    EndsWhenTerminated,
    WaitsForPods,
    lets_tags_change_pods,
    make_inner,
    starts_pods,
)
from secretsync_dagster.lease_holders import holder_of
from secretsync_dagster.left_out import say_what_is_left_out
from secretsync_dagster.plain_failures import as_told, show_as_told
from secretsync_dagster.run_workers import sign_as_worker
from secretsync_dagster.shared_assets import location_of_run
from secretsync_dagster.verdicts import give, items_asked
from secretsync_dagster.watchdog import watch_this_process
from secretsync_dagster.whole_runs import WholeRun

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from secretsync_dagster.resources import Runtime

_OPEN_TO_TAGS = (
    "whoever launches runs can give their pods another image or command by the tag dagster-k8s/config, with all of "
    "their credentials: set the run launcher's only_allow_user_defined_k8s_config_fields, as docs/kubernetes.md says"
)


def make_executor(runtime: Runtime, executors: Collection[Executor]) -> dg.ExecutorDefinition:
    """The executor of runs of SyncJobs that say one of ``executors``.

    A run of assets of several SyncJobs takes processes if one of them does.
    """
    wanted = [name for name in Executor if name in executors] or [Executor.IN_PROCESS]
    several = wanted != [Executor.IN_PROCESS]

    @dg.executor(name="secretsync", requirements=dg.multiple_process_executor_requirements() if several else [])
    def by_document(context: dg.InitExecutorContext) -> dg.Executor:
        return _ByDocument(runtime, {name: _MAKE[name](context) for name in wanted})

    return by_document


def _in_process(context: dg.InitExecutorContext) -> dg.Executor:
    return EndsWhenTerminated(make_inner(dg.in_process_executor, context, {}))


def _multiprocess(context: dg.InitExecutorContext) -> dg.Executor:
    # Each step's process is forked from one that has imported what it needs: a start takes half a second, not four.
    preload = ["secretsync_dagster.preload", *(name for name in _LOCATIONS if name in sys.modules)]
    settings = {
        "max_concurrent": AT_ONCE[Executor.MULTIPROCESS],
        "start_method": {"forkserver": {"preload_modules": preload}},
    }
    return make_inner(dg.multiprocess_executor, context, settings)


_LOCATIONS = ("secretsync_dagster.definitions",)
"""Modules that compile a code location: what they made is there already when a step looks for its job."""


def _kubernetes(context: dg.InitExecutorContext) -> dg.Executor:
    """A pod a step, set up as the run's own; else a process a step, so that documents run anywhere."""
    if not starts_pods(context.instance):
        return _multiprocess(context)
    from dagster_k8s import k8s_job_executor  # an extra, and two seconds of imports

    settings = {"max_concurrent": AT_ONCE[Executor.KUBERNETES]}
    return WaitsForPods(make_inner(k8s_job_executor, context, settings))


_MAKE: dict[Executor, Callable[[dg.InitExecutorContext], dg.Executor]] = {
    Executor.IN_PROCESS: _in_process,
    Executor.MULTIPROCESS: _multiprocess,
    Executor.KUBERNETES: _kubernetes,
}


def _is_canceled(plan_context: Any) -> bool:
    run = plan_context.instance.get_run_by_id(plan_context.run_id)
    return run is not None and run.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


class _ByDocument(dg.Executor):
    """Executes the steps as the documents of a run's SyncJobs say, and keeps the run's books."""

    def __init__(self, runtime: Runtime, inner: dict[Executor, dg.Executor]) -> None:
        self._runtime = runtime
        self._inner = inner

    @property
    def retries(self) -> Any:
        """How steps are retried: the same whichever executor it will be."""
        return next(iter(self._inner.values())).retries

    # Any: Dagster names these two, but does not export their types.
    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Execute the steps of one run; in process if it can one that is of no SyncJob, such as a check's."""
        run, instance = plan_context.dagster_run, plan_context.instance
        jobs = self._runtime.catalog.jobs_of(run)
        said = {job.spec.executor for job in jobs} & self._inner.keys()
        # The one that takes most processes is named last.
        chosen = next((name for name in reversed(Executor) if name in said), next(iter(self._inner)))
        if lets_tags_change_pods(instance):
            plan_context.log.warning(_OPEN_TO_TAGS)
        if jobs:
            say_what_is_left_out(plan_context.log)
            show_as_told(plan_context.log)
        watch_this_process()
        sign_as_worker(instance, run.run_id)
        reason = "failed"
        whole = WholeRun(self._runtime.catalog, [job.name for job in jobs])
        try:
            with _renewed_leases(self._runtime, [job.name for job in jobs], holder_of(run.run_id)):
                for event in self._inner[chosen].execute(plan_context, execution_plan):
                    whole.take(event)
                    yield as_told(event)
            _report(whole, plan_context)
        except Exception:
            raise
        except BaseException:
            reason = "stopped"  # it was terminated
            raise
        finally:
            if _is_canceled(plan_context):  # which an executor of other machines' processes does not raise
                reason = "stopped"
            for job in jobs:
                if error := self._close_books(instance, run, job.name, reason):
                    plan_context.log.warning("the ledger does not say how this run ended: %s", error)

    def _close_books(self, instance: dg.DagsterInstance, run: dg.DagsterRun, job: str, reason: str) -> str:
        """Close the books of a run for one of its SyncJobs, and show what it left undone; gives why that failed."""
        try:
            with self._runtime.ledger() as opened:
                items = items_asked(self._runtime.catalog, job, run)
                close_run(opened.ledger, job, run.run_id, holder_of(run.run_id), reason=reason, items=items)
                if reason == "stopped" and opened.ledger.leases.find(job) is None:
                    give(instance, self._runtime, opened.ledger, job, location_of_run(run), ended=run.run_id)
        except SecretSyncError as error:
            return error.message
        except Exception as error:  # noqa: BLE001  its text may hold anything
            return f"an unexpected {type(error).__name__}"
        return ""


def _report(whole: WholeRun, plan_context: Any) -> None:
    """Show the numbers of a run; one whose numbers cannot be shown has ended as it did all the same."""
    try:
        whole.report(plan_context.instance, plan_context.dagster_run)
    except Exception as error:  # noqa: BLE001  its text may hold anything
        plan_context.log.warning("the numbers of this run are not shown: an unexpected %s", type(error).__name__)


@contextlib.contextmanager
def _renewed_leases(runtime: Runtime, jobs: list[str], holder: str) -> Iterator[None]:
    """Renew the leases that the steps of a run took, for as long as the block lasts."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(LEASE_SECONDS / 3):
            for job in jobs:
                # One that no step took, or that was lost, is not ours to renew; a ledger that fails may do so no more
                # at the next turn. What steps need to know of either they find out by themselves.
                with contextlib.suppress(Exception), runtime.ledger() as opened:
                    opened.ledger.leases.renew(job, holder, LEASE_SECONDS)

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
