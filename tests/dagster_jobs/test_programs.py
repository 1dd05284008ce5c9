"""Dagster's programs that hold values leave no core dumps: code servers, run workers, and the processes of steps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.cores import can_be_seen, limits_of, strike

from dagster_jobs.processes import offspring, wait_until
from secretsync_core.testing.canaries import canary, find_in
from secretsync_dagster import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGIN = Path(__file__).parents[1] / "cli" / "plugin"
ROOT = Path(__file__).parents[2]
CANARY = canary("value")

DOCUMENTS = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: src}
spec: {permissions: Read, provider: {file: {path: src}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: dst}
spec: {provider: {trouble: {path: dst, delay: 120}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: copy}
spec: {source: src, dest: dst, executor: Multiprocess, plan: [{name: all, query: {recursive: true}}]}
"""


@pytest.mark.parametrize(
    ("program", "is_one"),
    [
        ("/usr/local/bin/dagster", True),
        ("/venv/lib/python3.12/site-packages/dagster/__main__.py", True),
        ("/venv/bin/dagster-daemon", True),
        ("/venv/lib/python3.12/site-packages/dagster_webserver/__main__.py", True),
        ("dg", True),
        ("-c", False),
        ("", False),
        ("/venv/bin/pytest", False),
        ("/home/me/dagster/manage.py", False),
        ("/home/me/my-dagster.py", False),
    ],
)
def test_which_programs_are_dagsters(monkeypatch: pytest.MonkeyPatch, program: str, is_one: bool) -> None:
    """Somebody's own program, or their tests, keep their limits though they load a code location."""
    asked: list[str] = []
    monkeypatch.setattr(programs, "keep_out_of_dumps", lambda: asked.append(program))
    monkeypatch.setattr(sys, "argv", [program])
    programs.keep_workers_out_of_dumps()
    assert asked == [program] * is_one


def test_steps_are_forked_from_a_process_that_has_none() -> None:
    """What is imported before steps are forked keeps out of dumps first, whatever the program is called."""
    code = (
        "import importlib, resource, ctypes\nimportlib.import_module = lambda name: None\n"
        "import secretsync_dagster.preload\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "(0, 0) 0\n"


@pytest.fixture
def executing(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``dagster job execute`` of a job whose steps are processes, one of which is writing."""
    config = tmp_path / "secretsync"
    (config / "src").mkdir(parents=True)
    (tmp_path / "dst").mkdir()  # where the program runs: a path of another package's store is its own affair
    (config / "src" / "standing-still").write_text(CANARY.text)
    (config / "all.yaml").write_text(DOCUMENTS)
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environ = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "SECRETSYNC_CONFIG": str(config),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(PLUGIN)]),
    }
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "secretsync_dagster.definitions", "-j", "copy"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    below = [pid for pid, _ in offspring(process.pid)]
    process.kill()
    process.wait()
    for pid in below:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue


def _is_writing(config: Path) -> bool:
    ledger = config / ".secretsync" / "ledger.db-wal"
    return ledger.exists() and b"standing-still" in ledger.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits are looked at in /proc")
def test_the_processes_of_a_run_have_none(executing: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """The worker, the process that steps are forked from, and the step that holds a value."""
    wait_until(lambda: _is_writing(tmp_path / "secretsync") or executing.poll() is not None, 120)
    assert executing.poll() is None
    below = dict(offspring(executing.pid))
    steps = [pid for pid, line in below.items() if "forkserver" in line]
    assert len(steps) >= 2, "the one that is forked from, and a step"
    assert {limits_of(pid) for pid in (executing.pid, *below)} == {"0 0"}
    if can_be_seen():
        for pid in steps:
            cores = strike(pid)
            assert [find_in(core, [CANARY]) for core in cores] == []
