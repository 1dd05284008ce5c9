"""Where Secrets are: the API server and the namespace, and the cluster's own id where we may know it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.kube_api import Rule

from secretsync_core.model.place import Place, alias_of
from secretsync_core.stores.kubernetes import PROVIDER
from secretsync_core.stores.kubernetes.config import KubernetesConfig
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from support.kube_api import KubeApi

    from kube.conftest import KubeStores


def _declared(**config: Any) -> Place:
    assert PROVIDER.place is not None
    place = PROVIDER.place(KubernetesConfig.model_validate(config))
    assert place is not None
    return place


def test_by_the_documents() -> None:
    """A namespace lies in its cluster; two ways in may lead to two clusters."""
    explicit = {"server": "https://Api.Example.com/", "auth": {"token": {"env": "T"}}}
    assert _declared(**explicit) == Place("kubernetes", "https://api.example.com:443", "")
    kubeconfig = {"kubeconfig": {"file": "/k"}}
    ways: list[dict[str, Any]] = [explicit, {}, {"auth": kubeconfig}]
    ways.append({"auth": {"kubeconfig": {"file": "/k", "context": "other"}}})
    ways.append({**explicit, "server": "https://api.example.com/k8s/clusters/c-1"})
    for index, way in enumerate(ways):
        assert _declared(**way).key_at(_declared(**way, namespace="team-a"), "x") == "team-a/x"
        assert [_declared(**way).overlaps(_declared(**other)) for other in ways] == [each == index for each in range(5)]
    assert not _declared(**explicit, namespace="team").overlaps(_declared(**explicit, namespace="team-a"))
    assert _declared(auth={"inCluster": {}}).is_same(_declared())


async def test_the_cluster_is_asked_once(kube: KubeApi, kube_store: KubeStores) -> None:
    """One request: an alias of kube-system's uid, the same for every store of the cluster."""
    gate = CountingGate()
    one = await kube_store(namespace="team-a", gate=gate)
    assert gate.counts == {"stat": 1}
    every = await kube_store()
    uid = alias_of(kube.cluster.namespace("kube-system")["metadata"]["uid"])
    assert one.facts.place == Place("kubernetes", kube.address, "team-a/", uid)
    assert every.facts.place == Place("kubernetes", kube.address, "", uid)


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (401, b""), (200, b"<html>"), (200, json.dumps({"metadata": {}}).encode())]
)
async def test_who_does_not_tell_leaves_it_unknown(
    kube: KubeApi, kube_store: KubeStores, status: int, body: bytes
) -> None:
    """What the cluster does not say is no error, and is not asked again."""
    kube.answer("kube-system", status, body)
    store = await kube_store(namespace="team-a")
    assert store.facts.place == Place("kubernetes", kube.address, "team-a/")
    assert kube.count() == 1


async def test_without_the_right_it_is_unknown(kube: KubeApi, kube_store: KubeStores) -> None:
    """A service account of one namespace may not read kube-system, and need not."""
    token = kube.token(Rule({"get", "list"}, "team-a"))
    store = await kube_store(namespace="team-a", auth={"token": {"value": token}})
    assert store.facts.place.identity == ""
    assert [each async for each in store.list("", recursive=True, metadata=False)] == []
