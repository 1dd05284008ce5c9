"""The numbers of a run of which an item failed: the last step, which tells them otherwise, is left out then.

What each step told is added up as it ends, and reported once all are done. Without it the plots of whole runs would
have no point where one failed, and ``in_sync`` would show the numbers of the one step that failed.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import dagster as dg

from secretsync_dagster import metadata
from secretsync_dagster.naming import IN_SYNC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from secretsync_dagster.catalog import Catalog

_COUNTED = ("copied", "unchanged", "deleted", "failed", "uncertain", "drifted", "requests")
_FIRST, _LAST = "expand", "audit"


class WholeRun:
    """What the steps of one run told of each of its SyncJobs."""

    def __init__(self, catalog: Catalog, jobs: Iterable[str]) -> None:
        self._catalog = catalog
        self._of_graph = {catalog.job_name(job): job for job in jobs}
        self._began = time.time()
        self._told: dict[str, Counter[str]] = {}
        self._failed: set[str] = set()
        self._ended: set[str] = set()
        self._in_sync: dict[str, dg.AssetCheckEvaluation] = {}

    def take(self, event: dg.DagsterEvent) -> None:
        """Take over what an event tells of a step."""
        graph, _, step = (event.step_key or "").partition("[")[0].rpartition(".")
        job = self._of_graph.get(graph or next(iter(self._of_graph), ""))
        if job is None:
            return
        if step == _LAST and event.is_step_start:
            self._ended.add(job)
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            said = event.asset_check_evaluation_data
            if said.check_name == IN_SYNC:
                self._in_sync[job] = said
        elif event.is_successful_output:
            of_shard = step == _FIRST and event.step_output_data.output_name == "shards"
            self._add(job, event.step_output_data.metadata or {}, -1 if of_shard else 1)
        elif event.is_step_failure and step != _FIRST:
            failure = event.step_failure_data.user_failure_data
            if failure is not None and "requests" in failure.metadata:
                self._failed.add(job)
                self._add(job, failure.metadata)

    def _add(self, job: str, told: Mapping[str, Any], times: int = 1) -> None:
        """Add what a step told; what the first one told of a shard is told by the shard's own step once more."""
        values = {name: getattr(told.get(name), "value", None) for name in _COUNTED}
        self._told.setdefault(job, Counter()).update(
            {name: times * value for name, value in values.items() if isinstance(value, int)}
        )

    def report(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        """Report the sums of each SyncJob of which an item failed, and whose last step was therefore left out."""
        for job in sorted(self._failed - self._ended):
            told = self._told[job]
            numbers: dict[str, dg.MetadataValue] = {name: dg.MetadataValue.int(told[name]) for name in _COUNTED}
            numbers["seconds"] = dg.MetadataValue.float(round(time.time() - self._began, 3))
            _report(
                instance,
                run,
                dg.DagsterEventType.ASSET_OBSERVATION,
                _observed(
                    dg.AssetObservation(
                        self._catalog.asset_key(job),
                        description="what this run did",
                        metadata={
                            **metadata.of_whole_run(numbers),
                            "ledger": f"secretsync audit log --run {run.run_id}",
                        },
                    )
                ),
            )
            if (said := self._in_sync.get(job)) is not None:
                _report(instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION, _with(said, numbers))


def _with(said: dg.AssetCheckEvaluation, numbers: Mapping[str, dg.MetadataValue]) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=said.asset_key,
        check_name=said.check_name,
        passed=said.passed,
        severity=said.severity,
        description=said.description,
        metadata={**said.metadata, **numbers},
    )


def _observed(observation: dg.AssetObservation) -> Any:
    """What such an event holds, made from the form in which event logs keep it: its class has no public name."""
    kept = {
        "__class__": "AssetObservationData",
        "asset_observation": json.loads(dg.serialize_value(observation)),
    }
    return dg.deserialize_value(json.dumps(kept))


def _report(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType, data: Any) -> None:
    event = dg.DagsterEvent(
        event_type_value=kind.value,
        job_name=run.job_name,
        message="the numbers of this run, of all its steps",
        event_specific_data=data,
    )
    instance.report_dagster_event(event, run.run_id)
