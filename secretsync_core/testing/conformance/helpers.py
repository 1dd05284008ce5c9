"""What the conformance tests share: what a store must be able to do, and how it is asked."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, TypeAlias

import pytest

from secretsync_core.errors import SecretSyncError
from secretsync_core.model.access import Access, Act
from secretsync_core.model.capabilities import Ability, Shape
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.model.metadata import Slot
from secretsync_core.secret import Secret, SecretValue
from secretsync_core.stores.base import (
    AccessChecker,
    ConditionalWriter,
    Creator,
    Deleter,
    Describer,
    Foreseer,
    Lister,
    Looker,
    Marker,
    MetadataWriter,
    Reader,
    Store,
    Undeleter,
    Writer,
)
from secretsync_core.testing.layouts import Layout
from secretsync_core.testing.samples import form, sample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
    from contextlib import AbstractAsyncContextManager

    Seed: TypeAlias = Callable[[str, SecretValue], Awaitable[object]]
    Reopen: TypeAlias = Callable[[], Awaitable[Store]]
    Fault: TypeAlias = Callable[[str], AbstractAsyncContextManager[None]]


MARK = "under-test.0123456789abcdef"
"""The mark that the fixture ``marked`` is to open its store with."""


OTHER = "of another shape"


LARGEST = 8 * 1024 * 1024
"""Limits up to this many bytes are tested by writing that much."""


METHODS: Mapping[Ability, tuple[str, ...]] = {
    Ability.READ: ("read", "stat"),
    Ability.LOOK: ("stat",),
    Ability.LIST: ("list",),
    Ability.WRITE: ("write",),
    Ability.COMPARE_AND_SET: ("write", "write_if"),
    Ability.CREATE: ("write", "create"),
    Ability.DELETE: ("delete",),
    Ability.MARK: ("marks", "mark"),
    Ability.UNDELETE: ("undelete", "check_undelete"),
    Ability.DESCRIBE: ("describe",),
    Ability.SET_METADATA: ("set_metadata",),
}


ITERATORS = frozenset({"stat", "list", "describe"})


def require_reader(store: Store) -> Reader:
    return store if isinstance(store, Reader) else pytest.skip("the store does not read")


def require_looker(store: Store) -> Looker:
    return store if isinstance(store, Looker) else pytest.skip("the store shows no single secret")


def require_lister(store: Store) -> Lister:
    return store if isinstance(store, Lister) else pytest.skip("the store does not list")


def require_writer(store: Store) -> Writer:
    return store if isinstance(store, Writer) else pytest.skip("the store does not write")


def require_conditional_writer(store: Store) -> ConditionalWriter:
    return store if isinstance(store, ConditionalWriter) else pytest.skip("the store does not compare and set")


def require_creator(store: Store) -> Creator:
    return store if isinstance(store, Creator) else pytest.skip("the store does not create only what is absent")


def require_marker(store: Store) -> Marker:
    return store if isinstance(store, Marker) else pytest.skip("the store has no marks")


def require_deleter(store: Store) -> Deleter:
    return store if isinstance(store, Deleter) else pytest.skip("the store does not delete")


def require_undeleter(store: Store) -> Undeleter:
    return store if isinstance(store, Undeleter) else pytest.skip("the store keeps nothing that was deleted")


def require_describer(store: Store) -> Describer:
    return store if isinstance(store, Describer) else pytest.skip("the store tells nothing beside values")


def require_metadata_writer(store: Store) -> MetadataWriter:
    return store if isinstance(store, MetadataWriter) else pytest.skip("the store sets nothing beside values")


async def describe_all(store: Store, keys: Collection[str]) -> dict[str, Entry]:
    """What stands beside the values of those of ``keys`` that exist."""
    entries, gaps = await drain(require_describer(store).describe(keys))
    assert not gaps
    return {entry.key: entry for entry in entries}


def slot_for(store: Store, name: str) -> Slot:
    """A piece of metadata of the kind that the store takes first."""
    facts = store.facts.metadata
    if not facts.rules and facts.asked:
        pytest.skip("its secrets have settings alone")
    kind = next(iter(facts.rules), None)
    return (
        pytest.fail("facts.metadata.rules is empty, and the store sets metadata") if kind is None else Slot(kind, name)
    )


def require_access_checker(store: Store) -> AccessChecker:
    return store if isinstance(store, AccessChecker) else pytest.skip("the store does not say what it would permit")


def require_foreseer(store: Store) -> Foreseer:
    return store if isinstance(store, Foreseer) else pytest.skip("the store foretells nothing")


async def token_of(store: Store, key: str) -> str | None:
    """The version token of a secret that is there; None also where the store has none."""
    seen = [each async for each in store.stat([key])] if isinstance(store, Looker) else []
    return next((each.version for each in seen if isinstance(each, Entry) and not each.deleted), None)


async def error_of(call: Awaitable[object]) -> SecretSyncError | None:
    try:
        await call
    except SecretSyncError as error:
        return error
    return None


def text_of(error: SecretSyncError | None) -> tuple[str, str, str] | None:
    return None if error is None else (error.code, error.message, error.hint)


def layout_of(store: Store) -> Layout:
    """What the keys of this suite are in this store: ``layout_of(store)("a/b")``."""
    return Layout(store.facts.limits)


async def drain(found: AsyncIterator[Entry | Gap]) -> tuple[list[Entry], list[Gap]]:
    entries: list[Entry] = []
    gaps: list[Gap] = []
    async for each in found:
        if isinstance(each, Entry):
            entries.append(each)
        else:
            assert isinstance(each, Gap), f"neither an Entry nor a Gap: {type(each).__name__}"
            gaps.append(each)
    return entries, gaps


async def list_all(
    store: Store, prefix: str = "", *, recursive: bool = True, metadata: bool = False
) -> dict[str, Entry]:
    """List entries by key, deleted ones too; fails where one comes twice or something cannot be seen."""
    entries, gaps = await drain(require_lister(store).list(prefix, recursive=recursive, metadata=metadata))
    assert not gaps, f"the listing has gaps: {gaps}"
    by_key = {entry.key: entry for entry in entries}
    assert len(by_key) == len(entries), "the listing gives a key twice"
    return by_key


async def list_keys(store: Store, prefix: str = "", *, recursive: bool = True) -> list[str]:
    """List the keys that hold something."""
    return sorted(k for k, entry in (await list_all(store, prefix, recursive=recursive)).items() if not entry.deleted)


async def stat_all(store: Store, keys: Collection[str]) -> dict[str, Entry]:
    entries, gaps = await drain(require_looker(store).stat(keys))
    assert not gaps, f"stat has gaps: {gaps}"
    by_key = {entry.key: entry for entry in entries}
    assert len(by_key) == len(entries), "stat gives a key twice"
    return by_key


async def is_live(store: Store, key: str) -> bool:
    """Whether the store says that the key holds something, by every way that it can say so."""
    seen = []
    if isinstance(store, Looker):
        entry = (await stat_all(store, [key])).get(key)
        seen.append(entry is not None and not entry.deleted)
    if isinstance(store, Lister):
        seen.append(key in await list_keys(store))
    if not seen:
        pytest.skip("the store shows nothing")
    assert len(set(seen)) == 1, f"stat and list differ about {key!r}"
    return seen[0]


async def assert_holds(store: Store, key: str, value: SecretValue) -> Secret:
    """The secret, having checked its value; of a store that shows no values only that it is there."""
    if isinstance(store, Looker) and not isinstance(store, Reader):
        entry = (await stat_all(store, [key])).get(key)
        assert entry is not None, f"{key!r} is not there"
        assert not entry.deleted, f"{key!r} is deleted"
        return Secret(value, entry.version)
    secret = await require_reader(store).read(key)
    assert isinstance(secret, Secret)
    assert isinstance(secret.value, SecretValue)
    exact = store.facts.limits.exact_numbers
    same = form(secret.value, exact_numbers=exact) == form(value, exact_numbers=exact)
    assert same, f"{key!r} does not hold what was written"  # without the values: they would stand in the report
    return secret


def of_fields(shape: Shape, count: int) -> SecretValue:
    nothing = b"" if shape is Shape.BINARY_FIELDS else ""
    return SecretValue({f"f{number}": nothing for number in range(count)})


async def none_or_written(writer: Writer, key: str) -> str | None:
    """Write the key named ``known``, and leave others absent."""
    return await writer.write(key, sample(writer.facts.shape)) if key.lower().endswith("known") else None


def accesses_of(store: Store) -> list[Access]:
    """Everything that a store with these abilities can be asked for."""
    key, new, wanted = layout_of(store)("a/b"), layout_of(store)("new"), list[Access]()
    folder = f"{key.rpartition('/')[0]}/" if "/" in key else ""
    if isinstance(store, Lister):
        wanted += [Access(Act.LIST, folder), Access(Act.LOOK, folder)]
    if isinstance(store, Looker):
        wanted.append(Access(Act.LOOK, key))
    if isinstance(store, Reader):
        wanted.append(Access(Act.READ, key))
    if isinstance(store, Writer):
        wanted += [Access(Act.UPDATE, key), Access(Act.CREATE, new)]
    if isinstance(store, Deleter):
        wanted.append(Access(Act.DELETE, key))
    return wanted


def operations_of(store: Store) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every operation of a store that holds ``a``, by name; list and stat give their gaps."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {}
    known, new, created = map(layout_of(store), ("a", "new", "created"))
    if isinstance(store, Reader):
        reader = store
        calls["read"] = lambda: reader.read(known)
    if isinstance(store, Looker):
        looker = store

        async def stat() -> list[Gap]:
            return (await drain(looker.stat([known])))[1]

        calls["stat"] = stat
    if isinstance(store, Lister):
        lister = store

        async def listing() -> list[Gap]:
            return (await drain(lister.list("", recursive=True, metadata=True)))[1]

        calls["list"] = listing
    if isinstance(store, Writer):
        writer = store
        calls["write"] = lambda: writer.write(known, sample(writer.facts.shape))
    if isinstance(store, ConditionalWriter):
        conditional = store
        calls["write_if"] = lambda: conditional.write_if(new, sample(conditional.facts.shape), None)
    if isinstance(store, Creator):
        creator = store
        calls["create"] = lambda: creator.create(created, sample(creator.facts.shape))
    if isinstance(store, Marker):
        marker = store
        calls["marks"] = lambda: marker.marks([known])
    if isinstance(store, Describer):
        describer = store

        async def describe() -> list[Gap]:
            return (await drain(describer.describe([known])))[1]

        calls["describe"] = describe
    if isinstance(store, MetadataWriter):
        beside = store
        calls["set_metadata"] = lambda: beside.set_metadata(known, {slot_for(beside, "team"): "one"}, None)
    if isinstance(store, Deleter):
        deleter = store
        calls["delete"] = lambda: deleter.delete(known)
    return calls


def texts_of(error: BaseException | None) -> list[str]:
    """Everything that an error and those behind it could show, where somebody prints it."""
    shown: list[str] = []
    seen: set[int] = set()
    pending = [error]
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        shown += [str(each), repr(each), repr(each.args), repr(vars(each))]
        shown += traceback.format_exception_only(each)
        pending += [each.__cause__, each.__context__]
    return shown
