"""Messages arrive at real servers, and what does not arrive is a warning without an address."""

from __future__ import annotations

import base64
import email
import importlib.util
import re
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from secretsync_core.notify import send
from secretsync_core.notify.ending import Ending, Key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from notify.servers import Hook, Mailbox
    from secretsync_core.schema.documents import JobDocument

    MakeJob = Callable[[str], JobDocument]

FAILED = Ending(
    "copy",
    "run-7",
    ok=False,
    counts={"created": 2, "failed": 1},
    failed=(Key("all", "dest", "payments/api", "access-denied"),),
    failed_count=1,
    errors=("all: the store refuses us",),
)
TEXT = """\
2 created, 1 failed
all: the store refuses us
Failed (1):
- payments/api in dest: access-denied
Details: secretsync audit log --run run-7"""


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_webhook_gets_json(make_job: MakeJob, hook: Hook) -> None:
    """A webhook gets the documented object, at the URL's path and query as they are, with the headers asked for."""
    job = make_job("- webhook: {url: {env: URL}, headers: {Authorization: {env: TOKEN}}}")
    environ = {"URL": hook.url("/a%2Fb?x=1&+y=2"), "TOKEN": "Bearer canary"}
    assert send.notify(job, FAILED, None, environ) == []
    (post,) = hook.posts
    assert post.path == "/a%2Fb?x=1&+y=2"
    assert post.headers["Authorization"] == "Bearer canary"
    assert post.body == {
        "job": "copy",
        "run": "run-7",
        "event": "failure",
        "events": ["failure"],
        "ok": False,
        "counts": {"created": 2, "failed": 1},
        "failed": [{"item": "all", "dest": "dest", "key": "payments/api", "reason": "access-denied"}],
        "failedCount": 1,
        "uncertain": [],
        "uncertainCount": 0,
        "drifted": [],
        "driftedCount": 0,
        "blockedDeletes": 0,
        "errors": ["all: the store refuses us"],
        "summary": "SecretSync: copy failed",
        "text": TEXT,
        "more": "secretsync audit log --run run-7",
    }


