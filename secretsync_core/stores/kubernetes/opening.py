"""Puts a store together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.stores.kubernetes.access import access_of
from secretsync_core.stores.kubernetes.store import ClusterStore, NamespaceStore, Template
from secretsync_core.stores.threads import in_thread

if TYPE_CHECKING:
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.kubernetes.config import KubernetesConfig


async def open_secrets(config: KubernetesConfig, context: StoreContext) -> NamespaceStore | ClusterStore:
    """See ``open_store``."""

    def blocking() -> NamespaceStore | ClusterStore:
        # Imported here: the package takes a second, in which the event loop has better things to do.
        from secretsync_core.stores.kubernetes.client import Client

        access = access_of(config, context.environ, context.name)
        access.proof()  # a credential that cannot be had should fail here, and not at the first secret
        client = Client(access, context)
        template = Template(config.type, config.labels, config.annotations, context.mark)
        if config.namespace is None:
            return ClusterStore(client, template)
        return NamespaceStore(client, template, config.namespace)

    return await in_thread(blocking)
