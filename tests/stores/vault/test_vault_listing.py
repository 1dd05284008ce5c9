"""Listing and looking, by every way that a server or a proxy leaves open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.faulty_http import FaultyHttp
from support.gaps import without_faults
from support.gate import CountingGate

from secretsync_core.errors import AccessDenied, StoreError, StoreUnavailable
from secretsync_core.model.inventory import Entry, Gap
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import MakeToken, Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

KEYS = ["a", "b", "a/b", "a/c", "a/deep/er/x", "z/y", "a/gone"]


async def everything(found: AsyncIterator[Entry | Gap]) -> list[Any]:
    return sorted([each async for each in found], key=lambda each: str(each[0]))


def fill(api: Api, mount: str, version: int = 2) -> None:
    for key in KEYS:
        api.put(mount, key, {"k": key}, version=version)
    if version == 2:
        api.call("DELETE", f"{mount}/data/a/gone")
        api.call("POST", f"{mount}/metadata/a/b", {"custom_metadata": {"team": "x"}})


def policy(mount: str, *paths: str) -> str:
    return "\n".join(f'path "{mount}/{path}" {{ capabilities = ["read", "list"] }}' for path in paths)


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("prefix", ["", "a/", "a/deep/", "nothing/"])
async def test_every_way_gives_the_same(
    vault_store_factory: VaultStores,
    openbao: OpenBaoServer,
    api: Api,
    mount: Mount,
    make_token: MakeToken,
    prefix: str,
    recursive: bool,
    metadata: bool,
) -> None:
    """One SCAN, the same behind a proxy that knows no SCAN, and LIST without the right to scan give equal entries."""
    name = mount(openbao)
    fill(api, name)
    no_scan = make_token(openbao, policy(name, "metadata/*"))
    gate = CountingGate()
    store = await vault_store_factory(mount=name, gate=gate)
    gate.counts.clear()
    expected = await everything(store.list(prefix, recursive=recursive, metadata=metadata))
    assert gate.counts["list"] == (2 if prefix == "nothing/" and not recursive else 1)
    keys = {key for key in KEYS if key.startswith(prefix) and (recursive or "/" not in key[len(prefix) :])}
    assert {entry.key for entry in expected} == keys
    assert all((entry.metadata is not None) == metadata for entry in expected)

    limited = await vault_store_factory(mount=name, auth={"token": {"value": no_scan}})
    assert await everything(limited.list(prefix, recursive=recursive, metadata=metadata)) == expected
    async with FaultyHttp(openbao.address) as proxy:
        for status in (400, 405, 501):
            proxy.refuse_verbs("SCAN", "LIST", status=status)
            behind = await vault_store_factory(mount=name, address=proxy.address)
            assert await everything(behind.list(prefix, recursive=recursive, metadata=metadata)) == expected
            await behind.aclose()
        assert proxy.count(r"GET .*\?(scan|list)=true")


@pytest.mark.parametrize("kv_version", [1, 2])
@pytest.mark.parametrize("may_scan", [True, False])
async def test_folders_that_a_listing_showed(
    vault_store_factory: VaultStores,
    openbao: OpenBaoServer,
    api: Api,
    mount: Mount,
    make_token: MakeToken,
    kv_version: int,
    may_scan: bool,
) -> None:
    """However a folder was listed, it is known whether folders are in it, and nobody is asked again."""
    name, gate = mount(openbao, kv_version), CountingGate()
    fill(api, name, version=kv_version)
    scan = ', "scan"' if may_scan else ""
    root = f"{name}/*" if may_scan or kv_version == 1 else f"{name}/metadata/*"
    token = make_token(openbao, f'path "{root}" {{ capabilities = ["read", "list"{scan}] }}')
    store = await vault_store_factory(kv_version, mount=name, auth={"token": {"value": token}}, gate=gate)
    for prefix, shows in (("", True), ("a/", True), ("a/deep/er/", False), ("none/", False)):
        await everything(store.list(prefix, recursive=False, metadata=False))
        asked = gate.counts.total()
        assert await store.shows_folders(prefix) is shows
        assert gate.counts.total() == asked


PAGE = b"<html><body>Request blocked.</body></html>"


@pytest.mark.parametrize("status", [403, 404, 406])
@pytest.mark.parametrize("kv_version", [1, 2])
async def test_a_firewall_that_blocks_verbs(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount, kv_version: int, status: int
) -> None:
    """A refusal that is not Vault's own is of the verb: the same is asked by GET, from then on at once."""
    name, gate = mount(openbao, kv_version), CountingGate()
    fill(api, name, version=kv_version)
    store = await vault_store_factory(kv_version, mount=name)
    async with FaultyHttp(openbao.address) as proxy:
        proxy.answer("^(LIST|SCAN) ", status, PAGE)
        behind = await vault_store_factory(kv_version, mount=name, address=proxy.address, gate=gate)
        for recursive in (True, False, True):
            expected = await everything(store.list("a/", recursive=recursive, metadata=False))
            assert await everything(behind.list("a/", recursive=recursive, metadata=False)) == expected
        assert proxy.count("^(LIST|SCAN) ") == 2  # one of each, and none again
        assert gate.counts["login"] == (status == 403)  # whether our token lives


