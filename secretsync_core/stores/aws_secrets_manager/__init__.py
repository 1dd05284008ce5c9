"""AWS Secrets Manager: each secret's current value, in one region of one account, below a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError

if TYPE_CHECKING:
    from secretsync_core.schema.provider_configs import AwsSecretsManagerConfig
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: AwsSecretsManagerConfig, context: StoreContext) -> Store:
    """Open the secrets below the prefix. The service itself is not asked for anything yet.

    Raises StoreError where boto3, the region or a credential is missing, AccessDenied where a role is refused to us.
    """
    try:
        import secretsync_core.stores.aws.session  # noqa: F401  whether boto3 is there
    except ModuleNotFoundError as error:
        raise StoreError(
            f"the awsSecretsManager provider needs the package {error.name}",
            store=context.name,
            hint='install it with: pip install "secretsync[aws]"',
        ) from None
    from secretsync_core.stores.aws_secrets_manager.store import SecretsManagerStore

    return await SecretsManagerStore.open(config, context)
