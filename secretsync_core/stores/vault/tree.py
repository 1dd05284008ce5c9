"""The KV engines of all namespaces below one, as a single source: version 2, at the same mount in each.

A key is the namespace, the mount and the key in it: ``billing/kv/db``. So it is Vault's own path, and never stands for
two secrets: a namespace cannot have the name of a mount beside it.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, StoreError
from secretsync_core.known import named
from secretsync_core.model.capabilities import Shape, StoreFacts
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.versions import VersionOrder
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.places import folders
from secretsync_core.stores.spread import spread
from secretsync_core.stores.vault.answers import NoMount
from secretsync_core.stores.vault.below import namespaces_below, within
from secretsync_core.stores.vault.kv2 import Kv2Store
from secretsync_core.stores.vault.marks import Marking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping

    from secretsync_core.model.place import Place
    from secretsync_core.model.position import Position
    from secretsync_core.secret import Secret
    from secretsync_core.stores.vault.auth import Auth
    from secretsync_core.stores.vault.patterns import Pattern
    from secretsync_core.stores.vault.transport import Transport


class NamespaceTree:
    """Reads and lists. Nothing is written: a copy has one namespace, which a SecretStore of its own names."""

    LIMITS = Kv2Store.LIMITS

    def __init__(self, transport: Transport, auth: Auth, place: Place | None, pattern: Pattern) -> None:
        self._transport = transport
        self._auth = auth
        self._deep = pattern.deep
        self._mounts: dict[str, Kv2Store] | None = None
        self._gaps: list[Gap] = []
        self._asking = asyncio.Lock()
        self.facts = StoreFacts(
            name=transport.store,
            provider="vault",
            shape=Shape.FIELDS,
            versioned=True,
            limits=self.LIMITS,
            place=place,
            version_order=VersionOrder.NUMBER_AND_TIME,
        )

    async def aclose(self) -> None:
        """Give the token back, where we logged in for it, and close every connection."""
        await self._auth.aclose()
        await self._transport.aclose()

    async def position(self) -> Position | None:
        """Which cluster answered, and how far its active node had got; asks for nothing."""
        return self._transport.course.position

    async def shows_folders(self, prefix: str) -> bool:
        """Whether there is more below a folder, as far as it was listed; asks for nothing."""
        mounts = self._mounts or {}
        for end in _ends_of_folders(prefix):
            if (mount := mounts.get(prefix[:end])) is not None:
                return await mount.shows_folders(prefix[end:])
        return any(root.startswith(prefix) for root in mounts)

    async def read(self, key: str, version: str | None = None) -> Secret:
        """The secret's current fields, or those of the version number ``version``."""
        root, mount = await self._mount_of(key)
        with _by_its_whole_key(root):
            return await mount.read(key.removeprefix(root), version)

    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """The entries of ``keys``, asked of each namespace as a store of its own asks."""
        async for found in self._look(keys, Kv2Store.stat):
            yield found

    async def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        """Like ``stat``, with the custom metadata."""
        async for found in self._look(keys, Kv2Store.describe):
            yield found

    async def _look(
        self, keys: Collection[str], ask: Callable[[Kv2Store, Collection[str]], AsyncIterator[Entry | Gap]]
    ) -> AsyncIterator[Entry | Gap]:
        await self._all()  # what keeps us from that is no matter of single keys
        wanted: dict[str, list[str]] = {}
        for key in keys:
            try:
                root, _ = await self._mount_of(key)
            except StoreError as error:
                # A namespace that is gone, or hidden, took its secrets along, or did not: nobody can tell.
                yield Gap(key, AccessDenied.code, error.message, is_key=True)
                continue
            wanted.setdefault(root, []).append(key.removeprefix(root))

        async def look(root: str) -> tuple[list[Entry | Gap], tuple[()]]:
            _, mount = await self._mount_of(root)
            try:
                return [_moved(found, root) async for found in ask(mount, wanted[root])], ()
            except CredentialsRefused:
                raise
            except (NoMount, AccessDenied) as error:
                return [Gap(root + key, AccessDenied.code, error.message, is_key=True) for key in wanted[root]], ()

        async for found in spread(wanted, look, width=self._transport.width):
            yield found

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        """Every secret below ``prefix``, of the namespaces that it leaves open: each is a listing of its own.

        A namespace without this mount has none; one that we may not list is a Gap.
        """
        mounts = await self._all()
        for gap in self._gaps:
            yield gap
        inside = [prefix[:end] for end in _ends_of_folders(prefix) if prefix[:end] in mounts]
        roots = inside or [root for root in mounts if recursive and root.startswith(prefix)]

        async def one(root: str) -> tuple[list[Entry | Gap], tuple[()]]:
            folder = prefix.removeprefix(root) if inside else ""
            listing = mounts[root].list(folder, recursive=recursive, metadata=metadata)
            try:
                found = [_moved(each, root) async for each in listing]
            except CredentialsRefused:
                raise
            except NoMount:
                return [], ()
            except AccessDenied as error:
                return [Gap(root, error.code, error.message)], ()
            return found, ()

        async for found in spread(roots, one, width=self._transport.width):
            yield found

    async def _mount_of(self, key: str) -> tuple[str, Kv2Store]:
        """The mount that has a key, and what stands before the key in it."""
        mounts = await self._all()
        for end in _ends_of_folders(key):
            if (mount := mounts.get(key[:end])) is not None:
                return key[:end], mount
        raise StoreError(
            f"{self.facts.name} shows no namespace with a mount {named(self._transport.mount)} that {named(key)} could"
            " be in",
            store=self.facts.name,
            key=key,
            hint="a key here is the namespace, the mount and the key in it",
        )

    async def _all(self) -> Mapping[str, Kv2Store]:
        """The mount of every namespace by what stands before its keys; the namespaces are asked for once."""
        async with self._asking:
            if self._mounts is None:
                names, self._gaps = await namespaces_below(self._transport, deep=self._deep)
                mount, taken = folders(self._transport.mount), set(names)
                # Beside a namespace there can be no mount of its name.
                roots = {f"{name}{mount}": name for name in names if f"{name}{mount}" not in taken}
                self._mounts = {root: self._open(name) for root, name in roots.items()}
        return self._mounts

    def _open(self, name: str) -> Kv2Store:
        transport = within(self._transport, name)
        return Kv2Store(transport, self._auth, None, marking=Marking(transport, "", always=False), confirmed=False)


def _ends_of_folders(path: str) -> Iterator[int]:
    """Where the folders end that a key, or a folder, is in."""
    return (at + 1 for at, letter in enumerate(path) if letter == "/")


def _moved(found: Entry | Gap, root: str) -> Entry | Gap:
    """What a namespace's own mount shows, by its key in the tree."""
    if isinstance(found, Gap):
        return found._replace(prefix=root + found.prefix)
    return found._replace(key=root + found.key)


@contextmanager
def _by_its_whole_key(root: str) -> Iterator[None]:
    """Let an error of one namespace name the key as the tree does."""
    try:
        yield
    except StoreError as error:
        if error.key:
            whole = root + error.key
            error.message, error.key = error.message.replace(error.key, whole, 1), whole
            error.args = (error.message,)
        raise
