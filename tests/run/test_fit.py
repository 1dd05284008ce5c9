"""Whether a destination can hold a value: told by the plan, and again before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run.world import World, actions
from secretsync_core.errors import InvalidSecret
from secretsync_core.model.capabilities import Shape, StoreFacts, StoreLimits
from secretsync_core.secret import SecretValue
from secretsync_core.stores import memory
from secretsync_core.stores.fit import check_fits

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOB = StoreLimits(max_bytes=4, text_only=True, empty=False)
FIELDS = StoreLimits(max_bytes=4, max_fields=2, field_pattern="[a-z]+", field_rule="lower-case letters")


@pytest.mark.parametrize(
    ("limits", "value", "told"),
    [
        (BLOB, b"abcde", "cannot hold k: 5 bytes, and 4 fit"),
        (BLOB, b"", "it is empty"),
        (BLOB, b"\xff", "it is not text in UTF-8"),
        (FIELDS, {"a": b"abc", "b": b"de"}, "5 bytes, and 4 fit"),
        (FIELDS, {"a": b"", "b": b"", "c": b""}, "3 fields, and 2 fit"),
        (
            FIELDS,
            {"a": b"", "A b": b""},
            "the name of a field does not fit, that of the field 'A b': lower-case letters",
        ),
    ],
)
def test_what_does_not_fit_is_refused(limits: StoreLimits, value: Mapping[str, bytes] | bytes, told: str) -> None:
    """Each bound is told in its own words, with the numbers and never the value."""
    shape = Shape.BLOB if isinstance(value, bytes) else Shape.BINARY_FIELDS
    facts = StoreFacts("dst", "test", shape, versioned=True, limits=limits)
    with pytest.raises(InvalidSecret) as caught:
        check_fits(SecretValue(value), facts, "k")
    assert told in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("value", [b"abcd", b"a"])
def test_what_fits_passes(value: bytes) -> None:
    """The bound itself fits."""
    check_fits(SecretValue(value), StoreFacts("dst", "test", Shape.BLOB, versioned=True, limits=BLOB), "k")


@pytest.fixture
def small(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A destination that holds text of at most 16 bytes."""
    limits = StoreLimits(max_bytes=16, text_only=True, empty=False)
    world.store("small", "memory: {shape: blob}")
    monkeypatch.setattr(memory.MemoryStore, "facts", property(lambda self: _facts(self, limits)))
    return world


def _facts(store: Any, limits: StoreLimits) -> StoreFacts:
    held: StoreFacts = store._facts
    return StoreFacts(held.name, "memory", held.shape, versioned=True, limits=limits) if held.name == "small" else held


async def test_the_plan_tells_what_will_not_fit(small: World) -> None:
    """For a destination with tight bounds the plan looks at what it would create, and refuses what does not fit."""
    await small.seed("src", {"fits": {"value": "x"}, "large": {"value": "x" * 17}, "empty": {"value": ""}})
    small.job("- {name: all, query: {}}", dest="small")
    planned = await small.plan()
    assert actions(planned) == {"fits": "create", "large": "refuse", "empty": "refuse"}
    details = {change.key: change.detail for change in planned.changes}
    assert details["large"] == "invalid-secret: small cannot hold large: 17 bytes, and 16 fit"
    report = await small.sync()
    assert {outcome.change.key: outcome.code for outcome in report.failures} == {
        "large": "invalid-secret",
        "empty": "invalid-secret",
    }
    assert await small.all("small") == {"fits": b"x"}


BINARY = "memory: {shape: binary-fields}"


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ({"user": "ü", "pass": ""}, {"user": "ü".encode(), "pass": b""}),
        ({}, {}),
    ],
)
async def test_text_fields_to_bytes_and_back(world: World, value: Any, held: Any) -> None:
    """Text becomes its UTF-8 bytes and comes back as the same text."""
    world.store("bytes", BINARY)
    world.store("back")
    await world.put("src", "a", value)
    world.job("- {name: all, query: {}}", dest="bytes")
    assert (await world.sync()).ok
    assert await world.all("bytes") == {"a": held}
    world.job("- {name: all, query: {}}", source="bytes", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"a": value}
    # And a second look at either changes nothing.
    assert (await world.sync(verify=True)).total() == 1


