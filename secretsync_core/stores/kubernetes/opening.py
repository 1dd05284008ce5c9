"""Puts a store together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.stores.kubernetes.access import GivenAccess, in_cluster
from secretsync_core.stores.kubernetes.store import ClusterStore, NamespaceStore, Template
from secretsync_core.stores.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.kubernetes.access import Access
    from secretsync_core.stores.kubernetes.config import KubernetesConfig


async def open_secrets(config: KubernetesConfig, context: StoreContext) -> NamespaceStore | ClusterStore:
    """See ``open_store``."""

    def blocking() -> NamespaceStore | ClusterStore:
        # Imported here: the package takes a second, in which the event loop has better things to do.
        from secretsync_core.stores.kubernetes.client import Client

        access = _access(config, context.environ, context.name)
        access.proof()  # a credential that cannot be had should fail here, and not at the first secret
        client = Client(access, context)
        template = Template(config.type, config.labels, config.annotations, context.mark)
        if config.namespace is None:
            return ClusterStore(client, template)
        return NamespaceStore(client, template, config.namespace)

    return await in_thread(blocking)


def _access(config: KubernetesConfig, environ: Mapping[str, str], store: str) -> Access:
    """The way in that a document describes. Raises StoreError where a part of it cannot be used."""
    auth = config.auth
    if auth is not None and auth.kubeconfig is not None:
        from secretsync_core.stores.kubernetes.kubeconfig import KubeconfigAccess

        return KubeconfigAccess(auth.kubeconfig.file, auth.kubeconfig.context, store)
    if config.server is not None:
        token = auth.token if auth is not None else None
        return GivenAccess(config.server, config.tls, token, environ=environ, store=store)
    return in_cluster(environ, store)
