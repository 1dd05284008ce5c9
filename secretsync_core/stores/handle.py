"""What the registry hands out in place of a store: a handle that can do what the document permits, and raises ours.

The handle implements the protocols of the permitted half and no others, so the engine cannot call what the document
does not allow, and :func:`~secretsync_core.stores.base.abilities_of` tells the truth. Everything that the store raises
or gives passes the :mod:`~secretsync_core.stores.boundary` on its way out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from secretsync_core.endurance import DEPTH, is_too_deep
from secretsync_core.errors import Conflict, InvalidSecret, SecretNotFound, StoreError
from secretsync_core.model.access import Access, Missing
from secretsync_core.model.capabilities import Ability, Permissions, StoreFacts
from secretsync_core.model.inventory import Entry, Gap, is_token
from secretsync_core.model.leftovers import Leftovers
from secretsync_core.model.place import is_place
from secretsync_core.model.position import Position
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.base import (
    AccessChecker,
    ConditionalDeleter,
    DeleteForeseer,
    Foreseer,
    Positioned,
    Recreator,
    SelectiveLister,
    ShowsFolders,
    Store,
    Sweeper,
    ToldOfLeftovers,
    abilities_of,
)
from secretsync_core.stores.boundary import Boundary
from secretsync_core.stores.echo import refuse_echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from secretsync_core.endurance import Endurance
    from secretsync_core.model.metadata import Described
    from secretsync_core.selection import Selection

LOOKING = frozenset({Ability.LOOK, Ability.LIST, Ability.DESCRIBE})
WRITING = frozenset({Ability.WRITE, Ability.COMPARE_AND_SET, Ability.CREATE, Ability.DELETE})


class _Handle:
    """What every handle has: the store's facts, as they were when it was opened, and its end."""

    __slots__ = ("_boundary", "_facts")

    def __init__(self, boundary: Boundary, facts: StoreFacts) -> None:
        self._boundary = boundary
        self._facts = facts

    @property
    def facts(self) -> StoreFacts:
        return self._facts

    async def aclose(self) -> None:
        await self._boundary.call("aclose", _is_anything)

    def _written(self, key: str, value: SecretValue, token: str | None) -> str | None:
        """The version that a write has made, in a plain form. Raises MalformedAnswer where it shows the value."""
        refuse_echo(self._boundary.name, key, token, value, wrote=True)
        return self._boundary.plain(token)

    async def _known(self, key: str, version: str | None) -> str | None:
        """What the store itself calls a version; Conflict where it has another one by now."""
        known = self._boundary.known(version)
        if version is None or known is not None:
            return known
        if isinstance(self, _Looks):  # the plan was made by another process
            async for _ in self.stat([key]):
                pass
        if (known := self._boundary.known(version)) is None:
            store = self._boundary.name
            raise Conflict(f"{key} in {store} changed meanwhile", store=store, key=key)
        return known


class _Reads(_Handle):
    __slots__ = ()

    async def read(self, key: str, version: str | None = None) -> Secret:
        pin = self._boundary.known(version)
        if version is not None and pin is None:
            raise SecretNotFound(
                f"what {self._boundary.name} calls this version of {key} is not known any more",
                store=self._boundary.name,
                key=key,
            )
        secret: Secret = await self._boundary.call("read", _is_secret, key, pin)
        if is_too_deep(secret.value.reveal()):
            raise InvalidSecret(
                f"{key} in {self._boundary.name} has objects and lists more than {DEPTH} deep in each other",
                store=self._boundary.name,
                key=key,
                hint="keep it as one text, which may hold anything",
            )
        refuse_echo(self._boundary.name, key, secret.version, secret.value)
        return secret._replace(version=self._boundary.plain(secret.version))


class _Looks(_Handle):
    __slots__ = ()

    def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        return self._boundary.each("stat", _is_found, keys)


class _Lists(_Handle):
    __slots__ = ()

    def list(self, prefix: str, *, recursive: bool, metadata: bool, kind: str = "") -> AsyncIterator[Entry | Gap]:
        more = {"kind": kind} if kind else {}  # which not every store knows
        return self._boundary.each("list", _is_found, prefix, recursive=recursive, metadata=metadata, **more)


class _Selects(_Handle):
    __slots__ = ()

    def select(self, wanted: Selection, *, metadata: bool) -> AsyncIterator[Entry | Gap]:
        return self._boundary.each("select", _is_found, wanted, metadata=metadata)


class _Writes(_Handle):
    __slots__ = ()

    async def write(self, key: str, value: SecretValue) -> str | None:
        return self._written(key, value, await self._boundary.call("write", _is_token, key, value))


