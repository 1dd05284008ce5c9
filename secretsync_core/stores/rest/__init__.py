"""Any service with a REST API in JSON, as its document describes it: a template for each request.

Which requests are described says what the store can do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.capabilities import Feature
from secretsync_core.stores.provider import Provider
from secretsync_core.stores.rest.config import HttpConfig
from secretsync_core.stores.rest.names import KEY_LIMITS
from secretsync_core.stores.rest.place import declared_place

if TYPE_CHECKING:
    from secretsync_core.stores.base import Store, StoreContext


async def open_store(config: HttpConfig, context: StoreContext) -> Store:
    """Open the service that ``config`` describes. Nothing is asked of it yet.

    Raises StoreError where its credential, or a file of ``tls``, cannot be used.
    """
    from secretsync_core.stores.rest.opening import open_http

    return await open_http(config, context)


def _lacks(config: HttpConfig) -> tuple[Feature, ...]:
    nowhere = (Feature.TYPES, Feature.METADATA)
    return nowhere if config.read is not None else (*nowhere, Feature.VALUES)


PROVIDER = Provider(
    config=HttpConfig,
    open=open_store,
    variants=(
        ("with read", "secretsync_core.stores.rest.store:EveryAbility"),
        ("without read", "secretsync_core.stores.rest.store:NothingRead"),
    ),
    extra="http",
    needs=("aiohttp",),
    place=declared_place,
    keys=KEY_LIMITS,
    lacks=_lacks,
)
