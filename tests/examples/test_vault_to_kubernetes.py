"""The example from Vault into a namespace runs as it stands, with the rights that its own Role grants."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.kube_api import Rule

from secretsync_core.schema.loader import load_directory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from conftest import Mount
    from support.http import Api
    from support.kube_api import KubeApi

    from secretsync_core.demo.openbao import OpenBaoServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "vault-to-kubernetes"


class Copy:
    """A copy of the example that points to the test's own servers. ``run`` is the command line."""

    def __init__(self, directory: Path, vault: str, mount: str, kube: KubeApi, token: str, vault_token: str) -> None:
        shutil.copytree(EXAMPLE, directory)
        stores = directory / "secretsync" / "stores.yaml"
        text = stores.read_text()
        for there, here in (("https://vault.example.com:8200", vault), ("mount: apps", f"mount: {mount}")):
            assert there in text
            text = text.replace(there, here)
        stores.write_text(text)
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": kube.address}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        (directory / "kubeconfig").write_text(yaml.safe_dump(config))
        self._directory = directory
        self._environ = {"PATH": os.environ["PATH"], "HOME": str(directory), "VAULT_TOKEN": vault_token}

    def run(self, *arguments: str) -> str:
        """Run a command, which must end well, and give what it prints."""
        command = [sys.executable, "-m", "secretsync_core.cli.main", *arguments, "--config", "secretsync"]
        done = subprocess.run(
            command, cwd=self._directory, env=self._environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def granted() -> list[Rule]:
    """The rights of the example's Role, as the fake API server knows them."""
    parts: list[dict[str, Any]] = list(yaml.safe_load_all((EXAMPLE / "cluster" / "rbac.yaml").read_text()))
    (role,) = [part for part in parts if part["kind"] == "Role"]
    return [
        Rule(
            frozenset(rule["verbs"]), role["metadata"]["namespace"], resource, frozenset(rule.get("resourceNames", ()))
        )
        for rule in role["rules"]
        for resource in rule["resources"]
    ]


@pytest.fixture
def example(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, api: Api, kube: KubeApi) -> tuple[Copy, str]:
    """The copy, and the mount that it reads."""
    name = mount(openbao)
    copy = Copy(tmp_path / "copy", openbao.address, name, kube, kube.token(*granted()), openbao.root_token)
    return copy, name


def test_it_is_valid() -> None:
    """As it stands the documents are without a problem or a warning."""
    documents = load_directory(EXAMPLE / "secretsync")
    assert (sorted(documents.jobs), sorted(documents.stores), list(documents.warnings)) == (
        ["team-a-certificates", "team-a-secrets"],
        ["team-a", "team-a-tls", "vault"],
        [],
    )


@pytest.mark.slow
def test_it_runs(example: tuple[Copy, str], api: Api, kube: KubeApi) -> None:
    """It does what its README says, through a life of changes, and uses every right that it asks for."""
    copy, mount = example
    api.put(mount, "team-a/billing/db", {"user": "billing", "password": "p", "port": 5432})
    api.put(mount, "team-a/certificates/shop", {"certificate": "C", "private_key": "K", "issued": "today"})
    api.put(mount, "team-b/other", {"x": "1"})
    assert copy.run("validate").startswith("ok: 3 stores, 2 jobs")
    assert "billing-db" in copy.run("plan", "--all")
    copy.run("sync")

    def secret(name: str) -> tuple[str, dict[str, bytes]]:
        found = kube.cluster.get("team-a", name)
        labels = found["metadata"]["labels"]
        assert labels.pop(MARK_KEY).startswith("team-a-")  # who created it
        assert labels == {"app.kubernetes.io/managed-by": "secretsync"}
        return found["type"], {field: base64.b64decode(text) for field, text in found["data"].items()}

    def names() -> list[str]:
        return [each["metadata"]["name"] for each in kube.cluster.list("team-a").items]

    assert names() == ["billing-db", "shop-tls"]
    assert secret("billing-db") == ("Opaque", {"user": b"billing", "password": b"p", "port": b"5432"})
    assert secret("shop-tls") == ("kubernetes.io/tls", {"tls.crt": b"C", "tls.key": b"K"})
    api.put(mount, "team-a/billing/db", {"user": "billing", "password": "new"})
    api.put(mount, "team-a/web_api", {"token": "t"})
    copy.run("sync")
    assert secret("billing-db")[1] == {"user": b"billing", "password": b"new"}
    assert names() == ["billing-db", "shop-tls", "web-api"]
    for number in range(9):  # so that one delete is less than maxDelete's 10%
        api.put(mount, f"team-a/more/{number}", {"x": "1"})
    copy.run("sync")
    api.call("DELETE", f"{mount}/metadata/team-a/web_api")
    copy.run("sync")
    assert "web-api" not in names()
    used = {request.method for request in kube.requests}
    assert used == {"GET", "POST", "PUT", "DELETE"}
    assert kube.count("^GET .*/secrets[?]") > 0
    assert kube.count("^GET .*/secrets/") > 0
    assert kube.count("^GET /api/v1/namespaces/team-a$") > 0
