"""Where the Secrets of a store are: the API server, and the one namespace if it is one.

A cluster is known by the uid of its namespace ``kube-system``, which lives as long as the cluster does. That takes one
request for each open store, and the right to ``get`` that namespace; without it the cluster is known by the address of
its API server alone, which in a pod is often the same in every cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.place import Place
from secretsync_core.stores.places import address, sound

if TYPE_CHECKING:
    from secretsync_core.stores.kubernetes.config import KubernetesConfig


def declared_place(config: KubernetesConfig) -> Place | None:
    """The place as the document tells it; for documents alone, one way into a cluster is one cluster.

    Two contexts of a kubeconfig may lead to one cluster, which only their file tells.
    """
    if config.server is not None:
        return place_at(config.server, config.namespace)
    kubeconfig = config.auth.kubeconfig if config.auth is not None else None
    server = "in-cluster" if kubeconfig is None else f"{kubeconfig.file} {kubeconfig.context or ''}"
    return sound(Place("kubernetes", server, _root(config.namespace)))


def place_at(server: str, namespace: str | None, identity: str = "") -> Place | None:
    """The place of one namespace, or of all, at a server."""
    where = address(server)
    return sound(Place("kubernetes", where, _root(namespace), identity)) if where else None


def _root(namespace: str | None) -> str:
    return f"{namespace}/" if namespace is not None else ""
