"""Orphans, places that changed and jobs that were renamed: told by every command, and ended on purpose."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from secretsync_core.audit import seal
from secretsync_core.audit.keys import load_key
from secretsync_core.audit.schema import VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Cli

STORE = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {{name: {name}}}
spec: {{provider: {{file: {{path: ../{folder}}}}}}}
---
"""
JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {{name: {name}}}
spec:
  source: src
  dest: [{dest}]
  {more}
  plan:
  - {{name: all, query: {{path: a, recursive: true}}}}
"""


def write(cli: Cli, *, job: str = "job", dest: str = "dst", more: str = "", **stores: str) -> None:
    """Write the documents: stores by name, each a folder, and one job."""
    config = cli.directory / "secretsync"
    config.mkdir(exist_ok=True)
    for folder in ("src/a", *stores.values()):
        (cli.directory / folder).mkdir(parents=True, exist_ok=True)
    told = "".join(STORE.format(name=name, folder=folder) for name, folder in {"src": "src", **stores}.items())
    (config / "all.yaml").write_text(told + JOB.format(name=job, dest=dest, more=more))


def make_version_3(cli: Cli) -> None:
    """Make the ledger one of the version before places."""
    home = cli.directory / "secretsync/.secretsync"
    key = load_key(environ={}, directory=home, create=False).seal
    with closing(sqlite3.connect(home / "ledger.db")) as file, file:
        for table in ("places", "positions"):
            file.execute(f"DROP TABLE {table}")
        for column in VERSIONS:
            file.execute(f"DROP TRIGGER ledger_{column}")
        file.execute("DELETE FROM meta WHERE name LIKE 'standing-%'")  # nor did a run keep how it left its state
        file.execute("UPDATE alembic_version SET version_num = '0003'")
        file.execute(
            "UPDATE meta SET value = '3', seal = ? WHERE name = 'schema'", (seal.meta_seal(key, "schema", "3"),)
        )


def files(folder: Path) -> list[str]:
    """The secrets in a folder of files."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def synced(cli: Cli) -> Cli:
    """A job that has copied two secrets to two destinations."""
    write(cli, dest="dst, old", dst="one", old="two")
    for name in ("x", "y"):
        (cli.directory / "src/a" / name).write_text(f"{name}\n")
    assert cli("sync", "-q").code == 0
    return cli


def test_copies_in_a_destination_that_was_dropped_are_told(synced: Cli) -> None:
    """By plan, sync, status and metrics; nothing happens to them."""
    write(synced, dst="one", old="two")
    for command in (["plan"], ["sync"]):
        ran = synced(*command)
        assert ran.code == 0
        assert "2 orphans" in ran.err
        assert "`secretsync orphans job`" in ran.err
    assert "2 orphans" in synced("status").out
    assert "2 orphans" in synced("audit", "log").out
    assert 'secretsync_job_last_run_orphans{syncjob="job"} 2.0' in synced("metrics").out
    assert files(synced.directory / "two") == ["a/x", "a/y"]


def test_orphans_are_listed_and_nothing_is_done_without_a_word(synced: Cli) -> None:
    """Also with --delete, where nobody can be asked."""
    write(synced, dst="one", old="two")
    ran = synced("orphans")
    assert (ran.code, "a/x" in ran.out, "no longer a destination of this job" in ran.out) == (0, True, True)
    ran = synced("orphans", "--delete")
    assert (ran.code, "--yes does it" in ran.err) == (0, True)
    assert files(synced.directory / "two") == ["a/x", "a/y"]


def test_orphans_are_deleted_one_by_one_or_all(synced: Cli) -> None:
    """The copies go, and the ledger knows them no more; what was changed since stays."""
    write(synced, dst="one", old="two")
    assert synced("orphans", "job", "--delete", "--yes", "--key", "a/x").code == 0
    assert files(synced.directory / "two") == ["a/y"]
    (synced.directory / "two/a/y").write_text("theirs\n")
    ran = synced("orphans", "job", "--delete", "--yes", "--output", "json")
    assert ran.code == 1
    assert files(synced.directory / "two") == ["a/y"]
    assert [one["key"] for one in synced("orphans", "--output", "json").json["jobs"][0]["orphans"]] == ["a/y"]
    assert synced("audit", "verify").code == 0


