"""The namespaces below one as a single source, on a real server."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError
from support.faulty_http import FaultyHttp
from support.gate import CountingGate

from secretsync_core.errors import AccessDenied, MalformedAnswer, SecretNotFound, StoreError
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.vault.config import VaultConfig
from secretsync_core.stores.vault.patterns import pattern_of
from secretsync_core.stores.vault.place import declared_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

_numbers = itertools.count(1)
At = Any
"""Gives the API of a namespace by its name below the one of the test."""


@pytest.fixture
def base() -> str:
    """A namespace of its own."""
    return f"tree{next(_numbers)}"


@pytest.fixture
def at(openbao: OpenBaoServer, api: Api, base: str) -> Callable[..., Api]:
    """A tree of namespaces: ``a`` and ``a/deep`` with secrets, ``b`` with an empty mount, ``c`` without one."""
    api.call("POST", f"sys/namespaces/{base}")

    def inside(name: str = "") -> Api:
        return type(api)(openbao.address, openbao.root_token, namespace=f"{base}/{name}".rstrip("/"))

    for name in ("a", "b", "c"):
        inside().call("POST", f"sys/namespaces/{name}")
    inside("a").call("POST", "sys/namespaces/deep")
    for name in ("", "a", "b", "a/deep"):
        inside(name).call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    inside().put("kv", "own", {"x": "0"}, version=2)
    inside("a").put("kv", "db", {"x": "1"}, version=2)
    inside("a").put("kv", "shop/api", {"x": "2"}, version=2)
    inside("a/deep").put("kv", "db", {"x": "3"}, version=2)
    return inside


async def _listed(store: Any, prefix: str = "", *, recursive: bool = True) -> list[str]:
    listed = [found async for found in store.list(prefix, recursive=recursive, metadata=False)]
    return sorted(f"GAP {found.prefix}" if isinstance(found, Gap) else found.key for found in listed)


@pytest.mark.parametrize(
    ("namespace", "found"),
    [
        (None, None), ("team-a", None), ("team-a/", None), ("*", ("", False)), ("**", ("", True)),
        ("team-a/*", ("team-a", False)), ("/team-a/b/**", ("team-a/b", True)),
    ],
)  # fmt: skip
def test_what_a_document_names(namespace: str | None, found: tuple[str, bool] | None) -> None:
    """One namespace, the children of one, or all below it."""
    assert pattern_of(namespace) == found


@pytest.mark.parametrize(
    "more",
    [{"namespace": "a*"}, {"namespace": "*/a"}, {"namespace": "*", "kvVersion": 1},
     {"namespace": "a/*", "customMetadata": {"x": "y"}}],
)  # fmt: skip
def test_what_cannot_be_asked_for(more: dict[str, Any]) -> None:
    """Stars stand for whole namespaces at the end, and what they stand for is version 2, and is not written."""
    with pytest.raises(ValidationError):
        VaultConfig.model_validate({"address": "https://v", "auth": {"token": {"env": "T"}}, **more})


def test_its_place_is_the_namespace_above() -> None:
    """A key of the tree is at the address that a store of its own namespace gives it: what feeds itself is noticed."""
    given: dict[str, Any] = {"address": "https://v", "mount": "kv", "auth": {"token": {"env": "T"}}}
    tree, one = (
        declared_place(VaultConfig.model_validate({**given, "namespace": name})) for name in ("team/*", "team/a")
    )
    assert tree is not None
    assert one is not None
    assert tree.key_at(one, "db") == "a/kv/db"


async def test_every_namespace_is_listed_and_read(vault_store_factory: VaultStores, at: At, base: str) -> None:
    """Keys are Vault's own paths; a namespace without secrets, or without the mount, has none."""
    gate = CountingGate()
    store = await vault_store_factory(namespace=f"{base}/*", mount="kv", gate=gate)
    assert await _listed(store) == ["a/kv/db", "a/kv/shop/api"]
    assert gate.counts["list"] <= 8
    assert (await store.read("a/kv/shop/api")).value.reveal() == {"x": "2"}
    assert await _listed(store, "a/kv/shop/") == ["a/kv/shop/api"]
    assert await _listed(store, "a/kv/", recursive=False) == ["a/kv/db"]
    assert await _listed(store, recursive=False) == []
    assert await store.shows_folders("")
    assert await store.shows_folders("a/kv/")
    assert not await store.shows_folders("b/kv/")
    deep = await vault_store_factory(namespace=f"{base}/**", mount="kv")
    assert await _listed(deep) == ["a/deep/kv/db", "a/kv/db", "a/kv/shop/api"]
    assert (await deep.read("a/deep/kv/db")).value.reveal() == {"x": "3"}


