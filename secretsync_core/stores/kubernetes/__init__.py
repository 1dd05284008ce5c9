"""The Secrets of a Kubernetes cluster, of one namespace or of all.

The official client makes the connections and runs exec plugins. The requests themselves are raw, over its pool: its
models would drop the fields of a newer server when a Secret is written back, it cannot ask for metadata without
values, and its exceptions (and, in some versions, its log) hold whole answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.stores.kubernetes.config import KubernetesConfig
from secretsync_core.stores.kubernetes.place import declared_place
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: KubernetesConfig, context: StoreContext) -> Store:
    """Open the Secrets of the namespace that ``config`` names, or of all namespaces.

    One request is made, for what tells the cluster from others; it may fail.

    Raises StoreError where a credential or a file of the configuration cannot be used, and AccessDenied where an exec
    plugin gives no credential.
    """
    from secretsync_core.stores.kubernetes.opening import open_secrets

    return await open_secrets(config, context)


PROVIDER = Provider(
    config=KubernetesConfig,
    open=open_store,
    variants=(
        ("one namespace", "secretsync_core.stores.kubernetes.store:NamespaceStore"),
        ("all namespaces", "secretsync_core.stores.kubernetes.store:ClusterStore"),
    ),
    extra="kubernetes",
    needs=("kubernetes",),
    place=declared_place,
)
