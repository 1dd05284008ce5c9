"""Permissions, enforced where a store is opened: a Read store is handed out without its writing half.

The handle that :func:`restrict` gives implements the protocols of the permitted half and no others, so the engine
cannot call what the document does not allow, and :func:`~secretsync_core.stores.base.abilities_of` tells the truth.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from secretsync_core.model.capabilities import Ability, Permissions
from secretsync_core.stores.base import abilities_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.inventory import Entry, Gap
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.base import Store

READING = frozenset({Ability.READ, Ability.LIST})
WRITING = frozenset({Ability.WRITE, Ability.COMPARE_AND_SET, Ability.CREATE, Ability.DELETE})


class _Handle:
    """What every handle has: the store's facts and its end."""

    # Any: which protocols the store implements is settled once, in restrict(), by which mixins are put together.
    __slots__ = ("__store",)

    def __init__(self, store: Any) -> None:
        self.__store = store

    @property
    def facts(self) -> StoreFacts:
        facts: StoreFacts = self.__store.facts
        return facts

    async def aclose(self) -> None:
        await self.__store.aclose()

    def _inner(self) -> Any:
        return self.__store


class _Reads(_Handle):
    __slots__ = ()

    async def read(self, key: str, version: str | None = None) -> Secret:
        secret: Secret = await self._inner().read(key, version)
        return secret

    def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        found: AsyncIterator[Entry | Gap] = self._inner().stat(keys)
        return found


class _Lists(_Handle):
    __slots__ = ()

    def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Entry | Gap]:
        found: AsyncIterator[Entry | Gap] = self._inner().list(prefix, recursive=recursive, metadata=metadata)
        return found


class _Writes(_Handle):
    __slots__ = ()

    async def write(self, key: str, value: SecretValue) -> str | None:
        token: str | None = await self._inner().write(key, value)
        return token


class _ComparesAndSets(_Handle):
    __slots__ = ()

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        token: str | None = await self._inner().write_if(key, value, expected)
        return token


class _Creates(_Handle):
    __slots__ = ()

    async def create(self, key: str, value: SecretValue) -> str | None:
        token: str | None = await self._inner().create(key, value)
        return token


class _Deletes(_Handle):
    __slots__ = ()

    async def delete(self, key: str) -> None:
        await self._inner().delete(key)


class _Marks(_Handle):
    __slots__ = ()

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        found: Mapping[str, str] = await self._inner().marks(keys)
        return found

    async def mark(self, key: str) -> None:
        await self._inner().mark(key)


_MIXINS: dict[Ability, type[_Handle]] = {
    Ability.READ: _Reads,
    Ability.LIST: _Lists,
    Ability.WRITE: _Writes,
    Ability.COMPARE_AND_SET: _ComparesAndSets,
    Ability.CREATE: _Creates,
    Ability.DELETE: _Deletes,
    Ability.MARK: _Marks,
}


@cache
def _handle_class(abilities: frozenset[Ability]) -> type[_Handle]:
    """The class with exactly these abilities: a real class, because protocols are checked against the class."""
    bases = tuple(_MIXINS[ability] for ability in Ability if ability in abilities) or (_Handle,)
    return type("RestrictedStore", bases, {"__slots__": ()})


def restrict(store: Store, permissions: Permissions) -> Store:
    """Hand out what the document permits: the store itself for ReadWrite, else a handle with one half of it.

    The reading half is read, stat and list; the writing half is write, write_if, create and delete. Marks are read
    and written, so they need both. An ability that the store lacks stays lacking.
    """
    allowed: frozenset[Ability] = frozenset()
    if permissions.may_read:
        allowed |= READING
    if permissions.may_write:
        allowed |= WRITING
    if permissions.may_read and permissions.may_write:
        allowed |= {Ability.MARK}
    abilities = abilities_of(store)
    if abilities <= allowed:
        return store
    return _handle_class(abilities & allowed)(store)
