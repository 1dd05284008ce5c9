"""AWS Systems Manager Parameter Store: parameters below a path, in one region of one account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import StoreError

if TYPE_CHECKING:
    from secretsync_core.schema.provider_configs import AwsParameterStoreConfig
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: AwsParameterStoreConfig, context: StoreContext) -> Store:
    """Open the parameters below the path. The service itself is not asked for anything yet.

    Raises StoreError where boto3, the region or a credential is missing, AccessDenied where a role is refused to us.
    """
    try:
        import secretsync_core.stores.aws.session  # noqa: F401  whether boto3 is there
    except ModuleNotFoundError as error:
        raise StoreError(
            f"the awsParameterStore provider needs the package {error.name}",
            store=context.name,
            hint='install it with: pip install "secretsync[aws]"',
        ) from None
    from secretsync_core.stores.aws_parameter_store.store import ParameterStore

    return await ParameterStore.open(config, context)
