"""A secret keeps its kind: text or bytes of a blob, the type of a Kubernetes Secret, an object with one field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run.world import actions, counted, reasons, wrote
from secretsync_core.run.fingerprint import canonical
from secretsync_core.secret import BINARY, TEXT, SecretValue

if TYPE_CHECKING:
    from run.world import World

ALL = "- {name: all, query: {recursive: true}}"
BLOB = "memory: {shape: blob}"
BYTES = "memory: {shape: binary-fields}"


async def put(world: World, store: str, key: str, payload: Any, kind: str = "") -> None:
    """Write a secret of some kind behind the sync's back."""
    await (await world.handle(store)).write(key, SecretValue(payload, kind))


async def kind(world: World, store: str, key: str) -> str:
    """The kind of a secret."""
    found: str = (await (await world.handle(store)).read(key)).value.kind
    return found


@pytest.fixture
def blobs(world: World) -> World:
    """Two stores of blobs that tell text from bytes."""
    for name in ("src", "dst"):
        world.store(name, BLOB)
    world.job(ALL)
    return world


@pytest.mark.parametrize("told", [TEXT, BINARY])
async def test_a_blob_keeps_its_kind(blobs: World, told: str) -> None:
    """Bytes that could be text stay bytes, text stays text, when created and when updated; then nothing is to do."""
    for payload in (b"-----BEGIN CERTIFICATE-----", b"16ASCIIbytesHERE"):
        await put(blobs, "src", "a", payload, told)
        assert (await blobs.sync()).ok
        assert (await blobs.get("dst", "a"), await kind(blobs, "dst", "a")) == (payload, told)
        again = await blobs.sync(verify=True)
        assert (counted(again), wrote(again)) == ({"unchanged": 1}, 0)
    assert blobs.sound()


async def test_bytes_that_become_text_stay_bytes(blobs: World) -> None:
    """A rotation of random bytes that happens to be text changes nothing about what it is."""
    await put(blobs, "src", "a", b"\xff\x00key", BINARY)
    await blobs.sync()
    await put(blobs, "src", "a", b"16ASCIIbytesHERE", BINARY)
    assert counted(await blobs.sync()) == {"updated": 1}
    assert await kind(blobs, "dst", "a") == BINARY


async def test_another_kind_is_drift_and_is_repaired(blobs: World) -> None:
    """Whoever reads the bytes finds none where somebody has made a text of them, although it is the same one."""
    await put(blobs, "src", "a", b"text", BINARY)
    await blobs.sync()
    await put(blobs, "dst", "a", b"text", TEXT)
    assert reasons((await blobs.check()).drifted) == {"a": "drifted"}
    assert counted(await blobs.sync()) == {"updated": 1}
    assert await kind(blobs, "dst", "a") == BINARY
    assert (await blobs.check()).drifted == []


@pytest.mark.parametrize(
    ("there", "new", "then"),
    [(BINARY, b"now text", BINARY), (TEXT, b"other", TEXT), (TEXT, b"\xff\xfe", "")],
)
async def test_what_nobody_knows_stays_what_it_is_there(world: World, there: str, new: bytes, then: str) -> None:
    """A file is neither text nor bytes: an update keeps the kind at the destination, unless that cannot be."""
    world.files("src")
    world.store("dst", BLOB)
    world.job(ALL, writePolicy="Replace")
    await put(world, "dst", "a", b"before", there)
    await world.put("src", "a", new)
    assert counted(await world.sync()) == {"updated": 1}
    assert (await world.get("dst", "a"), await kind(world, "dst", "a")) == (new, then)
    again = await world.sync(verify=True)
    assert (counted(again), wrote(again)) == ({"unchanged": 1}, 0)


async def test_a_store_without_kinds_gets_the_bytes(world: World) -> None:
    """In files, and in fields of bytes, text and bytes are the same: nothing is written twice for it."""
    world.store("src", BLOB)
    world.store("bytes", BYTES)
    world.files("dst")
    world.job(ALL, dest="[dst, bytes]")
    await put(world, "src", "a", b"text", BINARY)
    await put(world, "src", "b", b"\xff", BINARY)
    assert (await world.sync()).ok
    assert await world.all("dst") == {"a": b"text", "b": b"\xff"}
    assert await world.all("bytes") == {"a": {"value": b"text"}, "b": {"value": b"\xff"}}
    again = await world.sync(verify=True)
    assert (counted(again), wrote(again)) == ({"unchanged": 4}, 0)


async def test_an_undo_gives_the_kind_back(blobs: World) -> None:
    """The former version comes back as what it was."""
    await put(blobs, "src", "a", b"one", BINARY)
    await blobs.sync()
    await put(blobs, "src", "a", b"two", TEXT)
    run = (await blobs.sync()).run
    assert await kind(blobs, "dst", "a") == TEXT
    assert (await blobs.undo(run)).ok
    assert (await blobs.get("dst", "a"), await kind(blobs, "dst", "a")) == (b"one", BINARY)


