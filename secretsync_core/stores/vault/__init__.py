"""HashiCorp Vault and OpenBao: the KV engine, version 1 or 2, at one mount.

The secrets' way is aiohttp with orjson, because hvac stops at a few hundred requests a second however many threads it
gets; logins and renewals, which are few, go through hvac.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.provider import Provider
from secretsync_core.stores.vault.config import VaultConfig
from secretsync_core.stores.vault.place import declared_place

if TYPE_CHECKING:
    from collections.abc import Collection

    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: VaultConfig, context: StoreContext) -> Store:
    """Open the KV engine that ``config`` names: log in, find out its version unless that is pinned, and its cluster.

    Raises StoreError where a file of the configuration cannot be used, AccessDenied where the server refuses us or
    hides the mount, StoreUnavailable where it cannot be reached.
    """
    from secretsync_core.stores.vault.opening import open_kv

    return await open_kv(config, context)


def _lacks(config: VaultConfig) -> Collection[Feature]:
    """Custom metadata came with version 2 of the engine."""
    return (Feature.TYPES, Feature.METADATA) if config.kv_version == 1 else (Feature.TYPES,)


PROVIDER = Provider(
    config=VaultConfig,
    open=open_store,
    variants=(
        ("KV version 1", "secretsync_core.stores.vault.kv1:Kv1Store"),
        ("KV version 2", "secretsync_core.stores.vault.kv2:Kv2Store"),
        ("KV version 2 of several namespaces", "secretsync_core.stores.vault.tree:NamespaceTree"),
    ),
    extra="vault",
    needs=("aiohttp", "hvac", "ijson"),
    place=declared_place,
    lacks=_lacks,
)
