"""Where the secrets of a vault are: its address, which no two vaults of a cloud have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.place import Place
from secretsync_core.stores.places import address, sound

if TYPE_CHECKING:
    from secretsync_core.stores.azure_key_vault.config import AzureKeyVaultConfig

SERVICE = "azureKeyVault"


def declared_place(config: AzureKeyVaultConfig) -> Place | None:
    """The place, which the document tells whole: a vault does not tell any other name of itself."""
    where = address(config.vault_url)
    return sound(Place(SERVICE, where.lower(), "")) if where else None
