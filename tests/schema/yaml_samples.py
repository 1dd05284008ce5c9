"""Documents that the tests of the loader are made of, and a short way to load them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import DocumentError, Problem
from secretsync_core.schema.loader import examine, load_files

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.schema.documents import Documents

HEAD = "apiVersion: secretsync.io/v1alpha1\n"


def store(name: str, *, permissions: str = "ReadWrite", provider: str = "memory: {}") -> str:
    """A SecretStore document of five lines."""
    return (
        f"---\n{HEAD}kind: SecretStore\nmetadata: {{name: {name}}}\n"
        f"spec: {{permissions: {permissions}, provider: {{{provider}}}}}\n"
    )


ITEM = "- secret: {key: a}"
ELSEWHERE = f"{ITEM}\n  keyTransform: [{{prefix: copy/}}]"


def job(plan: str = ITEM, *, name: str = "job", source: str = "one", dest: str = "two", more: str = "") -> str:
    """A SyncJob document; ``source`` is in line 6 of it, ``dest`` in line 7."""
    lines = "".join(f"    {line}\n" for line in plan.splitlines())
    extra = "".join(f"  {line}\n" for line in more.splitlines())
    return (
        f"---\n{HEAD}kind: SyncJob\nmetadata: {{name: {name}}}\nspec:\n"
        f"  source: {source}\n  dest: {dest}\n{extra}  plan:\n{lines}"
    )


STORES = store("one") + store("two")

DESIGN = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: vault-main}
spec:
  permissions: Read
  provider:
    vault:
      address: https://vault.example.com
      mount: secret
      namespace: team-a
      auth:
        kubernetes: {role: secretsync}
      tls: {caFile: /etc/ssl/vault-ca.pem}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: vault-k8s}
spec:
  provider:
    vault:
      address: https://vault.k8s.example.com
      auth:
        appRole: {roleId: {env: ROLE_ID}, secretId: {file: secret-id}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: vault-legacy}
spec:
  provider:
    file: {path: legacy}
---
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: vault-to-k8s-vault}
spec:
  source: vault-main
  dest: vault-k8s
  schedule: "@hourly"
  timezone: Europe/Berlin
  onChange: {interval: 60s}
  suspend: false
  writePolicy: Replace
  deletionPolicy: Retain
  maxDelete: 10%
  limits: {concurrency: 32, rate: 200/s}
  plan:
    - name: billing-db
      secret: {key: billing/db}
    - name: payments
      query:
        path: payments/
        key: {regexp: "^api-", exclude: ["-test$"]}
        recursive: true
      keyTransform:
        - regexp: {source: "^payments/(.*)$", target: "prod/$1"}
      valueTransform:
        - fields: {exclude: [debug], rename: {pass: password}}
        - template: {data: {dsn: "postgres://{{ user }}:{{ password }}@db/app"}}
      source: vault-legacy
    - name: app-env
      combine:
        - {name: db, secret: {key: billing/db}}
        - {name: api, query: {path: payments/, key: {regexp: ".*"}, metadata: {team: payments}}}
      key: app/env
      valueTransform:
        - template: {data: {DB_PASSWORD: "{{ db.password }}"}}
"""
"""The documents of the design, with the two stores that it leaves to the reader."""


def load(directory: Path, text: str) -> Documents:
    """Load one file of this text. Raises DocumentError."""
    return load_files([write(directory, text)])


def write(directory: Path, text: str, name: str = "docs.yaml") -> Path:
    """Write a file, and tell its path."""
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(directory: Path, text: str) -> list[Problem]:
    """The problems that loading one file of this text raises; fails if it raises none."""
    with pytest.raises(DocumentError) as caught:
        load(directory, text)
    return list(caught.value.problems)


def told(directory: Path, text: str) -> list[str]:
    """The same as ``line: message`` each."""
    return [f"{problem.line}: {problem.message}" for problem in problems(directory, text)]


def warnings(directory: Path, text: str) -> list[str]:
    """The warnings that come with documents that are otherwise right."""
    return [f"{problem.line}: {problem.message}" for problem in load(directory, text).warnings]


def whole(directory: Path, text: str) -> list[str]:
    """The names of the stores and jobs that are whole although others may not be."""
    documents, _ = examine([write(directory, text)])
    return [*documents.stores, *documents.jobs]
