"""Servers to notify, a job to notify about, and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli.conftest import cli, warm_cli

from notify.servers import Hook, Mailbox, hook_server, smtp_sink
from secretsync_core.schema.loader import load_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from secretsync_core.schema.documents import JobDocument

DOCUMENTS = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: source}
spec: {permissions: Read, provider: {file: {path: source}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: dest}
spec: {provider: {file: {path: dest}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: copy}
spec:
  source: source
  dest: dest
  deletionPolicy: Delete
  notify:
"""

PLAN = """\
  plan:
    - {name: all, query: {recursive: true}}
"""

EVERYTHING = "on: [failure, recovery, drift, blockedDeletes]"
HOOK = f"- {{{EVERYTHING}, webhook: {{url: {{env: HOOK_URL}}}}}}"
SPOILED = """\
    - name: bad
      secret: {key: a}
      keyTransform: [{template: bad}]
      valueTransform: [{template: {text: "{{ nothing }}"}}]
"""
"""An item whose value cannot be made."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A web server to notify."""
    with hook_server() as server:
        yield server


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server to notify."""
    with smtp_sink() as sink:
        yield sink


def write_documents(directory: Path, notify: str, plan: str = PLAN) -> None:
    """Write a configuration of two directories and a job ``copy`` from one to the other."""
    directory.mkdir(exist_ok=True)
    lines = "".join(f"    {line}\n" for line in notify.splitlines())
    (directory / "docs.yaml").write_text(DOCUMENTS + lines + plan)
    for name in ("source", "dest"):
        (directory / name).mkdir(exist_ok=True)


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[[str], JobDocument]:
    """``make_job(notify)``: the checked document of a job with these entries."""

    def make(notify: str) -> JobDocument:
        write_documents(tmp_path / "docs", notify)
        return load_directory(tmp_path / "docs").jobs["copy"]

    return make


__all__ = ["cli", "warm_cli"]