def test_orphans_are_deleted_through_whatever_store_leads_to_their_place(synced: Cli) -> None:
    """The SecretStore is called otherwise by now; without any, that is an error."""
    write(synced, dst="one")
    ran = synced("orphans", "--delete", "--yes")
    assert ran.code == 2
    assert "no SecretStore in these documents may write to" in ran.err
    write(synced, dst="one", other="two")
    assert synced("orphans", "--delete", "--yes").code == 0
    assert files(synced.directory / "two") == []
    assert "no orphans" in synced("orphans").out


def test_an_orphan_out_of_reach_is_told_with_its_place(synced: Cli) -> None:
    """The name that the ledger gave it says nothing to people: the error has the folder."""
    write(synced, dst="one")
    assert f"old, file {synced.directory}/two/" in synced("orphans", "--delete", "--yes").err


def test_what_the_job_keeps_under_another_name_is_not_deleted_as_an_orphan(synced: Cli) -> None:
    """A ledger that knew no places yet when a SecretStore was renamed has its secrets twice; they can be forgotten."""
    make_version_3(synced)
    assert synced("audit", "migrate").code == 0
    write(synced, dest="dst, new", dst="one", old="two", new="two")
    assert synced("sync", "-q").code == 0
    ran = synced("orphans", "--delete", "--yes")
    assert ran.code == 1
    assert "a/x in old is the same secret as a/x in new, which this job keeps" in ran.err
    assert files(synced.directory / "two") == ["a/x", "a/y"]
    assert synced("orphans", "--forget", "--yes").code == 0
    assert "no orphans" in synced("orphans").out
    ran = synced("sync")
    assert (ran.code, "4 unchanged" in ran.out) == (0, True)


def test_a_key_is_looked_for_in_all_of_the_jobs(synced: Cli) -> None:
    """It need be an orphan of one of them only; where it is of none, nothing is done to any."""
    write(synced, dst="one", old="two")
    other = JOB.format(name="second", dest="third", more="") + "---\n" + STORE.format(name="third", folder="three")
    (synced.directory / "secretsync/second.yaml").write_text(other)
    (synced.directory / "three").mkdir()
    ran = synced("orphans", "--forget", "--yes", "--key", "a/x", "--key", "a/nothing")
    assert (ran.code, "--key number 2 names no orphan of these jobs" in ran.err) == (2, True)
    ran = synced("orphans", "--forget", "--yes", "--key", "old:a/x")
    assert (ran.code, ran.err) == (0, "")
    assert "job: 1 copy forgotten: it stays, and is no longer this job's" in ran.out
    assert [one["key"] for one in synced("orphans", "--output", "json").json["jobs"][0]["orphans"]] == ["a/y"]


def test_a_list_of_orphans_that_is_incomplete_says_so(synced: Cli) -> None:
    """Where a destination is refused, nobody knows whether there are more."""
    (synced.directory / "one").rename(synced.directory / "moved")
    write(synced, dest="dst, old", dst="moved", old="two")
    ran = synced("orphans")
    assert (ran.code, "the list is incomplete: 1 error above" in ran.err) == (2, True)
    assert "no orphans found so far" in ran.out
    assert synced("orphans", "--output", "json").json["jobs"][0]["errors"][0]["code"] == "place-changed"


def test_orphans_are_either_forgotten_or_deleted(synced: Cli) -> None:
    """Both at once is a mistake, and the hint says what each does."""
    ran = synced("orphans", "--forget", "--delete")
    assert (ran.code, "the copies stay" in ran.err) == (2, True)


def test_orphans_are_forgotten(synced: Cli) -> None:
    """The copies stay, and nobody speaks of them any more."""
    write(synced, dst="one", old="two")
    assert synced("orphans", "--forget", "--yes").code == 0
    assert "no orphans" in synced("orphans").out
    assert files(synced.directory / "two") == ["a/x", "a/y"]
    assert "orphan" not in synced("sync").err
    assert synced("audit", "verify").code == 0


def test_a_copy_that_is_retained_after_its_source_went_is_an_orphan(synced: Cli) -> None:
    """It is told, and can be ended, as long as the source does not come back."""
    (synced.directory / "src/a/x").unlink()
    assert "2 orphans" in synced("sync").err
    assert synced("orphans", "--delete", "--yes", "--key", "dst:a/x").code == 0
    assert (files(synced.directory / "one"), files(synced.directory / "two")) == (["a/y"], ["a/x", "a/y"])


