"""A real kube-apiserver takes what the chart and the kustomizations make, and would let their pods in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deploy.manifests import Object, of_kind, pods
from deploy.tools import CHART, KUSTOMIZE, kustomize, render

if TYPE_CHECKING:
    from support.kube_server import KubeServer

pytestmark = pytest.mark.timeout(600)

PROFILES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
OVERLAYS = sorted(path.parent.name for path in KUSTOMIZE.glob("overlays/*/kustomization.yaml"))
RESTRICTED = {
    f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn", "audit")
}  # enforced for pods, and told of for what makes pods


@pytest.mark.parametrize("name", PROFILES)
def test_it_takes_the_chart(real_kube: KubeServer, name: str) -> None:
    """Every object of every profile passes a server-side dry run, without a warning, and so does every pod."""
    _would_take(real_kube, render(file=CHART / "ci" / f"{name}-values.yaml"))


@pytest.mark.parametrize("name", OVERLAYS)
def test_it_takes_the_kustomizations(real_kube: KubeServer, name: str) -> None:
    """Every object of every overlay passes a server-side dry run, without a warning, and so does its pod."""
    _would_take(real_kube, kustomize(KUSTOMIZE / "overlays" / name))


def test_it_refuses_what_is_wrong(real_kube: KubeServer) -> None:
    """An unknown field, and a pod with more rights than the standard allows, do not pass: the dry run is not blind."""
    objects = render(file=CHART / "ci" / "defaults-values.yaml")
    account = next(iter(of_kind(objects, "ServiceAccount").values()))
    with pytest.raises(AssertionError, match="bogus"):
        _would_take(real_kube, [{**account, "bogus": 1}])
    objects = render(file=CHART / "ci" / "cronjob-values.yaml")
    _would_take(real_kube, objects)
    template = next(iter(pods(objects).values()))
    template["spec"]["hostNetwork"] = True
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        _would_take_pod(real_kube, template, "sync")


def _would_take(kube: KubeServer, objects: list[Object]) -> None:
    for namespace in {"sync"} | {one["metadata"].get("namespace", "sync") for one in objects}:
        labels = RESTRICTED if namespace not in ("team-a", "team-b") else {}
        body = {"metadata": {"name": namespace, "labels": labels}}
        assert kube.call("POST", "/api/v1/namespaces", body).status in (201, 409)
    text = "".join(f"---\n{json.dumps(one)}\n" for one in objects)
    how = ["--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts"]
    told, warned = kube.kubectl("sync", "apply", *how, "-f", "-", given=text)
    assert told.count("serverside-applied (server dry run)") == len(objects)
    assert warned == ""
    for account in of_kind(objects, "ServiceAccount").values():  # without which no pod is let in
        path = f"/api/v1/namespaces/{account['metadata'].get('namespace', 'sync')}/serviceaccounts"
        assert kube.call("POST", path, account).status == 201
    namespaces = {
        f"{one['kind']}/{one['metadata']['name']}": one["metadata"].get("namespace", "sync") for one in objects
    }
    for name, template in pods(objects).items():
        _would_take_pod(kube, template, namespaces[name])


def _would_take_pod(kube: KubeServer, template: Object, namespace: str) -> None:
    priority = template["spec"].get("priorityClassName")
    if priority:  # which whoever runs the cluster has
        body = {"metadata": {"name": priority}, "value": 1000}
        assert kube.call("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", body).status in (201, 409)
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template.get("metadata", {}), "name": "a-pod"}}
    _, warned = kube.kubectl(namespace, "create", "--dry-run=server", "-f", "-", given=json.dumps(pod))
    assert warned == ""