def test_what_the_ledger_held_before_is_named_as_it_was() -> None:
    """Only bytes that could be text have another name than before: nothing else looks changed to an older ledger."""
    for value in (SecretValue(b"text"), SecretValue(b"text", TEXT)):
        assert canonical(value) == b"btext"
    assert canonical(SecretValue(b"\xff", BINARY)) == b"b\xff"
    assert canonical(SecretValue(b"text", BINARY)) != b"btext"
    fields = {"tls.crt": b"x"}
    assert canonical(SecretValue(fields, "kubernetes.io/tls")) == canonical(SecretValue(fields))


# -- the type of a Kubernetes Secret: the same in fields of bytes, whatever they are called

CERTIFICATE = {"tls.crt": b"c", "tls.key": b"k"}


@pytest.fixture
def bytes_(world: World) -> World:
    """Two stores of fields of bytes that keep a type."""
    for name in ("src", "dst"):
        world.store(name, BYTES)
    return world


@pytest.mark.parametrize(
    ("more", "then"),
    [
        ("", "kubernetes.io/tls"),
        (", encoding: base64", "kubernetes.io/tls"),
        (", valueTransform: [{fields: {exclude: [more]}}]", "kubernetes.io/tls"),
        (", valueTransform: [{template: {data: {x: '{{ more }}'}}}]", ""),
    ],
)
async def test_a_type_is_carried_with_the_fields(bytes_: World, more: str, then: str) -> None:
    """It goes with the fields that are copied or picked; what a template makes is something new."""
    await put(bytes_, "src", "a", {**CERTIFICATE, "more": b"m"}, "kubernetes.io/tls")
    bytes_.job(f"- {{name: all, query: {{}}{more}}}")
    assert (await bytes_.sync()).ok
    assert await kind(bytes_, "dst", "a") == then
    again = await bytes_.sync(verify=True)
    assert (counted(again), wrote(again)) == ({"unchanged": 1}, 0)


async def test_a_type_that_is_there_stays(bytes_: World) -> None:
    """Nobody can change the type of a Secret: one of another type gets the new data, and is no difference by itself."""
    await put(bytes_, "dst", "a", CERTIFICATE, "Opaque")
    await put(bytes_, "src", "a", CERTIFICATE, "kubernetes.io/tls")
    bytes_.job("- {name: all, query: {}}")
    assert counted(await bytes_.sync()) == {"unchanged": 1}
    await put(bytes_, "src", "a", {**CERTIFICATE, "tls.crt": b"new"}, "kubernetes.io/tls")
    (change,) = (await bytes_.plan()).changes
    assert change.detail == "its type stays Opaque, and at the source it is kubernetes.io/tls"
    assert counted(await bytes_.sync()) == {"updated": 1}
    assert await kind(bytes_, "dst", "a") == "Opaque"


async def test_a_query_selects_by_type(bytes_: World) -> None:
    """query.type takes the secrets of one type; one that is replaced by another of another type is not selected."""
    await put(bytes_, "src", "tls", CERTIFICATE, "kubernetes.io/tls")
    await put(bytes_, "src", "pull", {".dockerconfigjson": b"{}"}, "kubernetes.io/dockerconfigjson")
    await put(bytes_, "src", "plain", {"a": b"1"}, "Opaque")
    plan = "- {name: certificates, query: {type: kubernetes.io/tls}}\n"
    plan += "- {name: pulls, query: {type: kubernetes.io/dockerconfigjson}}"
    bytes_.job(plan, deletionPolicy="Delete", maxDelete="100%")
    first = await bytes_.sync()
    assert counted(first) == {"created": 2}
    assert first.requests["src"]["list"] == 2
    assert set(await bytes_.all("dst")) == {"tls", "pull"}
    await put(bytes_, "src", "tls", CERTIFICATE, "Opaque")
    assert actions(await bytes_.plan()) == {"tls": "delete", "pull": "unchanged"}
    assert counted(await bytes_.sync()) == {"deleted": 1, "unchanged": 1}


async def test_globs_and_a_type_choose_together(bytes_: World) -> None:
    """A query takes what its globs take and is of its type; the copies of what becomes another type are deleted."""
    for key in ("team-a/tls", "team-a/old/tls", "team-b/tls", "other/tls"):
        await put(bytes_, "src", key, CERTIFICATE, "kubernetes.io/tls")
    await put(bytes_, "src", "team-a/plain", {"a": b"1"}, "Opaque")
    plan = "- {name: certificates, query: {path: 'team-*/**', exclude: ['**/old'], type: kubernetes.io/tls}}\n"
    plan += "- {name: rest, query: {path: 'team-*/**', type: Opaque}}"
    bytes_.job(plan, deletionPolicy="Delete", maxDelete="100%")
    first = await bytes_.sync()
    assert (counted(first), first.requests["src"]["list"]) == ({"created": 3}, 2)
    assert set(await bytes_.all("dst")) == {"team-a/tls", "team-a/plain", "team-b/tls"}
    await put(bytes_, "src", "team-b/tls", {"a": b"2"}, "kubernetes.io/own")
    assert counted(await bytes_.sync()) == {"deleted": 1, "unchanged": 2}
    assert set(await bytes_.all("dst")) == {"team-a/tls", "team-a/plain"}


