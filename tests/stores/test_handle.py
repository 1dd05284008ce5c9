"""A store is handed out with what its document permits, and the rest cannot be reached."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.look_only import look_only

from secretsync_core.errors import AccessDenied, SecretSyncError, StoreError
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.model.capabilities import Ability, Permissions, Shape
from secretsync_core.model.place import Place
from secretsync_core.secret import SecretValue
from secretsync_core.stores import memory
from secretsync_core.stores.base import (
    AccessChecker,
    ConditionalWriter,
    Creator,
    Deleter,
    Lister,
    MetadataWriter,
    Reader,
    Store,
    StoreContext,
    Writer,
    abilities_of,
)
from secretsync_core.stores.file.store import FileStore
from secretsync_core.stores.handle import LOOKING, WRITING, hand_out
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

METHODS = {"read", "stat", "list", "write", "write_if", "create", "delete", "marks", "mark", "undelete"}


@pytest.fixture
def store() -> memory.MemoryStore:
    memory.reset()
    return memory.MemoryStore(Shape.FIELDS, StoreContext("memory", CountingGate(), {}, 1))


@pytest.mark.parametrize("place", [("db", "host", "a/", ""), Place("db", "host", "a\nb/"), Place("db", "x" * 2000, "")])
def test_a_place_that_is_none_is_refused(store: memory.MemoryStore, place: Any) -> None:
    """What cannot be told and kept in one line is a fault of the store's package, and named as such."""
    store._facts = replace(store.facts, place=place)
    with pytest.raises(StoreError, match="gave something that is not a store"):
        hand_out(store, "one", Permissions.READ)


async def test_a_read_store_has_no_writing_half(store: memory.MemoryStore) -> None:
    """Read gives read, stat, list and describe, working, and no method that writes."""
    await store.write("a", SecretValue({"value": "x"}))
    handle = hand_out(store, "one", Permissions.READ)
    assert abilities_of(handle) == {Ability.READ, Ability.LOOK, Ability.LIST, Ability.DESCRIBE}
    assert not isinstance(handle, (Writer, ConditionalWriter, Deleter, MetadataWriter))
    assert isinstance(handle, Reader)
    assert isinstance(handle, Lister)
    assert (await handle.read("a")).value.reveal() == {"value": "x"}
    assert [each.key async for each in handle.stat(["a", "b"])] == ["a"]  # type: ignore[union-attr]
    assert [each.key async for each in handle.list("", recursive=True, metadata=True)] == ["a"]  # type: ignore[union-attr]
    assert [each.metadata async for each in handle.describe(["a", "b"])] == [{}]  # type: ignore[attr-defined]
    assert {name for name in dir(handle) if not name.startswith("_")} == {
        "read", "stat", "list", "describe", "shows_folders", "facts", "aclose",
    }  # fmt: skip


async def test_a_write_store_has_no_reading_half(store: memory.MemoryStore) -> None:
    """Write gives write, write_if, create and delete, working, and no method that reads."""
    handle = hand_out(store, "one", Permissions.WRITE)
    assert abilities_of(handle) == {Ability.WRITE, Ability.COMPARE_AND_SET, Ability.CREATE, Ability.DELETE}
    assert not isinstance(handle, (Reader, Lister))
    assert isinstance(handle, ConditionalWriter)
    assert isinstance(handle, Deleter)
    token = await handle.write("a", SecretValue({"value": "x"}))
    token = await handle.write_if("a", SecretValue({"value": "y"}), token)
    assert (await store.read("a")).version == token
    await handle.delete("a")
    assert isinstance(handle, Creator)
    await handle.create("a", SecretValue({"value": "z"}))
    assert not METHODS & {"read", "stat", "list", "marks", "mark", "undelete"} & set(dir(handle))


async def test_a_write_store_that_may_be_looked_at_shows_no_value(store: memory.MemoryStore) -> None:
    """With ``look`` a Write store shows all but values."""
    handle = hand_out(store, "one", Permissions.WRITE, look=True)
    assert abilities_of(handle) == abilities_of(store) - {Ability.READ}
    assert not isinstance(handle, Reader)
    assert not hasattr(handle, "read")
    token = await handle.write("a", SecretValue({"value": "x"}))  # type: ignore[attr-defined]
    assert [each.version async for each in handle.stat(["a", "b"])] == [token]  # type: ignore[attr-defined]


@pytest.mark.parametrize("look", [None, True, False])
async def test_a_store_without_values_is_looked_at_under_write(look: bool | None) -> None:
    """There is nothing that Write would keep it from showing; ``look: false`` makes it blind all the same."""
    bare = look_only(memory.MemoryStore)(Shape.FIELDS, StoreContext("bare", CountingGate(), {}, 1))
    shown = abilities_of(hand_out(bare, "one", Permissions.WRITE, look=look)) - WRITING
    assert shown == (set() if look is False else abilities_of(bare) - WRITING)
    assert abilities_of(hand_out(bare, "one", Permissions.READ_WRITE)) == abilities_of(bare)
    assert abilities_of(hand_out(bare, "one", Permissions.READ)) == LOOKING


