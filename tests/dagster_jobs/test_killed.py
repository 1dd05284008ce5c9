"""Run workers that are killed at any moment, and executed again as the UI does it."""

from __future__ import annotations

import multiprocessing
import random
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from support.http import Api

from dagster_jobs.worker import QUIET, work
from secretsync_core.audit.keys import load_key
from secretsync_core.audit.ledger import Ledger
from secretsync_dagster.resources import STATE

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount

    from secretsync_core.demo.openbao import OpenBaoServer

ITEMS, EACH, ROUNDS = 5, 4, 11


class Crash:
    """One job from server to server, its ledger, and a Dagster instance on disk; every run is a process."""

    def __init__(self, path: Path, source: OpenBaoServer, dest: OpenBaoServer, mounts: tuple[str, str]) -> None:
        self.config, self.home = path / "config", path / "home"
        self.config.mkdir(parents=True)
        self.home.mkdir()
        self.mount = mounts[1]
        self.dest = Api(dest.address, dest.root_token)
        api = Api(source.address, source.root_token)
        self.keys = [f"i{item}/k{number}" for item in range(ITEMS) for number in range(EACH)]
        for key in self.keys:
            api.call("POST", f"{mounts[0]}/data/{key}", {"data": {"x": key}})
        api.close()
        plan = "".join(f"    - {{name: i{item}, query: {{path: i{item}}}}}\n" for item in range(ITEMS))
        text = "---\n".join(
            f"apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {{name: {name}}}\nspec:\n  provider:\n"
            f"    vault: {{address: '{server.address}', mount: {mount}, auth: {{token: {{file: {path / name}}}}}}}\n"
            for name, server, mount in (("src", source, mounts[0]), ("dst", dest, mounts[1]))
        )
        for name, server in (("src", source), ("dst", dest)):
            (path / name).write_text(server.root_token)
            (path / name).chmod(0o600)
        (self.config / "all.yaml").write_text(
            f"{text}---\napiVersion: secretsync.io/v1alpha1\nkind: SyncJob\nmetadata: {{name: job}}\n"
            f"spec:\n  source: src\n  dest: dst\n  limits: {{concurrency: 1}}\n  plan:\n{plan}"
        )
        self.instance = dg.DagsterInstance.local_temp(str(self.home), overrides=QUIET)

    def start(self, parent: str = "", how: str = "") -> Any:
        """Start a run."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["dagster_jobs.worker"])
        process = context.Process(target=work, args=(str(self.config), str(self.home), parent, how))
        process.start()
        return process

    def wait_for_start(self) -> None:
        """Return when the run's first step may begin."""
        deadline = time.monotonic() + 60
        while not self.instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def last(self) -> dg.DagsterRun | None:
        """The run that was started last; one whose worker is gone is noted as failed, as run monitoring does."""
        records = self.instance.get_run_records(limit=1)
        if not records:
            return None
        run = records[0].dagster_run
        if not run.is_finished:
            self.instance.report_run_failed(run)
        return self.instance.get_run_by_id(run.run_id)

    def versions(self) -> dict[str, int]:
        """How often each secret was written at the destination."""
        found = {}
        for key in self.keys:
            answer = self.dest.ask("GET", f"{self.mount}/metadata/{key}")
            if answer.status == 200:
                found[key] = answer.json["data"]["current_version"]
        return found

    def check(self) -> None:
        """All is in place, written once, and the ledger is whole and says so."""
        assert self.versions() == dict.fromkeys(self.keys, 1)
        home = self.config / STATE
        keys = load_key(environ={}, directory=home, create=False)
        with Ledger.open(home / "ledger.db", seal_key=keys.seal) as ledger:
            assert all(report.sound for report in ledger.verify())
            assert ledger.open_runs("job") == []
            assert {key for (_, key), _ in ledger.state("job")} == set(self.keys)
            assert {record.draft.key for record in ledger.records(events=["intended"])} == set(self.keys)  # type: ignore[list-item]
        self.instance.dispose()
        self.dest.close()


@pytest.mark.timeout(300)
def test_killed_at_any_moment_and_executed_again(
    tmp_path: Path, openbao: OpenBaoServer, openbao_dest: OpenBaoServer, mount: Mount
) -> None:
    """No shard is lost, nothing is written twice, and the audit is true: from failure, and all of it again."""
    seed = random.randrange(1 << 30)
    dice = random.Random(seed)
    took = 0.0
    seen: dict[str, int] = {}
    for number in range(ROUNDS):
        crash = Crash(tmp_path / str(number), openbao, openbao_dest, (mount(openbao), mount(openbao_dest)))
        process = crash.start()
        crash.wait_for_start()
        began = time.monotonic()
        if took:
            process.join(dice.uniform(0, took))
            # A terminated run worker stops in order, one that is killed does not.
            (process.kill if number % 4 else process.terminate)()
        process.join(60)
        assert process.exitcode is not None, f"seed {seed}, round {number}: the run worker does not end"
        took = took or time.monotonic() - began
        written = len(crash.versions())
        run = crash.last()
        how = ("from failure", "all")[number % 3 == 0]
        where = f"seed {seed}, round {number}, {how}, killed after {written} writes"
        if run is None or run.status is not dg.DagsterRunStatus.SUCCESS:
            steps = crash.instance.get_run_step_stats(run.run_id) if run else []
            parent = run.run_id if run and steps else ""
            if any(step.step_key == "audit" and step.status and step.status.value == "SUCCESS" for step in steps):
                how = (
                    "all"  # only the run's own end is missing: from failure Dagster has nothing to execute, and says so
                )
            again = crash.start(parent, how)
            again.join(60)
            assert again.exitcode == 0, where
            seen[how if parent else "afresh"] = seen.get(how if parent else "afresh", 0) + 1
        try:
            crash.check()
        except AssertionError as error:
            raise AssertionError(where) from error
    print(f"seed {seed}, {took:.1f} s a run, executed again: {seen}")
