"""A pinned KV version that does not fit its mount: it is found before anything is written, whoever may ask what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.faulty_http import FaultyHttp
from support.gate import CountingGate

from secretsync_core.errors import StoreError
from secretsync_core.model.access import Access, Act
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from conftest import MakeToken, Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

VALUE = SecretValue({"a": "1"})
MAY_WRITE = 'path "{0}/*" {{ capabilities = ["create", "update", "delete", "patch"] }}'
MAY_READ_TOO = 'path "{0}/*" {{ capabilities = ["create", "read", "update", "delete", "patch", "list"] }}'
DENIED = b'{"errors":["preflight capability check returned 403"]}'


def everything(api: Api, name: str) -> list[str]:
    """Every path of a mount of version 1, or every key of one of version 2."""
    for path in ("", "metadata/"):
        answer = api.ask("SCAN", f"{name}/{path}")
        if answer.status == 200:
            return list(answer.json["data"].get("keys", []))
    raise AssertionError(answer)


@pytest.mark.parametrize("may_ask", [True, False], ids=["asked", "not asked"])
@pytest.mark.parametrize("policy", [MAY_WRITE, MAY_READ_TOO], ids=["writes", "reads too"])
@pytest.mark.parametrize(("actual", "pinned"), [(1, 2), (2, 1)])
async def test_a_wrong_pin_writes_nothing(
    vault_store_factory: VaultStores,
    openbao: OpenBaoServer,
    api: Api,
    mount: Mount,
    make_token: MakeToken,
    actual: int,
    pinned: int,
    policy: str,
    may_ask: bool,
) -> None:
    """Each way of writing is refused before it changes anything; the error names the version that the mount runs."""
    name = mount(openbao, actual)
    auth = {"token": {"value": make_token(openbao, policy.format(name))}}
    for key in ("app/k", "data/app/k") if pinned == 2 else ("app/k",):
        api.put(name, key, {"x": "1"}, version=actual)
    before = sorted(everything(api, name))
    async with FaultyHttp(openbao.address) as relay:
        if not may_ask:
            relay.answer("ui/mounts/", 403, DENIED)
        for write in ("write", "delete"):
            store = await vault_store_factory(mount=name, address=relay.address, kvVersion=pinned, auth=auth)
            for key in ("app/k", "app/new"):
                with pytest.raises(StoreError, match=f"runs KV version {actual} at '{name}'") as raised:
                    await (store.write(key, VALUE) if write == "write" else store.delete(key))
                assert raised.value.code == "store"
                assert raised.value.hint == f"leave kvVersion out of the SecretStore, or set it to {actual}"
                looks = relay.count("ui/mounts/")
            with pytest.raises(StoreError, match=f"runs KV version {actual}"):
                await store.delete("app/k")
            assert relay.count("ui/mounts/") == looks  # what is known is not asked again
    assert sorted(everything(api, name)) == before


async def test_a_wrong_pin_is_found_before_anybody_writes(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, mount: Mount
) -> None:
    """So that ``health`` and ``plan`` tell of it; where only writes are wanted to be known of, by looks alone."""
    for actual, pinned in ((1, 2), (2, 1)):
        store = await vault_store_factory(mount=mount(openbao, actual), kvVersion=pinned)
        with pytest.raises(StoreError, match=f"runs KV version {actual}"):
            await store.check_access([Access(Act.CREATE, "k")])
        assert await store.check_access([Access(Act.READ, "k")]) == []


@pytest.mark.parametrize("may_ask", [True, False], ids=["asked", "not asked"])
@pytest.mark.parametrize("version", [1, 2])
async def test_a_right_pin_is_confirmed_once(
    vault_store_factory: VaultStores,
    openbao: OpenBaoServer,
    mount: Mount,
    make_token: MakeToken,
    version: int,
    may_ask: bool,
) -> None:
    """A token that may only write does so after one look at the mount, or one write of nothing where that is denied."""
    name, gate = mount(openbao, version), CountingGate()
    auth = {"token": {"value": make_token(openbao, MAY_WRITE.format(name))}}
    async with FaultyHttp(openbao.address) as relay:
        if not may_ask:
            relay.answer("ui/mounts/", 403, DENIED)
        store = await vault_store_factory(mount=name, address=relay.address, kvVersion=version, auth=auth, gate=gate)
        asked = gate.counts["stat"]
        for key in ("a", "b", "c/d"):
            await store.write(key, VALUE)
        assert gate.counts["write"] == 3
        assert gate.counts["stat"] - asked == (1 if may_ask else 1 + version)
        await store.delete("a")
        assert gate.counts["stat"] - asked == (1 if may_ask else 1 + version)


async def test_what_was_read_confirms_a_pin(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount
) -> None:
    """A secret in the form of version 2 is proof of it: nothing is asked before the first write."""
    name, gate = mount(openbao), CountingGate()
    api.put(name, "k", {"x": "1"})
    async with FaultyHttp(openbao.address) as relay:
        store = await vault_store_factory(mount=name, address=relay.address, kvVersion=2, gate=gate)
        await store.read("k")
        await store.write("k", VALUE)
        assert relay.count("ui/mounts") == 0


async def test_where_nothing_tells_the_version_nothing_is_written(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount
) -> None:
    """With version 1 pinned, a write to ``config`` would set up a mount of version 2: it waits for a proof."""
    for version in (1, 2):
        name = mount(openbao, version)
        async with FaultyHttp(openbao.address) as relay:
            relay.answer("ui/mounts/", 403, DENIED)
            store = await vault_store_factory(mount=name, address=relay.address, kvVersion=1)
            with pytest.raises(StoreError, match="nothing tells whether") as raised:
                await store.write("config", SecretValue({"max_versions": "1"}))
            assert f"sys/internal/ui/mounts/{name}" in raised.value.hint
    assert api.call("GET", f"{name}/config")["data"]["max_versions"] == 0


@pytest.mark.parametrize("ask", ["read", "list", "stat"])
async def test_a_wrong_pin_is_told_where_nobody_may_ask(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount, ask: str
) -> None:
    """What version 2 answers to paths of version 1 names it, also where the mount may not be looked at."""
    name = mount(openbao)
    api.put(name, "app/k", {"x": "1"})
    async with FaultyHttp(openbao.address) as relay:
        relay.answer("ui/mounts/", 403, DENIED)
        store = await vault_store_factory(mount=name, address=relay.address, kvVersion=1)
        asked: Any = {
            "read": lambda: store.read("app/k"),
            "list": lambda: anext(store.list("", recursive=True, metadata=False)),
            "stat": lambda: anext(store.stat(["app/k"])),
        }[ask]
        with pytest.raises(StoreError, match="runs KV version 2"):
            await asked()


async def test_a_pin_of_version_1_may_stand_with_a_folder(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount
) -> None:
    """Paths of version 1 are the same below a folder, so that one in ``mount`` goes on working; not so in version 2."""
    first, second = mount(openbao, 1), mount(openbao, 2)
    store = await vault_store_factory(mount=f"{first}/team", kvVersion=1)
    await store.write("k", VALUE)
    assert everything(api, first) == ["team/k"]
    store = await vault_store_factory(mount=f"{second}/team", kvVersion=2)
    with pytest.raises(StoreError, match=f"a folder in the mount '{second}'"):
        await store.write("k", VALUE)


@pytest.mark.parametrize("version", [None, 2])
async def test_a_mount_in_a_namespace_below(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount, version: int | None
) -> None:
    """``namespace: a`` with ``mount: b/kv`` is the mount ``kv`` in the namespace ``a/b``, its folders are folders."""
    above, below = f"{mount(openbao)}-ns", "inner"
    api.call("POST", f"sys/namespaces/{above}")
    api.namespace = above
    api.call("POST", f"sys/namespaces/{below}")
    api.namespace = f"{above}/{below}"
    api.call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    api.call("POST", "sys/mounts/kv2", {"type": "kv", "options": {"version": "2"}})
    pinned: Any = {} if version is None else {"kvVersion": version}
    for namespace in (above, f"/{above}/"):
        store = await vault_store_factory(mount=f"{below}/kv2", namespace=namespace, **pinned)
        await _until_ready(store)
        assert (await store.read("k")).value.reveal() == VALUE.reveal()
        assert await store.check_access([Access(Act.UPDATE, "k")]) == []
    with pytest.raises(StoreError, match=f"a folder in the mount '{below}/kv2'"):
        await (await vault_store_factory(mount=f"{below}/kv2/team", namespace=above, **pinned)).write("k", VALUE)


async def _until_ready(store: Any) -> None:
    """A new mount of version 2 answers 400 until it has upgraded itself."""
    for _ in range(1000):
        try:
            await store.write("k", VALUE)
        except StoreError as error:
            if not error.retryable:
                raise
        else:
            return
