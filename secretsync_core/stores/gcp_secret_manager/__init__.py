"""Google Cloud Secret Manager: each secret's current value, in one project, global or of one location."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.gcp_secret_manager.config import GcpSecretManagerConfig
from secretsync_core.stores.gcp_secret_manager.names import KEY_LIMITS
from secretsync_core.stores.gcp_secret_manager.place import place_by
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: GcpSecretManagerConfig, context: StoreContext) -> Store:
    """Open the secrets with the prefix. The service is not asked for anything yet; a login may be made.

    Raises StoreError where a credential is missing or wrong, AccessDenied where a login is refused.
    """
    from secretsync_core.stores.gcp_secret_manager.store import SecretManagerStore

    return await SecretManagerStore.open(config, context)


PROVIDER = Provider(
    config=GcpSecretManagerConfig,
    open=open_store,
    variants=(("", "secretsync_core.stores.gcp_secret_manager.store:SecretManagerStore"),),
    extra="gcp",
    needs=("google.cloud.secretmanager_v1", "google_crc32c", "requests"),
    place=place_by,
    keys=KEY_LIMITS,
    lacks=lambda _: (Feature.TYPES,),
)
