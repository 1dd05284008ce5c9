"""``plan --out FILE`` and ``sync --plan FILE``, as the command line has them."""

from __future__ import annotations

import hashlib
import stat
import time
from typing import TYPE_CHECKING

import pytest

from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.run import saved_plan

if TYPE_CHECKING:
    from cli.conftest import Cli


def test_a_plan_is_saved_and_carried_out(started: Cli) -> None:
    """The file is ours alone, its digest is its SHA-256, and the run names it in text, in JSON and in the log."""
    ran = started("plan", "--out", "my.plan")
    file = started.directory / "my.plan"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"Saved as my.plan, sha256:{digest}" in ran.out
    assert not (started.directory / "secretsync/.secretsync/ledger.db").exists()
    done = started("sync", "--plan", "my.plan")
    assert (done.code, done.err) == (0, "")
    assert "4 created" in done.out
    assert f"  Plan: sha256:{digest}" in done.out
    assert f"carries out plan sha256:{digest}" in started("audit", "log").out
    started.write("secretsync/example/source/mail/smtp", '{"password": "changed"}')
    saved = started("plan", "--out", "my.plan", "-o", "json").json["saved"]
    assert saved == {"file": "my.plan", "digest": hashlib.sha256(file.read_bytes()).hexdigest()}
    (job,) = started("sync", "--plan", "my.plan", "-o", "json").json["jobs"]
    assert (job["plan"], job["counts"]) == (saved["digest"], {"updated": 2, "unchanged": 2})
    assert not [name for name in started.directory.iterdir() if name.name.endswith(".part")]


def test_a_plan_that_does_not_fit_ends_before_anything_is_done(started: Cli) -> None:
    """Forged, of another ledger, for other documents, none at all: exit code 2, and nothing is touched."""
    started("plan", "--out", "my.plan")
    text = (started.directory / "my.plan").read_text()
    started.write("forged.plan", text.replace('"key":"app/env"', '"key":"app/other"'))
    started.write("note.txt", "hello")
    ran = started("sync", "--plan", "forged.plan")
    assert (ran.code, ran.out) == (2, "")
    assert "it was changed, or made with another ledger" in ran.err
    assert "no plan of SecretSync" in started("sync", "--plan", "note.txt").err
    assert started("sync", "--plan", "missing").code == 2
    other = started("sync", "--plan", "my.plan", SECRETSYNC_KEY="0" * 64)
    assert (other.code, other.out) == (2, "")
    job = started.directory / "secretsync/jobs.yaml"
    job.write_text(job.read_text() + "  maxDelete: 3\n")
    changed = started("sync", "--plan", "my.plan", "-o", "json")
    assert changed.code == 2
    assert changed.json["error"]["code"] == "plan-refused"
    assert "the document of SyncJob" in changed.json["error"]["message"]
    assert not (started.directory / "secretsync/.secretsync/ledger.db").exists()


def test_a_plan_where_no_ledger_ever_was(started: Cli) -> None:
    """Without a key there is no ledger that could have signed it; none is made by looking."""
    started("plan", "--out", "my.plan")
    (started.directory / "secretsync/.secretsync/ledger.key").unlink()
    ran = started("sync", "--plan", "my.plan")
    assert ran.code == 2
    assert "no ledger here yet" in ran.err
    assert not (started.directory / "secretsync/.secretsync/ledger.key").exists()


@pytest.mark.parametrize(
    "more",
    [["example"], ["--item", "mail"], ["--verify"], ["--max-delete", "1"], ["--adopt", "x"], ["--restored", "x"]],
)
def test_the_plan_says_it_already(started: Cli, more: list[str]) -> None:
    """What the plan was made with cannot be said again, or otherwise, when it is carried out."""
    ran = started("sync", "--plan", "my.plan", *more)
    assert ran.code == 2
    assert f"--plan cannot be combined with {more[0] if more[0].startswith('-') else 'JOB'}" in ran.err


def test_a_plan_of_a_job_that_cannot_be_planned_is_not_saved(started: Cli) -> None:
    """Nothing is saved where one job could not be planned, and what was there stays."""
    started.write("my.plan", "before")
    jobs = started.directory / "secretsync/jobs.yaml"
    jobs.write_text(jobs.read_text().replace("prod/$1", "prod/same"))
    ran = started("plan", "--out", "my.plan")
    assert ran.code == 2
    assert "the plan was not saved: example could not be planned" in ran.err
    assert (started.directory / "my.plan").read_text() == "before"


@pytest.mark.slow
def test_a_large_plan_takes_seconds() -> None:
    """A plan of 100,000 keys is written, and read and checked, within seconds."""
    changes = [
        Change("all", "dst", f"key/{number}", Action.CREATE, Reason.NEW, (SourceRef("src", f"key/{number}"),), "1@x")
        for number in range(100_000)
    ]
    bound = saved_plan.SavedJob("job", (0, ""), {}, {})
    began = time.process_time()
    data = saved_plan.seal([saved_plan.Content(bound, changes, {})], b"k" * 32)
    plan = saved_plan.unseal(data, [b"k" * 32])
    assert len(plan.changes["job"]) == 100_000
    assert time.process_time() - began < 20
