"""AWS Secrets Manager: each secret's current value, in one region of one account, below a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.aws.place import declared_place
from secretsync_core.stores.aws_secrets_manager.config import AwsSecretsManagerConfig
from secretsync_core.stores.aws_secrets_manager.names import KEY_LIMITS
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.model.place import Place
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: AwsSecretsManagerConfig, context: StoreContext) -> Store:
    """Open the secrets below the prefix. The service itself is not asked for anything yet; STS may be.

    Raises StoreError where the region or a credential is missing, AccessDenied where a role is refused to us.
    """
    from secretsync_core.stores.aws_secrets_manager.store import SecretsManagerStore

    return await SecretsManagerStore.open(config, context)


def place_by(config: AwsSecretsManagerConfig) -> Place | None:
    """The region, the account as far as the document tells it, and the prefix."""
    return declared_place(config, "awsSecretsManager", config.prefix)


PROVIDER = Provider(
    config=AwsSecretsManagerConfig,
    open=open_store,
    variants=(("", "secretsync_core.stores.aws_secrets_manager.store:SecretsManagerStore"),),
    extra="aws",
    needs=("boto3",),
    place=place_by,
    keys=KEY_LIMITS,
    lacks=lambda _: (Feature.TYPES,),
)
