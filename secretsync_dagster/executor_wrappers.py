"""Dagster's own executors, with what makes a run end as it should: on termination, and with steps in pods."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_dagster.error_boundary import terminated
from secretsync_dagster.plain_failures import as_told

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_SECONDS = 45.0
"""How long a run that is to end waits for its steps: less than the minute that Kubernetes gives a pod by our values."""

_PAUSE_SECONDS = 0.5
_RETRIES: dict[str, Any] = {"retries": {"enabled": {}}}


class _Wrapper(dg.Executor):
    """Retries steps as the ``inner`` executor does; a subclass says what is done besides executing them."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        """As the inner one has it."""
        return self._inner.retries


class EndsWhenTerminated(_Wrapper):
    """Executes steps in this process until one of them is interrupted.

    Dagster's own executor goes on with the next step, or tries the same one again, and a run that people terminated
    goes on to its end. (One that has processes for its steps sees to that by itself.)
    """

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Execute the steps, and raise where the run is to end."""
        terminated.clear()
        for event in self._inner.execute(plan_context, execution_plan):
            yield event
            if (event.is_step_failure or event.is_step_up_for_retry) and _is_terminated(plan_context):
                raise dg.DagsterExecutionInterruptedError


def _is_terminated(plan_context: Any) -> bool:
    """Whether a run is to end: a signal has struck one of our steps, or people asked for it."""
    run = plan_context.instance.get_run_by_id(plan_context.run_id)
    return terminated.is_set() or run is None or run.is_finished or run.status is dg.DagsterRunStatus.CANCELING


class _SaysAsTold(_Wrapper):
    """Hands on what failed in our own words alone, for Dagster says it once more at the end of the run."""

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Execute the steps."""
        yield from map(as_told, self._inner.execute(plan_context, execution_plan))


@dg.executor(name="secretsync_one_step")
def one_step_executor(context: dg.InitExecutorContext) -> dg.Executor:
    """For the jobs beside the SyncJobs, of a step or two that only look: in the process of the run."""
    return _SaysAsTold(make_inner(dg.in_process_executor, context, {}))


def make_inner(
    definition: dg.ExecutorDefinition, context: dg.InitExecutorContext, config: dict[str, Any]
) -> dg.Executor:
    """One of Dagster's own executors, with this config; steps are tried again where their policy says so."""
    assert definition.executor_creation_fn is not None  # noqa: S101  Dagster's own have one
    return definition.executor_creation_fn(
        dg.InitExecutorContext(
            job=context.job, executor_def=definition, executor_config={**_RETRIES, **config}, instance=context.instance
        )
    )


def starts_pods(instance: dg.DagsterInstance) -> bool:
    """Whether runs of this instance are pods, as they are with Dagster's K8sRunLauncher."""
    launcher = instance.run_launcher
    if not type(launcher).__module__.startswith("dagster_k8s"):
        return False  # without importing two seconds of Kubernetes for it
    from dagster_k8s import K8sRunLauncher

    return isinstance(launcher, K8sRunLauncher)


def lets_tags_change_pods(instance: dg.DagsterInstance) -> bool:
    """Whether a run's tags may change its pod, image and command included, with every credential in it."""
    launcher = instance.run_launcher
    return starts_pods(instance) and getattr(launcher, "only_allow_user_defined_k8s_config_fields", None) is None


class WaitsForPods(_Wrapper):
    """Executes steps in pods, and returns no sooner than all of them have ended.

    Dagster's own asks Kubernetes to end the pods of a run that is terminated, and returns at once. They are finishing
    and recording what is in flight then, and the run's books must not be closed under them.
    """

    # Any: Dagster names these two, but does not export their types.
    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """Execute the steps of one run."""
        try:
            yield from self._inner.execute(plan_context, execution_plan)
        finally:
            deadline = time.monotonic() + GRACE_SECONDS
            while _at_work(plan_context.instance, plan_context.run_id) and time.monotonic() < deadline:
                time.sleep(_PAUSE_SECONDS)


def _at_work(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether an attempt of a step of a run has begun and not told how it ended."""
    return any(step.partial_attempt_start is not None for step in instance.get_run_step_stats(run_id))