@pytest.mark.parametrize(
    ("value", "text"), [(1, b"1"), (True, b"true"), (None, b"null"), (["a"], b'["a"]'), ({"b": "c"}, b'{"b":"c"}')]
)
async def test_only_text_becomes_bytes(world: World, value: Any, text: bytes) -> None:
    """What is not text is refused with what to do, and becomes its JSON text where the document says asText."""
    world.store("bytes", BINARY)
    await world.put("src", "a", {"x": value})
    world.job("- {name: all, query: {}}", dest="bytes")
    (failure,) = (await world.sync()).failures
    assert failure.code == "invalid-secret"
    assert "the destination holds bytes: the field 'x' (" in failure.message
    assert failure.hint == (
        "make it text by valueTransform: [{fields: {asText: true}}]"
        if value is not None
        else "drop what is null by valueTransform: [{fields: {dropNull: true}}], or write the text null by asText: true"
    )
    world.job("- {name: all, query: {}, valueTransform: [{fields: {asText: true}}]}", dest="bytes")
    assert (await world.sync()).ok
    assert await world.all("bytes") == {"a": {"x": text}}


async def test_bytes_need_base64_where_there_are_none(world: World) -> None:
    """Bytes that are not text are refused by a store of JSON; with base64 all fields go there and back as base64."""
    world.store("bytes", BINARY)
    world.store("back", BINARY)
    keystore = {"keystore.jks": b"\xff\xfe", "password": b"text"}
    await world.put("bytes", "a", keystore)
    world.job("- {name: all, query: {}}", source="bytes")
    (failure,) = (await world.sync()).failures
    assert "set encoding: base64" in failure.hint
    world.job("- {name: all, encoding: base64, query: {}}", source="bytes")
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a": {"keystore.jks": "//4=", "password": "dGV4dA=="}}
    world.job("- {name: all, encoding: base64, query: {}}", source="dst", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"a": keystore}
    world.job("- {name: all, query: {}}", source="bytes", dest="back")
    assert (await world.sync()).total() == 1


async def test_bytes_pass_between_stores_that_have_them(world: World) -> None:
    """Between two stores of bytes nothing has to be said; picking and renaming works, templates refuse bytes."""
    world.store("bytes", BINARY)
    world.store("back", BINARY)
    await world.put("bytes", "a", {"key": b"\xff", "text": b"t"})
    world.job("- {name: all, query: {}, valueTransform: [{fields: {rename: {key: k}}}]}", source="bytes", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"a": {"k": b"\xff", "text": b"t"}}
    template = "[{template: {data: {x: '{{ text }}'}}}]"
    world.job(f"- {{name: all, query: {{}}, valueTransform: {template}}}", source="bytes", dest="back")
    (failure,) = (await world.sync()).failures
    assert "a template of item all is given bytes" in failure.message
    excluded = f"[{{fields: {{exclude: [key]}}}}, {template[1:]}"
    world.job(f"- {{name: all, query: {{}}, valueTransform: {excluded}}}", source="bytes", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"a": {"x": b"t"}}


@pytest.mark.parametrize("blob", [b"text", b"\xff\xfe", b'{"a":"b"}', b""])
@pytest.mark.parametrize("encoding", ["utf-8", "base64"])
async def test_blobs_to_bytes_and_back(world: World, blob: bytes, encoding: str) -> None:
    """A blob of any bytes becomes fields of bytes and is the same blob again."""
    world.store("blobs", "memory: {shape: blob}")
    world.store("bytes", BINARY)
    world.store("back", "memory: {shape: blob}")
    await world.put("blobs", "a", blob)
    plan = f"- {{name: all, encoding: {encoding}, query: {{}}}}"
    world.job(plan, source="blobs", dest="bytes")
    assert (await world.sync()).ok
    whole = encoding == "base64" or blob != b'{"a":"b"}'
    assert await world.all("bytes") == {"a": {"value": blob} if whole else {"a": b"b"}}
    world.job(plan, source="bytes", dest="back")
    assert (await world.sync()).ok
    assert await world.all("back") == {"a": blob}


async def test_merging_keeps_foreign_bytes(world: World) -> None:
    """With Merge the fields of others stay as they are, also bytes that are no text."""
    world.store("bytes", BINARY)
    await world.put("src", "a", {"ours": "1"})
    await world.put("bytes", "a", {"theirs": b"\xff", "ours": b"0"})
    world.job("- {name: all, query: {}}", dest="bytes", writePolicy="Merge")
    assert (await world.sync()).ok
    assert await world.all("bytes") == {"a": {"theirs": b"\xff", "ours": b"1"}}
    await world.put("src", "a", {"new": "2"})
    assert (await world.sync()).ok
    assert await world.all("bytes") == {"a": {"theirs": b"\xff", "new": b"2"}}
    again = await world.sync()
    assert again.total() == 1
