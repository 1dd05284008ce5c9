"""The example from Vault into a namespace runs as it stands, with the rights that its own Role grants."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cli.conftest import Cli
from support.kube_api import Rule

from examples.life import EXAMPLES, VAULT, Example, Life
from secretsync_core.schema.loader import load_directory
from secretsync_core.stores.base import MARK_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Mount
    from support.http import Api
    from support.kube_api import KubeApi

    from secretsync_core.demo.openbao import OpenBaoServer

EXAMPLE = EXAMPLES / "vault-to-kubernetes"


class _Namespace:
    """The Secrets of team-a: their types and their texts. All of them have the example's label and the job's mark."""

    def __init__(self, kube: KubeApi) -> None:
        self._cluster = kube.cluster

    def held(self) -> dict[str, tuple[str, dict[str, str]]]:
        held = {}
        for each in self._cluster.list("team-a").items:
            labels = dict(each["metadata"]["labels"])
            assert labels.pop(MARK_KEY).startswith("team-a-")  # who created it
            assert labels == {"app.kubernetes.io/managed-by": "secretsync"}
            fields = {field: base64.b64decode(text).decode() for field, text in each["data"].items()}
            held[each["metadata"]["name"]] = each["type"], fields
        return held

    def change(self, name: str) -> None:
        patch = {"data": {"by": base64.b64encode(b"hand").decode()}}
        self._cluster.patch("team-a", name, patch, "application/merge-patch+json")

    def remove(self, name: str) -> None:
        self._cluster.delete("team-a", name, {})


def granted() -> list[Rule]:
    """The rights of the example's Role, as the API server of the tests knows them."""
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
def example(tmp_path: Path, openbao: OpenBaoServer, mount: Mount, kube: KubeApi) -> tuple[Example, str]:
    """The copy, and the mount that it reads."""
    name = mount(openbao)
    replaced = {VAULT: openbao.address, "mount: apps": f"mount: {name}"}
    environ = {"VAULT_TOKEN": openbao.root_token}
    copy = Example(Cli(tmp_path), "vault-to-kubernetes", replaced, environ, page="README.md")
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": kube.address}}],
        "users": [{"name": "u", "user": {"token": kube.token(*granted())}}],
    }
    kubeconfig = copy.directory / "kubeconfig"
    kubeconfig.touch(0o600)
    kubeconfig.write_text(yaml.safe_dump(config))
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
def test_its_life(example: tuple[Example, str], api: Api, kube: KubeApi) -> None:
    """It does what its README says, and uses every right that it asks for. Secrets have no former values."""
    copy, mount = example
    api.put(mount, "team-b/other", {"x": "1"})
    assert copy("validate").startswith("ok: 3 stores, 2 jobs")
    made = {
        "billing-db": ("Opaque", {"user": "billing", "password": "p", "port": "5432"}),
        "web-api": ("Opaque", {"token": "t"}),
        "shop-tls": ("kubernetes.io/tls", {"tls.crt": "C", "tls.key": "K"}),
        **{f"many-{number}": ("Opaque", {"x": "1"}) for number in range(6)},  # which are looked at by a listing
    }
    changed = {"billing-db": ("Opaque", {"user": "billing", "password": "new"})}
    Life(
        copy,
        _Namespace(kube),
        (api, mount),
        first={
            "team-a/billing/db": {"user": "billing", "password": "p", "port": 5432},
            "team-a/web_api": {"token": "t"},
            "team-a/certificates/shop": {"certificate": "C", "private_key": "K", "issued": "today"},
            **{f"team-a/many/{number}": {"x": "1"} for number in range(6)},
        },
        made=made,
        changed=("billing-db",),
        removed=("shop-tls",),
        later={"team-a/billing/db": {"user": "billing", "password": "new"}, "team-a/more": {"x": "1"}},
        then=made | changed | {"more": ("Opaque", {"x": "1"})},
        undone=made | changed,
        kept=frozenset({"team-a-secrets"}),
        last={"team-a/web_api": None},
        left={each: value for each, value in made.items() if each != "web-api"},
        rows=("Kubernetes",),
    ).live()
    used = {request.method for request in kube.requests}
    assert used == {"GET", "POST", "PUT", "DELETE"}
    assert kube.count("^GET .*/secrets[?]") > 0
    assert kube.count("^GET .*/secrets/") > 0
    assert kube.count("^GET /api/v1/namespaces/team-a$") > 0
