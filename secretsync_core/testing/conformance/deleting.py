"""That only what was seen is deleted, and comes back as it was."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import Conflict, InvalidSecret, SecretNotFound, StoreUnavailable
from secretsync_core.stores.base import ConditionalDeleter, Reader, Store
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import (
    assert_holds,
    is_live,
    layout_of,
    require_deleter,
    require_undeleter,
    require_writer,
    stat_all,
)
from secretsync_core.testing.samples import sample

if TYPE_CHECKING:
    from secretsync_core.testing.conformance.helpers import Seed
    from secretsync_core.testing.gates import CountingGate


class DeleteTests(ConformanceFixtures):
    """Deleting, and bringing back."""

    async def test_what_was_deleted_is_gone(self, store: Store, seed: Seed) -> None:
        """A deleted secret reads as absent and shows as deleted or not at all; its neighbours stay."""
        deleter, at = require_deleter(store), layout_of(store)
        gone, neighbours = at("a/b"), [at(key) for key in ("a/bc", "a/c", "b", "a/d/e")]
        for key in (gone, *neighbours):
            await seed(key, sample(store.facts.shape))
        await deleter.delete(gone)
        assert not await is_live(store, gone)
        if isinstance(store, Reader):
            with pytest.raises(SecretNotFound):
                await store.read(gone)
        for key in neighbours:
            assert await is_live(store, key)

    async def test_deleting_what_is_absent_is_fine(self, store: Store, seed: Seed) -> None:
        """A second delete, and one of what never was, do nothing and raise nothing."""
        deleter, at = require_deleter(store), layout_of(store)
        await seed(at("a/b"), sample(store.facts.shape))
        await seed(at("c"), sample(store.facts.shape))
        for key in ("a/b", "a/b", "never", "a/never", "c/never", "never/at/all"):
            await deleter.delete(at(key))
        assert await is_live(store, at("c"))
        assert not await is_live(store, at("never"))

    async def test_only_what_was_seen_is_deleted(self, store: Store) -> None:
        """``delete_if`` of a version that was replaced leaves what replaced it, and deletes the current one."""
        deleter = store if isinstance(store, ConditionalDeleter) else pytest.skip("the store deletes what is there")
        shape, key, writer = store.facts.shape, layout_of(store)("a"), require_writer(store)
        assert store.facts.versioned, "there is nothing to compare"
        seen = await writer.write(key, sample(shape))
        now = await writer.write(key, sample(shape, 1))
        assert seen is not None
        assert now is not None
        with contextlib.suppress(Conflict):
            await deleter.delete_if(key, seen)
        await assert_holds(store, key, sample(shape, 1))
        await deleter.delete_if(key, now)
        assert not await is_live(store, key)
        await deleter.delete_if(key, now)  # absent already, which is no error

    async def test_a_folder_is_not_deleted_by_its_name(self, store: Store, seed: Seed) -> None:
        """Deleting ``a`` is refused or does nothing while only ``a/b`` exists."""
        deleter, key = require_deleter(store), layout_of(store)("a/b")
        await seed(key, sample(store.facts.shape))
        with contextlib.suppress(InvalidSecret):
            await deleter.delete("a")
        assert await is_live(store, key)

    async def test_a_deleted_secret_can_be_written_again(self, store: Store) -> None:
        """After a delete the same key takes a new value."""
        deleter, writer, key = require_deleter(store), require_writer(store), layout_of(store)("a/b")
        await writer.write(key, sample(store.facts.shape, 1))
        await deleter.delete(key)
        await writer.write(key, sample(store.facts.shape, 2))
        await assert_holds(store, key, sample(store.facts.shape, 2))
        assert await is_live(store, key)

    async def _deleted(self, store: Store, key: str) -> str:
        """Write a secret twice and delete it; gives the version that it was left at."""
        writer, deleter = require_writer(store), require_deleter(store)
        await writer.write(key, sample(store.facts.shape, 1))
        version = await writer.write(key, sample(store.facts.shape, 2))
        assert version is not None, "a store without versions cannot tell what it brings back"
        await deleter.delete(key)
        assert not await is_live(store, key)
        return version

    async def test_what_was_deleted_comes_back_as_it_was(self, store: Store) -> None:
        """undelete brings back the last value at its version; a look at whether it would changes nothing."""
        undeleter, key = require_undeleter(store), layout_of(store)("a/b")
        version = await self._deleted(store, key)
        await undeleter.check_undelete(key, version)
        assert not await is_live(store, key), "check_undelete has brought it back"
        assert await undeleter.undelete(key, version) == version
        secret = await assert_holds(store, key, sample(store.facts.shape, 2))
        assert secret.version == version
        entry = (await stat_all(store, [key]))[key]
        assert (entry.version, entry.deleted) == (version, False)

    async def test_undelete_brings_back_only_what_was_seen(self, store: Store) -> None:
        """What is not deleted, was written since, or was never there is neither brought back nor touched."""
        undeleter, writer, at = require_undeleter(store), require_writer(store), layout_of(store)
        shape, key = store.facts.shape, at("a")
        version = await self._deleted(store, key)
        other = await writer.write(at("b"), sample(shape, 3))
        assert other is not None
        for undelete in (undeleter.check_undelete, undeleter.undelete):
            with pytest.raises(Conflict):
                await undelete(key, other)
            with pytest.raises(SecretNotFound):
                await undelete(at("never"), version)
            with pytest.raises(Conflict):
                await undelete(at("b"), other)
        assert not await is_live(store, key)
        await writer.write(key, sample(shape, 3))
        for undelete in (undeleter.check_undelete, undeleter.undelete):
            with pytest.raises(Conflict):
                await undelete(key, version)
        await assert_holds(store, key, sample(shape, 3))

    async def test_undelete_passes_the_gate(self, store: Store, gate: CountingGate) -> None:
        """Bringing back, and the look before it, are counted by the gate, and what the gate raises comes through."""
        undeleter, key = require_undeleter(store), layout_of(store)("a")
        version = await self._deleted(store, key)
        for undelete in (undeleter.check_undelete, undeleter.undelete):
            gate.close(StoreUnavailable("down"))
            with pytest.raises(StoreUnavailable):
                await undelete(key, version)
            gate.reopen()
            before = gate.total
            await undelete(key, version)
            assert gate.total > before, "it makes no request through the gate"
