"""That versions tell every write, and that of two writers one wins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import re2

from secretsync_core.errors import Conflict, InvalidSecret, SecretNotFound, StoreError
from secretsync_core.model.inventory import display_version
from secretsync_core.model.versions import VersionOrder, is_older
from secretsync_core.stores.base import Deleter, Lister, Looker, Positioned, Reader, Store
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import (
    assert_holds,
    is_live,
    layout_of,
    list_all,
    list_keys,
    require_conditional_writer,
    require_creator,
    require_deleter,
    require_reader,
    require_writer,
    stat_all,
)
from secretsync_core.testing.samples import form, other_shape, sample

if TYPE_CHECKING:
    from secretsync_core.testing.gates import CountingGate


class VersionTests(ConformanceFixtures):
    """Versions, compare-and-set, and creating only what is absent."""

    async def test_versions_tell_every_write(self, store: Store) -> None:
        """Where versions are promised, each write gives a new one, also of an older value, also after a delete.

        Writing the very value that is there gives a new one too, unless facts.idle_writes says that it is no write.
        The engine never writes that, so either will do for it, but it must know.
        """
        writer, key = require_writer(store), layout_of(store)("a")
        tokens = []
        for number in (0, 0, 1, 0):
            tokens.append(await writer.write(key, sample(store.facts.shape, number)))
            tokens.append(await self._shown(store, key, tokens[-1]))
        if isinstance(store, Deleter):
            for _ in range(2):
                await store.delete(key)
                tokens.append(await writer.write(key, sample(store.facts.shape)))
                tokens.append(await self._shown(store, key, tokens[-1]))
        if not store.facts.versioned:
            assert set(tokens) == {None}, "facts.versioned is false, but there are versions"
            return
        written = tokens[::2]
        assert None not in written, "facts.versioned is true, but a write gives no version"
        if store.facts.idle_writes:
            assert written.pop(1) == written[0], "facts.idle_writes is true, but the same value made a new version"
        assert len(set(written)) == len(written), "a version was given twice"

    async def _shown(self, store: Store, key: str, token: str | None) -> str | None:
        """Give the version that the store shows, having checked that it shows the same everywhere."""
        if isinstance(store, Reader):
            assert (await store.read(key)).version == token
        if isinstance(store, Looker):
            assert (await stat_all(store, [key]))[key].version == token
        if isinstance(store, Lister):
            assert (await list_all(store))[key].version == token
        return token

    async def test_a_newer_version_never_looks_older(self, store: Store) -> None:
        """Where its versions have an order, what was written later is not the older one."""
        order = store.facts.version_order
        if order is VersionOrder.NONE:
            pytest.skip("the store's versions have no order")
        writer, key = require_writer(store), layout_of(store)("a")
        first, second = [await writer.write(key, sample(store.facts.shape, number)) for number in (0, 1)]
        assert not is_older(second, first, order), "facts.version_order takes the newer of two versions for the older"

    async def test_its_position_never_goes_back(self, store: Store, gate: CountingGate) -> None:
        """Where it tells how far its server has got: of one server, never less than before, and without a request."""
        if not isinstance(store, Positioned):
            pytest.skip("the store tells no position")
        writer, key = require_writer(store), layout_of(store)("a")
        await list_keys(store)
        first = await store.position()
        await writer.write(key, sample(store.facts.shape))
        await list_keys(store)
        asked = gate.total
        then = await store.position()
        assert gate.total == asked, "position() asks the server for something"
        if first is None or then is None:
            return
        assert first.server == then.server, "one server calls itself by two names"
        assert (first.highest or 0) <= (then.highest or 0), "a write made its position lower"
        assert then.lowest is None or (then.highest is not None and then.lowest <= then.highest)

    async def test_old_versions_can_be_pinned(self, store: Store) -> None:
        """A pin reads the version that it names, or raises; it never gives another one."""
        reader, writer, key = require_reader(store), require_writer(store), layout_of(store)("a")
        first = await writer.write(key, sample(store.facts.shape, 1))
        await writer.write(key, sample(store.facts.shape, 2))
        pins = store.facts.limits.pins
        if pins is None:
            with pytest.raises(StoreError):
                await reader.read(key, version="1")
            return
        pin = display_version(first)
        assert re2.fullmatch(pins, pin), "limits.pins does not match the version that people see"
        pinned = await reader.read(key, version=pin)
        assert form(pinned.value) == form(sample(store.facts.shape, 1))
        assert pinned.version is None or display_version(pinned.version) == pin
        if re2.fullmatch(pins, "999999"):
            with pytest.raises(SecretNotFound):
                await reader.read(key, version="999999")

    async def test_write_if_writes_only_what_was_seen(self, store: Store) -> None:
        """write_if writes where the version is the expected one, else raises Conflict and writes nothing."""
        writer, at = require_conditional_writer(store), layout_of(store)
        shape, key = store.facts.shape, at("a")
        of_another = await writer.write_if(at("b"), sample(shape), None)
        assert of_another is not None
        with pytest.raises(Conflict):
            await writer.write_if(key, sample(shape), of_another)
        assert not await is_live(store, key)
        first = await writer.write_if(key, sample(shape, 1), None)
        assert first is not None
        with pytest.raises(Conflict):
            await writer.write_if(key, sample(shape, 2), None)
        await assert_holds(store, key, sample(shape, 1))
        second = await writer.write_if(key, sample(shape, 2), first)
        with pytest.raises(Conflict):
            await writer.write_if(key, sample(shape, 3), first)
        secret = await assert_holds(store, key, sample(shape, 2))
        assert secret.version == second

    async def test_write_if_after_a_delete(self, store: Store) -> None:
        """A deleted secret that left an entry is written again by its version, and is not taken for a new one."""
        writer, deleter = require_conditional_writer(store), require_deleter(store)
        shape, key = store.facts.shape, layout_of(store)("a")
        stale = await writer.write_if(key, sample(shape, 0), None)
        first = await writer.write_if(key, sample(shape, 1), stale)
        await deleter.delete(key)
        with pytest.raises(Conflict):
            await writer.write_if(key, sample(shape, 2), stale)
        entry = (await stat_all(store, [key])).get(key)
        if entry is None:
            with pytest.raises(Conflict):
                await writer.write_if(key, sample(shape, 2), first)
        else:
            assert entry.deleted
            with pytest.raises(Conflict):
                await writer.write_if(key, sample(shape, 2), None)
        await writer.write_if(key, sample(shape, 3), entry.version if entry else None)
        await assert_holds(store, key, sample(shape, 3))

    @pytest.mark.parametrize("known", [False, True])
    async def test_of_two_writers_one_wins(self, store: Store, known: bool) -> None:
        """Of several write_if at once with one expectation exactly one writes, and the others raise Conflict."""
        writer = require_conditional_writer(store)
        shape, key = store.facts.shape, layout_of(store)("a")
        expected = await writer.write(key, sample(shape, 99)) if known else None
        results = await asyncio.gather(
            *(writer.write_if(key, sample(shape, number), expected) for number in range(5)), return_exceptions=True
        )
        winners = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
        assert len(winners) == 1
        assert all(isinstance(result, Conflict) for number, result in enumerate(results) if number != winners[0])
        await assert_holds(store, key, sample(shape, winners[0]))

    async def test_create_never_replaces(self, store: Store) -> None:
        """Create writes what is absent, and raises Conflict for what is there, which stays as it was."""
        creator, at = require_creator(store), layout_of(store)
        shape, key = store.facts.shape, at("a")
        token = await creator.create(key, sample(shape, 1))
        assert (token is not None) == store.facts.versioned
        with pytest.raises(Conflict):
            await creator.create(key, sample(shape, 2))
        await assert_holds(store, key, sample(shape, 1))
        with pytest.raises(InvalidSecret):
            await creator.create(at("b"), sample(other_shape(shape)))
        assert not await is_live(store, at("b"))

    async def test_create_after_a_delete(self, store: Store) -> None:
        """What was deleted may be created again."""
        creator, deleter, key = require_creator(store), require_deleter(store), layout_of(store)("a")
        await creator.create(key, sample(store.facts.shape, 1))
        await deleter.delete(key)
        await creator.create(key, sample(store.facts.shape, 2))
        await assert_holds(store, key, sample(store.facts.shape, 2))

    async def test_of_several_creators_one_wins(self, store: Store) -> None:
        """Of several creates at once exactly one writes, and the others raise Conflict."""
        creator = require_creator(store)
        shape, key = store.facts.shape, layout_of(store)("a")
        results = await asyncio.gather(
            *(creator.create(key, sample(shape, number)) for number in range(5)), return_exceptions=True
        )
        winners = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
        assert len(winners) == 1
        assert all(isinstance(result, Conflict) for number, result in enumerate(results) if number != winners[0])
        await assert_holds(store, key, sample(shape, winners[0]))
