"""The Roles of the example, the page and the chart, bound to a service account in a real kube-apiserver."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from deploy.tools import render

from kube.making import OTHER, VALUE
from secretsync_core.errors import AccessDenied
from secretsync_core.model.inventory import Entry

if TYPE_CHECKING:
    from support.kube_server import KubeServer

    from kube.conftest import KubeStores

ROOT = Path(__file__).parents[3]
SOURCE = frozenset({"get", "list"})
DESTINATION = SOURCE | {"create", "update", "delete"}
CHART = """\
ledger: {key: {existingSecret: k}, postgres: {existingSecret: u}}
documents: {existingConfigMap: d}
rbac:
  secrets: [{namespace: team-a, access: ReadWrite, delete: true}, {namespace: team-b, access: Read}]
"""


def _example() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "examples/vault-to-kubernetes/cluster/rbac.yaml").read_text()))


def _page(name: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/stores/kubernetes.md").read_text(), re.DOTALL)
    parts = [part for block in blocks for part in yaml.safe_load_all(block)]
    (role,) = [part for part in parts if part["kind"] == "Role" and part["metadata"]["name"] == name]
    binding = {
        "apiVersion": role["apiVersion"],
        "kind": "RoleBinding",
        "metadata": role["metadata"],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "secretsync", "namespace": "team-a"}],
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "secretsync", "namespace": "team-a"}}
    return [account, role, binding]


def _chart() -> list[dict[str, Any]]:
    return [one for one in render(CHART) if one["kind"] in ("ServiceAccount", "Role", "RoleBinding")]


GIVEN = [
    pytest.param(_example, "team-a", {"team-a": DESTINATION, "team-b": frozenset()}, True, id="example"),
    pytest.param(
        lambda: _page("secretsync-source"), "team-a", {"team-a": SOURCE, "team-b": frozenset()}, False, id="source"
    ),
    pytest.param(
        lambda: _page("secretsync-destination"),
        "team-a",
        {"team-a": DESTINATION, "team-b": frozenset()},
        False,
        id="destination",
    ),
    pytest.param(_chart, "sync", {"team-a": DESTINATION, "team-b": SOURCE}, False, id="chart"),
]


@pytest.mark.parametrize(("objects", "home", "granted", "sees_namespace"), GIVEN)
async def test_they_grant_what_they_say_and_no_more(
    real_kube: KubeServer,
    kube_store: KubeStores,
    objects: Any,
    home: str,
    granted: dict[str, frozenset[str]],
    sees_namespace: bool,
) -> None:
    """A store with the account's own token does what the verbs are for, and is denied everything else."""
    for namespace in sorted({"team-a", "team-b", home}):
        answer = real_kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        assert answer.status in (201, 409)
    text = yaml.safe_dump_all(objects())
    real_kube.kubectl(home, "apply", "-f", "-", given=text)
    token = real_kube.account_token(home, "secretsync")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for namespace, verbs in granted.items():
        _holds(_rules(real_kube, headers, namespace), verbs, sees_namespace=sees_namespace and namespace == "team-a")
        secret = {"metadata": {"name": "there"}, "data": {"x": "MQ=="}}
        real_kube.do("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
        config: dict[str, Any] = {
            "server": real_kube.address,
            "tls": {"caFile": str(real_kube.ca)},
            "auth": {"token": {"value": token}},
        }
        store = await kube_store(explicit=False, namespace=namespace, mark="job.1", **config)
        await _lives(store, verbs)
    for path in ("/api/v1/secrets", "/api/v1/namespaces", "/api/v1/namespaces/kube-system/secrets"):
        assert real_kube.call("GET", path, headers=headers).status == 403


async def _lives(store: Any, verbs: frozenset[str]) -> None:
    """Each act of a store is done where its verbs are granted, and denied where not."""

    async def listed() -> None:
        assert [entry.key async for entry in store.list("", recursive=True, metadata=True)]

    async def looked() -> None:
        found = [entry async for entry in store.stat(["there", *(f"b{n}" for n in range(9))])]
        if not any(isinstance(entry, Entry) for entry in found):
            raise AccessDenied("a gap")

    acts: list[tuple[set[str], Any]] = [
        ({"get"}, lambda: store.read("there")),
        ({"list"}, listed),
        ({"get", "list"}, looked),
        ({"create"}, lambda: store.write_if("new", VALUE, None)),
        ({"get", "update"}, lambda: store.write("there", OTHER)),
        ({"get", "update"}, lambda: store.mark("there")),
        ({"get", "delete"}, lambda: store.delete("there")),
    ]
    for needed, act in acts:
        if needed <= verbs:
            await act()
        else:
            with pytest.raises(AccessDenied):
                await act()


def _rules(kube: KubeServer, headers: dict[str, str], namespace: str) -> list[tuple[Any, ...]]:
    """What the server itself says that the account may do to resources there, apart from what everybody may."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    spec = {"namespace": namespace}
    body = json.dumps({"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec})
    answer = kube.call("POST", path, body.encode(), headers=headers)
    assert answer.status == 201, answer.body
    return [
        (frozenset(rule["verbs"]), rule["resources"], rule.get("resourceNames", []))
        for rule in answer.json["status"]["resourceRules"]
        if not {"authorization.k8s.io", "authentication.k8s.io"} & set(rule["apiGroups"])
    ]


def _holds(rules: list[tuple[Any, ...]], verbs: frozenset[str], *, sees_namespace: bool) -> None:
    expected: list[tuple[Any, ...]] = [(verbs, ["secrets"], [])] if verbs else []
    if sees_namespace:
        expected.append((frozenset({"get"}), ["namespaces"], ["team-a"]))
    assert sorted(rules, key=str) == sorted(expected, key=str)
