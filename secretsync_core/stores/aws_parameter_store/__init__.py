"""AWS Systems Manager Parameter Store: parameters below a path, in one region of one account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.aws.place import declared_place
from secretsync_core.stores.aws_parameter_store.config import AwsParameterStoreConfig
from secretsync_core.stores.aws_parameter_store.names import KEY_LIMITS, root_of
from secretsync_core.stores.provider import Provider

if TYPE_CHECKING:
    from secretsync_core.model.place import Place
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: AwsParameterStoreConfig, context: StoreContext) -> Store:
    """Open the parameters below the path. The service itself is not asked for anything yet; STS may be.

    Raises StoreError where the region or a credential is missing, AccessDenied where a role is refused to us.
    """
    from secretsync_core.stores.aws_parameter_store.store import ParameterStore

    return await ParameterStore.open(config, context)


def place_by(config: AwsParameterStoreConfig) -> Place | None:
    """The region, the account as far as the document tells it, and the path."""
    return declared_place(config, "awsParameterStore", root_of(config.path))


PROVIDER = Provider(
    config=AwsParameterStoreConfig,
    open=open_store,
    variants=(("", "secretsync_core.stores.aws_parameter_store.store:ParameterStore"),),
    extra="aws",
    needs=("boto3",),
    place=place_by,
    keys=KEY_LIMITS,
    lacks=lambda _: (Feature.TYPES,),
)
