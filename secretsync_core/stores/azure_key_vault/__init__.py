"""Azure Key Vault: each secret's current value, in one vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig
from secretsync_core.stores.azure_key_vault.names import KEY_LIMITS
from secretsync_core.stores.azure_key_vault.place import declared_place
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: AzureKeyVaultConfig, context: StoreContext) -> Store:
    """Open the vault. It is not asked for anything yet, and nobody logs in before the first request.

    Raises StoreError where a credential is missing, or the environment says another login service than the document.
    """
    from secretsync_core.stores.azure_key_vault.store import KeyVaultStore

    return await KeyVaultStore.open(config, context)


PROVIDER = Provider(
    config=AzureKeyVaultConfig,
    open=open_store,
    variants=(("", "secretsync_core.stores.azure_key_vault.store:KeyVaultStore"),),
    extra="azure",
    needs=("aiohttp", "azure.identity", "azure.keyvault.secrets"),
    place=declared_place,
    keys=KEY_LIMITS,
    lacks=lambda _: (Feature.TYPES,),
)
