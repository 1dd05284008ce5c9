"""What the ledger can count, in the words of Prometheus: every metric of ``secretsync metrics``, in one place."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core import __version__
from secretsync_core.cli import due
from secretsync_core.distribution import extra_hint
from secretsync_core.errors import UsageError
from secretsync_core.model.report import Result

try:
    from prometheus_client import CollectorRegistry, generate_latest, write_to_textfile
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector
except ImportError:
    raise UsageError("metrics need prometheus-client, which is not installed", hint=extra_hint("metrics")) from None

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from secretsync_core.audit.ledger import JobMeasure, RunSummary
    from secretsync_core.run.findings import Findings
    from secretsync_core.schema.documents import JobDocument

JOB = "syncjob"
"""The label of a SyncJob. Not ``job``: Prometheus has one of that name for what it scrapes, and would rename ours."""

__all__ = ["JOB", "Facts", "generate_latest", "registry", "write_to_textfile"]

_OUTCOMES = ("ok", "failed", "stopped", "interrupted", "undo", "orphans")


class Facts(NamedTuple):
    """What metrics are made of.

    Attributes:
        jobs: the documents' SyncJobs.
        measures: of every job that has a chain, by its name; None where the ledger could not be read.
        sound: by what was checked, ``heads`` or ``records``: whether nothing was wrong.
        version: the version of the ledger's tables; 0 where there is no ledger yet.
        now: when this was.
        findings: of the documents' jobs that have a chain, by name, where the ledger keeps any.
    """

    jobs: Sequence[JobDocument]
    measures: Mapping[str, JobMeasure] | None
    sound: Mapping[str, bool]
    version: int
    now: datetime
    findings: Mapping[str, Findings] = MappingProxyType({})


def registry(facts: Facts) -> CollectorRegistry:
    """A registry that holds just these metrics."""

    class Ours(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _ledger(facts)
            yield from _documents(facts)
            yield from _jobs(facts)

    made = CollectorRegistry(auto_describe=False)
    made.register(Ours())
    return made


def _ledger(facts: Facts) -> Iterator[Metric]:
    build = GaugeMetricFamily("secretsync_build_info", "The version of SecretSync.",
                              labels=["version"])  # fmt: skip
    build.add_metric([__version__], 1)
    yield build
    yield GaugeMetricFamily(
        "secretsync_ledger_up", "1 if the ledger can be read or does not exist yet.",
        value=facts.measures is not None,
    )  # fmt: skip
    sound = GaugeMetricFamily(
        "secretsync_ledger_sound",
        "1 if the ledger is intact, by what was checked: the heads of its chains, or all records.",
        labels=["checked"],
    )
    for checked, well in facts.sound.items():
        sound.add_metric([checked], well)
    yield sound
    if facts.version:
        yield GaugeMetricFamily("secretsync_ledger_schema_version", "The version of the ledger's tables.",
                                value=facts.version)  # fmt: skip


def _documents(facts: Facts) -> Iterator[Metric]:
    info = GaugeMetricFamily("secretsync_job_info", "Source, destinations and schedule of a job, as labels.",
                             labels=[JOB, "source", "dest", "schedule"])  # fmt: skip
    suspended = _gauge("suspended", "1 if the job is suspended.")
    lag = _gauge("schedule_lag_seconds", "Seconds since the job missed its schedule; 0 while it is on time.")
    following = _gauge("next_run_timestamp_seconds", "Time of the next scheduled run.")
    for job in facts.jobs:
        spec = job.spec
        schedule = spec.schedule.text if spec.schedule else ""
        info.add_metric([job.name, spec.source, ",".join(spec.dest), schedule], 1)
        suspended.add_metric([job.name], spec.suspend)
        if spec.schedule is None or spec.suspend:
            continue
        measure = (facts.measures or {}).get(job.name)
        # A job that never ran may be a minute old: nothing says since when it should have.
        if measure is not None and (last := measure.summary.last_run) is not None:
            started = datetime.fromtimestamp(last.started / 1e6, UTC)
            lag.add_metric([job.name], due.lag(spec.schedule.cron, spec.timezone, started, facts.now))
        if (moment := due.following(spec.schedule.cron, spec.timezone, facts.now)) is not None:
            following.add_metric([job.name], moment.timestamp())
    yield from (info, suspended, lag, following)


def _jobs(facts: Facts) -> Iterator[Metric]:
    measures = sorted((facts.measures or {}).items())
    held = _gauge("held_secrets", "Destination secrets that this job manages.")
    open_runs = _gauge("open_runs", "Runs that started and have not ended: running or interrupted.")
    leased = _gauge("lease_held", "1 while a run holds the job's lease.")
    began = _gauge("last_run_timestamp_seconds", "Start of the last run.")
    success = _gauge("last_success_timestamp_seconds", "End of the last successful run.")
    runs = _counter("runs", "Finished runs, by outcome.", "outcome")
    results = _counter("secrets", "Destination secrets over all runs, by result.", "result")
    records = _counter("records", "Records in the job's chain.")
    for job, measure in measures:
        summary = measure.summary
        held.add_metric([job], summary.live_keys)
        open_runs.add_metric([job], measure.open_runs)
        leased.add_metric([job], measure.leased)
        if summary.last_run is not None:
            began.add_metric([job], summary.last_run.started / 1e6)
        if summary.last_success is not None:
            success.add_metric([job], summary.last_success / 1e6)
        for outcome, count in (dict.fromkeys(_OUTCOMES, 0) | dict(measure.runs)).items():
            runs.add_metric([job, outcome], count)
        for result in Result:
            results.add_metric([job, result.value], measure.results.get(result.value, 0))
        records.add_metric([job], summary.records)
    yield from (held, open_runs, leased, began, success, runs, results, records)
    yield from _findings(facts.findings)
    yield from _last_runs([(job, measure.last_finished) for job, measure in measures if measure.last_finished])


def _findings(findings: Mapping[str, Findings]) -> Iterator[Metric]:
    out = _gauge("out_of_sync_items", "Plan items that a run left out of sync, until one puts them right.")
    looked = _gauge("last_drift_check_timestamp_seconds", "Time of the last drift check.")
    drifted = _gauge(
        "last_drift_check_drifted_secrets", "Destination secrets that had drifted at the last drift check."
    )
    for job, found in sorted(findings.items()):
        out.add_metric([job], len(found.out_of_sync))
        if found.look is not None:
            looked.add_metric([job], found.look.time / 1e6)
            drifted.add_metric([job], found.look.count)
    yield from (out, looked, drifted)


def _last_runs(finished: Sequence[tuple[str, RunSummary]]) -> Iterator[Metric]:
    ok = _gauge("last_run_ok", "1 if the last finished run succeeded.")
    took = _gauge("last_run_duration_seconds", "Duration of the last finished run, after its look at the stores.")
    results = _gauge("last_run_secrets", "Destination secrets of the last finished run, by result.",
                     "result")  # fmt: skip
    failed = _gauge("last_run_failed_secrets", "Destination secrets that failed in the last finished run.")
    drifted = _gauge("last_run_drifted_secrets", "Destination secrets that had drifted before the last finished run.")
    blocked = _gauge("last_run_blocked_deletes", "Deletes held back in the last finished run, by maxDelete or a doubt.")
    orphans = _gauge("last_run_orphans", "Copies that nothing asked for any more in the last finished run.")
    errors = _gauge("last_run_errors", "Errors of items, stores or the whole job in the last finished run.")
    requests = _gauge("last_run_requests", "Requests of the last finished run to a store, retries included.", "store")
    for job, run in finished:
        ok.add_metric([job], run.ok)
        took.add_metric([job], ((run.finished or run.started) - run.started) / 1e6)
        for result in Result:
            results.add_metric([job, result.value], run.counts.get(result.value, 0))
        failed.add_metric([job], run.failed_keys)
        drifted.add_metric([job], run.counts.get("drifted", 0))
        blocked.add_metric([job], run.counts.get("blocked", 0))
        orphans.add_metric([job], run.counts.get("orphans", 0))
        errors.add_metric([job], run.counts.get("errors", 0))
        for store, count in run.requests.items():
            requests.add_metric([job, store], count)
    yield from (ok, took, results, failed, drifted, blocked, orphans, errors, requests)


def _gauge(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"secretsync_job_{name}", words, labels=[JOB, *labels])


def _counter(name: str, words: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"secretsync_job_{name}", words, labels=[JOB, *labels])
