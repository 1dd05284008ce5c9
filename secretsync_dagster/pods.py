"""Steps in pods of their own: whether this Dagster can start any, and how a run ends that had some."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from secretsync_dagster.around import Around

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dagster as dg

GRACE_SECONDS = 45.0
"""How long a run that is to end waits for its steps: less than the minute that Kubernetes gives a pod by our values."""

_PAUSE_SECONDS = 0.5


def starts_pods(instance: dg.DagsterInstance) -> bool:
    """Whether runs of this instance are pods, as they are with Dagster's K8sRunLauncher."""
    launcher = instance.run_launcher
    if not type(launcher).__module__.startswith("dagster_k8s"):
        return False  # without importing two seconds of Kubernetes for it
    from dagster_k8s import K8sRunLauncher

    return isinstance(launcher, K8sRunLauncher)


class WaitsForPods(Around):
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
