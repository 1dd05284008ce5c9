"""Marks, and what else stands beside values."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import Conflict, SecretNotFound
from secretsync_core.model.inventory import Entry
from secretsync_core.model.metadata import Slot
from secretsync_core.stores.base import ConditionalWriter, Creator, Recreator, Store
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import (
    MARK,
    assert_holds,
    describe_all,
    is_live,
    layout_of,
    require_deleter,
    require_describer,
    require_looker,
    require_marker,
    require_metadata_writer,
    require_writer,
    slot_for,
    stat_all,
)
from secretsync_core.testing.samples import sample

if TYPE_CHECKING:
    from secretsync_core.testing.conformance.helpers import Seed


class MetadataTests(ConformanceFixtures):
    """Marks and metadata."""

    async def test_what_it_creates_carries_the_mark(self, store: Store, marked: Store | None) -> None:
        """Opened with a mark, a store puts it on what it creates by any way of writing, and keeps it on a rewrite."""
        require_marker(store)
        store = marked if marked is not None else pytest.fail("give a fixture named 'marked'")
        marker, writer = require_marker(store), require_writer(store)
        shape = store.facts.shape
        first, second, third, absent = map(layout_of(store), ("by-write", "by-write-if", "by-create", "absent"))
        keys = [first]
        await writer.write(first, sample(shape))
        if isinstance(store, ConditionalWriter):
            await store.write_if(second, sample(shape), None)
            keys.append(second)
        if isinstance(store, Creator):
            await store.create(third, sample(shape))
            keys.append(third)
        assert await marker.marks([*keys, absent]) == dict.fromkeys(keys, MARK)
        await writer.write(first, sample(shape, 1))
        assert await marker.marks([first]) == {first: MARK}
        assert await marker.marks([]) == {}

    async def test_what_it_creates_in_place_of_a_deleted_secret_carries_the_mark(
        self, store: Store, marked: Store | None
    ) -> None:
        """Whatever a key has been through: what is created there is marked, by every way of writing."""
        require_marker(store)
        again = marked if marked is not None else pytest.fail("give a fixture named 'marked'")
        marker, writer, shape = require_marker(again), require_writer(again), store.facts.shape
        first, second = map(layout_of(store), ("by-write", "by-recreate"))
        for key in (first, second):
            await require_writer(store).write(key, sample(shape))
            await require_deleter(store).delete(key)
        await writer.write(first, sample(shape, 1))
        keys = [first]
        if isinstance(again, ConditionalWriter):
            entries = [entry async for entry in require_looker(again).stat([second]) if isinstance(entry, Entry)]
            expected = entries[0].version if entries else None
            if isinstance(again, Recreator) and expected is not None:
                await again.recreate(second, sample(shape, 1), expected)
            else:
                await again.write_if(second, sample(shape, 1), expected)
            keys.append(second)
        assert await marker.marks(keys) == dict.fromkeys(keys, MARK)

    async def test_what_others_created_is_marked_only_on_demand(self, store: Store, marked: Store | None) -> None:
        """A secret that came without a mark is not marked by a write, only by mark(), which refuses what is absent."""
        require_marker(store)
        theirs = marked if marked is not None else pytest.fail("give a fixture named 'marked'")
        marker, key = require_marker(theirs), layout_of(store)("a")
        await require_writer(store).write(key, sample(store.facts.shape))
        await require_writer(theirs).write(key, sample(store.facts.shape, 1))
        assert await marker.marks([key]) == {}
        await marker.mark(key)
        assert await marker.marks([key]) == {key: MARK}
        await assert_holds(store, key, sample(store.facts.shape, 1))
        with pytest.raises(SecretNotFound):
            await marker.mark(layout_of(store)("absent"))

    async def test_describe_and_stat_agree(self, store: Store, seed: Seed) -> None:
        """A look at what stands beside values gives the versions that stat gives, and metadata for each."""
        at = layout_of(store)
        require_describer(store)
        for key in ("a/1", "b"):
            await seed(at(key), sample(store.facts.shape))
        keys = [at(key) for key in ("a/1", "b", "c")]
        found = await describe_all(store, keys)
        assert {key: entry.version for key, entry in found.items()} == {
            key: entry.version for key, entry in (await stat_all(store, keys)).items()
        }
        assert all(entry.metadata is not None for entry in found.values())
        assert not await describe_all(store, [])

    async def test_set_metadata_sets_what_is_asked_and_no_more(self, store: Store) -> None:
        """Metadata is set piece by piece; other pieces and the value stay, and the token that it gives is shown."""
        writer, shape, key = require_metadata_writer(store), store.facts.shape, layout_of(store)("a")
        version = await require_writer(store).write(key, sample(shape))
        for wanted in ({"team": "one"}, {"env": "test"}, {"team": "two"}):
            pieces = {slot_for(store, name): text for name, text in wanted.items()}
            version = await writer.set_metadata(key, pieces, version)
        entry = (await describe_all(store, [key]))[key]
        assert {name: (entry.metadata or {}).get(name) for name in ("team", "env")} == {"team": "two", "env": "test"}
        assert entry.version == version == (await stat_all(store, [key]))[key].version
        await assert_holds(store, key, sample(shape))

    async def test_what_its_document_asks_for_is_set(self, store: Store) -> None:
        """All that ``facts.metadata.asked`` wants can be set at once, is shown then, and leaves the value as it is."""
        writer, shape, key = require_metadata_writer(store), store.facts.shape, layout_of(store)("a")
        asked = store.facts.metadata.asked
        if not asked:
            pytest.skip("its document asks for nothing")
        version = await writer.set_metadata(key, asked, await require_writer(store).write(key, sample(shape)))
        entry = (await describe_all(store, [key]))[key]
        main = next(iter(store.facts.metadata.rules), None)
        shown = {Slot(main, name): text for name, text in (entry.metadata or {}).items()} if main else {}
        assert {**shown, **(entry.notes or {})}.items() >= asked.items()
        assert entry.version == version
        await assert_holds(store, key, sample(shape))

    async def test_set_metadata_refuses_what_is_not_there(self, store: Store) -> None:
        """An absent secret is SecretNotFound, and is not there afterwards either."""
        writer, key = require_metadata_writer(store), layout_of(store)("absent")
        with pytest.raises(SecretNotFound):
            await writer.set_metadata(key, {slot_for(store, "team"): "one"}, None)
        assert not await is_live(store, key)

    async def test_set_metadata_hides_no_other_write(self, store: Store) -> None:
        """Where somebody has written the value meanwhile, it raises Conflict or gives the token that was passed."""
        writer, shape, key = require_metadata_writer(store), store.facts.shape, layout_of(store)("a")
        seen = await require_writer(store).write(key, sample(shape))
        await require_writer(store).write(key, sample(shape, 1))
        with contextlib.suppress(Conflict):
            assert await writer.set_metadata(key, {slot_for(store, "team"): "one"}, seen) == seen
        await assert_holds(store, key, sample(shape, 1))
