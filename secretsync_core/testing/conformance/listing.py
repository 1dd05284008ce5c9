"""That a listing and a look show what is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import InvalidSecret
from secretsync_core.model.inventory import Entry
from secretsync_core.model.leftovers import Leftovers
from secretsync_core.selection import Exclusion, Rule, Selection, pattern_of
from secretsync_core.stores.base import Lister, Looker, SelectiveLister, ShowsFolders, Store, Sweeper, ToldOfLeftovers
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import (
    assert_holds,
    layout_of,
    list_all,
    list_keys,
    require_lister,
    require_looker,
    require_writer,
    stat_all,
)
from secretsync_core.testing.samples import sample

if TYPE_CHECKING:
    from secretsync_core.testing.conformance.helpers import Seed


class ListingTests(ConformanceFixtures):
    """Listing and looking."""

    async def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        """No secrets, no gaps, no errors: of the whole store, and of a folder that does not exist."""
        for prefix in ("", "missing/", "missing/below/"):
            for recursive in (True, False):
                assert not await list_all(store, prefix, recursive=recursive)

    async def test_listing_keeps_to_its_folder(self, store: Store, seed: Seed) -> None:
        """A listing gives what is below its folder and nothing else, all the way down only if asked."""
        require_lister(store)
        keys = sorted(map(layout_of(store), ("top", "a/1", "a/b/2", "a/b/c/3", "ab/4", "a-b/5", "z/a/6")))
        for key in keys:
            await seed(key, sample(store.facts.shape))
        for prefix in ("", "a/", "a/b/", "ab/", "z/", "top/", "root/"):
            below = [key for key in keys if key.startswith(prefix)]
            assert await list_keys(store, prefix) == below
            directly = [key for key in below if "/" not in key[len(prefix) :]]
            assert await list_keys(store, prefix, recursive=False) == directly

    async def test_selecting_gives_all_that_is_wanted(self, store: Store, seed: Seed) -> None:
        """Where a store lists only what is wanted, nothing that is wanted is left out, or given twice."""
        if not isinstance(store, SelectiveLister):
            pytest.skip("it lists whole folders, and what is not wanted is left out by whoever asks")
        keys = sorted(map(layout_of(store), ("top", "a/1", "a/b/2", "a/b/c/3", "ab/4", "a-b/5", "z/b/6")))
        for key in keys:
            await seed(key, sample(store.facts.shape))
        for glob in ("**", "*", "a/*", "*/b/**", "a*/?", "**/3", "*/b/2", "a/**/c/*", "missing/*/x"):
            for exclude in ((), ("a/b/c",), ("**/b/",)):
                wanted = Selection([Rule(pattern_of(glob, recursive=False), tuple(map(Exclusion, exclude)))])
                found = [each async for each in store.select(wanted, metadata=False)]
                assert all(isinstance(each, Entry) for each in found)
                taken = sorted(each.key for each in found if isinstance(each, Entry) and wanted.takes(each.key))
                assert taken == [key for key in keys if wanted.takes(key)]

    async def test_a_secret_may_share_its_name_with_a_folder(self, store: Store) -> None:
        """``a`` and ``a/b`` are both there, or the second is refused with InvalidSecret and the first unharmed."""
        writer = require_writer(store)
        if not {1, 2} <= set(layout_of(store).depths):
            pytest.skip("its keys stand in folders, or do not, and never both")
        await writer.write("a", sample(store.facts.shape, 1))
        try:
            await writer.write("a/b", sample(store.facts.shape, 2))
        except InvalidSecret:
            expected = ["a"]
        else:
            expected = ["a", "a/b"]
        for number, key in enumerate(expected, start=1):
            if isinstance(store, Looker):
                await assert_holds(store, key, sample(store.facts.shape, number))
        if isinstance(store, Lister):
            assert await list_keys(store) == expected

    async def test_folders_are_shown_by_a_listing(self, store: Store, seed: Seed) -> None:
        """A store that tells of folders does so after a listing of just their folder, and of no other."""
        if not isinstance(store, ShowsFolders):
            pytest.skip("the store does not tell of folders")
        at = layout_of(store)
        if 3 not in at.depths:
            pytest.skip("the store has no folders in folders")
        await seed(at("a/b/c"), sample(store.facts.shape))
        for prefix, shows in (("a/", True), ("a/b/", False), ("none/", False)):
            await list_all(store, prefix, recursive=False)
            assert await store.shows_folders(prefix) is shows

    async def test_a_sweep_takes_no_secret(self, store: Store, seed: Seed) -> None:
        """A store that removes what killed writers left finds nothing of that beside whole secrets, and leaves them."""
        if not isinstance(store, Sweeper):
            pytest.skip("the store sweeps nothing")
        keys = sorted(map(layout_of(store), ("a", "folder/b")))
        for number, key in enumerate(keys):
            await seed(key, sample(store.facts.shape, number))
        assert await store.sweep() == Leftovers()
        if isinstance(store, ToldOfLeftovers):
            assert await store.leftovers() == Leftovers()
        for number, key in enumerate(keys):
            if isinstance(store, Looker):
                await assert_holds(store, key, sample(store.facts.shape, number))

    async def test_many_secrets_are_listed_once_each(self, store: Store, seed: Seed) -> None:
        """Three hundred secrets in ten folders: none twice, none left out, over however many pages."""
        require_lister(store)
        keys = sorted(layout_of(store)(f"folder-{number % 10}/key-{number}") for number in range(300))
        for start in range(0, len(keys), 50):
            await asyncio.gather(*(seed(key, sample(store.facts.shape)) for key in keys[start : start + 50]))
        assert await list_keys(store) == keys
        if isinstance(store, Looker):
            assert sorted(await stat_all(store, keys)) == keys

    async def test_a_listing_may_be_left_early(self, store: Store, seed: Seed) -> None:
        """A listing that nobody reads to its end does not disturb the next one."""
        lister = require_lister(store)
        for number in range(5):
            await seed(layout_of(store)(f"a/{number}"), sample(store.facts.shape))
        async for _ in lister.list("", recursive=True, metadata=False):
            break
        lister.list("", recursive=True, metadata=False)  # and one that nobody even begins
        assert len(await list_keys(store)) == 5

    async def test_stat_leaves_out_what_is_absent(self, store: Store, seed: Seed) -> None:
        """stat gives each key that exists once and says nothing of the others."""
        require_looker(store)
        at = layout_of(store)
        for key in ("a/1", "a/2", "b"):
            await seed(at(key), sample(store.facts.shape))
        found = await stat_all(store, [at(key) for key in ("a/1", "b", "a/3", "c", "a/1/below")])
        assert sorted(found) == sorted((at("a/1"), at("b")))
        assert not any(entry.deleted for entry in found.values())
        assert not await stat_all(store, [])

    async def test_list_and_stat_agree(self, store: Store, seed: Seed) -> None:
        """A listing and a look at single keys give the same versions, with or without metadata."""
        require_looker(store)
        for key in ("a/1", "a/2", "b"):
            await seed(layout_of(store)(key), sample(store.facts.shape))
        listed = await list_all(store)
        with_metadata = await list_all(store, metadata=True)
        assert sorted(listed) == sorted(with_metadata)
        for key, entry in (await stat_all(store, list(listed))).items():
            assert entry.version == listed[key].version == with_metadata[key].version
            if store.facts.limits.custom_metadata:
                assert with_metadata[key].metadata is not None, "limits.custom_metadata, but none is listed"
