"""The suite that every store must pass. Subclass it, give it a store, and run pytest:

::

    class TestMyStore(StoreConformance):
        abilities = frozenset({Ability.READ, Ability.LIST, Ability.WRITE, Ability.DELETE})

        @pytest_asyncio.fixture
        async def store(self, context):
            store = await open_store(MyConfig(...), context)   # opened with the suite's context, and empty
            yield store
            await store.aclose()

Tests of what a store cannot do are skipped; which those are is read off the store, and ``abilities`` says what they
should be, so that a method with a wrong name does not pass for an ability that was never meant. So is where its keys
can stand (see :mod:`~secretsync_core.testing.layouts`): in a store without folders ``a/b`` becomes ``a-b``. Limits that
promise more than the store keeps, or less, fail the tests of odd keys and of the names of fields.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import traceback
from typing import TYPE_CHECKING, ClassVar, TypeAlias, cast

import pytest
import re2

from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    RateLimited,
    SecretNotFound,
    SecretSyncError,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.model.access import Access, Act, Missing
from secretsync_core.model.capabilities import Ability, Permissions, Shape, StoreFacts
from secretsync_core.model.inventory import Entry, Gap, display_version
from secretsync_core.model.leftovers import Leftovers
from secretsync_core.model.metadata import Slot
from secretsync_core.model.place import is_place
from secretsync_core.model.versions import VersionOrder, is_older
from secretsync_core.secret import BINARY, TEXT, Secret, SecretValue
from secretsync_core.selection import Exclusion, Rule, Selection, pattern_of
from secretsync_core.stores.base import (
    AccessChecker,
    ConditionalDeleter,
    ConditionalWriter,
    Creator,
    Deleter,
    Describer,
    Foreseer,
    Lister,
    Looker,
    Marker,
    MetadataWriter,
    Positioned,
    Reader,
    Recreator,
    SelectiveLister,
    ShowsFolders,
    Store,
    StoreContext,
    Sweeper,
    ToldOfLeftovers,
    Undeleter,
    Writer,
    abilities_of,
)
from secretsync_core.stores.handle import hand_out
from secretsync_core.testing.canaries import canary, find_in
from secretsync_core.testing.gates import CountingGate, GateClosed
from secretsync_core.testing.layouts import Layout
from secretsync_core.testing.samples import (
    BINARY_FIELDS,
    BLOBS,
    ESCAPES,
    FIELD_NAMES,
    FIELDS,
    NUMBERS,
    ODD_KEYS,
    form,
    from_text,
    other_shape,
    sample,
    samples_of,
    with_field,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
    from contextlib import AbstractAsyncContextManager

    from secretsync_core.secret import JsonValue
    from secretsync_core.stores.base import KindLister

    Seed: TypeAlias = Callable[[str, SecretValue], Awaitable[object]]
    Reopen: TypeAlias = Callable[[], Awaitable[Store]]
    Fault: TypeAlias = Callable[[str], AbstractAsyncContextManager[None]]

MARK = "under-test.0123456789abcdef"
"""The mark that the fixture ``marked`` is to open its store with."""

OTHER = "of another shape"

LARGEST = 8 * 1024 * 1024
"""Limits up to this many bytes are tested by writing that much."""

_METHODS: Mapping[Ability, tuple[str, ...]] = {
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
_ITERATORS = frozenset({"stat", "list", "describe"})


def _reader(store: Store) -> Reader:
    return store if isinstance(store, Reader) else pytest.skip("the store does not read")


def _looker(store: Store) -> Looker:
    return store if isinstance(store, Looker) else pytest.skip("the store shows no single secret")


def _lister(store: Store) -> Lister:
    return store if isinstance(store, Lister) else pytest.skip("the store does not list")


def _writer(store: Store) -> Writer:
    return store if isinstance(store, Writer) else pytest.skip("the store does not write")


def _conditional(store: Store) -> ConditionalWriter:
    return store if isinstance(store, ConditionalWriter) else pytest.skip("the store does not compare and set")


def _creator(store: Store) -> Creator:
    return store if isinstance(store, Creator) else pytest.skip("the store does not create only what is absent")


def _marker(store: Store) -> Marker:
    return store if isinstance(store, Marker) else pytest.skip("the store has no marks")


def _deleter(store: Store) -> Deleter:
    return store if isinstance(store, Deleter) else pytest.skip("the store does not delete")


def _undeleter(store: Store) -> Undeleter:
    return store if isinstance(store, Undeleter) else pytest.skip("the store keeps nothing that was deleted")


def _describer(store: Store) -> Describer:
    return store if isinstance(store, Describer) else pytest.skip("the store tells nothing beside values")


def _metadata_writer(store: Store) -> MetadataWriter:
    return store if isinstance(store, MetadataWriter) else pytest.skip("the store sets nothing beside values")


async def _described(store: Store, keys: Collection[str]) -> dict[str, Entry]:
    """What stands beside the values of those of ``keys`` that exist."""
    entries, gaps = await _drain(_describer(store).describe(keys))
    assert not gaps
    return {entry.key: entry for entry in entries}


def _piece(store: Store, name: str) -> Slot:
    """A piece of metadata of the kind that the store takes first."""
    facts = store.facts.metadata
    if not facts.rules and facts.asked:
        pytest.skip("its secrets have settings alone")
    kind = next(iter(facts.rules), None)
    return (
        pytest.fail("facts.metadata.rules is empty, and the store sets metadata") if kind is None else Slot(kind, name)
    )


def _checker(store: Store) -> AccessChecker:
    return store if isinstance(store, AccessChecker) else pytest.skip("the store does not say what it would permit")


def _foreseer(store: Store) -> Foreseer:
    return store if isinstance(store, Foreseer) else pytest.skip("the store foretells nothing")


_LOOKS = frozenset({"read", "read-many", "stat", "list", "tags", "login"})


async def _token(store: Store, key: str) -> str | None:
    """The version token of a secret that is there; None also where the store has none."""
    seen = [each async for each in store.stat([key])] if isinstance(store, Looker) else []
    return next((each.version for each in seen if isinstance(each, Entry) and not each.deleted), None)


async def _raised(call: Awaitable[object]) -> SecretSyncError | None:
    try:
        await call
    except SecretSyncError as error:
        return error
    return None


def _text(error: SecretSyncError | None) -> tuple[str, str, str] | None:
    return None if error is None else (error.code, error.message, error.hint)


def _at(store: Store) -> Layout:
    """What the keys of this suite are in this store: ``_at(store)("a/b")``."""
    return Layout(store.facts.limits)


async def _drain(found: AsyncIterator[Entry | Gap]) -> tuple[list[Entry], list[Gap]]:
    entries: list[Entry] = []
    gaps: list[Gap] = []
    async for each in found:
        if isinstance(each, Entry):
            entries.append(each)
        else:
            assert isinstance(each, Gap), f"neither an Entry nor a Gap: {type(each).__name__}"
            gaps.append(each)
    return entries, gaps


async def _list(store: Store, prefix: str = "", *, recursive: bool = True, metadata: bool = False) -> dict[str, Entry]:
    """List entries by key, deleted ones too; fails where one comes twice or something cannot be seen."""
    entries, gaps = await _drain(_lister(store).list(prefix, recursive=recursive, metadata=metadata))
    assert not gaps, f"the listing has gaps: {gaps}"
    by_key = {entry.key: entry for entry in entries}
    assert len(by_key) == len(entries), "the listing gives a key twice"
    return by_key


async def _keys(store: Store, prefix: str = "", *, recursive: bool = True) -> list[str]:
    """List the keys that hold something."""
    return sorted(k for k, entry in (await _list(store, prefix, recursive=recursive)).items() if not entry.deleted)


async def _stat(store: Store, keys: Collection[str]) -> dict[str, Entry]:
    entries, gaps = await _drain(_looker(store).stat(keys))
    assert not gaps, f"stat has gaps: {gaps}"
    by_key = {entry.key: entry for entry in entries}
    assert len(by_key) == len(entries), "stat gives a key twice"
    return by_key


async def _live(store: Store, key: str) -> bool:
    """Whether the store says that the key holds something, by every way that it can say so."""
    seen = []
    if isinstance(store, Looker):
        entry = (await _stat(store, [key])).get(key)
        seen.append(entry is not None and not entry.deleted)
    if isinstance(store, Lister):
        seen.append(key in await _keys(store))
    if not seen:
        pytest.skip("the store shows nothing")
    assert len(set(seen)) == 1, f"stat and list differ about {key!r}"
    return seen[0]


async def _assert_holds(store: Store, key: str, value: SecretValue) -> Secret:
    """The secret, having checked its value; of a store that shows no values only that it is there."""
    if isinstance(store, Looker) and not isinstance(store, Reader):
        entry = (await _stat(store, [key])).get(key)
        assert entry is not None, f"{key!r} is not there"
        assert not entry.deleted, f"{key!r} is deleted"
        return Secret(value, entry.version)
    secret = await _reader(store).read(key)
    assert isinstance(secret, Secret)
    assert isinstance(secret.value, SecretValue)
    exact = store.facts.limits.exact_numbers
    same = form(secret.value, exact_numbers=exact) == form(value, exact_numbers=exact)
    assert same, f"{key!r} does not hold what was written"  # without the values: they would stand in the report
    return secret


class StoreConformance:
    """The tests. See the module for how to use it.

    Attributes:
        abilities: what the store is meant to do; ``None`` leaves that untested.
    """

    pytestmark: ClassVar = [pytest.mark.asyncio]
    abilities: ClassVar[frozenset[Ability] | None] = None

    # -- what a subclass may give

    @pytest.fixture
    def gate(self) -> CountingGate:
        """The gate of ``context``."""
        return CountingGate()

    @pytest.fixture
    def context(self, gate: CountingGate) -> StoreContext:
        """What the store under test is to be opened with."""
        return StoreContext(name="under-test", gate=gate, environ=os.environ, concurrency=8)

    @pytest.fixture
    def store(self) -> Store:
        """An open, empty store. Every subclass gives its own."""
        return pytest.fail("give a fixture named 'store': an empty store, opened with 'context'")

    @pytest.fixture
    def seed(self, store: Store) -> Seed:
        """Puts a secret there; to be replaced where the store itself does not write."""
        return _writer(store).write

    @pytest.fixture
    def reopen(self) -> Reopen | None:
        """``await reopen()`` opens the same data again; ``None``: the store cannot be opened twice."""
        return None

    @pytest.fixture
    def inner(self) -> Store | None:
        """A store on a part of the data of ``store``, opened with ``context``: a folder in it, say. ``None``: no part.

        A secret that is written through it is then one of ``store``'s, under the key that the two places say.
        """
        return None

    @pytest.fixture
    def marked_context(self, gate: CountingGate) -> StoreContext:
        """What a store that is to mark what it creates is opened with."""
        return StoreContext("under-test", gate, os.environ, 8, mark=MARK, mark_at_a_cost=True)

    @pytest.fixture
    def marked(self) -> Store | None:
        """Another handle on the data of ``store``, opened with ``marked_context``; ``None``: there are no marks."""
        return None

    @pytest.fixture
    def read_only(self) -> Store | None:
        """Another handle on the data of ``store``, whose credentials may list, look and read, and no more.

        For stores with ``check_access``. ``None``: such credentials are not to be had.
        """
        return None

    @pytest.fixture
    def faults(self) -> Mapping[type[StoreError], Fault]:
        """For errors that a test can bring about, ``async with faults[AccessDenied](key):`` does so for that key."""
        return {}

    # -- what it is

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
        assert _at(store).depths, "limits.key_pattern allows no plain key, such as 'a' or 'a/b'"
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
        key, value = _at(inner)("a/part"), sample(store.facts.shape)
        await _writer(inner).write(key, value)
        outer = whole.key_at(part, key)
        assert outer is not None, "the part's keys are not within the whole"
        await _assert_holds(store, outer, value)
        assert part.key_at(whole, outer) == key
        assert part.key_at(whole, _at(store)("beside")) is None

    async def test_it_can_do_what_is_promised_and_no_more(self, store: Store) -> None:
        """Its abilities are those that the subclass names."""
        if self.abilities is None:
            pytest.skip("the subclass does not say what the store is meant to do")
        implied = {Ability.LOOK} if Ability.READ in self.abilities else set[Ability]()
        assert abilities_of(store) == self.abilities | implied

    async def test_no_ability_is_half_there(self, store: Store) -> None:
        """Each ability has all its methods of the right kind, or none: half of one is invisible to the engine."""
        abilities = abilities_of(store)
        for ability, methods in _METHODS.items():
            own = methods[-1] if ability in (Ability.COMPARE_AND_SET, Ability.CREATE) else methods[0]
            if hasattr(store, own):
                assert ability in abilities, f"it has a part of {ability}, but not all of {', '.join(methods)}"
        for name in {name for ability in abilities for name in _METHODS[ability]}:
            # An iterator's method gives the iterator at once; everything else is awaited.
            is_coroutine = inspect.iscoroutinefunction(getattr(store, name))
            assert not (is_coroutine and name in _ITERATORS), f"{name} must give an async iterator without await"

    # -- reading and writing

    async def test_what_was_written_is_read(self, store: Store) -> None:
        """A secret comes back as it was written, and again after it was replaced."""
        writer, key = _writer(store), _at(store)("a/b")
        for number in range(3):
            token = await writer.write(key, sample(store.facts.shape, number))
            secret = await _assert_holds(store, key, sample(store.facts.shape, number))
            assert secret.version == token, "reading gives another version than writing gave"

    async def test_absent_is_not_found(self, store: Store, seed: Seed) -> None:
        """What is absent raises SecretNotFound: in an empty store, beside a secret, in another folder."""
        reader, at = _reader(store), _at(store)
        for key in ("a", "a/b"):
            with pytest.raises(SecretNotFound):
                await reader.read(at(key))
        await seed(at("folder/key"), sample(store.facts.shape))
        for key in ("folder/ke", "folder/key2", "other/key", "key", "folder/key/below"):
            with pytest.raises(SecretNotFound):
                await reader.read(at(key))

    async def test_a_folder_is_not_a_secret(self, store: Store, seed: Seed) -> None:
        """Reading a folder is refused or finds nothing, and stat does not show it as a secret."""
        reader = _reader(store)
        if _at(store).flat:
            pytest.skip("its keys have no folders")
        await seed(_at(store)("folder/key"), sample(store.facts.shape))
        with pytest.raises((SecretNotFound, InvalidSecret)):
            await reader.read("folder")
        entries, _ = await _drain(reader.stat(["folder"]))
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
                await _writer(store).write(_at(store)("a/value"), SecretValue({"number": NUMBERS[name]}))
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
        key = _at(store)("a/value")
        try:
            await _writer(store).write(key, value)
        except InvalidSecret:
            if isinstance(store, (Looker, Lister)):
                assert not await _live(store, key), "the value was refused, and something was written"
            return False
        await _assert_holds(store, key, value)
        return True

    @pytest.mark.parametrize("kind", [TEXT, BINARY, "example.com/kind"])
    async def test_a_kind_is_kept_where_the_facts_say_so(self, store: Store, kind: str) -> None:
        """With ``facts.kinds`` a secret has the kind that it was written with, also after an update.

        Text is written, which bytes may be too.
        """
        shape = store.facts.shape
        if (shape is Shape.BLOB) is (kind not in (TEXT, BINARY)):
            pytest.skip("a kind of another shape")
        key, writer, reader = _at(store)("kind"), _writer(store), _reader(store)
        for number in range(2):
            await writer.write(key, SecretValue(sample(shape, number).reveal(), kind))
            found = (await reader.read(key)).value.kind
            assert found == kind or not store.facts.kinds

    async def test_a_listing_of_one_kind_has_no_others(self, store: Store) -> None:
        """With ``facts.limits.types`` a listing can be asked for one kind, and shows all of it and nothing else."""
        if not store.facts.limits.types:
            pytest.skip("no query selects by kind there")
        lister, at = cast("KindLister", _lister(store)), _at(store)
        kinds = (TEXT, BINARY) if store.facts.shape is Shape.BLOB else ("example.com/kind", "example.com/kinds")
        for number, kind in enumerate(kinds):
            await _writer(store).write(at(f"of-{number}"), SecretValue(sample(store.facts.shape).reveal(), kind))
        await _writer(store).write(at("of-none"), sample(store.facts.shape))
        for number, kind in enumerate(kinds):
            entries, gaps = await _drain(lister.list("", recursive=True, metadata=False, kind=kind))
            assert [entry.key for entry in entries] == [at(f"of-{number}")]
            assert not gaps
        entries, gaps = await _drain(lister.list("", recursive=True, metadata=False, kind="example.com/no"))
        assert not entries
        assert not gaps

    async def test_the_other_shape_is_refused(self, store: Store) -> None:
        """Fields for a blob store, or a blob for a fields store, raise InvalidSecret and write nothing."""
        writer, at = _writer(store), _at(store)
        for key in map(at, ("new", "known")):
            before = await _none_or_written(writer, key)
            with pytest.raises(InvalidSecret):
                await writer.write(key, sample(other_shape(store.facts.shape)))
            if isinstance(store, ConditionalWriter):
                with pytest.raises(InvalidSecret):
                    await store.write_if(key, sample(other_shape(store.facts.shape)), before)
        await _assert_holds(store, at("known"), sample(store.facts.shape))
        assert not await _live(store, at("new"))

    async def test_what_it_would_refuse_is_foretold(self, store: Store) -> None:
        """``check_write`` raises what a write raises, with its text, and nothing for what a write takes.

        It may leave to the write what only the server knows, but not that a value has another shape.
        """
        foreseer, writer, at = _foreseer(store), _writer(store), _at(store)
        values = {**samples_of(store.facts.shape), OTHER: sample(other_shape(store.facts.shape))}
        await writer.write(at("known"), sample(store.facts.shape))
        for number, (name, value) in enumerate(values.items()):
            for key in map(at, (f"new-{number}", "known")):
                foretold = await _raised(foreseer.check_write(key, value, await _token(store, key)))
                told = await _raised(writer.write(key, value))
                if foretold is not None or name == OTHER:
                    assert _text(foretold) == _text(told), f"{name}: {foretold!r}, and then {told!r}"

    async def test_to_foretell_changes_nothing(self, store: Store, gate: CountingGate) -> None:
        """``check_write`` writes nothing, deletes nothing, and makes no secret of what is absent."""
        foreseer, writer, at = _foreseer(store), _writer(store), _at(store)
        await writer.write(at("known"), sample(store.facts.shape))
        before = dict(gate.counts)
        for key in map(at, ("new", "known")):
            await foreseer.check_write(key, sample(store.facts.shape, 1), await _token(store, key))
        changed = {kind for kind, count in gate.counts.items() if count != before.get(kind, 0)}
        assert not changed - _LOOKS, "it makes more than looks"
        await _assert_holds(store, at("known"), sample(store.facts.shape))
        assert not await _live(store, at("new"))

    async def test_a_write_replaces_all_of_it(self, store: Store) -> None:
        """Fields of the value before do not survive a write."""
        if store.facts.shape is Shape.BLOB:
            pytest.skip("a blob is replaced whole by nature")
        one, two = (b"1", b"2") if store.facts.shape is Shape.BINARY_FIELDS else ("1", "2")
        writer, key = _writer(store), _at(store)("a")
        await writer.write(key, SecretValue({"old": one, "both": one}))
        await writer.write(key, SecretValue({"both": two}))
        await _assert_holds(store, key, SecretValue({"both": two}))

    async def test_values_are_copied(self, store: Store) -> None:
        """Changing what was handed in, or what was read, changes nothing in the store."""
        if store.facts.shape is not Shape.FIELDS or store.facts.limits.text_only:
            pytest.skip("bytes and texts cannot be changed")
        inner: list[JsonValue] = ["x"]
        mine, key = SecretValue({"list": inner}), _at(store)("a")
        await _writer(store).write(key, mine)
        inner.append("changed")
        secret = await _assert_holds(store, key, SecretValue({"list": ["x"]}))
        revealed = secret.value.reveal()
        assert isinstance(revealed, dict)
        revealed["list"] = "changed"
        await _assert_holds(store, key, SecretValue({"list": ["x"]}))

    async def test_the_size_limit_holds(self, store: Store) -> None:
        """A secret beyond limits.max_bytes is refused with InvalidSecret, and what was there stays."""
        limit = store.facts.limits.max_bytes
        if limit is None or limit > LARGEST:
            pytest.skip("there is no limit that is small enough to try")
        writer, key = _writer(store), _at(store)("a")
        await writer.write(key, sample(store.facts.shape))
        with pytest.raises(InvalidSecret):
            await writer.write(key, from_text(store.facts.shape, "x" * (limit + 1)))
        await _assert_holds(store, key, sample(store.facts.shape))
        if store.facts.shape is not Shape.FIELDS:  # whose stored form is more than its text
            await writer.write(key, from_text(store.facts.shape, "x" * limit))
            await _assert_holds(store, key, from_text(store.facts.shape, "x" * limit))

    async def test_the_field_limit_holds(self, store: Store) -> None:
        """A secret with more than limits.max_fields fields is refused with InvalidSecret; that many are kept."""
        limit = store.facts.limits.max_fields
        if limit is None or limit > 10_000 or store.facts.shape is Shape.BLOB:
            pytest.skip("there is no limit that is small enough to try")
        writer, key = _writer(store), _at(store)("a")
        with pytest.raises(InvalidSecret):
            await writer.write(key, _of_fields(store.facts.shape, limit + 1))
        most = _of_fields(store.facts.shape, limit)
        await writer.write(key, most)
        await _assert_holds(store, key, most)

    async def test_the_key_limit_holds(self, store: Store) -> None:
        """A key longer than limits.max_key_bytes is refused with InvalidSecret; one of that length is kept."""
        limit = store.facts.limits.max_key_bytes
        if limit is None or limit > 65_536:
            pytest.skip("there is no limit that is small enough to try")
        writer, longest = _writer(store), _at(store).longest(limit)
        with pytest.raises(InvalidSecret):
            await writer.write(longest + "k", sample(store.facts.shape))
        await writer.write(longest, sample(store.facts.shape))
        await _assert_holds(store, longest, sample(store.facts.shape))

    async def test_writes_to_different_keys_all_land(self, store: Store) -> None:
        """Fifty writes at once into few folders are all there afterwards, each with its own value."""
        writer = _writer(store)
        shape = store.facts.shape
        keys = [_at(store)(f"f{n % 3}/k{n}") for n in range(50)]
        await asyncio.gather(*(writer.write(key, sample(shape, n)) for n, key in enumerate(keys)))
        await asyncio.gather(*(_assert_holds(store, key, sample(shape, n)) for n, key in enumerate(keys)))

    # -- keys

    @pytest.mark.parametrize("key", ODD_KEYS)
    async def test_odd_keys_round_trip_or_are_refused(self, store: Store, key: str) -> None:
        """A key is kept letter by letter where the limits allow it, else refused with InvalidSecret."""
        writer = _writer(store)
        value = sample(store.facts.shape)
        allowed = _at(store).allows(key)
        try:
            await writer.write(key, value)
        except InvalidSecret:
            assert not allowed, "the limits allow a key that is refused"
            if isinstance(store, Lister):
                assert not await _list(store), "the key was refused, and something was written"
            return
        assert allowed, "the limits do not allow a key that is kept"
        if isinstance(store, Looker):
            await _assert_holds(store, key, value)
            assert list(await _stat(store, [key])) == [key]
        if isinstance(store, Lister):
            assert list(await _list(store)) == [key]
            folder = key[: key.rfind("/") + 1]
            assert list(await _list(store, folder, recursive=False)) == [key]
        if isinstance(store, Deleter):
            await store.delete(key)
            if isinstance(store, (Looker, Lister)):
                assert not await _live(store, key)

    @pytest.mark.parametrize("key", ESCAPES)
    async def test_keys_that_are_none_touch_nothing(self, store: Store, seed: Seed, key: str) -> None:
        """Keys with empty segments, ``.``, ``..`` or NUL are refused, and no secret is read, changed or deleted."""
        value, other = sample(store.facts.shape), sample(store.facts.shape, 1)
        witnesses = [_at(store)(witness) for witness in ("witness", "folder/witness")]
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
            entries, _ = await _drain(store.stat([key]))
            assert not entries
        if isinstance(store, Deleter):
            with pytest.raises(InvalidSecret):
                await store.delete(key)
        if isinstance(store, Looker):
            for witness in witnesses:
                await _assert_holds(store, witness, value)
        if isinstance(store, Lister):
            assert await _keys(store) == sorted(witnesses)
        pattern = store.facts.limits.key_pattern
        assert pattern is None or not re2.fullmatch(pattern, key), "limits.key_pattern allows it"

    # -- listing and looking

    async def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        """No secrets, no gaps, no errors: of the whole store, and of a folder that does not exist."""
        for prefix in ("", "missing/", "missing/below/"):
            for recursive in (True, False):
                assert not await _list(store, prefix, recursive=recursive)

    async def test_listing_keeps_to_its_folder(self, store: Store, seed: Seed) -> None:
        """A listing gives what is below its folder and nothing else, all the way down only if asked."""
        _lister(store)
        keys = sorted(map(_at(store), ("top", "a/1", "a/b/2", "a/b/c/3", "ab/4", "a-b/5", "z/a/6")))
        for key in keys:
            await seed(key, sample(store.facts.shape))
        for prefix in ("", "a/", "a/b/", "ab/", "z/", "top/", "root/"):
            below = [key for key in keys if key.startswith(prefix)]
            assert await _keys(store, prefix) == below
            directly = [key for key in below if "/" not in key[len(prefix) :]]
            assert await _keys(store, prefix, recursive=False) == directly

    async def test_selecting_gives_all_that_is_wanted(self, store: Store, seed: Seed) -> None:
        """Where a store lists only what is wanted, nothing that is wanted is left out, or given twice."""
        if not isinstance(store, SelectiveLister):
            pytest.skip("it lists whole folders, and what is not wanted is left out by whoever asks")
        keys = sorted(map(_at(store), ("top", "a/1", "a/b/2", "a/b/c/3", "ab/4", "a-b/5", "z/b/6")))
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
        writer = _writer(store)
        if not {1, 2} <= set(_at(store).depths):
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
                await _assert_holds(store, key, sample(store.facts.shape, number))
        if isinstance(store, Lister):
            assert await _keys(store) == expected

    async def test_folders_are_shown_by_a_listing(self, store: Store, seed: Seed) -> None:
        """A store that tells of folders does so after a listing of just their folder, and of no other."""
        if not isinstance(store, ShowsFolders):
            pytest.skip("the store does not tell of folders")
        at = _at(store)
        if 3 not in at.depths:
            pytest.skip("the store has no folders in folders")
        await seed(at("a/b/c"), sample(store.facts.shape))
        for prefix, shows in (("a/", True), ("a/b/", False), ("none/", False)):
            await _list(store, prefix, recursive=False)
            assert await store.shows_folders(prefix) is shows

    async def test_a_sweep_takes_no_secret(self, store: Store, seed: Seed) -> None:
        """A store that removes what killed writers left finds nothing of that beside whole secrets, and leaves them."""
        if not isinstance(store, Sweeper):
            pytest.skip("the store sweeps nothing")
        keys = sorted(map(_at(store), ("a", "folder/b")))
        for number, key in enumerate(keys):
            await seed(key, sample(store.facts.shape, number))
        assert await store.sweep() == Leftovers()
        if isinstance(store, ToldOfLeftovers):
            assert await store.leftovers() == Leftovers()
        for number, key in enumerate(keys):
            if isinstance(store, Looker):
                await _assert_holds(store, key, sample(store.facts.shape, number))

    async def test_many_secrets_are_listed_once_each(self, store: Store, seed: Seed) -> None:
        """Three hundred secrets in ten folders: none twice, none left out, over however many pages."""
        _lister(store)
        keys = sorted(_at(store)(f"folder-{number % 10}/key-{number}") for number in range(300))
        for start in range(0, len(keys), 50):
            await asyncio.gather(*(seed(key, sample(store.facts.shape)) for key in keys[start : start + 50]))
        assert await _keys(store) == keys
        if isinstance(store, Looker):
            assert sorted(await _stat(store, keys)) == keys

    async def test_a_listing_may_be_left_early(self, store: Store, seed: Seed) -> None:
        """A listing that nobody reads to its end does not disturb the next one."""
        lister = _lister(store)
        for number in range(5):
            await seed(_at(store)(f"a/{number}"), sample(store.facts.shape))
        async for _ in lister.list("", recursive=True, metadata=False):
            break
        lister.list("", recursive=True, metadata=False)  # and one that nobody even begins
        assert len(await _keys(store)) == 5

    async def test_stat_leaves_out_what_is_absent(self, store: Store, seed: Seed) -> None:
        """stat gives each key that exists once and says nothing of the others."""
        _looker(store)
        at = _at(store)
        for key in ("a/1", "a/2", "b"):
            await seed(at(key), sample(store.facts.shape))
        found = await _stat(store, [at(key) for key in ("a/1", "b", "a/3", "c", "a/1/below")])
        assert sorted(found) == sorted((at("a/1"), at("b")))
        assert not any(entry.deleted for entry in found.values())
        assert not await _stat(store, [])

    async def test_list_and_stat_agree(self, store: Store, seed: Seed) -> None:
        """A listing and a look at single keys give the same versions, with or without metadata."""
        _looker(store)
        for key in ("a/1", "a/2", "b"):
            await seed(_at(store)(key), sample(store.facts.shape))
        listed = await _list(store)
        with_metadata = await _list(store, metadata=True)
        assert sorted(listed) == sorted(with_metadata)
        for key, entry in (await _stat(store, list(listed))).items():
            assert entry.version == listed[key].version == with_metadata[key].version
            if store.facts.limits.custom_metadata:
                assert with_metadata[key].metadata is not None, "limits.custom_metadata, but none is listed"

    # -- versions

    async def test_versions_tell_every_write(self, store: Store) -> None:
        """Where versions are promised, each write gives a new one, also of an older value, also after a delete.

        Writing the very value that is there gives a new one too, unless facts.idle_writes says that it is no write.
        The engine never writes that, so either will do for it, but it must know.
        """
        writer, key = _writer(store), _at(store)("a")
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
            assert (await _stat(store, [key]))[key].version == token
        if isinstance(store, Lister):
            assert (await _list(store))[key].version == token
        return token

    async def test_a_newer_version_never_looks_older(self, store: Store) -> None:
        """Where its versions have an order, what was written later is not the older one."""
        order = store.facts.version_order
        if order is VersionOrder.NONE:
            pytest.skip("the store's versions have no order")
        writer, key = _writer(store), _at(store)("a")
        first, second = [await writer.write(key, sample(store.facts.shape, number)) for number in (0, 1)]
        assert not is_older(second, first, order), "facts.version_order takes the newer of two versions for the older"

    async def test_its_position_never_goes_back(self, store: Store, gate: CountingGate) -> None:
        """Where it tells how far its server has got: of one server, never less than before, and without a request."""
        if not isinstance(store, Positioned):
            pytest.skip("the store tells no position")
        writer, key = _writer(store), _at(store)("a")
        await _keys(store)
        first = await store.position()
        await writer.write(key, sample(store.facts.shape))
        await _keys(store)
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
        reader, writer, key = _reader(store), _writer(store), _at(store)("a")
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

    # -- compare-and-set

    async def test_write_if_writes_only_what_was_seen(self, store: Store) -> None:
        """write_if writes where the version is the expected one, else raises Conflict and writes nothing."""
        writer, at = _conditional(store), _at(store)
        shape, key = store.facts.shape, at("a")
        of_another = await writer.write_if(at("b"), sample(shape), None)
        assert of_another is not None
        with pytest.raises(Conflict):
            await writer.write_if(key, sample(shape), of_another)
        assert not await _live(store, key)
        first = await writer.write_if(key, sample(shape, 1), None)
        assert first is not None
        with pytest.raises(Conflict):
            await writer.write_if(key, sample(shape, 2), None)
        await _assert_holds(store, key, sample(shape, 1))
        second = await writer.write_if(key, sample(shape, 2), first)
        with pytest.raises(Conflict):
            await writer.write_if(key, sample(shape, 3), first)
        secret = await _assert_holds(store, key, sample(shape, 2))
        assert secret.version == second

    async def test_write_if_after_a_delete(self, store: Store) -> None:
        """A deleted secret that left an entry is written again by its version, and is not taken for a new one."""
        writer, deleter = _conditional(store), _deleter(store)
        shape, key = store.facts.shape, _at(store)("a")
        stale = await writer.write_if(key, sample(shape, 0), None)
        first = await writer.write_if(key, sample(shape, 1), stale)
        await deleter.delete(key)
        with pytest.raises(Conflict):
            await writer.write_if(key, sample(shape, 2), stale)
        entry = (await _stat(store, [key])).get(key)
        if entry is None:
            with pytest.raises(Conflict):
                await writer.write_if(key, sample(shape, 2), first)
        else:
            assert entry.deleted
            with pytest.raises(Conflict):
                await writer.write_if(key, sample(shape, 2), None)
        await writer.write_if(key, sample(shape, 3), entry.version if entry else None)
        await _assert_holds(store, key, sample(shape, 3))

    @pytest.mark.parametrize("known", [False, True])
    async def test_of_two_writers_one_wins(self, store: Store, known: bool) -> None:
        """Of several write_if at once with one expectation exactly one writes, and the others raise Conflict."""
        writer = _conditional(store)
        shape, key = store.facts.shape, _at(store)("a")
        expected = await writer.write(key, sample(shape, 99)) if known else None
        results = await asyncio.gather(
            *(writer.write_if(key, sample(shape, number), expected) for number in range(5)), return_exceptions=True
        )
        winners = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
        assert len(winners) == 1
        assert all(isinstance(result, Conflict) for number, result in enumerate(results) if number != winners[0])
        await _assert_holds(store, key, sample(shape, winners[0]))

    # -- creating only what is absent

    async def test_create_never_replaces(self, store: Store) -> None:
        """Create writes what is absent, and raises Conflict for what is there, which stays as it was."""
        creator, at = _creator(store), _at(store)
        shape, key = store.facts.shape, at("a")
        token = await creator.create(key, sample(shape, 1))
        assert (token is not None) == store.facts.versioned
        with pytest.raises(Conflict):
            await creator.create(key, sample(shape, 2))
        await _assert_holds(store, key, sample(shape, 1))
        with pytest.raises(InvalidSecret):
            await creator.create(at("b"), sample(other_shape(shape)))
        assert not await _live(store, at("b"))

    async def test_create_after_a_delete(self, store: Store) -> None:
        """What was deleted may be created again."""
        creator, deleter, key = _creator(store), _deleter(store), _at(store)("a")
        await creator.create(key, sample(store.facts.shape, 1))
        await deleter.delete(key)
        await creator.create(key, sample(store.facts.shape, 2))
        await _assert_holds(store, key, sample(store.facts.shape, 2))

    async def test_of_several_creators_one_wins(self, store: Store) -> None:
        """Of several creates at once exactly one writes, and the others raise Conflict."""
        creator = _creator(store)
        shape, key = store.facts.shape, _at(store)("a")
        results = await asyncio.gather(
            *(creator.create(key, sample(shape, number)) for number in range(5)), return_exceptions=True
        )
        winners = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
        assert len(winners) == 1
        assert all(isinstance(result, Conflict) for number, result in enumerate(results) if number != winners[0])
        await _assert_holds(store, key, sample(shape, winners[0]))

    # -- marks

    async def test_what_it_creates_carries_the_mark(self, store: Store, marked: Store | None) -> None:
        """Opened with a mark, a store puts it on what it creates by any way of writing, and keeps it on a rewrite."""
        _marker(store)
        store = marked if marked is not None else pytest.fail("give a fixture named 'marked'")
        marker, writer = _marker(store), _writer(store)
        shape = store.facts.shape
        first, second, third, absent = map(_at(store), ("by-write", "by-write-if", "by-create", "absent"))
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
        _marker(store)
        again = marked if marked is not None else pytest.fail("give a fixture named 'marked'")
        marker, writer, shape = _marker(again), _writer(again), store.facts.shape
        first, second = map(_at(store), ("by-write", "by-recreate"))
        for key in (first, second):
            await _writer(store).write(key, sample(shape))
            await _deleter(store).delete(key)
        await writer.write(first, sample(shape, 1))
        keys = [first]
        if isinstance(again, ConditionalWriter):
            entries = [entry async for entry in _looker(again).stat([second]) if isinstance(entry, Entry)]
            expected = entries[0].version if entries else None
            if isinstance(again, Recreator) and expected is not None:
                await again.recreate(second, sample(shape, 1), expected)
            else:
                await again.write_if(second, sample(shape, 1), expected)
            keys.append(second)
        assert await marker.marks(keys) == dict.fromkeys(keys, MARK)

    async def test_what_others_created_is_marked_only_on_demand(self, store: Store, marked: Store | None) -> None:
        """A secret that came without a mark is not marked by a write, only by mark(), which refuses what is absent."""
        _marker(store)
        theirs = marked if marked is not None else pytest.fail("give a fixture named 'marked'")
        marker, key = _marker(theirs), _at(store)("a")
        await _writer(store).write(key, sample(store.facts.shape))
        await _writer(theirs).write(key, sample(store.facts.shape, 1))
        assert await marker.marks([key]) == {}
        await marker.mark(key)
        assert await marker.marks([key]) == {key: MARK}
        await _assert_holds(store, key, sample(store.facts.shape, 1))
        with pytest.raises(SecretNotFound):
            await marker.mark(_at(store)("absent"))

    # -- what stands beside values

    async def test_describe_and_stat_agree(self, store: Store, seed: Seed) -> None:
        """A look at what stands beside values gives the versions that stat gives, and metadata for each."""
        at = _at(store)
        _describer(store)
        for key in ("a/1", "b"):
            await seed(at(key), sample(store.facts.shape))
        keys = [at(key) for key in ("a/1", "b", "c")]
        found = await _described(store, keys)
        assert {key: entry.version for key, entry in found.items()} == {
            key: entry.version for key, entry in (await _stat(store, keys)).items()
        }
        assert all(entry.metadata is not None for entry in found.values())
        assert not await _described(store, [])

    async def test_set_metadata_sets_what_is_asked_and_no_more(self, store: Store) -> None:
        """Metadata is set piece by piece; other pieces and the value stay, and the token that it gives is shown."""
        writer, shape, key = _metadata_writer(store), store.facts.shape, _at(store)("a")
        version = await _writer(store).write(key, sample(shape))
        for wanted in ({"team": "one"}, {"env": "test"}, {"team": "two"}):
            pieces = {_piece(store, name): text for name, text in wanted.items()}
            version = await writer.set_metadata(key, pieces, version)
        entry = (await _described(store, [key]))[key]
        assert {name: (entry.metadata or {}).get(name) for name in ("team", "env")} == {"team": "two", "env": "test"}
        assert entry.version == version == (await _stat(store, [key]))[key].version
        await _assert_holds(store, key, sample(shape))

    async def test_what_its_document_asks_for_is_set(self, store: Store) -> None:
        """All that ``facts.metadata.asked`` wants can be set at once, is shown then, and leaves the value as it is."""
        writer, shape, key = _metadata_writer(store), store.facts.shape, _at(store)("a")
        asked = store.facts.metadata.asked
        if not asked:
            pytest.skip("its document asks for nothing")
        version = await writer.set_metadata(key, asked, await _writer(store).write(key, sample(shape)))
        entry = (await _described(store, [key]))[key]
        main = next(iter(store.facts.metadata.rules), None)
        shown = {Slot(main, name): text for name, text in (entry.metadata or {}).items()} if main else {}
        assert {**shown, **(entry.notes or {})}.items() >= asked.items()
        assert entry.version == version
        await _assert_holds(store, key, sample(shape))

    async def test_set_metadata_refuses_what_is_not_there(self, store: Store) -> None:
        """An absent secret is SecretNotFound, and is not there afterwards either."""
        writer, key = _metadata_writer(store), _at(store)("absent")
        with pytest.raises(SecretNotFound):
            await writer.set_metadata(key, {_piece(store, "team"): "one"}, None)
        assert not await _live(store, key)

    async def test_set_metadata_hides_no_other_write(self, store: Store) -> None:
        """Where somebody has written the value meanwhile, it raises Conflict or gives the token that was passed."""
        writer, shape, key = _metadata_writer(store), store.facts.shape, _at(store)("a")
        seen = await _writer(store).write(key, sample(shape))
        await _writer(store).write(key, sample(shape, 1))
        with contextlib.suppress(Conflict):
            assert await writer.set_metadata(key, {_piece(store, "team"): "one"}, seen) == seen
        await _assert_holds(store, key, sample(shape, 1))

    # -- what it would permit

    async def test_what_it_permits_is_not_missing(self, store: Store, seed: Seed, gate: CountingGate) -> None:
        """Asked for all that it can do, a store that permits it misses nothing; it changes nothing and asks little."""
        checker, at = _checker(store), _at(store)
        await seed(at("a/b"), sample(store.facts.shape))
        before = await _stat(store, [at("a/b"), at("new")]) if isinstance(store, Looker) else {}
        asked = gate.total
        assert list(await checker.check_access(_accesses(store))) == []
        assert gate.total - asked <= 10, "check_access makes more than ten requests"
        assert list(await checker.check_access([])) == []
        if isinstance(store, Looker):
            assert await _stat(store, [at("a/b"), at("new")]) == before
            await _assert_holds(store, at("a/b"), sample(store.facts.shape))

    async def test_what_it_would_refuse_is_missing(self, store: Store, seed: Seed, read_only: Store | None) -> None:
        """What it says to be missing it refuses, and says what to grant; what it permits is not missing."""
        _checker(store)
        if read_only is None:
            pytest.skip("the subclass gives no fixture 'read_only'")
        checker, key = _checker(read_only), _at(store)("a/b")
        await seed(key, sample(store.facts.shape))
        wanted = _accesses(read_only)
        missing = list(await checker.check_access(wanted))
        assert all(type(each) is Missing for each in missing)
        assert {each.access for each in missing} <= set(wanted)
        assert all(each.grant and each.grant.isprintable() for each in missing), "it does not say what to grant"
        acts = {each.access.act for each in missing}
        assert acts == {each.act for each in wanted} - {Act.LIST, Act.LOOK, Act.READ}
        with pytest.raises(AccessDenied):
            await _writer(read_only).write(key, sample(store.facts.shape, 1))
        if isinstance(read_only, Deleter):
            with pytest.raises(AccessDenied):
                await read_only.delete(key)
        if isinstance(store, Looker):
            await _assert_holds(store, key, sample(store.facts.shape))

    async def test_a_store_that_cannot_be_asked_says_so(self, store: Store, gate: CountingGate) -> None:
        """Where it cannot be reached, check_access raises: nothing missing would say that all is well."""
        checker = _checker(store)
        gate.close(StoreUnavailable("down"))
        with pytest.raises(StoreUnavailable):
            await checker.check_access(_accesses(store))
        gate.reopen()

    # -- deleting

    async def test_what_was_deleted_is_gone(self, store: Store, seed: Seed) -> None:
        """A deleted secret reads as absent and shows as deleted or not at all; its neighbours stay."""
        deleter, at = _deleter(store), _at(store)
        gone, neighbours = at("a/b"), [at(key) for key in ("a/bc", "a/c", "b", "a/d/e")]
        for key in (gone, *neighbours):
            await seed(key, sample(store.facts.shape))
        await deleter.delete(gone)
        assert not await _live(store, gone)
        if isinstance(store, Reader):
            with pytest.raises(SecretNotFound):
                await store.read(gone)
        for key in neighbours:
            assert await _live(store, key)

    async def test_deleting_what_is_absent_is_fine(self, store: Store, seed: Seed) -> None:
        """A second delete, and one of what never was, do nothing and raise nothing."""
        deleter, at = _deleter(store), _at(store)
        await seed(at("a/b"), sample(store.facts.shape))
        await seed(at("c"), sample(store.facts.shape))
        for key in ("a/b", "a/b", "never", "a/never", "c/never", "never/at/all"):
            await deleter.delete(at(key))
        assert await _live(store, at("c"))
        assert not await _live(store, at("never"))

    async def test_only_what_was_seen_is_deleted(self, store: Store) -> None:
        """``delete_if`` of a version that was replaced leaves what replaced it, and deletes the current one."""
        deleter = store if isinstance(store, ConditionalDeleter) else pytest.skip("the store deletes what is there")
        shape, key, writer = store.facts.shape, _at(store)("a"), _writer(store)
        assert store.facts.versioned, "there is nothing to compare"
        seen = await writer.write(key, sample(shape))
        now = await writer.write(key, sample(shape, 1))
        assert seen is not None
        assert now is not None
        with contextlib.suppress(Conflict):
            await deleter.delete_if(key, seen)
        await _assert_holds(store, key, sample(shape, 1))
        await deleter.delete_if(key, now)
        assert not await _live(store, key)
        await deleter.delete_if(key, now)  # absent already, which is no error

    async def test_a_folder_is_not_deleted_by_its_name(self, store: Store, seed: Seed) -> None:
        """Deleting ``a`` is refused or does nothing while only ``a/b`` exists."""
        deleter, key = _deleter(store), _at(store)("a/b")
        await seed(key, sample(store.facts.shape))
        with contextlib.suppress(InvalidSecret):
            await deleter.delete("a")
        assert await _live(store, key)

    async def test_a_deleted_secret_can_be_written_again(self, store: Store) -> None:
        """After a delete the same key takes a new value."""
        deleter, writer, key = _deleter(store), _writer(store), _at(store)("a/b")
        await writer.write(key, sample(store.facts.shape, 1))
        await deleter.delete(key)
        await writer.write(key, sample(store.facts.shape, 2))
        await _assert_holds(store, key, sample(store.facts.shape, 2))
        assert await _live(store, key)

    # -- bringing back

    async def _deleted(self, store: Store, key: str) -> str:
        """Write a secret twice and delete it; gives the version that it was left at."""
        writer, deleter = _writer(store), _deleter(store)
        await writer.write(key, sample(store.facts.shape, 1))
        version = await writer.write(key, sample(store.facts.shape, 2))
        assert version is not None, "a store without versions cannot tell what it brings back"
        await deleter.delete(key)
        assert not await _live(store, key)
        return version

    async def test_what_was_deleted_comes_back_as_it_was(self, store: Store) -> None:
        """undelete brings back the last value at its version; a look at whether it would changes nothing."""
        undeleter, key = _undeleter(store), _at(store)("a/b")
        version = await self._deleted(store, key)
        await undeleter.check_undelete(key, version)
        assert not await _live(store, key), "check_undelete has brought it back"
        assert await undeleter.undelete(key, version) == version
        secret = await _assert_holds(store, key, sample(store.facts.shape, 2))
        assert secret.version == version
        entry = (await _stat(store, [key]))[key]
        assert (entry.version, entry.deleted) == (version, False)

    async def test_undelete_brings_back_only_what_was_seen(self, store: Store) -> None:
        """What is not deleted, was written since, or was never there is neither brought back nor touched."""
        undeleter, writer, at = _undeleter(store), _writer(store), _at(store)
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
        assert not await _live(store, key)
        await writer.write(key, sample(shape, 3))
        for undelete in (undeleter.check_undelete, undeleter.undelete):
            with pytest.raises(Conflict):
                await undelete(key, version)
        await _assert_holds(store, key, sample(shape, 3))

    async def test_undelete_passes_the_gate(self, store: Store, gate: CountingGate) -> None:
        """Bringing back, and the look before it, are counted by the gate, and what the gate raises comes through."""
        undeleter, key = _undeleter(store), _at(store)("a")
        version = await self._deleted(store, key)
        for undelete in (undeleter.check_undelete, undeleter.undelete):
            gate.close(StoreUnavailable("down"))
            with pytest.raises(StoreUnavailable):
                await undelete(key, version)
            gate.reopen()
            before = gate.total
            await undelete(key, version)
            assert gate.total > before, "it makes no request through the gate"

    # -- the gate, and errors that must not pass for absence

    async def test_every_request_passes_the_gate(self, store: Store, seed: Seed, gate: CountingGate) -> None:
        """Each operation is counted by the gate: otherwise limits, retries and the request count mean nothing."""
        await seed(_at(store)("a"), sample(store.facts.shape))
        for name, call in _operations(store).items():
            before = gate.total
            await call()
            assert gate.total > before, f"{name} makes no request through the gate"

    @pytest.mark.parametrize(
        "error",
        [
            GateClosed("closed"),
            StoreUnavailable("down"),
            AccessDenied("denied"),
            RateLimited("slow down", retry_after=1.0),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_a_failed_request_is_told(
        self, store: Store, seed: Seed, gate: CountingGate, error: Exception
    ) -> None:
        """What the gate raises comes through, or is a Gap of list or stat; it never passes for absence or success."""
        value, key = sample(store.facts.shape), _at(store)("a")
        await seed(key, value)
        gate.close(error)
        for name, call in _operations(store).items():
            if name in _ITERATORS and isinstance(error, StoreError):
                try:
                    gaps = await call()
                except type(error):
                    continue
                assert gaps, f"{name} says nothing of the error"
            else:
                with pytest.raises(type(error)):
                    await call()
        gate.reopen()
        if isinstance(store, Looker):
            await _assert_holds(store, key, value)
        if isinstance(store, Lister):
            assert await _keys(store) == [key]

    async def test_a_lost_answer_is_told(self, store: Store, gate: CountingGate) -> None:
        """Where an answer is lost and the repeated write is refused, the error says that the first may have counted."""
        shape, at = store.facts.shape, _at(store)
        writes: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        if isinstance(store, ConditionalWriter):
            write_if = store.write_if
            writes.append((at("by-write-if"), lambda: write_if(at("by-write-if"), sample(shape, 1), None)))
            seen = await store.write(at("a"), sample(shape))
            writes.append((at("a"), lambda: write_if(at("a"), sample(shape, 1), seen)))
        if isinstance(store, Creator):
            create = store.create
            writes.append((at("by-create"), lambda: create(at("by-create"), sample(shape, 1))))
        if not writes:
            pytest.skip("the store writes whatever is there")
        gate.lose_answers()
        for key, write in writes:
            try:
                await write()
            except Conflict as error:
                told = error.unanswered
            else:
                told = True  # it knows its own write again
            assert told, f"the write of {key!r} is taken for somebody else's"
        gate.reopen()
        for key, _ in writes:
            await _assert_holds(store, key, sample(shape, 1))

    @pytest.mark.parametrize("error", [StoreUnavailable("down"), AccessDenied("denied")], ids=["down", "denied"])
    async def test_what_the_gate_knows_comes_through(
        self, store: Store, seed: Seed, gate: CountingGate, error: StoreError
    ) -> None:
        """An error of the gate that is unanswered comes out of every write as such, whatever the store makes of it."""
        await seed(_at(store)("a"), sample(store.facts.shape))
        error.unanswered = True
        gate.close(error)
        for name, call in _operations(store).items():
            if name in ("write", "write_if", "create", "delete"):
                with pytest.raises(SecretSyncError) as caught:
                    await call()
                assert caught.value.unanswered, f"{name} does not hand on that its request may have been carried out"
        gate.reopen()

    async def test_nothing_but_errors_of_ours_gets_out(self, store: Store, seed: Seed, gate: CountingGate) -> None:
        """A defect within a request comes out of every operation, opened as jobs open it, as an error without a value.

        It may be a Gap of list or stat. It never passes for absence or success.
        """
        await seed(_at(store)("a"), sample(store.facts.shape))
        secret = canary()
        handle = hand_out(store, "under-test", Permissions.READ_WRITE)
        assert abilities_of(handle) == abilities_of(store)
        gate.close(RuntimeError(secret.text))
        for name, call in _operations(handle).items():
            try:
                gaps = await call()
            except SecretSyncError as error:
                shown = _texts(error)
            else:
                assert name in _ITERATORS, f"{name} says nothing of the error"
                assert gaps, f"{name} says nothing of the error"
                shown = [repr(gaps)]
            assert not [found for text in shown for found in find_in(text, [secret])], f"{name} shows what it said"
        gate.reopen()

    async def test_faults_have_their_names(
        self, store: Store, seed: Seed, faults: Mapping[type[StoreError], Fault]
    ) -> None:
        """A store that fails or refuses says so by the error that fits, from every operation that meets it."""
        if not faults:
            pytest.skip("the subclass brings about no faults")
        key = _at(store)("a/b")
        await seed(key, sample(store.facts.shape))
        for error, fault in faults.items():
            async with fault(key):
                looker = _looker(store)
                if isinstance(store, Reader):
                    with pytest.raises(error):
                        await store.read(key)
                try:
                    entries, gaps = await _drain(looker.stat([key]))
                except error:
                    continue
                assert entries or gaps, "stat takes the fault for absence"
        await _assert_holds(store, key, sample(store.facts.shape))

    # -- secrecy

    async def test_no_value_is_shown(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        """No value stands in an error, in the text of anything returned, or in the log."""
        caplog.set_level(logging.DEBUG)
        secret = canary()
        shape, at = store.facts.shape, _at(store)
        known, missing = at("a"), at("missing")
        value, wrong = from_text(shape, secret.text), from_text(other_shape(shape), secret.text)
        large = from_text(shape, secret.text * 50_000)
        calls: list[Callable[[], Awaitable[object]]] = []
        if isinstance(store, Writer):
            write = store.write
            calls += [
                lambda: write(known, value),
                lambda: write(known, wrong),
                lambda: write("../a", value),
                lambda: write("l" * 5000, value),
                lambda: write(at("large"), large),
            ]
        if isinstance(store, ConditionalWriter):
            write_if = store.write_if
            calls += [lambda: write_if(known, value, "no-such-version"), lambda: write_if(known, wrong, None)]
        if isinstance(store, Reader):
            read = store.read
            calls += [lambda: read(known), lambda: read(missing), lambda: read(known, "no-such-version")]
        calls += _operations(store).values()
        shown = []
        for call in calls:
            try:
                result = await call()
            except Exception as error:  # noqa: BLE001  whatever it is, it must not show the value
                shown += _texts(error)
            else:
                shown.append(repr(result))
        shown += [repr(store), repr(store.facts), caplog.text]
        shown += [str(record.__dict__) for record in caplog.records]
        found = [finding for text in shown for finding in find_in(text, [secret])]
        assert not found, f"a value is shown: {found}"

    # -- its end

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
        _looker(store)
        key = _at(store)("a/b")
        await seed(key, sample(store.facts.shape))
        before = await _stat(store, [key])
        await store.aclose()
        again = await reopen()
        try:
            await _assert_holds(again, key, sample(store.facts.shape))
            assert await _stat(again, [key]) == before
        finally:
            await again.aclose()


def _of_fields(shape: Shape, count: int) -> SecretValue:
    nothing = b"" if shape is Shape.BINARY_FIELDS else ""
    return SecretValue({f"f{number}": nothing for number in range(count)})


async def _none_or_written(writer: Writer, key: str) -> str | None:
    """Write the key named ``known``, and leave others absent."""
    return await writer.write(key, sample(writer.facts.shape)) if key.lower().endswith("known") else None


def _accesses(store: Store) -> list[Access]:
    """Everything that a store with these abilities can be asked for."""
    key, new, wanted = _at(store)("a/b"), _at(store)("new"), list[Access]()
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


def _operations(store: Store) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every operation of a store that holds ``a``, by name; list and stat give their gaps."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {}
    known, new, created = map(_at(store), ("a", "new", "created"))
    if isinstance(store, Reader):
        reader = store
        calls["read"] = lambda: reader.read(known)
    if isinstance(store, Looker):
        looker = store

        async def stat() -> list[Gap]:
            return (await _drain(looker.stat([known])))[1]

        calls["stat"] = stat
    if isinstance(store, Lister):
        lister = store

        async def listing() -> list[Gap]:
            return (await _drain(lister.list("", recursive=True, metadata=True)))[1]

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
            return (await _drain(describer.describe([known])))[1]

        calls["describe"] = describe
    if isinstance(store, MetadataWriter):
        beside = store
        calls["set_metadata"] = lambda: beside.set_metadata(known, {_piece(beside, "team"): "one"}, None)
    if isinstance(store, Deleter):
        deleter = store
        calls["delete"] = lambda: deleter.delete(known)
    return calls


def _texts(error: BaseException | None) -> list[str]:
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