async def test_a_firewall_that_blocks_every_listing(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, mount: Mount
) -> None:
    """Where neither form gets through, the error says that it is not Vault who refuses, and nothing of the page."""
    async with FaultyHttp(openbao.address) as proxy:
        proxy.answer("^(LIST|SCAN) |(list|scan)=true", 403, b"<html>Blocked: canary</html>")
        behind = await vault_store_factory(mount=mount(openbao), address=proxy.address)
        with pytest.raises(AccessDenied, match=r"refuses to list t/ .*the answer is not Vault's") as raised:
            await anext(behind.list("t/", recursive=True, metadata=False))
        assert "a proxy or firewall in front of it" in raised.value.hint
        assert "?list=true" in raised.value.hint
        assert "canary" not in f"{raised.value} {raised.value.hint}"


async def test_like_hashicorp_vault(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount
) -> None:
    """A server without SCAN (405 to the verb, 404 to the path) is asked for it once, and then listed by LIST."""
    name = mount(openbao)
    fill(api, name)
    store = await vault_store_factory(mount=name)
    expected = await everything(store.list("", recursive=True, metadata=True))
    async with FaultyHttp(openbao.address) as proxy:
        unsupported = b'{"errors":["1 error occurred:\\n\\t* unsupported path\\n\\n"]}'
        proxy.answer("detailed-metadata", 404, unsupported)
        proxy.refuse_verbs("SCAN", status=405)
        vault = await vault_store_factory(mount=name, address=proxy.address)
        for _ in range(2):
            assert await everything(vault.list("", recursive=True, metadata=True)) == expected
        assert proxy.count("SCAN|scan=true") == 2
        assert await everything(vault.list("a/", recursive=False, metadata=True)) == await everything(
            store.list("a/", recursive=False, metadata=True)
        )
        await vault.aclose()


async def test_kv1_ways(vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount) -> None:
    """Version 1 lists the same keys by SCAN and by LIST, with gaps for folders that are denied."""
    name = mount(openbao, 1)
    fill(api, name, version=1)
    store = await vault_store_factory(1, mount=name)
    expected = [Entry(key) for key in sorted(KEYS)]
    assert await everything(store.list("", recursive=True, metadata=True)) == expected
    assert [e.key for e in await everything(store.list("a/", recursive=False, metadata=True))] == [
        "a/b",
        "a/c",
        "a/gone",
    ]
    assert await everything(store.stat(["a", "a/c", "a/nothing", "no/where"])) == [Entry("a"), Entry("a/c")]
    async with FaultyHttp(openbao.address) as proxy:
        proxy.refuse_verbs("SCAN", "LIST")
        proxy.answer(r"\?scan=true", 400)
        proxy.answer(r"/a/deep/\?list", 403)
        behind = await vault_store_factory(1, mount=name, address=proxy.address)
        found = await everything(behind.list("", recursive=True, metadata=False))
        assert [each for each in found if isinstance(each, Entry)] == [e for e in expected if "deep" not in e.key]
        assert [each.prefix for each in found if isinstance(each, Gap)] == ["a/deep/"]
        (gap,) = await everything(behind.stat(["a/deep/x"]))
        assert (gap.prefix, gap.code) == ("a/deep/x", "access-denied")
        await behind.aclose()


async def test_denied_folder_is_a_gap(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount, make_token: MakeToken
) -> None:
    """A sub-folder that we may not list is a Gap, and a root that we may not list is AccessDenied."""
    name = mount(openbao)
    fill(api, name)
    token = make_token(openbao, policy(name, "metadata/", "metadata/a", "metadata/a/", "metadata/a/c", "metadata/z/*"))
    store = await vault_store_factory(mount=name, auth={"token": {"value": token}})
    found = await everything(store.list("", recursive=True, metadata=False))
    assert [each.prefix for each in found if isinstance(each, Gap)] == ["a/deep/"]
    versions = {each.key: each.version for each in found if isinstance(each, Entry)}
    assert set(versions) == {"a", "b", "a/b", "a/c", "a/gone", "z/y"}
    # We may list b and a/b and not look at them: they are there, at a version that nobody told us.
    assert {key for key, version in versions.items() if version is None} == {"b", "a/b", "a/gone"}
    by_metadata = await everything(store.list("", recursive=True, metadata=True))
    assert {each.prefix for each in by_metadata if isinstance(each, Gap)} == {"a/deep/", "b", "a/b", "a/gone"}
    assert {each[0] for each in await everything(store.stat(["a/b", "a/c", "none"]))} == {"a/b", "a/c", "none"}
    with pytest.raises(AccessDenied):
        await everything(store.list("a/deep/", recursive=True, metadata=False))


