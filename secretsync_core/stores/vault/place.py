"""Where a KV engine is by its document: the server, the namespace and the mount."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.place import Place
from secretsync_core.stores.places import address, folders, sound
from secretsync_core.stores.vault.patterns import pattern_of

if TYPE_CHECKING:
    from secretsync_core.stores.vault.config import VaultConfig


def declared_place(config: VaultConfig) -> Place | None:
    """The place as the document tells it. A namespace is the same in its own field and in front of the mount.

    The clusters of a performance replication are places of their own, although they hold the same secrets.
    """
    pattern = pattern_of(config.namespace)
    namespace = folders((config.namespace or "") if pattern is None else pattern.base)
    if namespace == "root/":
        namespace = ""  # another name of the one that has none
    where = address(config.address)
    # The keys of several namespaces begin with theirs, and with the mount.
    root = namespace + folders(config.mount) if pattern is None else namespace
    return sound(Place("vault", where, root)) if where else None
