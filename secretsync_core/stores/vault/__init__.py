"""HashiCorp Vault and OpenBao: the KV engine, version 1 or 2, at one mount.

The secrets' way is aiohttp with orjson, because hvac stops at a few hundred requests a second however many threads it
gets; logins and renewals, which are few, go through hvac.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError

if TYPE_CHECKING:
    from secretsync_core.schema.provider_configs import VaultConfig
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: VaultConfig, context: StoreContext) -> Store:
    """Open the KV engine that ``config`` names: log in, and find out its version unless that is pinned.

    Raises StoreError where the packages are missing or a file of the configuration cannot be used, AccessDenied
    where the server refuses us or hides the mount, StoreUnavailable where it cannot be reached.
    """
    try:
        from secretsync_core.stores.vault.opening import open_kv
    except ModuleNotFoundError as error:
        raise StoreError(
            f"the vault provider needs the package {error.name}",
            store=context.name,
            hint='install it with: pip install "secretsync[vault]"',
        ) from None
    return await open_kv(config, context)