async def test_what_cannot_be_looked_at_says_so(store: memory.MemoryStore) -> None:
    """``look`` of a store that shows nothing is an error with what to change, and not a run that sees nothing."""
    dark = look_only(memory.MemoryStore, "stat")(Shape.FIELDS, StoreContext("dark", CountingGate(), {}, 1))
    with pytest.raises(StoreError, match="one cannot be looked at") as raised:
        hand_out(dark, "one", Permissions.WRITE, look=True)
    assert "look: true" in raised.value.hint


async def test_read_write_takes_nothing_away(store: memory.MemoryStore) -> None:
    """ReadWrite gives every ability of the store."""
    assert abilities_of(hand_out(store, "one", Permissions.READ_WRITE)) == abilities_of(store)


@pytest.mark.parametrize("permissions", Permissions)
async def test_no_ability_is_added(tmp_path: Path, permissions: Permissions) -> None:
    """A store without compare-and-set gets none from its permissions."""
    store = FileStore(str(tmp_path), StoreContext("files", CountingGate(), {}, 1))
    reading = LOOKING | {Ability.READ}
    allowed = (reading if permissions.may_read else frozenset()) | (WRITING if permissions.may_write else frozenset())
    assert abilities_of(hand_out(store, "one", permissions)) == abilities_of(store) & allowed
    await store.aclose()


async def test_the_store_behind_is_out_of_reach(store: memory.MemoryStore) -> None:
    """No public attribute leads to the store, nothing can be added to the handle, and its text does not show it."""
    handle = hand_out(store, "one", Permissions.READ)
    public = [getattr(handle, name) for name in dir(handle) if not name.startswith("_")]
    assert store not in public
    with pytest.raises(AttributeError):
        handle.write = store.write  # type: ignore[attr-defined]
    assert "MemoryStore" not in repr(handle)


async def test_a_handle_is_a_store_until_its_end(store: memory.MemoryStore) -> None:
    """Facts and aclose pass through, and closing twice is fine."""
    handle = hand_out(store, "one", Permissions.WRITE)
    assert isinstance(handle, Store)
    assert handle.facts == store.facts
    await handle.aclose()
    await handle.aclose()
    assert store._closed


@pytest.mark.parametrize("token", ["", "\0", "é", "x" * 233, 5])
async def test_a_version_that_the_ledger_cannot_hold_is_none(store: memory.MemoryStore, token: Any) -> None:
    """The ledger would refuse the record of the write and end the run; so the store is what is refused."""

    async def write(key: str, value: SecretValue) -> Any:
        return token

    store.write = write  # type: ignore[method-assign]
    handle: Any = hand_out(store, "mem", Permissions.READ_WRITE)
    with pytest.raises(StoreError, match="returned from write what no write returns, of a"):
        await handle.write("a", SecretValue({"value": "x"}))


@pytest.mark.parametrize("permissions", Permissions)
async def test_what_is_missing_can_be_asked_whatever_is_permitted(
    store: memory.MemoryStore, permissions: Permissions
) -> None:
    """A store that tells what it would refuse does so behind every handle; others have no such method."""
    assert not isinstance(hand_out(store, "mem", permissions), AccessChecker)
    asked = [Access(Act.UPDATE, "a")]
    handle = hand_out(_Telling([Missing(asked[0], "update on a")]), "mem", permissions)
    assert isinstance(handle, AccessChecker)
    assert await handle.check_access(asked) == [Missing(asked[0], "update on a")]


@pytest.mark.parametrize(
    "given",
    [None, [Missing(Access(Act.UPDATE, "b"), "x")], [Missing(Access(Act.UPDATE, "a"), "two\nlines")], ["update"]],
    ids=["nothing", "not asked for", "two lines", "a text"],
)
async def test_what_is_missing_is_what_was_asked(store: memory.MemoryStore, given: Any) -> None:
    """A store that names something else as missing, or in another form, is told as a fault of the store."""
    handle: Any = hand_out(_Telling(given), "mem", Permissions.READ_WRITE)
    with pytest.raises(StoreError, match="returned from check_access what no check_access returns"):
        await handle.check_access([Access(Act.UPDATE, "a")])


class _Telling(memory.MemoryStore):
    """A store that tells what it would refuse."""

    def __init__(self, missing: Any) -> None:
        super().__init__(Shape.FIELDS, StoreContext("memory", CountingGate(), {}, 1))
        self._missing = missing

    async def check_access(self, wanted: Sequence[Access]) -> Any:
        return self._missing


async def test_refused_credentials_reach_the_gate(store: memory.MemoryStore) -> None:
    """A gate that can give up is told, by any method, that the store refuses our credentials, and of nothing else."""
    told: list[SecretSyncError] = []

    class Gate(CountingGate):
        def give_up(self, why: SecretSyncError) -> None:
            told.append(why)

    gate = Gate()
    handle: Any = hand_out(
        memory.MemoryStore(Shape.FIELDS, StoreContext("mem", gate, {}, 1)), "mem", Permissions.READ, gate
    )
    for error in (AccessDenied("no"), CredentialsRefused("expired")):
        gate.close(error)
        with pytest.raises(AccessDenied):
            await handle.read("a")
        with pytest.raises(AccessDenied):
            await anext(handle.list("", recursive=True, metadata=False))
    assert [each.message for each in told] == ["expired", "expired"]
