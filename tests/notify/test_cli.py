"""``secretsync sync`` tells people how it ended, and ends as it would have ended without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.slow import one_in

from notify.conftest import EVERYTHING, HOOK, PLAN, SPOILED, write_documents
from notify.test_send import closed_port

if TYPE_CHECKING:
    from cli.conftest import Cli

    from notify.servers import Hook


def start(cli: Cli, hook: Hook | None, notify: str = HOOK, plan: str = PLAN) -> None:
    if hook is not None:
        cli.environ["HOOK_URL"] = hook.url("/canary")
    write_documents(cli.directory / "secretsync", notify, plan)
    for key in ("a", "b"):
        cli.write(f"secretsync/source/{key}", f"canary-{key}")


def test_all_is_well(cli: Cli, hook: Hook) -> None:
    """Nobody is told of a first run, or of one after another, that went well."""
    start(cli, hook)
    assert cli("sync").code == 0
    assert cli("sync").code == 0
    assert hook.posts == []


def test_failure_and_recovery(cli: Cli, hook: Hook) -> None:
    """Each run that fails is told with its keys, then the first that goes well, and the next is not."""
    start(cli, hook, plan=PLAN + SPOILED)
    failed = cli("sync", "--output", "json")
    assert failed.code == 1
    write_documents(cli.directory / "secretsync", HOOK)
    assert cli("sync").code == 0
    assert cli("sync").code == 0
    first, second = (post.body for post in hook.posts)
    assert (first["event"], first["job"], first["ok"]) == ("failure", "copy", False)
    assert first["run"] == failed.json["jobs"][0]["run"]
    assert first["counts"] == {"created": 2, "failed": 1}
    assert first["failed"] == [{"item": "bad", "dest": "dest", "key": "bad", "reason": "transform-failed"}]
    assert (second["events"], second["ok"]) == (["recovery"], True)
    assert "canary" not in str(hook.posts[0].body) + str(hook.posts[1].body)


def test_a_job_that_cannot_begin(cli: Cli, hook: Hook) -> None:
    """A plan that is refused, here for marks that no file has, is told as a failure with its reason, without a run."""
    start(cli, hook, plan="  ownership: {mark: true}\n" + PLAN)
    assert cli("sync").code == 2
    (post,) = hook.posts
    assert (post.body["event"], post.body["run"]) == ("failure", "")
    assert post.body["errors"]


def test_drift(cli: Cli, hook: Hook) -> None:
    """A destination that somebody else changed is told, also by a run that puts it right."""
    start(cli, hook)
    assert cli("sync").code == 0
    cli.write("secretsync/dest/a", "tampered")
    assert cli("sync").code == 0
    (post,) = hook.posts
    assert (post.body["events"], post.body["driftedCount"]) == (["drift"], 1)
    assert post.body["drifted"] == [{"item": "all", "dest": "dest", "key": "a", "reason": "changed"}]


def test_blocked_deletes(cli: Cli, hook: Hook) -> None:
    """Deletes beyond maxDelete are told with their number, in one message with the failure that they are."""
    start(cli, hook)
    assert cli("sync").code == 0
    for key in ("a", "b"):
        (cli.directory / "secretsync/source" / key).unlink()
    assert cli("sync").code == 1
    (post,) = hook.posts
    assert (post.body["events"], post.body["blockedDeletes"]) == (["failure", "blockedDeletes"], 2)


@pytest.mark.slow
@pytest.mark.parametrize(("plan", "code"), one_in(2, [(PLAN, 0), (PLAN + SPOILED, 1)]))
def test_a_server_that_is_not_there(cli: Cli, plan: str, code: int) -> None:
    """Where a notification cannot be sent the sync ends as it ended, and stderr says why, without the URL."""
    start(cli, None, f"- {{{EVERYTHING}, webhook: {{url: {{env: HOOK_URL}}}}}}", plan)
    cli.environ["HOOK_URL"] = f"http://127.0.0.1:{closed_port()}/canary"
    assert cli("sync").code == code
    cli.write("secretsync/dest/a", "tampered")
    ran = cli("sync", "--output", "json")
    assert ran.code == code
    assert "warning: notify[0] of copy (webhook) was not sent: the server is unreachable" in ran.err
    assert "canary" not in ran.err + ran.out
    del cli.environ["HOOK_URL"]
    cli.write("secretsync/dest/a", "tampered once more, at more length")
    ran = cli("sync")
    assert ran.code == code
    assert "the environment variable HOOK_URL is not set" in ran.err