async def test_look_at_many(vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount) -> None:
    """Few keys cost a request each, many cost one SCAN of their common folder, and absent ones are left out."""
    name = mount(openbao)
    for number in range(80):
        api.put(name, f"t/{number}", {"k": "v"})
    api.put(name, "other", {"k": "v"})
    async with FaultyHttp(openbao.address) as proxy:
        store = await vault_store_factory(mount=name, address=proxy.address)
        proxy.requests.clear()
        few = {f"t/{number}" for number in range(63)} | {"t/absent"}
        assert {entry.key async for entry in store.stat(few)} == few - {"t/absent"}
        assert proxy.count("GET") == 64
        proxy.requests.clear()
        many = few | {"t/70"}
        assert {entry.key async for entry in store.stat(many)} == many - {"t/absent"}
        assert [(each.method, each.path) for each in proxy.requests] == [("SCAN", f"/v1/{name}/detailed-metadata/t/")]
        await store.aclose()


async def test_cut_listing_is_never_a_short_one(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount
) -> None:
    """A listing whose connection is cut, wherever, yields nothing at all and raises a retryable error."""
    name = mount(openbao)
    for number in range(400):
        api.put(name, f"t/{number}", {"k": "v"})
    async with FaultyHttp(openbao.address) as proxy:
        store = await vault_store_factory(mount=name, address=proxy.address)
        for after in (0, 20, 300, 5_000, 100_000, 150_000):
            proxy.cut("SCAN", after=after, times=1)
            listing = store.list("", recursive=True, metadata=False)
            with pytest.raises(StoreUnavailable) as raised:
                await anext(listing)
            assert raised.value.retryable
        assert len([e async for e in store.list("", recursive=True, metadata=False)]) == 400
        await store.aclose()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>hello</html>",
        b'{"data": []}',
        b'{"data": {"other": 1}}',
        b'{"data": {"key_info": {"a": {}}}}',
        b'{"data": {"key_info": {"a": {"current_version": 1, "versions": {"1": 5}}}}}',
        b'{"data": {"key_info": {"a": ',
        b'{"data": {"keys": [1]}}' + b" " * 100_000 + b"x",
    ],
)
async def test_nonsense_is_not_an_empty_folder(vault_store_factory: VaultStores, body: bytes) -> None:
    """A 200 that is not Vault's is StoreUnavailable, for every way to list; never an empty listing."""
    async with FaultyHttp() as fake:
        fake.answer(".", 200, body)
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        for recursive in (True, False):
            with pytest.raises(StoreUnavailable, match="not Vault's protocol"):
                await everything(store.list("", recursive=recursive, metadata=False))
        with pytest.raises(StoreUnavailable):
            await without_faults(store.stat(["a"]))
        with pytest.raises(StoreUnavailable):
            await store.read("a")
        await store.aclose()


async def test_proxy_404_is_not_an_empty_folder(vault_store_factory: VaultStores) -> None:
    """A 404 that Vault did not write is an error for lists, looks and reads, not an absence."""
    async with FaultyHttp() as fake:
        fake.answer(".", 404, b"<html>nothing here</html>")
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        for ask in (
            lambda: everything(store.list("", recursive=True, metadata=False)),
            lambda: without_faults(store.stat(["a"])),
            lambda: store.read("a"),
        ):
            with pytest.raises(StoreError) as raised:
                await ask()
            assert raised.value.code != "not-found"
        await store.aclose()


async def test_list_in_parallel(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount
) -> None:
    """Without SCAN, folders and metadata are asked for in parallel, no more than the gate lets through."""
    name = mount(openbao)
    for number in range(120):
        api.put(name, f"f{number % 12}/{number}", {"k": "v"})
    gate = CountingGate(8)
    async with FaultyHttp(openbao.address) as proxy:
        proxy.answer("detailed-metadata", 403)
        store = await vault_store_factory(mount=name, address=proxy.address, gate=gate)
        assert len(await everything(store.list("", recursive=True, metadata=False))) == 120
        assert gate.peak == 8
        await store.aclose()


async def test_written_secret_is_listed(vault_store_factory: VaultStores) -> None:
    """A secret that was just written is in the next listing."""
    store = await vault_store_factory()
    for number in range(20):
        token = await store.write(f"k{number}", SecretValue({"a": "1"}))
        listed = {entry.key: entry.version async for entry in store.list("", recursive=True, metadata=False)}
        assert listed[f"k{number}"] == token