class _ComparesAndSets(_Handle):
    __slots__ = ()

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        known = await self._known(key, expected)
        return self._written(key, value, await self._boundary.call("write_if", _is_token, key, value, known))


class _Creates(_Handle):
    __slots__ = ()

    async def create(self, key: str, value: SecretValue) -> str | None:
        return self._written(key, value, await self._boundary.call("create", _is_token, key, value))


class _Deletes(_Handle):
    __slots__ = ()

    async def delete(self, key: str) -> None:
        await self._boundary.call("delete", _is_anything, key)


class _DeletesIf(_Handle):
    __slots__ = ()

    async def delete_if(self, key: str, expected: str) -> None:
        await self._boundary.call("delete_if", _is_anything, key, await self._known(key, expected))


class _Marks(_Handle):
    __slots__ = ()

    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        found: Mapping[str, str] = await self._boundary.call("marks", _is_mapping, keys)
        return found

    async def mark(self, key: str) -> None:
        await self._boundary.call("mark", _is_anything, key)


class _Undeletes(_Handle):
    __slots__ = ()

    async def check_undelete(self, key: str, version: str) -> None:
        await self._boundary.call("check_undelete", _is_anything, key, await self._known(key, version))

    async def undelete(self, key: str, version: str) -> str | None:
        known = await self._known(key, version)
        return self._boundary.plain(await self._boundary.call("undelete", _is_token, key, known))


class _Describes(_Handle):
    __slots__ = ()

    def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        return self._boundary.each("describe", _is_described, keys)


class _SetsMetadata(_Handle):
    __slots__ = ()

    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        known = await self._known(key, version)
        return self._boundary.plain(await self._boundary.call("set_metadata", _is_token, key, wanted, known))


class _Foresees(_Handle):
    __slots__ = ()

    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        await self._boundary.call("check_write", _is_anything, key, value, await self._known(key, expected))


class _ForeseesDeletes(_Handle):
    __slots__ = ()

    async def check_delete(self, key: str, expected: str) -> None:
        await self._boundary.call("check_delete", _is_anything, key, await self._known(key, expected))


class _HasPosition(_Handle):
    __slots__ = ()

    async def position(self) -> Position | None:
        found: Position | None = await self._boundary.call("position", _is_position)
        return found


class _ShowsFolders(_Handle):
    __slots__ = ()

    async def shows_folders(self, prefix: str) -> bool:
        shown: bool = await self._boundary.call("shows_folders", _is_flag, prefix)
        return shown


class _ChecksAccess(_Handle):
    __slots__ = ()

    async def check_access(self, wanted: Sequence[Access]) -> Sequence[Missing]:
        # What nobody asked for is not to decide about anything.
        asked = frozenset(wanted)
        found: Sequence[Missing] = await self._boundary.call("check_access", _is_missing_of(asked), wanted)
        return found


class _Recreates(_Handle):
    __slots__ = ()

    async def recreate(self, key: str, value: SecretValue, expected: str) -> str | None:
        known = await self._known(key, expected)
        return self._written(key, value, await self._boundary.call("recreate", _is_token, key, value, known))


class _TellsOfLeftovers(_Handle):
    __slots__ = ()

    async def leftovers(self) -> Leftovers:
        found: Leftovers = await self._boundary.call("leftovers", _is_leftovers)
        return found


class _Sweeps(_Handle):
    __slots__ = ()

    async def sweep(self) -> Leftovers:
        found: Leftovers = await self._boundary.call("sweep", _is_leftovers)
        return found


_MIXINS: dict[Ability, type[_Handle]] = {
    Ability.READ: _Reads,
    Ability.LOOK: _Looks,
    Ability.LIST: _Lists,
    Ability.WRITE: _Writes,
    Ability.COMPARE_AND_SET: _ComparesAndSets,
    Ability.CREATE: _Creates,
    Ability.DELETE: _Deletes,
    Ability.MARK: _Marks,
    Ability.UNDELETE: _Undeletes,
    Ability.DESCRIBE: _Describes,
    Ability.SET_METADATA: _SetsMetadata,
}


@cache
def _handle_class(abilities: frozenset[Ability], more: tuple[type[_Handle], ...]) -> type[_Handle]:
    """The class with exactly these abilities: a real class, because protocols are checked against the class."""
    bases = (*(_MIXINS[ability] for ability in Ability if ability in abilities), *more)
    return type("StoreHandle", bases or (_Handle,), {"__slots__": ()})


