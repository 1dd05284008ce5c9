"""Which store a flow speaks of: by where it really is, and where that is not known, by any place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.policy.flows import Flows, rules_of
from secretsync_core.policy.loading import examine
from secretsync_core.policy.reading import read_policies

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: secretsync.io/v1alpha1\nkind: SyncPolicy\nmetadata: {name: one}\n"
STORE = "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: src}\nspec: {provider: {%s}}\n"


def denied(tmp_path: Path, provider: str, source: str, key: str | None = "db") -> bool:
    """Whether a key of a store may not leave it, by a flow from ``source``."""
    (tmp_path / "docs").mkdir(exist_ok=True)
    (tmp_path / "docs" / "src.yaml").write_text(STORE % provider)
    documents, problems = examine([tmp_path / "docs"], environ={})
    assert [problem for problem in problems if not problem.warning] == []
    (tmp_path / "policy.yaml").write_text(f"{HEAD}spec: {{flows: [{{name: stays, deny: {{from: {source}}}}}]}}\n")
    rules = rules_of(read_policies({"SECRETSYNC_POLICY": str(tmp_path / "policy.yaml")}).found)
    return Flows(rules, documents.stores).denying([("src", key)], "dst", key) is not None


def test_a_link_is_no_way_around_a_path(tmp_path: Path) -> None:
    """A directory's path counts as it is written, and as it is once every link on its way is followed."""
    (tmp_path / "real" / "prod").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "inner").symlink_to(tmp_path / "real" / "prod")
    for place in ("real/prod", "link/prod", "inner"):
        provider = f"file: {{path: {tmp_path}/{place}}}"
        assert denied(tmp_path, provider, f'{{paths: ["{tmp_path}/real/prod/**"]}}'), place
    assert denied(tmp_path, f"file: {{path: {tmp_path}/link/prod}}", f'{{paths: ["{tmp_path}/link/**"]}}')
    assert not denied(tmp_path, f"file: {{path: {tmp_path}/link}}", f'{{paths: ["{tmp_path}/real/prod/**"]}}')


@pytest.mark.parametrize(
    "provider",
    [
        "kubernetes: {auth: {kubeconfig: {file: /k}}}",
        "kubernetes: {namespace: a}",
    ],
)
def test_a_store_that_does_not_tell_its_host_may_be_at_any(tmp_path: Path, provider: str) -> None:
    """A kubeconfig's server and a pod's cluster: a rule for some host counts."""
    assert denied(tmp_path, provider, "{hosts: [prod.example]}")
    assert not denied(tmp_path, provider, "{hosts: [prod.example], kinds: [file]}")


def test_a_store_that_tells_its_host_is_there_alone(tmp_path: Path) -> None:
    """A server that is spelled out, and AWS by its region, are no other host."""
    server = 'kubernetes: {server: "https://prod.example", auth: {token: {env: T}}}'
    assert denied(tmp_path, server, "{hosts: [prod.example]}")
    assert not denied(tmp_path, server, "{hosts: [dev.example]}")
    assert not denied(tmp_path, "awsSecretsManager: {region: eu-central-1}", "{hosts: [prod.example]}")


def test_a_store_that_does_not_tell_its_place_may_be_any(tmp_path: Path) -> None:
    """Where a document's words are too long for a place, a rule for some path counts, also for a query."""
    provider = "kubernetes: {namespace: prod, auth: {kubeconfig: {file: /%s}}}"
    assert denied(tmp_path, provider % "k", "{paths: [prod/db]}")
    assert not denied(tmp_path, provider % "k", "{paths: [dev/db]}")
    assert denied(tmp_path, provider % ("x/" * 1500), "{paths: [prod/db]}")
    assert denied(tmp_path, provider % ("x/" * 1500), "{paths: [prod/db]}", key=None)
    assert not denied(tmp_path, provider % "k", "{paths: [prod/db]}", key=None)
