"""Reading, writing, comparing and deleting single secrets against a real OpenBao."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import Conflict, InvalidSecret, SecretNotFound, StoreError
from secretsync_core.model.capabilities import Ability
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import abilities_of

if TYPE_CHECKING:
    from conftest import MakeToken, Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

ODD_KEYS = [
    "with space",
    "trailing ",
    "folder /x",
    " lead",
    "ünï/çødé",
    "emoji-😀",
    "a.b/..c/.../.d",
    "%",
    "%41",
    "a%2Fb",
    "a+b/+",
    "q?x=1",
    "hash#x",
    "a&b=c;d",
    "back\\slash",
    "st*r",
    "quo\"te'",
    "{a}[b]<c>|^$@!,:~`",
    "data/metadata/config",
    "x" * 2000,
]
REFUSED_KEYS = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/./b",
    "a/..",
    "tab\tx",
    "new\nline",
    "nul\0",
    "c1\x85",
    "zero\u200bwidth",
    "no-break\u00a0space",
    "rtl\u202e",
    "\ue000",
]


async def read(store: Any, key: str, version: str | None = None) -> Any:
    return (await store.read(key, version)).value.reveal()


async def test_abilities(vault_store_factory: VaultStores) -> None:
    """Both versions read, list, write and delete; version 2 compares and sets too."""
    one, two = await vault_store_factory(1), await vault_store_factory(2)
    basic = {Ability.READ, Ability.LOOK, Ability.LIST, Ability.WRITE, Ability.DELETE}
    assert abilities_of(one) == basic
    beside = {Ability.MARK, Ability.DESCRIBE, Ability.SET_METADATA}
    assert abilities_of(two) == basic | beside | {Ability.COMPARE_AND_SET, Ability.UNDELETE}
    assert (one.facts.versioned, two.facts.versioned) == (False, True)


@pytest.mark.parametrize("kv_version", [1, 2])
@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys(vault_store_factory: VaultStores, kv_version: int, key: str) -> None:
    """Every printable key is written, read, listed, looked at and deleted under exactly its name."""
    store = await vault_store_factory(kv_version)
    await store.write(key, SecretValue({"k": "v"}))
    assert await read(store, key) == {"k": "v"}
    assert [entry.key async for entry in store.list("", recursive=True, metadata=False)] == [key]
    assert [entry.key async for entry in store.stat([key])] == [key]
    folder = key[: key.rfind("/") + 1]
    assert [entry.key async for entry in store.list(folder, recursive=False, metadata=False)] == [key]
    await store.delete(key)
    with pytest.raises(SecretNotFound):
        await store.read(key)


@pytest.mark.parametrize("kv_version", [1, 2])
async def test_refused_keys(vault_store_factory: VaultStores, api: Api, mount: Mount, kv_version: int) -> None:
    """A key that the server refuses or takes for another is refused before anything is sent."""
    store = await vault_store_factory(kv_version)
    for key in REFUSED_KEYS:
        for call in (store.read(key), store.write(key, SecretValue({"k": "v"})), store.delete(key)):
            with pytest.raises(InvalidSecret):
                await call
    assert [entry async for entry in store.list("", recursive=True, metadata=False)] == []


def test_pattern_agrees_with_server(openbao: OpenBaoServer, api: Api, mount: Mount) -> None:
    """The characters that our pattern refuses are those that the server refuses, over a sample of all of Unicode."""
    import re2

    from secretsync_core.stores.vault.keys import KEY_PATTERN

    name = mount(openbao, 1)
    for code in [*range(0x20, 0x180), 0x200D, 0x2028, 0x3000, 0x4E00, 0xE000, 0xFEFF, 0x1F600, 0xE0001]:
        key = f"x{chr(code)}y"
        if chr(code) == "/":
            continue
        ours = re2.fullmatch(KEY_PATTERN, key) is not None
        theirs = api.ask("POST", f"{name}/{key}", {"k": "v"}).status == 204
        assert ours == theirs, hex(code)


async def test_version_tokens_agree(vault_store_factory: VaultStores) -> None:
    """The write, the read, the look and both listings give the same token for the same version."""
    store = await vault_store_factory()
    for fields in ({"a": "1"}, {"a": "2"}):
        tokens = {await store.write("x/y", SecretValue(fields))}
        tokens.add((await store.read("x/y")).version)
        tokens |= {entry.version async for entry in store.stat(["x/y"])}
        tokens |= {entry.version async for entry in store.stat(["x/y", *map(str, range(100))])}
        tokens |= {entry.version async for entry in store.list("", recursive=True, metadata=False)}
        tokens |= {entry.version async for entry in store.list("x/", recursive=False, metadata=False)}
        assert len(tokens) == 1
    assert tokens.pop().startswith("2@")


async def test_recreated_secret_looks_changed(vault_store_factory: VaultStores, api: Api) -> None:
    """A secret that was deleted for good and made anew has another token, though its number is 1 again."""
    store = await vault_store_factory()
    first = await store.write("k", SecretValue({"a": "1"}))
    api.call("DELETE", f"{store._transport.mount}/metadata/k")
    second = await store.write("k", SecretValue({"a": "1"}))
    assert (first.partition("@")[0], second.partition("@")[0]) == ("1", "1")
    assert first != second


async def test_compare_and_set(vault_store_factory: VaultStores) -> None:
    """write_if writes only over what was seen, and only where there is nothing if nothing was seen."""
    store = await vault_store_factory()
    first = await store.write_if("k", SecretValue({"a": "1"}), None)
    with pytest.raises(Conflict):
        await store.write_if("k", SecretValue({"a": "2"}), None)
    second = await store.write_if("k", SecretValue({"a": "2"}), first)
    with pytest.raises(Conflict):
        await store.write_if("k", SecretValue({"a": "3"}), first)
    assert await read(store, "k") == {"a": "2"}
    with pytest.raises(StoreError, match="not a version"):
        await store.write_if("k", SecretValue({}), "x@y")
    await store.delete("k")
    (entry,) = [entry async for entry in store.stat(["k"])]
    assert entry.deleted
    assert entry.version == second
    await store.write_if("k", SecretValue({"a": "3"}), entry.version)
    assert await read(store, "k") == {"a": "3"}


async def test_cas_required(vault_store_factory: VaultStores, openbao: OpenBaoServer, mount: Mount) -> None:
    """A plain write works on a mount that insists on compare-and-set, new secret or old."""
    store = await vault_store_factory(mount=mount(openbao, 2, cas_required=True))
    await store.write("k", SecretValue({"a": "1"}))
    await store.write("k", SecretValue({"a": "2"}))
    assert (await store.read("k")).version.startswith("2@")


async def test_deleted_and_destroyed(vault_store_factory: VaultStores, api: Api) -> None:
    """Deleted and destroyed secrets read as not found, and are listed as deleted with their token."""
    store = await vault_store_factory()
    mount = store._transport.mount
    tokens = {key: await store.write(key, SecretValue({"a": "1"})) for key in ("deleted", "destroyed", "kept")}
    await store.delete("deleted")
    api.call("POST", f"{mount}/destroy/destroyed", {"versions": [1]})
    api.call("POST", f"{mount}/metadata/empty", {"custom_metadata": {"team": "a"}})
    for key, word in (("deleted", "deleted"), ("destroyed", "destroyed"), ("empty", "not in"), ("never", "not in")):
        with pytest.raises(SecretNotFound, match=word):
            await store.read(key)
    listed = {entry.key: entry async for entry in store.list("", recursive=True, metadata=True)}
    assert {key for key, entry in listed.items() if entry.deleted} == {"deleted", "destroyed", "empty"}
    assert {key: listed[key].version for key in tokens} == tokens
    assert listed["empty"].metadata == {"team": "a"}
    assert listed["kept"].metadata == {}
    await store.write_if("empty", SecretValue({"a": "1"}), listed["empty"].version)
    api.call("POST", f"{mount}/undelete/deleted", {"versions": [1]})
    assert await read(store, "deleted") == {"a": "1"}


async def test_deletion_in_the_future(vault_store_factory: VaultStores, api: Api) -> None:
    """A secret that will be deleted later (delete_version_after) is not deleted yet."""
    store = await vault_store_factory()
    api.call("POST", f"{store._transport.mount}/metadata/k", {"delete_version_after": "1h"})
    await store.write("k", SecretValue({"a": "1"}))
    assert [entry.deleted async for entry in store.list("", recursive=True, metadata=False)] == [False]
    assert [entry.deleted async for entry in store.stat(["k"])] == [False]


async def test_pinned_version(vault_store_factory: VaultStores) -> None:
    """A pin reads that version; one that never was is not found; what is no number is refused."""
    store = await vault_store_factory()
    await store.write("k", SecretValue({"a": "1"}))
    await store.write("k", SecretValue({"a": "2"}))
    assert await read(store, "k", "1") == {"a": "1"}
    with pytest.raises(SecretNotFound):
        await store.read("k", "7")
    with pytest.raises(StoreError, match="is a number"):
        await store.read("k", "latest")
    one = await vault_store_factory(1)
    with pytest.raises(StoreError, match="no versions"):
        await one.read("k", "1")


FIELDS: list[dict[str, Any]] = [
    {"": "empty name", "empty": "", "spaces": "  ", "newline": "a\nb\r\n", "nul": "\0", "unicode": "ü😀\u2028"},
    {"nested": {"a": [1, "two", None, True, {"b": []}]}, "null": None, "yes": True},
    {"int": 1, "negative": -5, "float": 0.1, "exp": 1e300, "big": 2**53, "round": 10**18},
    {f"f{number}": "v" for number in range(499)},
    {"long": "x" * 900_000},
]


@pytest.mark.parametrize("kv_version", [1, 2])
@pytest.mark.parametrize("fields", FIELDS, ids=["strings", "nested", "numbers", "many", "long"])
async def test_values_come_back(vault_store_factory: VaultStores, kv_version: int, fields: dict[str, Any]) -> None:
    """What is written comes back as it was."""
    store = await vault_store_factory(kv_version)
    await store.write("k", SecretValue(fields))
    assert await read(store, "k") == fields


async def test_secret_without_fields(vault_store_factory: VaultStores, api: Api) -> None:
    """Version 2 holds a secret without fields, and reads null as one; version 1 refuses it."""
    store = await vault_store_factory()
    await store.write("k", SecretValue({}))
    assert await read(store, "k") == {}
    api.call("POST", f"{store._transport.mount}/data/null", {"data": None})
    assert await read(store, "null") == {}
    with pytest.raises(InvalidSecret, match="no fields"):
        await (await vault_store_factory(1)).write("k", SecretValue({}))


@pytest.mark.parametrize("number", [2**53 + 1, 2**60, -(2**63), 10**30 + 1, 10**400, math.nan, math.inf])
async def test_numbers_that_would_change(vault_store_factory: VaultStores, number: float) -> None:
    """A number that version 2 would change is refused; version 1 keeps every digit of an integer."""
    two, one = await vault_store_factory(2), await vault_store_factory(1)
    values: list[dict[str, Any]] = [{"n": number}, {"deep": [{"n": number}]}]
    for value in values:
        with pytest.raises(InvalidSecret, match="number"):
            await two.write("k", SecretValue(value))
        if isinstance(number, int) and number < 10**100:
            await one.write("k", SecretValue(value))
            back = await read(one, "k")
            assert repr(back) == repr(value)
        elif isinstance(number, float):
            with pytest.raises(InvalidSecret, match="number"):
                await one.write("k", SecretValue(value))


@pytest.mark.parametrize("kv_version", [1, 2])
async def test_what_it_cannot_hold(vault_store_factory: VaultStores, kv_version: int) -> None:
    """Blobs, half characters, too many fields and too large secrets are InvalidSecret, and nothing is written."""
    store = await vault_store_factory(kv_version)
    for value in (b"blob", {"half": "\ud800"}, {f"f{n}": "v" for n in range(501)}, {"long": "x" * 1_000_001}):
        with pytest.raises(InvalidSecret):
            await store.write("k", SecretValue(value))
    with pytest.raises(SecretNotFound):
        await store.read("k")


@pytest.mark.parametrize("kv_version", [1, 2])
async def test_delete_twice(vault_store_factory: VaultStores, kv_version: int) -> None:
    """Deleting what is absent already is no error."""
    store = await vault_store_factory(kv_version)
    await store.write("k", SecretValue({"a": "1"}))
    for key in ("k", "k", "never"):
        await store.delete(key)


async def test_cas_required_without_sight(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, mount: Mount, make_token: MakeToken
) -> None:
    """Where compare-and-set is insisted on and we may not look at the version, a plain write fails as denied."""
    name = mount(openbao, 2, cas_required=True)
    token = make_token(openbao, f'path "{name}/data/*" {{ capabilities = ["create", "update"] }}')
    store = await vault_store_factory(mount=name, auth={"token": {"value": token}})
    with pytest.raises(StoreError, match="look at k: permission denied"):
        await store.write("k", SecretValue({"a": "1"}))
