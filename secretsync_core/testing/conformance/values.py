"""That what was written is read, and what cannot be held is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
import re2

from secretsync_core.errors import InvalidSecret, SecretNotFound
from secretsync_core.model.capabilities import Shape
from secretsync_core.model.requests import LOOKS
from secretsync_core.secret import BINARY, TEXT, SecretValue
from secretsync_core.stores.base import ConditionalWriter, Lister, Looker, Store
from secretsync_core.testing.conformance.fixtures import ConformanceFixtures
from secretsync_core.testing.conformance.helpers import (
    LARGEST,
    OTHER,
    assert_holds,
    drain,
    error_of,
    is_live,
    layout_of,
    none_or_written,
    of_fields,
    require_foreseer,
    require_lister,
    require_reader,
    require_writer,
    text_of,
    token_of,
)
from secretsync_core.testing.samples import (
    BINARY_FIELDS,
    BLOBS,
    FIELD_NAMES,
    FIELDS,
    NUMBERS,
    from_text,
    other_shape,
    sample,
    samples_of,
    with_field,
)

if TYPE_CHECKING:
    from secretsync_core.secret import JsonValue
    from secretsync_core.stores.base import KindLister
    from secretsync_core.testing.conformance.helpers import Seed
    from secretsync_core.testing.gates import CountingGate


class ValueTests(ConformanceFixtures):
    """Reading and writing."""

    async def test_what_was_written_is_read(self, store: Store) -> None:
        """A secret comes back as it was written, and again after it was replaced."""
        writer, key = require_writer(store), layout_of(store)("a/b")
        for number in range(3):
            token = await writer.write(key, sample(store.facts.shape, number))
            secret = await assert_holds(store, key, sample(store.facts.shape, number))
            assert secret.version == token, "reading gives another version than writing gave"

    async def test_absent_is_not_found(self, store: Store, seed: Seed) -> None:
        """What is absent raises SecretNotFound: in an empty store, beside a secret, in another folder."""
        reader, at = require_reader(store), layout_of(store)
        for key in ("a", "a/b"):
            with pytest.raises(SecretNotFound):
                await reader.read(at(key))
        await seed(at("folder/key"), sample(store.facts.shape))
        for key in ("folder/ke", "folder/key2", "other/key", "key", "folder/key/below"):
            with pytest.raises(SecretNotFound):
                await reader.read(at(key))

    async def test_a_folder_is_not_a_secret(self, store: Store, seed: Seed) -> None:
        """Reading a folder is refused or finds nothing, and stat does not show it as a secret."""
        reader = require_reader(store)
        if layout_of(store).flat:
            pytest.skip("its keys have no folders")
        await seed(layout_of(store)("folder/key"), sample(store.facts.shape))
        with pytest.raises((SecretNotFound, InvalidSecret)):
            await reader.read("folder")
        entries, _ = await drain(reader.stat(["folder"]))
        assert not entries

    @pytest.mark.parametrize("name", sorted({*FIELDS, *BINARY_FIELDS, *BLOBS}))
    async def test_values_round_trip_or_are_refused(self, store: Store, name: str) -> None:
        """A value comes back exactly, types and all, or is refused with InvalidSecret and leaves nothing behind."""
        samples = samples_of(store.facts.shape)
        if name not in samples:
            pytest.skip("a value of another shape")
        await self._round_trip_or_refusal(store, samples[name])

    @pytest.mark.parametrize("name", sorted(NUMBERS))
    async def test_numbers_are_exact_or_refused(self, store: Store, name: str) -> None:
        """A number comes back as it was sent where the limits promise it; else as the same number, or it is refused."""
        if store.facts.shape is not Shape.FIELDS:
            pytest.skip("the store has no numbers")
        if store.facts.limits.text_only:
            with pytest.raises(InvalidSecret):
                await require_writer(store).write(layout_of(store)("a/value"), SecretValue({"number": NUMBERS[name]}))
            return
        kept = await self._round_trip_or_refusal(store, SecretValue({"number": NUMBERS[name]}))
        assert kept or not store.facts.limits.exact_numbers, f"limits.exact_numbers, but {name} is refused"

    @pytest.mark.parametrize("name", FIELD_NAMES)
    async def test_the_field_pattern_holds(self, store: Store, name: str) -> None:
        """A field whose name limits.field_pattern matches is kept, and one that it does not match is refused."""
        limits, shape = store.facts.limits, store.facts.shape
        if limits.field_pattern is None:
            pytest.skip("the store sets no rule for the names of fields")
        kept = await self._round_trip_or_refusal(store, with_field(shape, name))
        assert kept == (re2.fullmatch(limits.field_pattern, name) is not None)

    async def _round_trip_or_refusal(self, store: Store, value: SecretValue) -> bool:
        key = layout_of(store)("a/value")
        try:
            await require_writer(store).write(key, value)
        except InvalidSecret:
            if isinstance(store, (Looker, Lister)):
                assert not await is_live(store, key), "the value was refused, and something was written"
            return False
        await assert_holds(store, key, value)
        return True

    @pytest.mark.parametrize("kind", [TEXT, BINARY, "example.com/kind"])
    async def test_a_kind_is_kept_where_the_facts_say_so(self, store: Store, kind: str) -> None:
        """With ``facts.kinds`` a secret has the kind that it was written with, also after an update.

        Text is written, which bytes may be too.
        """
        shape = store.facts.shape
        if (shape is Shape.BLOB) is (kind not in (TEXT, BINARY)):
            pytest.skip("a kind of another shape")
        key, writer, reader = layout_of(store)("kind"), require_writer(store), require_reader(store)
        for number in range(2):
            await writer.write(key, SecretValue(sample(shape, number).reveal(), kind))
            found = (await reader.read(key)).value.kind
            assert found == kind or not store.facts.kinds

    async def test_a_listing_of_one_kind_has_no_others(self, store: Store) -> None:
        """With ``facts.limits.types`` a listing can be asked for one kind, and shows all of it and nothing else."""
        if not store.facts.limits.types:
            pytest.skip("no query selects by kind there")
        lister, at = cast("KindLister", require_lister(store)), layout_of(store)
        kinds = (TEXT, BINARY) if store.facts.shape is Shape.BLOB else ("example.com/kind", "example.com/kinds")
        for number, kind in enumerate(kinds):
            await require_writer(store).write(at(f"of-{number}"), SecretValue(sample(store.facts.shape).reveal(), kind))
        await require_writer(store).write(at("of-none"), sample(store.facts.shape))
        for number, kind in enumerate(kinds):
            entries, gaps = await drain(lister.list("", recursive=True, metadata=False, kind=kind))
            assert [entry.key for entry in entries] == [at(f"of-{number}")]
            assert not gaps
        entries, gaps = await drain(lister.list("", recursive=True, metadata=False, kind="example.com/no"))
        assert not entries
        assert not gaps

    async def test_the_other_shape_is_refused(self, store: Store) -> None:
        """Fields for a blob store, or a blob for a fields store, raise InvalidSecret and write nothing."""
        writer, at = require_writer(store), layout_of(store)
        for key in map(at, ("new", "known")):
            before = await none_or_written(writer, key)
            with pytest.raises(InvalidSecret):
                await writer.write(key, sample(other_shape(store.facts.shape)))
            if isinstance(store, ConditionalWriter):
                with pytest.raises(InvalidSecret):
                    await store.write_if(key, sample(other_shape(store.facts.shape)), before)
        await assert_holds(store, at("known"), sample(store.facts.shape))
        assert not await is_live(store, at("new"))

    async def test_what_it_would_refuse_is_foretold(self, store: Store) -> None:
        """``check_write`` raises what a write raises, with its text, and nothing for what a write takes.

        It may leave to the write what only the server knows, but not that a value has another shape.
        """
        foreseer, writer, at = require_foreseer(store), require_writer(store), layout_of(store)
        values = {**samples_of(store.facts.shape), OTHER: sample(other_shape(store.facts.shape))}
        await writer.write(at("known"), sample(store.facts.shape))
        for number, (name, value) in enumerate(values.items()):
            for key in map(at, (f"new-{number}", "known")):
                foretold = await error_of(foreseer.check_write(key, value, await token_of(store, key)))
                told = await error_of(writer.write(key, value))
                if foretold is not None or name == OTHER:
                    assert text_of(foretold) == text_of(told), f"{name}: {foretold!r}, and then {told!r}"

    async def test_to_foretell_changes_nothing(self, store: Store, gate: CountingGate) -> None:
        """``check_write`` writes nothing, deletes nothing, and makes no secret of what is absent."""
        foreseer, writer, at = require_foreseer(store), require_writer(store), layout_of(store)
        await writer.write(at("known"), sample(store.facts.shape))
        before = dict(gate.counts)
        for key in map(at, ("new", "known")):
            await foreseer.check_write(key, sample(store.facts.shape, 1), await token_of(store, key))
        changed = {kind for kind, count in gate.counts.items() if count != before.get(kind, 0)}
        assert not changed - LOOKS, "it makes more than looks"
        await assert_holds(store, at("known"), sample(store.facts.shape))
        assert not await is_live(store, at("new"))

    async def test_a_write_replaces_all_of_it(self, store: Store) -> None:
        """Fields of the value before do not survive a write."""
        if store.facts.shape is Shape.BLOB:
            pytest.skip("a blob is replaced whole by nature")
        one, two = (b"1", b"2") if store.facts.shape is Shape.BINARY_FIELDS else ("1", "2")
        writer, key = require_writer(store), layout_of(store)("a")
        await writer.write(key, SecretValue({"old": one, "both": one}))
        await writer.write(key, SecretValue({"both": two}))
        await assert_holds(store, key, SecretValue({"both": two}))

    async def test_values_are_copied(self, store: Store) -> None:
        """Changing what was handed in, or what was read, changes nothing in the store."""
        if store.facts.shape is not Shape.FIELDS or store.facts.limits.text_only:
            pytest.skip("bytes and texts cannot be changed")
        inner: list[JsonValue] = ["x"]
        mine, key = SecretValue({"list": inner}), layout_of(store)("a")
        await require_writer(store).write(key, mine)
        inner.append("changed")
        secret = await assert_holds(store, key, SecretValue({"list": ["x"]}))
        revealed = secret.value.reveal()
        assert isinstance(revealed, dict)
        revealed["list"] = "changed"
        await assert_holds(store, key, SecretValue({"list": ["x"]}))

    async def test_the_size_limit_holds(self, store: Store) -> None:
        """A secret beyond limits.max_bytes is refused with InvalidSecret, and what was there stays."""
        limit = store.facts.limits.max_bytes
        if limit is None or limit > LARGEST:
            pytest.skip("there is no limit that is small enough to try")
        writer, key = require_writer(store), layout_of(store)("a")
        await writer.write(key, sample(store.facts.shape))
        with pytest.raises(InvalidSecret):
            await writer.write(key, from_text(store.facts.shape, "x" * (limit + 1)))
        await assert_holds(store, key, sample(store.facts.shape))
        if store.facts.shape is not Shape.FIELDS:  # whose stored form is more than its text
            await writer.write(key, from_text(store.facts.shape, "x" * limit))
            await assert_holds(store, key, from_text(store.facts.shape, "x" * limit))

    async def test_the_field_limit_holds(self, store: Store) -> None:
        """A secret with more than limits.max_fields fields is refused with InvalidSecret; that many are kept."""
        limit = store.facts.limits.max_fields
        if limit is None or limit > 10_000 or store.facts.shape is Shape.BLOB:
            pytest.skip("there is no limit that is small enough to try")
        writer, key = require_writer(store), layout_of(store)("a")
        with pytest.raises(InvalidSecret):
            await writer.write(key, of_fields(store.facts.shape, limit + 1))
        most = of_fields(store.facts.shape, limit)
        await writer.write(key, most)
        await assert_holds(store, key, most)

    async def test_the_key_limit_holds(self, store: Store) -> None:
        """A key longer than limits.max_key_bytes is refused with InvalidSecret; one of that length is kept."""
        limit = store.facts.limits.max_key_bytes
        if limit is None or limit > 65_536:
            pytest.skip("there is no limit that is small enough to try")
        writer, longest = require_writer(store), layout_of(store).longest(limit)
        with pytest.raises(InvalidSecret):
            await writer.write(longest + "k", sample(store.facts.shape))
        await writer.write(longest, sample(store.facts.shape))
        await assert_holds(store, longest, sample(store.facts.shape))

    async def test_writes_to_different_keys_all_land(self, store: Store) -> None:
        """Fifty writes at once into few folders are all there afterwards, each with its own value."""
        writer = require_writer(store)
        shape = store.facts.shape
        keys = [layout_of(store)(f"f{n % 3}/k{n}") for n in range(50)]
        await asyncio.gather(*(writer.write(key, sample(shape, n)) for n, key in enumerate(keys)))
        await asyncio.gather(*(assert_holds(store, key, sample(shape, n)) for n, key in enumerate(keys)))