async def test_a_listing_that_does_not_keep_to_the_type_is_not_believed(
    bytes_: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may drop what it does not know of a request: a secret of another type is not copied."""
    from secretsync_core.stores.memory import MemoryStore

    whole = MemoryStore.list
    monkeypatch.setattr(
        MemoryStore,
        "list",
        lambda self, prefix, *, recursive, metadata, kind="": whole(
            self, prefix, recursive=recursive, metadata=metadata
        ),
    )
    await put(bytes_, "src", "plain", {"a": b"1"}, "Opaque")
    bytes_.job("- {name: certificates, query: {type: kubernetes.io/tls}}")
    (failure,) = (await bytes_.sync()).failures
    assert failure.message == "src lists plain with the type kubernetes.io/tls, and it has another one"
    assert await bytes_.all("dst") == {}


# -- an object with the one field ``value``

ONLY = b'{"value":"s3cr3t"}'


@pytest.mark.parametrize(
    ("more", "blob"),
    [
        ("", ONLY),
        (", valueTransform: [{fields: {exclude: [other]}}]", ONLY),
        (", valueTransform: [{fields: {rename: {value: token}}}]", b'{"token":"s3cr3t"}'),
        (", valueTransform: [{template: {text: '{{ value }}'}}]", b"s3cr3t"),
        (", valueTransform: [{template: {data: {token: '{{ value }}'}}}]", b'{"token":"s3cr3t"}'),
        (", encoding: base64, valueTransform: [{fields: {exclude: [other]}}]", ONLY),
    ],
)
async def test_an_object_with_one_field_is_an_object(blobs: World, more: str, blob: bytes) -> None:
    """Whatever is done to it, it is opened as any object, and from a blob to a blob it stays one."""
    await blobs.put("src", "a", ONLY)
    blobs.job(f"- {{name: all, query: {{}}{more}}}")
    assert (await blobs.sync()).ok
    assert await blobs.get("dst", "a") == blob


async def test_an_object_with_one_field_becomes_fields(world: World) -> None:
    """Copied, picked, split and combined into a store of fields: its field is `value`, as with any other name."""
    world.store("src", BLOB)
    await world.put("src", "tok", ONLY)
    await world.put("src", "two", b'{"a":"1","b":"2"}')
    world.job(
        """
        - {name: plain, secret: {key: tok}}
        - {name: one, secret: {key: tok, property: value}, keyTransform: [{prefix: a-}]}
        - {name: split, secret: {key: tok}, split: fields, keyTransform: [{prefix: b-}]}
        - {name: more, secret: {key: two}, split: fields, keyTransform: [{prefix: c-}]}
        - {name: both, key: d, combine: [{name: x, secret: {key: tok}}, {name: y, secret: {key: two}}]}
        """
    )
    assert (await world.sync()).ok
    only = {"value": "s3cr3t"}
    assert await world.all("dst") == {
        "tok": only,
        "a-tok": only,
        "b-tok/value": only,
        "c-two/a": {"value": "1"},
        "c-two/b": {"value": "2"},
        "d": {"tok": "s3cr3t", "a": "1", "b": "2"},
    }


async def test_merging_leaves_an_object_an_object(world: World) -> None:
    """Where only somebody else's `value` is left in an object, it does not become plain text."""
    world.store("dst", BLOB)
    await world.put("dst", "a", ONLY)
    await world.put("src", "a", {"token": "t"})
    world.job(ALL, writePolicy="Merge", deletionPolicy="Delete", maxDelete="100%")
    await world.sync()
    assert await world.get("dst", "a") == b'{"token":"t","value":"s3cr3t"}'
    await world.put("src", "a", {})
    await world.sync()
    assert await world.get("dst", "a") == ONLY


async def test_merging_leaves_plain_text_plain(world: World) -> None:
    """Somebody made plain text of the secret that we had merged into: taking our fields back does not touch it."""
    world.store("dst", BLOB)
    await world.put("dst", "a", b'{"note":"n"}')
    await world.put("src", "a", {"token": "t"})
    world.job(ALL, writePolicy="Merge", deletionPolicy="Delete", maxDelete="100%")
    await world.sync()
    await world.put("dst", "a", b"theirs")
    await world.remove("src", "a")
    await world.sync()
    assert await world.get("dst", "a") == b"theirs"
