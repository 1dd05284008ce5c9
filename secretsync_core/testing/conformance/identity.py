"""That a store is what it says, and stays so."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
import re2

from secretsync_core.model.capabilities import Ability, Shape, StoreFacts
from secretsync_core.model.place import is_place
from secretsync_core.stores.base import Store, StoreContext, abilities_of
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import (
    ITERATORS,
    METHODS,
    assert_holds,
    layout_of,
    require_looker,
    require_writer,
    stat_all,
)
from secretsync_core.testing.samples import sample

if TYPE_CHECKING:
    from secretsync_core.testing.conformance.helpers import Reopen, Seed


class IdentityTests(ConformanceFixtures):
    """What it is, and its end."""

    async def test_it_says_what_it_is(self, store: Store, context: StoreContext) -> None:
        """Its facts carry its name and its provider, and limits that can be applied."""
        assert isinstance(store, Store)
        facts = store.facts
        assert isinstance(facts, StoreFacts)
        assert facts.name == context.name
        assert facts.provider
        assert isinstance(facts.shape, Shape)
        for pattern in (facts.limits.key_pattern, facts.limits.reserved, facts.limits.field_pattern, facts.limits.pins):
            if pattern is not None:
                re2.compile(pattern)
        if facts.limits.key_pattern is not None:
            assert facts.limits.key_rule, "a key pattern needs words for the error"
        if facts.limits.field_pattern is not None:
            assert facts.limits.field_rule, "a field pattern needs words for the error"
        assert layout_of(store).depths, "limits.key_pattern allows no plain key, such as 'a' or 'a/b'"
        assert abilities_of(store), "it can do nothing"

    async def test_its_place_can_be_told(self, store: Store) -> None:
        """A place is printable, bounded, and shows no user and no credential."""
        place = store.facts.place
        if place is None:
            pytest.skip("the store does not say where it is")
        assert is_place(place), "a place is four printable texts, 2,000 characters in all"
        assert place.service, "a place without a service is like any other without one"
        assert "@" not in place.server, "the server's address shows a user"
        assert "@" not in place.identity, "the server's identity shows a user"

    async def test_its_place_stays_the_same(self, store: Store, reopen: Reopen | None) -> None:
        """Opened again, it is at the same place: what the ledger knows of it hangs on that."""
        if reopen is None:
            pytest.skip("the subclass does not reopen")
        again = await reopen()
        try:
            assert again.facts.place == store.facts.place
        finally:
            await again.aclose()

    async def test_a_part_of_it_is_within_its_place(self, store: Store, inner: Store | None) -> None:
        """What is written through a part of it has there the key that the two places say."""
        if inner is None:
            pytest.skip("the subclass gives no part of it")
        whole, part = store.facts.place, inner.facts.place
        assert whole is not None
        assert part is not None
        assert whole.overlaps(part)
        assert not whole.is_same(part)
        key, value = layout_of(inner)("a/part"), sample(store.facts.shape)
        await require_writer(inner).write(key, value)
        outer = whole.key_at(part, key)
        assert outer is not None, "the part's keys are not within the whole"
        await assert_holds(store, outer, value)
        assert part.key_at(whole, outer) == key
        assert part.key_at(whole, layout_of(store)("beside")) is None

    async def test_it_can_do_what_is_promised_and_no_more(self, store: Store) -> None:
        """Its abilities are those that the subclass names."""
        if self.abilities is None:
            pytest.skip("the subclass does not say what the store is meant to do")
        implied = {Ability.LOOK} if Ability.READ in self.abilities else set[Ability]()
        assert abilities_of(store) == self.abilities | implied

    async def test_no_ability_is_half_there(self, store: Store) -> None:
        """Each ability has all its methods of the right kind, or none: half of one is invisible to the engine."""
        abilities = abilities_of(store)
        for ability, methods in METHODS.items():
            own = methods[-1] if ability in (Ability.COMPARE_AND_SET, Ability.CREATE) else methods[0]
            if hasattr(store, own):
                assert ability in abilities, f"it has a part of {ability}, but not all of {', '.join(methods)}"
        for name in {name for ability in abilities for name in METHODS[ability]}:
            # An iterator's method gives the iterator at once; everything else is awaited.
            is_coroutine = inspect.iscoroutinefunction(getattr(store, name))
            assert not (is_coroutine and name in ITERATORS), f"{name} must give an async iterator without await"

    async def test_it_can_be_closed_twice(self, store: Store) -> None:
        """A second aclose does nothing and raises nothing."""
        await store.aclose()
        await store.aclose()

    async def test_what_was_written_is_there_when_opened_again(
        self, store: Store, seed: Seed, reopen: Reopen | None
    ) -> None:
        """Another handle on the same data reads the same value at the same version."""
        if reopen is None:
            pytest.skip("the subclass does not reopen")
        require_looker(store)
        key = layout_of(store)("a/b")
        await seed(key, sample(store.facts.shape))
        before = await stat_all(store, [key])
        await store.aclose()
        again = await reopen()
        try:
            await assert_holds(again, key, sample(store.facts.shape))
            assert await stat_all(again, [key]) == before
        finally:
            await again.aclose()
