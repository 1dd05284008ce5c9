"""Labels and annotations of documents: Kubernetes' rules, and two annotations that are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from yaml_samples import STORES, job, load, problems

if TYPE_CHECKING:
    from pathlib import Path


def _with(text: str, metadata: str, of: str = "job") -> str:
    return text.replace(f"metadata: {{name: {of}", f"metadata: {{{metadata}, name: {of}")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("labels: {'-x': a}", "an invalid format"),
        ("labels: {team: 'a b'}", "has an invalid format"),
        ("labels: {team: 7}", "must be text"),
        (f"labels: {{{'x' * 254}/team: a}}", "longer than 253 characters"),
        ("annotations: {'a b': x}", "an invalid format"),
        ("annotations: {note: [1]}", "must be text"),
        (f"annotations: {{note: {'x' * 262_144}}}", "together have at most 256 KiB"),
        ("annotations: {dagster.io/owners: somebody}", "has email addresses and team:NAME"),
        ("annotations: {dagster.io/owners: 'team:'}", "has email addresses and team:NAME"),
        ("annotations: {dagster.io/owners: ''}", "has email addresses and team:NAME"),
        ("annotations: {dagster.io/group: 'my group'}", "has letters, digits and underscores"),
        ("annotations: {dagster.io/owner: ann@example.com}", "there are dagster.io/owners and dagster.io/group"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, metadata: str, message: str) -> None:
    """With the line, and without what stood there."""
    (problem,) = problems(tmp_path, STORES + _with(job("- {query: {}}"), metadata))
    assert message in problem.message
    assert "somebody" not in problem.message + problem.hint


def test_what_can_be_is_kept(tmp_path: Path) -> None:
    """Of a SyncJob as of a SecretStore."""
    both = (
        "labels: {example.com/team: a, b: ''}, annotations: {dagster.io/owners: 'team:a,x@example.com', n: 'any: text'}"
    )
    documents = load(tmp_path, _with(STORES, both, "one") + _with(job("- {query: {}}"), both))
    for document in (documents.jobs["job"], documents.stores["one"]):
        assert document.labels == {"example.com/team": "a", "b": ""}
        assert document.annotations == {"dagster.io/owners": "team:a,x@example.com", "n": "any: text"}
