"""A SyncJob from one real server to another, run by processes that may die; and what must be true afterwards."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

import dagster as dg
from support.http import Api

from dagster_jobs.processes import wait_until
from dagster_jobs.worker import QUIET, work
from secretsync_core.audit.home import DIRECTORY
from secretsync_core.audit.keys import load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_core.audit.record import Event
from secretsync_core.errors import LedgerError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from secretsync_core.audit.record import Record
    from secretsync_core.demo.openbao import OpenBaoServer

_STORE = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: {name}}}
spec:
  provider:
    vault: {{address: '{address}', mount: {mount}, auth: {{token: {{file: {token}}}}}}}
---
"""

_JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: {name}}}
spec:
  source: {name}-src
  dest: {name}-dst
  executor: {executor}
  limits: {{{limits}}}
  plan:
"""


class Crash:
    """The documents of one job named ``job``, its stores, and its ledger.

    Attributes:
        config: the directory of the documents.
        keys: every secret of the source.
    """

    def __init__(
        self,
        config: Path,
        source: OpenBaoServer,
        dest: OpenBaoServer,
        mounts: tuple[str, str],
        *,
        name: str = "job",
        items: int = 5,
        each: int = 4,
        executor: str = "InProcess",
        limits: str = "concurrency: 1",
        ledger_url: str = "",
    ) -> None:
        self.config, self.name, self.ledger_url = config, name, ledger_url
        config.mkdir(parents=True, exist_ok=True)
        self.mount = mounts[1]
        self.dest = Api(dest.address, dest.root_token)
        self.source, self.source_mount = Api(source.address, source.root_token), mounts[0]
        self.keys = [f"i{item}/k{number}" for item in range(items) for number in range(each)]
        for key in self.keys:
            self.source.call("POST", f"{mounts[0]}/data/{key}", {"data": {"x": key}})
        text = ""
        for side, server, mount in (("src", source, mounts[0]), ("dst", dest, mounts[1])):
            token = config.parent / f"{name}-{side}-token"
            token.write_text(server.root_token)
            token.chmod(0o600)
            text += _STORE.format(name=f"{name}-{side}", address=server.address, mount=mount, token=token)
        text += _JOB.format(name=name, executor=executor, limits=limits)
        text += "".join(f"    - {{name: i{item}, query: {{path: i{item}}}}}\n" for item in range(items))
        (config / f"{name}.yaml").write_text(text)

    def close(self) -> None:
        """Give the connections back."""
        self.dest.close()
        self.source.close()

    def details(self) -> dict[str, Any]:
        """The metadata of each secret at the destination."""
        answers = {key: self.dest.ask("GET", f"{self.mount}/metadata/{key}") for key in self.keys}
        return {key: answer.json["data"] for key, answer in answers.items() if answer.status == 200}

    def ledger(self) -> Ledger:
        """The ledger, opened."""
        home = self.config / DIRECTORY
        url = self.ledger_url or home / "ledger.db"
        return Ledger.open(url, seal_key=load_key(environ={}, directory=home, create=False).seal)

    def recorded(self) -> int:
        """How many records the ledger holds of the job; none where there is no ledger yet."""
        home = self.config / DIRECTORY
        try:
            key = load_key(environ={}, directory=home, create=False).seal
            with Ledger.open(self.ledger_url or home / "ledger.db", seal_key=key, read_only=True) as ledger:
                return ledger.runs.summary(self.name).records
        except LedgerError:
            return 0  # it is just being made

    def records(self) -> list[Record]:
        """What the ledger holds of the job."""
        with self.ledger() as ledger:
            return list(ledger.records(job=self.name))

    def check(self, *, exact: bool = True) -> None:
        """All is in place, each secret was written once, and the ledger is whole and says just that.

        Not ``exact``: a write may have two outcomes, where a run was taken over while a process of it was at work, or
        one that says less than it could, where there was no memory left to look.
        """
        details = self.details()
        assert {key: held["current_version"] for key, held in details.items()} == dict.fromkeys(self.keys, 1)
        with self.ledger() as ledger:
            assert all(report.sound for report in ledger.verify())
            assert ledger.runs.unfinished(self.name) == []
            assert ledger.runs.unsettled(self.name) == []
            assert ledger.leases.find(self.name) is None
            state = {key: held.dest_version for (_, key), held in ledger.state.keys(self.name)}
        written = {key: f"1@{held['versions']['1']['created_time']}" for key, held in details.items()}
        assert state == written
        drafts = [record.draft for record in self.records()]
        announced = {draft.intent for draft in drafts if draft.event is Event.INTENDED}
        outcomes = [draft for draft in drafts if draft.intent and draft.event is not Event.INTENDED]
        done = [(draft.key, draft.dest_version) for draft in outcomes if draft.event is Event.DONE]
        assert {draft.intent for draft in outcomes} == announced
        if not exact:
            assert set(done) <= set(written.items())
            return
        # Each announced write has one outcome, and each secret one that was done: the one the destination tells of.
        assert len(outcomes) == len(announced)
        assert sorted(done) == sorted(written.items())
        assert {draft.reason for draft in outcomes if draft.event is Event.FAILED} <= {"interrupted"}


class Runs:
    """Runs of a Crash in a Dagster instance on disk, a process each."""

    def __init__(self, crash: Crash, home: Path) -> None:
        self.crash, self.home = crash, home
        home.mkdir(parents=True)
        self.instance = dg.DagsterInstance.local_temp(str(home), overrides=QUIET)

    def start(self, parent: str = "", how: str = "") -> BaseProcess:
        """Start a run."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["dagster_jobs.worker", "secretsync_dagster.preload"])
        process = context.Process(target=work, args=(str(self.crash.config), str(self.home), parent, how))
        process.start()
        return process

    def wait_for_start(self) -> None:
        """Return when the run's first step may begin."""
        wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        wait_until(lambda: self.instance.get_runs_count(wanted) > 0)

    def last(self) -> dg.DagsterRun | None:
        """The run that was started last; one whose worker is gone is noted as failed, as the code server does."""
        records = self.instance.get_run_records(limit=1)
        if not records:
            return None
        run = records[0].dagster_run
        if not run.is_finished:
            self.instance.report_run_failed(run)
        return self.instance.get_run_by_id(run.run_id)

    def began(self, run: str) -> dict[str, str]:
        """The steps of a run that began, and how each stands."""
        return {
            step.step_key: step.status.value if step.status is not None else ""
            for step in self.instance.get_run_step_stats(run)
        }

    def pids(self, run: str) -> dict[str, list[int]]:
        """The processes of each step, where steps have processes of their own."""
        found: dict[str, list[int]] = {}
        for entry in self.instance.all_logs(run, of_type=dg.DagsterEventType.STEP_WORKER_STARTED):
            assert entry.dagster_event is not None
            pid = entry.dagster_event.engine_event_data.metadata["pid"].value
            found.setdefault(str(entry.step_key), []).append(int(str(pid)))
        return found
