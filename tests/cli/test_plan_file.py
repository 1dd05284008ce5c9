"""``plan --out FILE`` and ``sync --plan FILE``, as the command line has them."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsync_core.cli import plan_file, same_call
from secretsync_core.cli.call import Call
from secretsync_core.cli.whole_files import check_writable, replace_file
from secretsync_core.errors import UsageError
from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.run import saved_plan

if TYPE_CHECKING:
    from collections.abc import Callable

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
    assert "not a SecretSync plan" in started("sync", "--plan", "note.txt").err
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
    jobs.write_text(jobs.read_text().replace("  plan:", "  ownership: {mark: true}\n  plan:"))
    ran = started("plan", "--out", "my.plan")
    assert ran.code == 2
    assert "the plan was not saved: example could not be planned" in ran.err
    assert (started.directory / "my.plan").read_text() == "before"


def _link(path: Path) -> None:
    path.symlink_to("target")
    (path.parent / "target").write_text("before")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


SPECIAL = {
    "a link": _link,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to a device": lambda path: path.symlink_to(os.devnull),
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a folder": os.mkdir,
}
"""What a plan is not written over."""


@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL)
def test_nothing_is_written_over_a_link_or_a_device(
    tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, without waiting for anybody; what a link leads to stays as it is."""
    monkeypatch.chdir(tmp_path)
    file = Path("my.plan")
    make(file)
    before = {path.name: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    for attempt in (lambda: check_writable(file), lambda: replace_file(file, [b"plan"])):
        with pytest.raises(UsageError) as refused:
            attempt()
        assert refused.value.message == "my.plan cannot be written: it is not a regular file"
        assert refused.value.hint == "name a file, not a link or a device"
    assert {path.name: path.lstat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_nothing_is_written_into_a_folder_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is tried there."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="no permission to write to its folder"):
        check_writable(tmp_path / "my.plan")


def test_where_a_plan_cannot_be_written_nothing_is_planned(started: Cli) -> None:
    """A link, and folders that are not there: no store was asked, no key made, and no folder either."""
    started.write("file", "before")
    (started.directory / "a.link").symlink_to("file")
    for out, told in (
        ("a.link", "it is not a regular file"),
        ("missing/my.plan", "its folder is not there"),
        ("file/my.plan", "its folder is not there"),
    ):
        ran = started("plan", "--out", out)
        assert (ran.code, ran.out) == (2, "")
        assert f"{out} cannot be written: {told}" in ran.err
    assert (started.directory / "file").read_text() == "before"
    assert not (started.directory / "missing").exists()
    assert not (started.directory / "secretsync/.secretsync").exists()


def test_a_plan_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the mode of the file that it takes the place of, and whoever has that open."""
    for mode in (0o644, 0o666, 0o000):
        file, theirs = tmp_path / "my.plan", tmp_path / f"{mode}"
        file.unlink(missing_ok=True)
        file.write_text("before")
        file.chmod(mode)
        theirs.hardlink_to(file)
        check_writable(file)
        replace_file(file, [b"plan"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        theirs.chmod(0o600)
        assert (file.read_bytes(), theirs.read_text()) == (b"plan", "before")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _socket], ids=["a pipe", "a folder", "a socket"])
def test_a_plan_is_read_from_a_file_alone(
    tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a pipe to be written to, also where a link leads to one."""
    monkeypatch.chdir(tmp_path)
    make(Path("my.plan"))
    Path("a.link").symlink_to("my.plan")
    for file in (Path("my.plan"), Path("a.link")):
        with pytest.raises(UsageError, match=f"the plan {file} cannot be read: "):
            plan_file._read(file)


def test_a_plan_is_read_from_no_device(started: Cli) -> None:
    """One that never ends is not read, and nothing is made for it."""
    ran = started("sync", "--plan", "/dev/zero")
    assert (ran.code, ran.out) == (2, "")
    assert "the plan /dev/zero cannot be read: it is not a regular file" in ran.err
    assert not (started.directory / "secretsync/.secretsync").exists()


def test_a_plan_may_be_read_by_a_link(started: Cli) -> None:
    """As volumes of Kubernetes have their files."""
    started("plan", "--out", "my.plan")
    (started.directory / "a.link").symlink_to("my.plan")
    assert started("sync", "--plan", "a.link").code == 0


@pytest.mark.parametrize("given", ["--config and --ledger", "files"])
def test_the_command_that_a_saved_plan_is_told_with_works(started: Cli, given: str) -> None:
    """It names the documents and the ledger as the plan was asked for them, and can be pasted as it is."""
    there = "the documents"
    (started.directory / "secretsync").rename(started.directory / there)
    chosen = ["--config", there]
    if given == "files":
        _as_files(started, there)
        chosen = ["--source", "one.yaml", "--dest", "two.yaml", "--job", "three.yaml"]
    else:
        chosen += ["--ledger", "my ledger.db"]
    ran = started("plan", "--out", "my plan", *chosen)
    assert ran.code == 0, ran.err
    line = re.search("^ *`(secretsync sync --plan 'my plan'.*)` carries it out$", ran.out, re.MULTILINE)
    assert line is not None
    done = started.shell(line[1])
    assert (done.code, done.err) == (0, "")
    assert "created" in done.out


def _as_files(cli: Cli, there: str) -> None:
    """The documents as three files: the example's own, one in each."""
    stores = (cli.directory / there / "stores.yaml").read_text()
    for name, text in zip(("one.yaml", "two.yaml"), re.split("^---$", stores, flags=re.MULTILINE)[:2], strict=True):
        cli.write(name, text.replace("path: ", f"path: {there}/"))
    (cli.directory / there / "jobs.yaml").rename(cli.directory / "three.yaml")


def test_no_password_of_a_ledger_is_in_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its URL may hold one it is not shown, and not at all where the environment has it anyway."""
    shown = same_call.command(Call(ledger="postgresql://sync:canary@db/ledger"), "sync", "--plan", "f")
    assert shown == "secretsync sync --plan f --ledger URL"
    shown = same_call.command(Call(ledger="postgresql://db/ledger?user=a&password=canary"), "sync", "--plan", "f")
    assert shown == "secretsync sync --plan f --ledger URL"
    shown = same_call.command(Call(ledger="postgresql://db/ledger"), "sync", "--plan", "f")
    assert shown == "secretsync sync --plan f --ledger postgresql://db/ledger"
    monkeypatch.setenv("SECRETSYNC_LEDGER", "postgresql://sync:canary@db/ledger")
    shown = same_call.command(Call(ledger="postgresql://sync:canary@db/ledger"), "sync", "--plan", "f")
    assert shown == "secretsync sync --plan f"


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
