"""Puts a store together from its parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from secretsync_core.model.place import alias_of
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.kubernetes.access import GivenAccess, in_cluster
from secretsync_core.stores.kubernetes.answers import Request
from secretsync_core.stores.kubernetes.place import place_at
from secretsync_core.stores.kubernetes.store import ClusterStore, NamespaceStore, Template
from secretsync_core.stores.threads import in_thread

if TYPE_CHECKING:
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.kubernetes.access import Access
    from secretsync_core.stores.kubernetes.client import Client
    from secretsync_core.stores.kubernetes.config import KubernetesConfig


_UID = re.compile("[0-9A-Za-z-]{8,64}")


async def open_secrets(config: KubernetesConfig, context: StoreContext) -> NamespaceStore | ClusterStore:
    """See ``open_store``."""

    def blocking() -> tuple[Client, str]:
        # Imported here: the package takes a second, in which the event loop has better things to do.
        from secretsync_core.stores.kubernetes.client import Client

        access = _access(config, context)
        access.proof()  # a credential that cannot be had should fail here, and not at the first secret
        return Client(access, context), access.server

    client, server = await in_thread(blocking)
    try:
        place = place_at(server, config.namespace, await _identity(client))
    except BaseException:
        await client.aclose()
        raise
    template = Template(config.type, config.labels, config.annotations, context.mark)
    if config.namespace is None:
        return ClusterStore(client, template, place)
    return NamespaceStore(client, template, place, config.namespace)


async def _identity(client: Client) -> str:
    """An alias of the uid of the cluster's namespace kube-system; empty where we may not get it."""
    path = "/api/v1/namespaces/kube-system"
    request = Request(client.store, "GET", path, "get", "say which cluster it is", None, resource="namespaces")
    try:
        uid = orjson.loads(await client.glance(request))["metadata"]["uid"]
    except (ValueError, KeyError, TypeError):
        return ""
    return alias_of(uid) if isinstance(uid, str) and _UID.fullmatch(uid) else ""


def _access(config: KubernetesConfig, context: StoreContext) -> Access:
    """The way in that a document describes. Raises StoreError where a part of it cannot be used."""
    auth, environ, store = config.auth, context.environ, context.name
    if auth is not None and auth.kubeconfig is not None:
        from secretsync_core.stores.kubernetes.kubeconfig import KubeconfigAccess

        return KubeconfigAccess(auth.kubeconfig.file, auth.kubeconfig.context, store, context.within, context.notes)
    if config.server is not None:
        token = auth.token if auth is not None else None
        proxy = proxy_for(config.server, store)
        return GivenAccess(config.server, config.tls, token, environ=environ, store=store, proxy=proxy)
    return in_cluster(environ, store)  # no proxy leads from a pod to its own cluster