def hand_out(
    store: object,
    name: str,
    permissions: Permissions,
    gate: object = None,
    endurance: Endurance | None = None,
    *,
    look: bool | None = None,
) -> Store:
    """The handle of an open store, with what the document permits of its abilities and no more.

    The reading half is read, stat, list and describe; the writing half is write, write_if, create, delete, delete_if,
    check_write and check_delete. Marks are read and written, and what is brought back or has its metadata set is looked
    at first: these need both. ``gate`` is what the store was opened with: it is told where the store refuses our
    credentials.
    ``endurance`` is how long a call may take. ``look`` says whether what may only be written may have all of the
    reading half but ``read``; None: where the store has no ``read`` to be kept from.

    Raises StoreError for what is no store, and for one that is to be looked at and cannot be, and whatever looking at
    it raises.
    """
    abilities = abilities_of(store)
    facts = store.facts if abilities and isinstance(store, Store) else None
    if not isinstance(facts, StoreFacts) or not (facts.place is None or is_place(facts.place)):
        raise StoreError(
            f"the provider of the store {name} gave something that is not a store",
            store=name,
            hint="this is a bug in its package; secretsync_core.testing.conformance finds such bugs",
        )
    if look and Ability.LOOK not in abilities:
        raise StoreError(f"{name} cannot be looked at", store=name, hint="leave out look: true in its SecretStore")
    allowed: frozenset[Ability] = frozenset()
    looks = permissions.may_read or (Ability.READ not in abilities if look is None else look)
    if looks:
        allowed |= LOOKING
    if permissions.may_read:
        allowed |= {Ability.READ}
    if permissions.may_write:
        allowed |= WRITING
    if looks and permissions.may_write:
        allowed |= {Ability.MARK, Ability.UNDELETE, Ability.SET_METADATA}
    optional: list[tuple[type, type[_Handle]]] = [(Positioned, _HasPosition), (AccessChecker, _ChecksAccess)]
    if permissions.may_write:
        optional += [(Foreseer, _Foresees), (Recreator, _Recreates), (Sweeper, _Sweeps)]
        optional += [(ConditionalDeleter, _DeletesIf), (DeleteForeseer, _ForeseesDeletes)]
    if looks:
        optional += [(SelectiveLister, _Selects), (ShowsFolders, _ShowsFolders)]
        optional.append((ToldOfLeftovers, _TellsOfLeftovers))
    more = tuple(mixin for protocol, mixin in optional if isinstance(store, protocol))
    return _handle_class(abilities & allowed, more)(Boundary(store, name, gate, endurance), facts)


def _is_secret(given: object) -> bool:
    told = isinstance(given, Secret) and _is(given.value, SecretValue) and _is_token(given.version)
    return told and isinstance(given, Secret) and _is(given.value.kind, str)


def _is_found(given: object) -> bool:
    if isinstance(given, Entry):
        return _is(given.key, str) and _is_token(given.version)
    return isinstance(given, Gap) and _is(given.prefix, str)


def _is_described(given: object) -> bool:
    beside = (given.metadata, given.notes) if isinstance(given, Entry) else ()
    return _is_found(given) and all(part is None or _is_mapping(part) for part in beside)


def _is(
    given: object, kind: type
) -> bool:  # a function, for the type checker takes the fields of a NamedTuple on trust
    return isinstance(given, kind)


def _is_token(given: object) -> bool:
    return given is None or (isinstance(given, str) and is_token(given))


def _is_position(given: object) -> bool:
    if given is None:
        return True
    if not isinstance(given, Position):
        return False
    numbers = (given.lowest, given.highest)
    told = _is(given.server, str) and (not given.server or is_token(given.server))
    return told and all(number is None or _is(number, int) for number in numbers)


def _is_missing_of(asked: frozenset[Access]) -> Callable[[object], bool]:
    def is_missing(given: object) -> bool:
        return isinstance(given, Sequence) and all(
            isinstance(each, Missing) and each.access in asked and _is(each.grant, str) and each.grant.isprintable()
            for each in given
        )

    return is_missing


def _is_leftovers(given: object) -> bool:
    return isinstance(given, Leftovers) and all(map(_is_counted, (given.removed, given.dead, given.doubtful)))


def _is_counted(given: object) -> bool:
    return isinstance(given, Mapping) and all(_is(folder, str) and _is(count, int) for folder, count in given.items())


def _is_flag(given: object) -> bool:
    return isinstance(given, bool)


def _is_mapping(given: object) -> bool:
    return isinstance(given, Mapping)


def _is_anything(_: object) -> bool:
    return True
