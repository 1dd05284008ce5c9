"""A namespace in a document is heeded, or the server is refused: one without namespaces would answer for its root."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.faulty_http import FaultyHttp
from support.gate import CountingGate

from secretsync_core.errors import StoreError, StoreUnavailable
from secretsync_core.secret import SecretValue
from secretsync_core.stores.vault.cluster import openbao_of_health
from secretsync_core.stores.vault.namespaces import has_namespaces, names_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

CLUSTER = "bebf56b4-8257-2b06-2fc5-9b6600e1668c"
HEALTH = "sys/health"
APP_ROLE: Any = {"appRole": {"roleId": {"value": "role-id"}, "secretId": {"value": "secret-id"}}}


def health(**said: object) -> bytes:
    return json.dumps({"initialized": True, "sealed": False, "cluster_id": CLUSTER, **said}).encode()


COMMUNITY = health(version="1.21.1", enterprise=False)


@pytest.mark.parametrize(
    ("said", "has"),
    [
        ({"version": "1.21.1", "enterprise": False}, False),
        ({"version": "1.21.1+ent", "enterprise": True}, True),
        ({"version": "2.0.0", "enterprise": False}, False),
        ({"version": "1.15.2"}, False),
        ({"version": "1.15.2+ent.hsm"}, True),
        ({"version": "0.11.0+prem"}, True),
        ({"version": "2.0.0"}, False),
        ({"version": "2.2.2"}, False),
        ({"version": "2.3.0-beta20250528"}, True),
        ({"version": "v2.10.1"}, True),
        ({"version": "2.7.2"}, True),
        ({"version": "0.0.0-dev"}, None),
        ({"version": "latest"}, None),
        ({"version": 2.3}, None),
        ({"enterprise": "false"}, None),
        ({}, None),
    ],
)
def test_what_a_health_tells(said: dict[str, object], has: bool | None) -> None:
    """Vault says its edition, by a field since 1.16 and in its version before; OpenBao has namespaces since 2.3."""
    assert has_namespaces(health(**said)) is has


def test_what_is_no_health() -> None:
    """A page, nothing, or JSON of another form tells nothing."""
    assert [has_namespaces(body) for body in (b"", b"<html>", b"[]", b"null", b'"1.21"')] == [None] * 5


def test_the_root_is_no_namespace() -> None:
    """It has several names, and a server without namespaces answers for it rightly."""
    assert not any(map(names_one, (None, "", "/", "root", "root/", "/root/")))
    assert all(map(names_one, ("a", "a/b/", "/a", "roots", "root/a")))


def test_an_old_vault_is_no_openbao() -> None:
    """Before 1.16 its health has no field for the edition, as OpenBao's has none; its index is of another form."""
    assert openbao_of_health(health(version="1.15.2+ent")) == openbao_of_health(health(version="1.9.0")) == ""
    assert openbao_of_health(health(version="2.7.2")) == CLUSTER


@pytest.mark.parametrize("pinned", [{}, {"kvVersion": 2}, {"kvVersion": 1}])
@pytest.mark.parametrize("where", [{"namespace": "team-a"}, {"namespace": "/team-a/", "mount": "team-b/kv"}])
@pytest.mark.parametrize("said", [COMMUNITY, health(version="1.14.0"), health(version="2.2.0")])
async def test_a_server_without_namespaces_is_refused(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, said: bytes, where: dict[str, Any], pinned: dict[str, Any]
) -> None:
    """One request without a credential tells, nothing else is asked, and the error says what to do."""
    async with FaultyHttp(openbao.address) as vault:
        vault.answer(HEALTH, 200, said)
        with pytest.raises(StoreError, match=f"has no namespaces: .* in place of '{where['namespace']}'") as raised:
            await vault_store_factory(address=vault.address, auth=APP_ROLE, **pinned, **where)
        (request,) = vault.requests
    assert b"vault-token" not in request.head.lower()
    assert b"vault-namespace" not in request.head.lower()
    assert "leave namespace out" in raised.value.hint
    assert not raised.value.retryable