def test_what_a_message_takes_from_the_environment(
    make_job: MakeJob, hook: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing but a proxy for what is encrypted, as with stores: not ~/.netrc, and no proxy that could read it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    job = make_job("- webhook: {url: {env: URL}}")
    assert send.notify(job, FAILED, None, {"URL": hook.url("/a")}) == []
    (post,) = hook.posts
    assert "Authorization" not in post.headers
    assert not (tmp_path / "keys.log").exists()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    (warning,) = send.notify(job, FAILED, None, {"URL": "https://hook.test/a"})
    assert "ProxyError" in warning


def test_slack_gets_text(make_job: MakeJob, hook: Hook) -> None:
    """A Slack webhook gets one text."""
    job = make_job("- slack: {webhookUrl: {env: URL}}")
    assert send.notify(job, FAILED, None, {"URL": hook.url("/services/T/B/x")}) == []
    (post,) = hook.posts
    assert (post.path, post.body) == ("/services/T/B/x", {"text": f"SecretSync: copy failed\n```\n{TEXT}\n```"})


def test_mail(make_job: MakeJob, mailbox: Mailbox) -> None:
    """A mail goes to everybody named, from the sender named, with the login given, as plain text."""
    job = make_job(
        f"- email: {{host: 127.0.0.1, port: {mailbox.port}, security: Plain, from: sync@example.com,"
        " to: [a@example.com, b@example.com], username: me@example.com, password: {env: PASSWORD}}"
    )
    password = "p%41/@:ss word"
    assert send.notify(job, FAILED, None, {"PASSWORD": password}) == []
    messages = [email.message_from_string(message) for message in mailbox.messages]
    assert {message["To"] for message in messages} == {"a@example.com", "b@example.com"}
    assert {message["Subject"] for message in messages} == {"SecretSync: copy failed"}
    assert all("sync@example.com" in message["From"] for message in messages)
    payload = messages[0].get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert TEXT in payload.decode().replace("\r\n", "\n")
    login = next(line for line in mailbox.commands if line.startswith("AUTH PLAIN "))
    assert base64.b64decode(login.split(" ")[2]).split(b"\0")[1:] == [b"me@example.com", password.encode()]


def test_any_apprise_url(make_job: MakeJob, hook: Hook) -> None:
    """Any other address goes to Apprise as it is."""
    job = make_job("- apprise: {url: {env: URL}}")
    assert send.notify(job, FAILED, None, {"URL": hook.url("/n").replace("http", "json")}) == []
    (post,) = hook.posts
    assert post.body["title"] == "SecretSync: copy failed"
    assert post.body["message"] == TEXT


@pytest.mark.parametrize("rule", ["hosts: [127.0.0.1]", "deny: {hosts: [evil.example]}"])
@pytest.mark.parametrize(
    "url",
    [
        "mailto://u:canary@127.0.0.1?smtp=evil.example",
        "ntfy://127.0.0.1/topic",
        "json://127.0.0.1/ json://evil.example",
        "json://127.0.0.1/,json://evil.example",
        "json://127.0.0.1#@evil.example",
        "json://127.0.0.1?+Host=evil.example",
        "json://127.0.0.1?redirect=yes",
        "https://127.0.0.1/discord",
    ],
)
def test_under_a_policy_an_apprise_url_leads_where_it_says(
    make_job: MakeJob, tmp_path: Path, rule: str, url: str
) -> None:
    """Where a policy bounds hosts, an address that may lead to another server than it names is refused unsent."""
    head = "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: p}\n"
    (tmp_path / "p.yaml").write_text(f"{head}spec: {{{rule}}}\n")
    job = make_job("- apprise: {url: {env: URL}}")
    (warning,) = send.notify(job, FAILED, None, {"URL": url, "SECRETSYNC_POLICY": str(tmp_path / "p.yaml")})
    assert "the address of the message is refused: spec." in warning
    assert "use webhook or email instead" in warning
    assert "canary" not in warning


def test_under_a_policy_a_plain_apprise_url_is_sent(make_job: MakeJob, hook: Hook, tmp_path: Path) -> None:
    """What a policy permits is sent: an address of Apprise that is a server's own, with harmless parameters."""
    head = "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: p}\n"
    (tmp_path / "p.yaml").write_text(f"{head}spec: {{hosts: [127.0.0.1], plainHttp: Deny}}\n")
    job = make_job("- apprise: {url: {env: URL}}")
    url = hook.url("/n?format=text&:team=a").replace("http", "json")
    assert send.notify(job, FAILED, None, {"URL": url, "SECRETSYNC_POLICY": str(tmp_path / "p.yaml")}) == []
    assert len(hook.posts) == 1


def test_an_apprise_url_follows_no_redirection(make_job: MakeJob, hook: Hook) -> None:
    """A server sends a message on to no other one, even if the address asks for that."""
    hook.statuses = [307, 307]
    job = make_job("- apprise: {url: {env: URL}}")
    url = hook.url("/n?redirect=yes").replace("http", "json")
    assert send.notify(job, FAILED, None, {"URL": url}) != []
    assert len(hook.posts) == 1


def test_only_what_was_asked_for(make_job: MakeJob, hook: Hook) -> None:
    """An entry is told of the events it names only, and one message tells of all of them."""
    job = make_job(
        "- {on: [drift], webhook: {url: {env: DRIFT}}}\n"
        "- {on: [failure, blockedDeletes], webhook: {url: {env: BOTH}}}\n"
        "- {on: [blockedDeletes], webhook: {url: {env: BLOCKED}}}\n"
    )
    environ = {name: hook.url(f"/{name}") for name in ("DRIFT", "BOTH", "BLOCKED")}
    assert send.notify(job, Ending("copy", "r", ok=False, blocked=1), True, environ) == []
    told = {post.path: post.body["events"] for post in hook.posts}
    assert told == {"/BOTH": ["failure", "blockedDeletes"], "/BLOCKED": ["blockedDeletes"]}


@pytest.mark.slow
def test_a_server_that_stumbles_is_asked_again(make_job: MakeJob, hook: Hook) -> None:
    """After 500 there is one more attempt; after 404 none, and a redirection is not followed."""
    job = make_job("- webhook: {url: {env: URL}}")
    hook.statuses = [500]
    assert send.notify(job, FAILED, None, {"URL": hook.url()}) == []
    assert len(hook.posts) == 2
    for status in (404, 302):
        hook.posts.clear()
        hook.statuses = [status]
        (warning,) = send.notify(job, FAILED, None, {"URL": hook.url("/canary")})
        assert warning == (
            "notify[0] of copy (webhook) was not sent: "
            f"the server answered {status}"
        )  # fmt: skip
        assert len(hook.posts) == 1


@pytest.mark.slow
def test_a_server_that_never_answers(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the message and then says a byte now and then is given up in time."""
    monkeypatch.setattr(send, "PATIENCE_SECONDS", 5.0)
    monkeypatch.setattr(send, "ATTEMPTS", 1)
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            server.settimeout(20)
            connection, _ = server.accept()
            with connection:
                try:
                    while not done.wait(0.2):
                        connection.sendall(b"H")
                except OSError:
                    pass

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        job = make_job("- webhook: {url: {env: URL}}")
        (warning,) = send.notify(job, FAILED, None, {"URL": f"http://127.0.0.1:{server.getsockname()[1]}/"})
        done.set()
        thread.join()
    assert "timed out after 5 s" in warning


@pytest.mark.slow
def test_no_address_in_any_warning_or_log(
    make_job: MakeJob,
    mailbox: Mailbox,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever goes wrong, no URL, password or header turns up in a warning, a log record or an output."""
    caplog.set_level(0)
    mailbox.refuse_login = True
    port = closed_port()
    job = make_job(
        "- webhook: {url: {env: CLOSED}, headers: {X-Key: {env: TOKEN}}}\n"
        "- webhook: {url: {env: NONSENSE}}\n"
        "- webhook: {url: {env: CLOSED}, headers: {X-Key: {env: BROKEN}}}\n"
        "- slack: {webhookUrl: {env: CLOSED}}\n"
        "- apprise: {url: {env: UNKNOWN}}\n"
        "- apprise: {url: {env: APPRISE}}\n"
        f"- email: {{host: 127.0.0.1, port: {mailbox.port}, security: Plain, from: a@example.com, to: b@example.com,"
        " username: me, password: {env: TOKEN}}\n"
        "- webhook: {url: {env: MISSING}}\n"
        "- slack: {webhookUrl: {file: missing}}\n"
    )
    environ = {
        "CLOSED": f"http://user:canary@127.0.0.1:{port}/canary?canary=canary",
        "NONSENSE": "htp:/canary",
        "BROKEN": "canary\r\nX: y",
        "UNKNOWN": "canary://canary",
        "APPRISE": f"json://user:canary@127.0.0.1:{port}/canary",
        "TOKEN": "canary",
    }
    warnings = send.notify(job, FAILED, None, environ)
    assert len(warnings) == 9
    told = capfd.readouterr()
    assert "canary" not in "".join([*warnings, caplog.text, told.out, told.err])
    assert "the environment variable NONSENSE does not hold an http:// or https:// URL" in warnings[1]
    assert "Apprise does not support this address" in warnings[4]
    assert "SMTPAuthenticationError" in warnings[6]
    assert "variable MISSING is not set" in warnings[7]


def test_without_apprise(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Apprise the warning names the extra to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (warning,) = send.notify(make_job("- webhook: {url: {env: URL}}"), FAILED, None, {"URL": "http://127.0.0.1/"})
    assert warning.endswith("install the extra [notify]; see Install in the README)")


@pytest.mark.slow
def test_all_of_it_ends_in_time(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit to all of it who does not answer is given up by then, and for whom there was no time is told."""
    monkeypatch.setattr(send, "_AT_ONCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        job = make_job("- webhook: {url: {env: URL}}\n- webhook: {url: {env: URL}}")
        began = time.monotonic()
        first, second = send.notify(
            job, FAILED, None, {"URL": f"http://127.0.0.1:{silent.getsockname()[1]}/"}, within=4.0
        )
    assert time.monotonic() - began < 10
    assert re.search(r"timed out after (3\.\d|4) s", first)  # what is left of the time when it begins
    assert "other notifications used up the time limit" in second
