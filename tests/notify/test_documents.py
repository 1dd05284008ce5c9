"""``notify`` in documents: what is refused, what is warned about, and what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from notify.conftest import write_documents
from secretsync_core.errors import DocumentError
from secretsync_core.schema.export import json_schema
from secretsync_core.schema.loader import load_directory
from secretsync_core.schema.notify import NotifyEvent
from secretsync_core.schema.yaml_tree import read_documents

if TYPE_CHECKING:
    from pathlib import Path

SLACK = "slack: {webhookUrl: {env: S}}"
MAIL = "host: mail.example.com, from: a@example.com"


def in_schema(directory: Path) -> bool:
    """Whether the exported JSON Schema takes every document."""
    text = (directory / "docs.yaml").read_text()
    validator = Draft202012Validator(json_schema())
    return all(validator.is_valid(document.data) for document in read_documents("f", text)[0])


@pytest.mark.parametrize(
    "entry",
    [
        SLACK,
        f"on: [failure, recovery, drift, blockedDeletes], {SLACK}",
        "webhook: {url: {file: hook}, headers: {Authorization: {env: A}}}",
        f"email: {{{MAIL}, to: b@example.com}}",
        f"email: {{{MAIL}, to: [b@example.com], port: 465, security: Tls, username: u, password: {{env: P}}}}",
        "apprise: {url: {env: A}}",
    ],
)
def test_what_is_taken(tmp_path: Path, entry: str) -> None:
    """Each form is taken by loading and by the JSON Schema alike."""
    write_documents(tmp_path, f"- {{{entry}}}")
    (found,) = load_directory(tmp_path).jobs["copy"].spec.notify
    assert found.kind in entry
    assert in_schema(tmp_path)
    if "on:" not in entry:
        assert found.on == (NotifyEvent.FAILURE, NotifyEvent.RECOVERY)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("on: [failure]", "give exactly one of webhook, slack, email or apprise"),
        (f"{SLACK}, apprise: {{url: {{env: A}}}}", "give exactly one of webhook, slack, email or apprise"),
        (f"on: [failed], {SLACK}", "spec.notify[0].on[0] must be 'failure', 'recovery', 'drift' or 'blockedDeletes'"),
        (f"on: [], {SLACK}", "spec.notify[0].on must not be empty"),
        ("webhook: {url: 'https://canary'}", "spec.notify[0].webhook.url must be a mapping"),
        ("webhook: {url: {}}", "give exactly one of env, file or value"),
        ("slack: {url: {env: S}}", "unknown field spec.notify[0].slack.url"),
        (f"email: {{{MAIL}}}", "spec.notify[0].email.to is missing"),
        (f"email: {{{MAIL}, to: canary}}", "spec.notify[0].email.to has an invalid format"),
        (f"email: {{{MAIL}, to: [b@example.com], port: 0}}", "spec.notify[0].email.port must be at least 1"),
    ],
)
def test_what_is_refused(tmp_path: Path, entry: str, message: str) -> None:
    """What is wrong is told without what stands there, and the JSON Schema refuses it too."""
    write_documents(tmp_path, f"- {{{entry}}}")
    with pytest.raises(DocumentError) as raised:
        load_directory(tmp_path)
    told = " ".join(problem.message for problem in raised.value.problems)
    assert message in told
    assert "canary" not in told
    assert not in_schema(tmp_path)


def test_a_login_needs_both(tmp_path: Path) -> None:
    """A username without a password is an error."""
    write_documents(tmp_path, f"- email: {{{MAIL}, to: [b@example.com], username: u}}")
    with pytest.raises(DocumentError) as raised:
        load_directory(tmp_path)
    assert "username and password go together" in raised.value.problems[0].message


def test_a_literal_is_warned_about_and_not_shown(tmp_path: Path) -> None:
    """A URL that stands in the document is a warning, and the text that people are shown leaves it out."""
    write_documents(tmp_path, "- slack: {webhookUrl: {value: 'https://hooks.slack.com/services/canary'}} # canary")
    documents = load_directory(tmp_path)
    (warning,) = documents.warnings
    assert warning.message == "spec.notify[0].slack.webhookUrl is written into the document"
    job = documents.jobs["copy"]
    assert "canary" not in job.text + repr(job) + str(documents)
    assert "value: (not shown)" in job.text
    write_documents(tmp_path, f"- {{{SLACK}}} # of the author's")
    text = load_directory(tmp_path).jobs["copy"].text
    assert ("webhookUrl:" in text, "author" in text) == (True, False)
