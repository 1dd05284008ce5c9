"""That odd keys are kept or refused, and what is no key touches nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import re2

from secretsync_core.errors import InvalidSecret, SecretNotFound
from secretsync_core.stores.base import ConditionalWriter, Deleter, Lister, Looker, Reader, Store, Writer
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import (
    assert_holds,
    drain,
    is_live,
    layout_of,
    list_all,
    list_keys,
    require_writer,
    stat_all,
)
from secretsync_core.testing.samples import ESCAPES, ODD_KEYS, sample

if TYPE_CHECKING:
    from secretsync_core.testing.conformance.helpers import Seed


class KeyTests(ConformanceFixtures):
    """Keys."""

    @pytest.mark.parametrize("key", ODD_KEYS)
    async def test_odd_keys_round_trip_or_are_refused(self, store: Store, key: str) -> None:
        """A key is kept letter by letter where the limits allow it, else refused with InvalidSecret."""
        writer = require_writer(store)
        value = sample(store.facts.shape)
        allowed = layout_of(store).allows(key)
        try:
            await writer.write(key, value)
        except InvalidSecret:
            assert not allowed, "the limits allow a key that is refused"
            if isinstance(store, Lister):
                assert not await list_all(store), "the key was refused, and something was written"
            return
        assert allowed, "the limits do not allow a key that is kept"
        if isinstance(store, Looker):
            await assert_holds(store, key, value)
            assert list(await stat_all(store, [key])) == [key]
        if isinstance(store, Lister):
            assert list(await list_all(store)) == [key]
            folder = key[: key.rfind("/") + 1]
            assert list(await list_all(store, folder, recursive=False)) == [key]
        if isinstance(store, Deleter):
            await store.delete(key)
            if isinstance(store, (Looker, Lister)):
                assert not await is_live(store, key)

    @pytest.mark.parametrize("key", ESCAPES)
    async def test_keys_that_are_none_touch_nothing(self, store: Store, seed: Seed, key: str) -> None:
        """Keys with empty segments, ``.``, ``..`` or NUL are refused, and no secret is read, changed or deleted."""
        value, other = sample(store.facts.shape), sample(store.facts.shape, 1)
        witnesses = [layout_of(store)(witness) for witness in ("witness", "folder/witness")]
        for witness in witnesses:
            await seed(witness, value)
        if isinstance(store, Writer):
            with pytest.raises(InvalidSecret):
                await store.write(key, other)
        if isinstance(store, ConditionalWriter):
            with pytest.raises(InvalidSecret):
                await store.write_if(key, other, None)
        if isinstance(store, Reader):
            with pytest.raises((InvalidSecret, SecretNotFound)):
                await store.read(key)
        if isinstance(store, Looker):
            entries, _ = await drain(store.stat([key]))
            assert not entries
        if isinstance(store, Deleter):
            with pytest.raises(InvalidSecret):
                await store.delete(key)
        if isinstance(store, Looker):
            for witness in witnesses:
                await assert_holds(store, witness, value)
        if isinstance(store, Lister):
            assert await list_keys(store) == sorted(witnesses)
        pattern = store.facts.limits.key_pattern
        assert pattern is None or not re2.fullmatch(pattern, key), "limits.key_pattern allows it"
