"""What is kept of documents that have errors: enough to show them, and nothing that is not of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.schema.loader import examine

if TYPE_CHECKING:
    from pathlib import Path

_STORES = """\
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: here}
spec: {provider: {file: {path: here}}}
---
apiVersion: secretsync.io/v1alpha1
kind: SecretStore
metadata: {name: there}
spec: {provider: {file: {path: there}}}
---
"""
_JOB = """\
apiVersion: secretsync.io/v1alpha1
kind: SyncJob
metadata: {name: job}
spec:
  source: here
  dest: there
  schedule: "@daily"
  timezone: Europe/Berlin
  plan:
    - {name: one, secret: {key: a}}
    - {name: two, query: {path: b}}
"""


@pytest.mark.parametrize(
    ("old", "new", "schedule", "items"),
    [
        ("dest: there", "dset: there", "@daily", ["one", "two"]),
        ("source: here", "source: nowhere", "@daily", ["one", "two"]),
        ("file: {path: there}", "flie: {path: there}", "@daily", ["one", "two"]),
        ('"@daily"', "7", None, ["one", "two"]),
        ("Europe/Berlin", "Berlin", "@daily", ["one", "two"]),
        ("{key: a}", "{kye: hvs.canary}", "@daily", ["one", "two"]),
        ("name: two", "name: one", "@daily", ["one"]),
        ("plan:", "plans:", "@daily", ["unknown"]),
        ("spec:\n  source: here", "spec: hvs.canary\nspecs:\n  source: here", None, ["unknown"]),
        ("apiVersion: secretsync.io/v1alpha1\nkind: SyncJob", "kind: SyncJob", "@daily", ["one", "two"]),
    ],
)
def test_what_is_of_the_schema_is_kept(
    tmp_path: Path, old: str, new: str, schedule: str | None, items: list[str]
) -> None:
    """Part by part: the schedule, the items by their names; what is wrong is left out, and so is what it held."""
    file = tmp_path / "all.yaml"
    file.write_text((_STORES + _JOB).replace(old, new))
    documents, _ = examine([tmp_path])
    assert "job" not in documents.jobs
    broken = documents.broken.jobs["job"]
    spec = broken.document.spec
    assert (spec.schedule.text if spec.schedule is not None else None) == schedule
    assert [item.name for item in spec.plan] == items
    assert broken.problems
    assert all(problem.where.startswith(f"{file}:") for problem in broken.problems)
    assert "canary" not in broken.document.text


def test_the_line_of_the_store_is_told_with_the_job(tmp_path: Path) -> None:
    """A job that is well itself says which line of its store is to be mended."""
    (tmp_path / "all.yaml").write_text((_STORES + _JOB).replace("path: there", "paht: there"))
    documents, _ = examine([tmp_path])
    wheres = [problem.where.rpartition(":")[2] for problem in documents.broken.jobs["job"].problems]
    assert wheres == ["16", "9"]
    assert list(documents.broken.stores) == ["there"]
    assert list(documents.stores) == ["here"]


def test_whole_documents_have_nothing_broken(tmp_path: Path) -> None:
    """A control."""
    (tmp_path / "all.yaml").write_text(_STORES + _JOB)
    documents, _ = examine([tmp_path])
    assert list(documents.jobs) == ["job"]
    assert (documents.broken.jobs, documents.broken.stores) == ({}, {})
