"""Puts a store together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import SecretSyncError, StoreError
from secretsync_core.model.place import alias_of
from secretsync_core.stores.tls import context_for
from secretsync_core.stores.vault.auth import Auth
from secretsync_core.stores.vault.cluster import cluster_of_health, openbao_of_health
from secretsync_core.stores.vault.detect import Kv, kv_version
from secretsync_core.stores.vault.kv1 import Kv1Store
from secretsync_core.stores.vault.kv2 import Kv2Store
from secretsync_core.stores.vault.logins import Logins
from secretsync_core.stores.vault.marks import Marking
from secretsync_core.stores.vault.namespaces import after_login, before_login, names_one
from secretsync_core.stores.vault.patterns import pattern_of
from secretsync_core.stores.vault.place import declared_place
from secretsync_core.stores.vault.transport import Transport
from secretsync_core.stores.vault.tree import NamespaceTree

if TYPE_CHECKING:
    from secretsync_core.model.place import Place
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.vault.config import VaultConfig


async def open_kv(config: VaultConfig, context: StoreContext) -> Kv1Store | Kv2Store | NamespaceTree:
    """See ``open_store``. What was opened halfway is closed again where an error ends it."""
    place = declared_place(config)
    if (pattern := pattern_of(config.namespace)) is not None:
        config = config.model_copy(update={"namespace": pattern.base or None})
    tls = context_for(config.address, config.tls, context.name)
    auth = Auth(config, context, Logins(config, context, tls))
    transport = Transport(config, context, tls, auth)
    health: bytes | None = None
    try:
        if pattern is not None or names_one(config.namespace):
            health = await before_login(transport)
        pinned = 2 if pattern is not None else config.kv_version
        kv = Kv(pinned) if pinned else await kv_version(transport)
        # A login that fails should fail here, and not at the first secret.
        await auth.ready()
        if health is not None:
            await after_login(transport, health)
        place = await _place(place, transport, health)
    except BaseException:
        await _close(auth, transport)
        raise
    auth.renew_by(transport.renew)
    if pattern is not None:
        return NamespaceTree(transport, auth, place, pattern)
    confirmed = config.kv_version is None
    if kv.version == 1:
        if config.custom_metadata:
            await _close(auth, transport)
            raise StoreError(
                f"{context.name} is version 1 of the KV engine, which has no custom metadata",
                store=context.name,
                hint="leave customMetadata out",
            )
        return Kv1Store(transport, auth, place, confirmed=confirmed, stated=kv.stated)
    marking = Marking(transport, context.mark, always=context.mark_at_a_cost)
    custom = config.custom_metadata
    return Kv2Store(transport, auth, place, confirmed=confirmed, marking=marking, custom=custom)


async def _close(auth: Auth, transport: Transport) -> None:
    await auth.aclose()
    await transport.aclose()


async def _place(place: Place | None, transport: Transport, health: bytes | None) -> Place | None:
    """The place with the cluster's id: asked for, unless an answer so far has named it. Never an error.

    ``health`` is what the server has said of itself already.
    """
    if place is None:
        return None
    try:
        if transport.cluster:
            return place._replace(identity=alias_of(transport.cluster))
        health = await transport.health() if health is None else health
        if openbao := openbao_of_health(health):
            transport.course.ask_active_node(openbao)
        return place._replace(identity=alias_of(cluster_of_health(health)))
    except SecretSyncError:  # the gate lets nothing through any more, which what comes next will tell
        return place