def test_a_place_that_changed_is_refused_until_somebody_says_what_happened(synced: Cli) -> None:
    """--moved: the copies are there, and nothing is to do."""
    (synced.directory / "one").rename(synced.directory / "moved")
    write(synced, dest="dst, old", dst="moved", old="two")
    ran = synced("sync")
    assert ran.code == 2
    assert "secretsync rebind job dst --moved" in ran.err
    assert synced("rebind", "job", "dst").code == 2
    assert synced("rebind", "job", "dst", "--moved").code == 0
    ran = synced("sync")
    assert (ran.code, "4 unchanged" in ran.out) == (0, True)


def test_a_place_that_is_new_begins_anew(synced: Cli) -> None:
    """--new: the job copies everything there, and what it made at the old place are orphans."""
    write(synced, dest="dst, old", dst="fresh", old="two", before="one")
    assert synced("rebind", "job", "dst", "--new").code == 0
    ran = synced("sync")
    assert (ran.code, "2 created" in ran.out, "2 orphans" in ran.err) == (0, True, True)
    assert synced("orphans", "--delete", "--yes").code == 0
    assert files(synced.directory / "one") == []
    assert files(synced.directory / "fresh") == ["a/x", "a/y"]
    assert synced("audit", "verify").code == 0


def test_a_renamed_job_takes_its_keys_along(synced: Cli) -> None:
    """The refusal names the command; afterwards nothing is to do, and the old name holds nothing."""
    write(synced, job="other", dest="dst, old", dst="one", old="two")
    ran = synced("plan")
    assert "`secretsync rename job other`" in ran.out
    assert synced("sync").code == 1
    assert synced("rename", "job", "nobody").code == 2
    assert synced("rename", "job", "other").out == "4 keys of job are other's from now on\n"
    ran = synced("sync")
    assert (ran.code, "4 unchanged" in ran.out) == (0, True)
    assert synced("rename", "job", "other").out == "job has no keys: nothing to do\n"
    assert synced("audit", "verify").code == 0


def test_a_job_that_is_still_there_is_not_renamed(synced: Cli) -> None:
    """Its keys are its own; the hint says which name comes first, or what else is to be done."""
    ran = synced("rename", "job", "job")
    assert (ran.code, "still in the documents" in ran.err, "former name first" in ran.err) == (2, True, True)
    second = JOB.format(name="second", dest="dst", more="").replace("path: a,", "path: b,")
    (synced.directory / "secretsync/second.yaml").write_text(second)
    ran = synced("rename", "job", "second")
    assert (ran.code, "`secretsync sync second --adopt KEY`" in ran.err) == (2, True)
    ran = synced("rename", "job", "nobody")
    assert (ran.code, "the documents define no SyncJob with the new name" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "command",
    [
        ["rename", "before", "job"],
        ["rebind", "job", "dst", "--moved"],
        ["orphans", "--forget", "--yes"],
        ["undo", "run", "--yes"],
    ],
)
def test_a_ledger_that_is_not_there_is_not_made(synced: Cli, command: list[str]) -> None:
    """What changes what a ledger knows says so of a mistyped name."""
    ran = synced(*command, "--ledger", "mistyped.db")
    assert (ran.code, "there is no ledger at mistyped.db yet" in ran.err) == (3, True)
    assert not (synced.directory / "mistyped.db").exists()


def test_a_store_that_leads_where_the_ledger_knows_is_not_rebound(synced: Cli) -> None:
    """Neither flag changes anything, and the command says so."""
    for flag in ("--moved", "--new"):
        ran = synced("rebind", "job", "dst", flag)
        assert (ran.code, ran.out.strip().endswith("as the ledger has it: nothing to do")) == (0, True)
    ran = synced("sync")
    assert (ran.code, "4 unchanged" in ran.out, "orphan" in ran.err) == (0, True, False)


def test_a_run_that_wrote_nothing_has_nothing_to_undo(synced: Cli) -> None:
    """And that is said."""
    synced("sync")
    run = synced("audit", "log", "--event", "run-started", "--output", "json").json["records"][-1]["run"]
    ran = synced("undo", run)
    assert (ran.code, "note: the run wrote nothing in job that can be undone" in ran.err) == (0, True)


def test_a_failure_names_its_destination_where_there_are_several(synced: Cli) -> None:
    """The same key may fail in each."""
    for folder in ("one", "two"):
        (synced.directory / folder / "a/new").write_text("theirs\n")
    (synced.directory / "src/a/new").write_text("ours\n")
    out = synced("sync").out
    assert "! dst: a/new  exists" in out
    assert "! old: a/new  exists" in out