@pytest.mark.parametrize("status", [429, 472, 473, 501, 503])
async def test_nodes_that_are_no_active_ones_tell_too(vault_store_factory: VaultStores, status: int) -> None:
    """A standby or a sealed node says its edition with another status."""
    async with FaultyHttp() as vault:
        vault.answer(HEALTH, status, COMMUNITY)
        with pytest.raises(StoreError, match="has no namespaces"):
            await vault_store_factory(address=vault.address, namespace="team-a", kvVersion=2, mount="kv")


async def test_the_root_costs_nothing(vault_store_factory: VaultStores, openbao: OpenBaoServer) -> None:
    """Without a namespace, or with the root's name, a server is asked once who it is, and may be of any edition."""
    async with FaultyHttp(openbao.address) as vault:
        vault.answer(HEALTH, 200, COMMUNITY)
        named: list[dict[str, Any]] = [{}, {"namespace": "root"}]
        for where in named:
            vault.requests.clear()
            await vault_store_factory(address=vault.address, kvVersion=2, **where)
            assert [request.path.partition("?")[0] for request in vault.requests] == ["/v1/sys/health"]


@pytest.fixture
def inside(openbao: OpenBaoServer, api: Api) -> Iterator[Api]:
    """The namespace ``inside`` of a real server, with the mount ``kv``, and nothing in it."""
    api.call("POST", "sys/namespaces/inside")
    inside = type(api)(openbao.address, openbao.root_token, namespace="inside")
    inside.call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    yield inside
    inside.call("DELETE", "sys/mounts/kv")
    inside.close()


async def test_a_server_with_namespaces_is_asked_once(vault_store_factory: VaultStores, inside: Api) -> None:
    """Its health tells both that it has namespaces and which cluster it is."""
    gate = CountingGate()
    store = await vault_store_factory(mount="kv", namespace="inside", gate=gate)
    assert gate.counts == {"stat": 2}  # the health, and the version of the mount
    await store.write("k", SecretValue({"a": "1"}))
    assert inside.get("kv", "k", version=2) == {"a": "1"}
    assert store.facts.place.identity


@pytest.mark.parametrize(("status", "body"), [(403, b"{}"), (404, b"<html>"), (200, b"<html>"), (302, b"")])
async def test_a_health_that_is_hidden(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, inside: Api, status: int, body: bytes
) -> None:
    """A token that belongs to a namespace shows that there are some; one of the root shows nothing, and is refused."""
    inside.call("PUT", "sys/policies/acl/kv", {"policy": 'path "kv/*" { capabilities = ["create", "read"] }'})
    token = inside.call("POST", "auth/token/create", {"policies": ["kv"]})["auth"]["client_token"]
    async with FaultyHttp(openbao.address) as proxy:
        proxy.answer(HEALTH, status, body)
        known: dict[str, Any] = {"address": proxy.address, "mount": "kv", "namespace": "inside"}
        store = await vault_store_factory(**known, auth={"token": {"value": token}})
        await store.write("k", SecretValue({"a": "1"}))
        with pytest.raises(StoreError, match="nothing tells whether test-vault has namespaces") as raised:
            await vault_store_factory(**known)
        assert "sys/health" in raised.value.hint


async def test_a_server_that_fails_is_asked_again(vault_store_factory: VaultStores) -> None:
    """A proxy's 502 and a connection that is cut are failures like any other, and no server without namespaces."""
    async with FaultyHttp() as proxy:
        proxy.answer(HEALTH, 502, b"<html>")
        with pytest.raises(StoreUnavailable) as raised:
            await vault_store_factory(address=proxy.address, namespace="team-a", kvVersion=2, mount="kv")
        assert raised.value.retryable
        proxy.cut(HEALTH)
        with pytest.raises(StoreUnavailable):
            await vault_store_factory(address=proxy.address, namespace="team-a", kvVersion=2, mount="kv")
