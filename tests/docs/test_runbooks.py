"""What the runbooks tell to do works, and does what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.postgres import postgres

from docs.lab import Lab
from docs.pages import ROOT, under

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "docs/runbooks.md"
JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: job}
spec:
  source: source
  dest: copies
  deletionPolicy: Delete
  maxDelete: 5
  ownership: {adopt: false}
  plan:
    - {name: everything, query: {recursive: true}}
"""
COUNT = 5


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Five files, copied once."""
    made = Lab(tmp_path)
    source = made.files("source")
    made.files("copies")
    for number in range(COUNT):
        (source / f"key-{number}").write_text(f"value {number}")
    made.documents(JOB)
    assert made.sync() == "5 created, 0 updated, 0 unchanged"
    return made


def page_text() -> str:
    """The page."""
    return (ROOT / PAGE).read_text()


def source(lab: Lab) -> Path:
    """Where the secrets are."""
    return lab.directory / "secretsync" / "source"


def copies(lab: Lab) -> list[str]:
    """The names of the copies."""
    return sorted(file.name for file in (lab.directory / "secretsync" / "copies").iterdir())


def adopt(lab: Lab) -> None:
    """Sync once with ``adopt``, as the pages tell, which writes nothing."""
    lab.edit("adopt: false", "adopt: true")
    planned = lab.well("plan")
    assert "Plan: 0 to create, 0 to update, 0 to delete, 5 unchanged." in planned.out
    assert "taking over 5 secrets that copies holds" in planned.err
    assert lab.sync() == "0 created, 0 updated, 5 unchanged"
    lab.edit("adopt: true", "adopt: false")


def test_a_lost_key(lab: Lab) -> None:
    """Without its key the ledger is refused; a new one owns nothing until it adopts, and deletes from then on."""
    ledger = lab.directory / "secretsync" / ".secretsync"
    (ledger / "ledger.key").unlink()
    ran = lab.cli("sync")
    assert (ran.code, "is missing" in ran.err) == (3, True)
    (command,) = re.findall(r"^ +(mv .+)$", page_text(), re.MULTILINE)
    assert lab.cli.shell(command).code == 0
    (source(lab) / "key-0").unlink()
    assert lab.plan() == "Plan: 0 to create, 0 to update, 0 to delete, 4 unchanged."
    (source(lab) / "key-0").write_text("value 0")
    adopt(lab)
    (source(lab) / "key-0").unlink()
    assert lab.sync() == "0 created, 0 updated, 1 deleted, 4 unchanged"


def test_a_run_that_wrote_too_much(lab: Lab) -> None:
    """The commands find the run and show what can be undone; with --yes what it created is gone, and the rest stays."""
    (source(lab) / "key-9").write_text("too much")
    assert lab.sync() == "1 created, 0 updated, 5 unchanged"
    find, show = re.findall(r"^ +(secretsync (?:audit log --event run-started|undo) .+)$", page_text(), re.MULTILINE)
    run = lab.cli.shell(find).out.split()[-1]
    ran = lab.cli.shell(show.replace("RUN", run))
    assert (ran.code, "- key-9" in ran.out, "--yes does it" in ran.err) == (0, True, True)
    assert "key-9" in copies(lab)
    lab.well("undo", run, "--yes")
    assert copies(lab) == [f"key-{number}" for number in range(COUNT)]
    assert lab.plan() == "Plan: 1 to create, 0 to update, 0 to delete, 5 unchanged."


def test_a_full_disk(lab: Lab) -> None:
    """A ledger that cannot grow ends the run; when there is room again the next one does what is left, and no more."""
    for number in range(400):
        (source(lab) / f"more-{number}").write_text("x")
    size = (lab.directory / "secretsync" / ".secretsync" / "ledger.db").stat().st_size
    (program,) = lab.cli.command  # a limit is for what the shell itself starts
    ran = lab.cli.shell(f"bash -c 'ulimit -f {size // 1024 + 100}; {program} sync'")
    assert (ran.code, "cannot be read or written" in ran.err) == (3, True), ran
    done = len(copies(lab)) - COUNT
    assert 0 < done < 400
    assert lab.sync() == f"{400 - done} created, 0 updated, {done + COUNT} unchanged"
    assert "1 chain sound." in lab.well("audit", "verify").out


@pytest.mark.slow
def test_from_sqlite_to_postgresql(lab: Lab) -> None:
    """With the same key a ledger in PostgreSQL takes over what the one in SQLite knew, and deletes from then on."""
    section = page_text().partition("## Move the ledger from SQLite")[2].partition("\n## ")[0]
    commands = re.findall(r"^ +(secretsync audit .+)$", section, re.MULTILINE)
    assert commands == ["secretsync audit verify", "secretsync audit export --file ledger-archive.jsonl"]
    for command in commands:
        assert lab.cli.shell(command).code == 0
    with postgres() as database:
        lab.cli.environ["SECRETSYNC_LEDGER"] = database.url
        adopt(lab)
        (source(lab) / "key-0").unlink()
        assert lab.sync() == "0 created, 0 updated, 1 deleted, 4 unchanged"
        assert "1 chain sound." in lab.well("audit", "verify").out


def test_a_renamed_item(lab: Lab) -> None:
    """An item of another name takes over its keys, and nothing is written."""
    lab.edit("name: everything", "name: all-of-them")
    assert lab.sync() == "0 created, 0 updated, 5 unchanged"


def test_a_renamed_job(lab: Lab) -> None:
    """A job of another name takes its keys along, and the old chain can still be verified."""
    lab.edit("name: job", "name: renamed")
    assert lab.well("rename", "job", "renamed").out == "5 keys of job are renamed's from now on\n"
    (source(lab) / "key-0").unlink()
    assert lab.sync() == "0 created, 0 updated, 1 deleted, 4 unchanged"
    assert "2 chains sound." in lab.well("audit", "verify").out
    assert "job" in lab.well("status").err


def test_a_retired_job(lab: Lab) -> None:
    """With the plan of the page the job deletes what it created, and nothing else."""
    (lab.directory / "secretsync" / "copies" / "of-somebody-else").write_text("x")
    lab.documents(under("Retire a job", "yaml", PAGE).replace("name: retired", "name: job"))
    assert lab.plan() == "Plan: 0 to create, 0 to update, 5 to delete, 0 unchanged."
    assert lab.sync() == "0 created, 0 updated, 5 deleted, 0 unchanged"
    assert copies(lab) == ["of-somebody-else"]


def test_cron(lab: Lab) -> None:
    """The line in the crontab is a time, a user and a command that syncs."""
    (line,) = re.findall(r"^(\*/15 \* \* \* \*) (\w+) (/opt\S+) (.+)$", page_text(), re.MULTILINE)
    (source(lab) / "key-9").write_text("x")
    ran = lab.cli(*line[3].split())
    assert (ran.code, ran.err) == (0, "")
    assert "key-9" in copies(lab)


def test_systemd(lab: Lab, tmp_path: Path) -> None:
    """The units are what systemd takes, and the command with its variables syncs."""
    texts = re.findall(r"```ini\n(.*?)```", page_text(), re.DOTALL)
    units = {re.findall(r"# /etc/systemd/system/(\S+)", text)[0]: text for text in texts}
    assert sorted(units) == ["secretsync.service", "secretsync.timer"]
    service = units["secretsync.service"]
    (arguments,) = re.findall(r"^ExecStart=\S+ (.+)$", service, re.MULTILINE)
    names = dict(re.findall(r"^Environment=(\w+)=(.+)$", service, re.MULTILINE))
    assert sorted(names) == ["SECRETSYNC_CONFIG", "SECRETSYNC_KEY_FILE", "SECRETSYNC_LEDGER"]
    key = tmp_path / "ledger.key"
    key.write_text("a-key-of-at-least-thirty-two-characters")
    key.chmod(0o600)
    real = {
        "SECRETSYNC_CONFIG": str(tmp_path / "secretsync"),
        "SECRETSYNC_KEY_FILE": str(key),
        "SECRETSYNC_LEDGER": str(tmp_path / "state.db"),
    }
    assert lab.cli(*arguments.split(), **real).code == 0
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed; the command was run")
    for name, text in units.items():
        (tmp_path / name).write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", text, flags=re.MULTILINE))
    files = [str(tmp_path / name) for name in units]
    done = subprocess.run([analyze, "verify", *files], capture_output=True, text=True, check=False)
    problems = [line for line in done.stderr.splitlines() if "secretsync" in line and "User" not in line]
    assert problems == []
