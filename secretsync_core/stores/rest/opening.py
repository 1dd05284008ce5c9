"""Puts a store together from its parts. Nothing is asked of the service before there is something to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.stores.rest.store import HttpStore, store_class
from secretsync_core.stores.rest.tokens import Token
from secretsync_core.stores.rest.transport import Transport
from secretsync_core.stores.tls import context_for

if TYPE_CHECKING:
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.rest.config import HttpConfig


async def open_http(config: HttpConfig, context: StoreContext) -> HttpStore:
    """See ``open_store``."""
    tls = context_for(config.address, config.tls, context.name)
    token = Token(config.auth, context) if config.auth is not None else None
    if token is not None:
        token.now()  # a credential that is not there is told now
    return store_class(config)(config, Transport(config, context, tls, token), context.mark)