async def test_versions_and_what_is_absent(vault_store_factory: VaultStores, at: At, base: str) -> None:
    """A look and a listing give the same version; an old one can be read; what is absent is told by its whole key."""
    at("a").put("kv", "db", {"x": "new"}, version=2)
    store = await vault_store_factory(namespace=f"{base}/*", mount="kv")
    (seen,) = [found async for found in store.stat(["a/kv/db"])]
    listed = [found async for found in store.list("", recursive=True, metadata=False)]
    assert seen in listed
    assert (await store.read("a/kv/db", "1")).value.reveal() == {"x": "1"}
    assert [found async for found in store.stat(["a/kv/none", "b/kv/none"])] == []
    with pytest.raises(SecretNotFound, match=r"^a/kv/none is not in ") as raised:
        await store.read("a/kv/none")
    assert raised.value.key == "a/kv/none"


async def test_what_has_no_namespace_or_no_mount_is_no_absence(
    vault_store_factory: VaultStores, at: At, base: str
) -> None:
    """A namespace that is gone may be hidden as well: nothing that was in it counts as deleted."""
    store = await vault_store_factory(namespace=f"{base}/*", mount="kv")
    keys = ["gone/kv/db", "c/kv/db", "a/db"]
    found = [found async for found in store.stat(keys)]
    assert sorted(gap.prefix for gap in found) == sorted(keys)
    assert all(isinstance(gap, Gap) and gap.is_key for gap in found)
    for key in keys:
        with pytest.raises(StoreError) as raised:
            await store.read(key)
        assert not isinstance(raised.value, SecretNotFound)


async def test_a_namespace_beside_which_there_can_be_no_mount(
    vault_store_factory: VaultStores, at: At, base: str
) -> None:
    """A namespace may be called as the mount is: a key is that of the one that exists."""
    at("c").call("POST", "sys/namespaces/kv")
    at("c/kv").call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    at("c/kv").put("kv", "db", {"x": "4"}, version=2)
    store = await vault_store_factory(namespace=f"{base}/**", mount="kv")
    assert "c/kv/kv/db" in await _listed(store)
    assert (await store.read("c/kv/kv/db")).value.reveal() == {"x": "4"}


