"""Where a KV engine is: one text for every way to name it, and the cluster's own id."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest
from support.faulty_http import FaultyHttp
from support.servers import ConfiguredServer

from secretsync_core.demo.openbao import free_port
from secretsync_core.model.place import alias_of
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.vault import PROVIDER, open_store
from secretsync_core.stores.vault.cluster import cluster_of_health, cluster_of_index
from secretsync_core.stores.vault.config import VaultConfig
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from pathlib import Path

    from secretsync_core.demo.openbao import OpenBaoServer

CLUSTER = "bebf56b4-8257-2b06-2fc5-9b6600e1668c"


class _Server(Protocol):
    @property
    def address(self) -> str: ...


class _Nobody(NamedTuple):
    address: str


def _config(address: str, **more: object) -> VaultConfig:
    given = {"address": address, "auth": {"token": {"value": "t"}}, **more}
    return VaultConfig.model_validate(given)


def _root(**more: object) -> str:
    assert PROVIDER.place is not None
    place = PROVIDER.place(_config("http://vault:8200", **more))
    assert place is not None
    return place.root


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("https://Vault.Example.COM", "https://vault.example.com:443"),
        ("https://vault.example.com:443/", "https://vault.example.com:443"),
        ("http://vault.example.com.", "http://vault.example.com:80"),
        ("http://[::1]:8200", "http://[::1]:8200"),
        ("http://[0:0:0:0:0:0:0:1]:8200/", "http://[::1]:8200"),
    ],
)
def test_an_address_has_one_form(address: str, server: str) -> None:
    """Case, the default port and a slash at the end make no other server."""
    assert PROVIDER.place is not None
    place = PROVIDER.place(_config(address))
    assert place is not None
    assert (place.service, place.server, place.root, place.identity) == ("vault", server, "secret/", "")


def test_a_namespace_is_the_same_before_the_mount() -> None:
    """Whichever part of the path stands in which field; KV 1 and KV 2 are one service."""
    whole = _root(namespace="a/b", mount="c")
    assert whole == _root(namespace="/a/", mount="/b/c/") == _root(mount="a/b/c", kvVersion=1) == "a/b/c/"
    assert _root(namespace="root", mount="kv") == _root(mount="kv") == _root(namespace="/", mount="kv") == "kv/"


def test_what_cannot_stand_in_a_line_is_no_place() -> None:
    """A name with control characters, or without end, would spoil the ledger's line."""
    assert PROVIDER.place is not None
    assert PROVIDER.place(_config("http://vault", mount="a\tb")) is None
    assert PROVIDER.place(_config("http://vault", mount="m" * 2000)) is None


def test_an_index_names_its_cluster() -> None:
    """OpenBao's does; that of Vault Enterprise has another form, and nonsense is none."""
    assert cluster_of_index(base64.b64encode(b'{"cluster":"%s","value":"34"}' % CLUSTER.encode()).decode()) == CLUSTER
    others = [None, "", "?", "e30=", base64.b64encode(b'{"cluster":["x"]}').decode()]
    others += [
        base64.b64encode(text).decode()
        for text in (b"v1:a:3:4:mac", b"[]", b'{"cluster":"a@b c\\n12345"}', b'{"cluster":"s.tokenoftheserver"}')
    ]
    assert [cluster_of_index(other) for other in others] == [""] * len(others)
    assert cluster_of_health(b'{"sealed":true}') == cluster_of_health(b"<html>") == cluster_of_health(b"") == ""


async def _identity(server: _Server, **more: object) -> tuple[str, dict[str, int]]:
    gate = CountingGate()
    given = {"address": server.address, "auth": {"token": {"env": "TOKEN"}}, **more}
    context = StoreContext("v", gate, {"TOKEN": getattr(server, "root_token", "a-token")}, 4)
    store = await open_store(VaultConfig.model_validate(given), context)
    try:
        assert store.facts.place is not None
        return store.facts.place.identity, dict(gate.counts)
    finally:
        await store.aclose()


async def test_a_server_without_raft_is_asked_once(openbao: OpenBaoServer) -> None:
    """Its answers do not name the cluster, and its health does: one request more, in a namespace too, and pinned."""
    identity, asked = await _identity(openbao)
    assert len(identity) == len(alias_of(CLUSTER))
    assert asked == {"stat": 2}  # the version of the mount, and the health
    assert await _identity(openbao, kvVersion=2) == (identity, {"stat": 1})
    assert (await _identity(openbao, kvVersion=2, namespace="none-of-that"))[0] == identity


async def test_two_servers_differ(openbao: OpenBaoServer, openbao_dest: OpenBaoServer) -> None:
    """Each has an id of its own."""
    assert (await _identity(openbao))[0] != (await _identity(openbao_dest))[0]


@pytest.mark.slow
async def test_raft_names_its_cluster_in_what_is_asked_anyway(tmp_path: Path) -> None:
    """No request more; and the health, where the version is pinned, names the very same. A sealed one tells nothing."""
    server = ConfiguredServer(tmp_path, persistent=True)
    try:
        server.api().call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        identity, asked = await _identity(server)
        assert asked == {"stat": 1}
        assert identity
        assert await _identity(server, kvVersion=2) == (identity, {"stat": 1})
        server.seal()
        assert await _identity(server, kvVersion=2) == ("", {"stat": 1})
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("status", "body"), [(403, b"{}"), (200, b"<html>"), (302, b""), (500, b'{"cluster_id": 7}'), (429, b"")]
)
async def test_whoever_does_not_tell_has_no_identity(status: int, body: bytes) -> None:
    """A health that is refused, redirected, or none at all is no error, is not asked for again, and gets no token."""
    async with FaultyHttp() as fake:
        fake.answer("/v1/sys/health", status, body)
        assert await _identity(fake, kvVersion=2) == ("", {"stat": 1})
        (request,) = fake.requests
        assert b"token" not in request.head.lower()


async def test_nobody_there_has_no_identity() -> None:
    """A pinned store opens where nobody answers, as it did; the first secret will tell."""
    assert await _identity(_Nobody(f"http://127.0.0.1:{free_port()}"), kvVersion=2) == ("", {"stat": 1})
