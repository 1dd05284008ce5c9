"""``executor: Kubernetes``: Dagster's own launcher and executor start a pod a step, over one PostgreSQL.

The API server and the kubelet behind it are made up, since none can be had here; each pod is a real process that runs
the pod's real command. Runs, events and ledger are in one real PostgreSQL, the secrets in two real OpenBao servers.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import dagster as dg
import pytest
import yaml
from dagster_jobs.crash import Crash
from dagster_jobs.processes import wait_until
from support.postgres import postgres

from deploy.cluster import cluster
from deploy.image import ROOT
from deploy.launching import NAMESPACE, launch, settings
from deploy.manifests import check, pods
from secretsync_core.audit.counts import results_of
from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.keys import load_key
from secretsync_core.audit.record import Event
from secretsync_dagster.naming import VERDICT_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Mount
    from support.postgres import Postgres

    from deploy.cluster import Cluster, Pod
    from secretsync_core.demo.openbao import OpenBaoServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy"), pytest.mark.timeout(400)]

PARTS = [f"transfer[i0_PART_{part}_of_4]" for part in range(1, 5)]


@pytest.fixture
def database() -> Iterator[Postgres]:
    """One PostgreSQL for runs, events and the ledger."""
    with postgres() as started:
        yield started


class Place:
    """One SyncJob in one cluster.

    Attributes:
        crash: the SyncJob, its stores and its ledger.
        cluster: the pods.
        instance: Dagster, as its webserver sees it.
    """

    def __init__(self, crash: Crash, cluster: Cluster, instance: dg.DagsterInstance) -> None:
        self.crash, self.cluster, self.instance = crash, cluster, instance

    @property
    def run(self) -> dg.DagsterRun:
        """The run that was launched."""
        runs = [record.dagster_run for record in self.instance.get_run_records()]
        return next(run for run in runs if VERDICT_TAG not in run.tags)  # what tells of it is none that was launched

    def pods(self) -> dict[str, list[Pod]]:
        """The pods of each step."""
        found: dict[str, list[Pod]] = {}
        for pod in list(self.cluster.pods):
            if pod.step:
                found.setdefault(pod.step, []).append(pod)
        return found

    def finish(self) -> dg.DagsterRun:
        """Wait until the run's own pod has ended."""
        worker = self.cluster.pods[0]
        wait_until(lambda: worker.process.poll() is not None, 240, 0.2)
        return self.run


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    database: Postgres,
    openbao: OpenBaoServer,
    openbao_dest: OpenBaoServer,
    mount: Mount,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """A run of the SyncJob, launched: one item of 800 secrets in four parts. The parameter is the rate."""
    config, home, logs = (tmp_path / name for name in ("config", "home", "logs"))
    home.mkdir()
    logs.mkdir()
    crash = Crash(
        config, openbao, openbao_dest, (mount(openbao), mount(openbao_dest)), name="job", items=1, each=800,
        executor="Kubernetes", limits=f"shards: 4, rate: {request.param}/s", ledger_url=database.url,
    )  # fmt: skip
    (config / DIRECTORY).mkdir(mode=0o700)
    load_key(environ={}, directory=config / DIRECTORY, create=True)
    given = {**NAMESPACE, **database.environ, "SECRETSYNC_CONFIG": str(config), "SECRETSYNC_LEDGER": database.url}
    pod = {**given, "DAGSTER_HOME": str(home), "SECRETSYNC_KEY_FILE": str(config / DIRECTORY / "ledger.key")}
    storage = yaml.safe_load((ROOT / "deploy" / "dagster" / "dagster.yaml").read_text())["storage"]
    for name, value in {**NAMESPACE, **database.environ}.items():
        monkeypatch.setenv(name, value)
    with cluster(tmp_path / "kubeconfig", pod, logs) as started:
        settings(home, tmp_path / "kubeconfig", storage)
        launch(home, "job", given)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            yield Place(crash, started, instance)
    with crash.ledger() as ledger:
        assert all(report.sound for report in ledger.verify())
    crash.close()


@pytest.mark.parametrize("place", [100], indirect=True)
def test_four_shards_in_four_pods(place: Place) -> None:
    """Each step is a pod of its own, set up as the run's; four work at once, no secret is written twice, and what the
    ledger tells is one run."""
    run = place.finish()
    assert run.is_success, place.cluster.log(place.cluster.pods[0])
    assert {step: len(each) for step, each in place.pods().items()} == dict.fromkeys(["expand", *PARTS, "audit"], 1)
    times = {step.step_key: (step.start_time, step.end_time) for step in place.instance.get_run_step_stats(run.run_id)}
    begun, ended = zip(*(times[part] for part in PARTS), strict=True)
    assert max(begun) < min(ended), "the four were never at work at the same time"

    jobs = [pod.job for pod in place.cluster.pods]
    for job in jobs:
        job["metadata"].setdefault("namespace", "sync")
    check(jobs)
    worker, *steps = pods(jobs).values()
    for template in steps:
        for field in ("serviceAccountName", "securityContext", "volumes", "terminationGracePeriodSeconds"):
            assert template["spec"][field] == worker["spec"][field]
        (container,), (runs,) = template["spec"]["containers"], worker["spec"]["containers"]
        for field in ("image", "securityContext", "volumeMounts", "resources"):
            assert container[field] == runs[field]

    place.crash.check()
    drafts = [record.draft for record in place.crash.records()]
    assert {draft.run for draft in drafts} == {run.run_id}
    told = [draft.event for draft in drafts if not draft.intent and draft.reason != "placed"]
    assert told == [Event.RUN_STARTED, Event.RUN_FINISHED]
    assert results_of(drafts[-1].counts) == {"created": 800}


@pytest.mark.parametrize("place", [100], indirect=True)
def test_a_pod_that_is_killed(place: Place) -> None:
    """A step whose pod dies is tried again in another pod, in the same run, and nothing is written twice."""
    wait_until(lambda: place.crash.recorded() >= 100, 200, 0.1)
    (victim,) = place.pods()[PARTS[1]]
    os.kill(victim.process.pid, signal.SIGKILL)
    assert place.finish().is_success, place.cluster.log(place.cluster.pods[0])
    tries = {step: len(each) for step, each in place.pods().items()}
    assert tries == {**dict.fromkeys(["expand", *PARTS, "audit"], 1), PARTS[1]: 2}
    place.crash.check()


@pytest.mark.parametrize("place", [40], indirect=True)
def test_a_run_that_is_terminated(place: Place) -> None:
    """Its pods finish what is in flight, and the run ends after them; what stands at the destination is recorded."""
    wait_until(lambda: place.crash.recorded() >= 100, 200, 0.1)
    assert place.instance.run_launcher.terminate(place.run.run_id)
    run = place.finish()
    assert run.status is dg.DagsterRunStatus.CANCELED, place.cluster.log(place.cluster.pods[0])
    # None of them wrote after the books were closed.
    details = place.crash.details()
    assert 50 < len(details) < 800
    assert {held["current_version"] for held in details.values()} == {1}
    drafts = [record.draft for record in place.crash.records()]
    assert (drafts[-1].event, drafts[-1].reason) == (Event.RUN_FINISHED, "stopped")
    with place.crash.ledger() as ledger:
        assert {key for (_, key), _ in ledger.state.keys("job")} == set(details)
        assert ledger.runs.unsettled("job") == []
        assert ledger.leases.find("job") is None
        assert ledger.runs.unfinished("job") == []
    wait_until(lambda: all(pod.process.poll() is not None for pod in place.cluster.pods), 5)