async def test_what_our_token_may_not_list_is_a_gap(vault_store_factory: VaultStores, at: At, base: str) -> None:
    """Each namespace by itself; where the namespaces cannot be listed, nothing can."""
    policy = 'path "sys/namespaces" { capabilities = ["list"] }\npath "a/kv/*" { capabilities = ["read", "list"] }'
    at().call("PUT", "sys/policies/acl/some", {"policy": policy})
    token = at().call("POST", "auth/token/create", {"policies": ["some"]})["auth"]["client_token"]
    auth = {"token": {"value": token}}
    store = await vault_store_factory(namespace=f"{base}/*", mount="kv", auth=auth)
    assert await _listed(store) == ["GAP b/kv/", "GAP c/kv/", "a/kv/db", "a/kv/shop/api"]
    deep = await vault_store_factory(namespace=f"{base}/**", mount="kv", auth=auth)
    assert await _listed(deep) == [
        *("GAP a/", "GAP b/", "GAP b/kv/", "GAP c/", "GAP c/kv/"),
        *("a/kv/db", "a/kv/shop/api"),
    ]
    none = at().call("POST", "auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
    store = await vault_store_factory(namespace=f"{base}/*", mount="kv", auth={"token": {"value": none}})
    with pytest.raises(AccessDenied, match="list its namespaces"):
        await _listed(store)


async def test_a_server_without_namespaces_has_none_below_its_root_either(vault_store_factory: VaultStores) -> None:
    """It is asked who it is before anything is sent to it."""
    async with FaultyHttp() as vault:
        vault.answer("sys/health", 200, b'{"initialized": true, "version": "1.21.1", "enterprise": false}')
        with pytest.raises(StoreError, match=r"has no namespaces$"):
            await vault_store_factory(address=vault.address, namespace="*", mount="kv")
    assert [request.path.partition("?")[0] for request in vault.requests] == ["/v1/sys/health"]


@pytest.mark.parametrize("name", ["a", "a/b/", "../", "/"])
async def test_what_no_namespace_is_called_is_not_asked(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, at: At, base: str, name: str
) -> None:
    """A name becomes a header and a path, so a server may not give any text for one."""
    async with FaultyHttp(openbao.address) as proxy:
        store = await vault_store_factory(address=proxy.address, namespace=f"{base}/*", mount="kv")
        proxy.answer("sys/namespaces", 200, json.dumps({"data": {"keys": [name]}}).encode())
        with pytest.raises(MalformedAnswer, match="names a namespace as none can be called"):
            await _listed(store)


@pytest.mark.parametrize("odd", ["\u00e4", "b is locked"])
async def test_one_odd_namespace_hides_itself_alone(
    vault_store_factory: VaultStores, at: At, base: str, odd: str
) -> None:
    """One whose name no header can hold, or whose own administrators have locked it, is a gap; the others are seen."""
    if odd == "b is locked":
        at().call("POST", "sys/namespaces/api-lock/lock/b")
        gaps = ["GAP b/", "GAP b/kv/"]
    else:
        at().call("POST", f"sys/namespaces/{odd}")
        gaps = [f"GAP {odd}/"]
    store = await vault_store_factory(namespace=f"{base}/**", mount="kv")
    assert await _listed(store) == [*gaps, "a/deep/kv/db", "a/kv/db", "a/kv/shop/api"]
    found = {getattr(each, "key", None) or each.prefix: each async for each in store.stat(["a/kv/db", "b/kv/x"])}
    assert not isinstance(found["a/kv/db"], Gap)
    assert isinstance(found.get("b/kv/x"), Gap) is (odd == "b is locked")


async def test_a_dead_token_is_told_once(vault_store_factory: VaultStores, at: At, base: str) -> None:
    """Whoever looks at single keys is told of it, and not that each of these is hidden."""
    token = at().call("POST", "auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
    gate = CountingGate()
    auth = {"token": {"value": token}}
    store = await vault_store_factory(namespace=f"{base}/*", mount="kv", auth=auth, gate=gate)
    at().call("POST", "auth/token/revoke", {"token": token})
    with pytest.raises(CredentialsRefused):
        _ = [found async for found in store.stat([f"a/kv/k{number}" for number in range(30)])]
    assert sum(gate.counts.values()) <= 10


async def test_the_policy_of_the_page_is_enough(vault_store_factory: VaultStores, at: At, base: str) -> None:
    """What the page grants in the namespace above lets all its namespaces be listed, looked at and read."""
    page = (Path(__file__).parents[3] / "docs" / "stores" / "vault.md").read_text()
    (policy,) = [block for block in re.findall(r"```hcl\n(.*?)```", page, re.DOTALL) if "sys/namespaces" in block]
    at().call("PUT", "sys/policies/acl/page", {"policy": policy})
    token = at().call("POST", "auth/token/create", {"policies": ["page"]})["auth"]["client_token"]
    store = await vault_store_factory(namespace=f"{base}/*", mount="kv", auth={"token": {"value": token}})
    assert await _listed(store) == ["a/kv/db", "a/kv/shop/api"]
    assert [found.key async for found in store.stat(["a/kv/db"])] == ["a/kv/db"]
    assert (await store.read("a/kv/db")).value.reveal() == {"x": "1"}
