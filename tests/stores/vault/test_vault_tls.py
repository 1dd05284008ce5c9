"""Whom a store trusts, and how it shows who it is."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trustme
from support.servers import ConfiguredServer, TlsFiles

from secretsync_core.errors import StoreUnavailable
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from conftest import VaultStores


class Pki(NamedTuple):
    """Two authorities, and PEM files by name."""

    directory: Path
    authority: trustme.CA
    other: trustme.CA

    def issue(
        self, name: str, *identities: str, expired: bool = False, by: trustme.CA | None = None
    ) -> tuple[str, str]:
        """Certificate and key files for these names."""
        end = datetime.now(UTC) - timedelta(days=1) if expired else None
        leaf = (by or self.authority).issue_cert(*identities, common_name=name, not_after=end)
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
        key.write_bytes(leaf.private_key_pem.bytes())
        return str(certificate), str(key)

    @property
    def ca_file(self) -> str:
        """The authority that the servers' certificates are by."""
        return str(self.directory / "ca.pem")

    @property
    def other_ca_file(self) -> str:
        """An authority that no server has a certificate of."""
        return str(self.directory / "other.pem")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """The authorities of this module."""
    made = Pki(tmp_path_factory.mktemp("pki"), trustme.CA(), trustme.CA())
    made.authority.cert_pem.write_to_path(made.ca_file)
    made.other.cert_pem.write_to_path(made.other_ca_file)
    return made


@pytest.fixture(scope="module")
def https(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredServer]:
    """An OpenBao that serves HTTPS as 127.0.0.1 and vault.test, and looks at client certificates."""
    certificate, key = pki.issue("server", "127.0.0.1", "vault.test")
    files = TlsFiles(pki.ca_file, certificate, key)
    server = ConfiguredServer(tmp_path_factory.mktemp("https"), tls=files)
    server.api().call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mutual(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredServer]:
    """An OpenBao that talks only to those who show a certificate of the authority."""
    certificate, key = pki.issue("mutual", "127.0.0.1")
    client = pki.issue("admin", "admin.test")
    files = TlsFiles(pki.ca_file, certificate, key, client=client, require_client=True)
    server = ConfiguredServer(tmp_path_factory.mktemp("mutual"), tls=files)
    server.api().call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def handshakes(files: tuple[str, str]) -> AsyncIterator[str]:
    """A TLS server that says nothing of use, for handshakes that fail; gives its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(1)
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


PASSWORD = {"userPass": {"username": "u", "password": {"value": "p"}}}
BOTH = pytest.mark.parametrize("auth", [{"token": {"value": "t"}}, PASSWORD], ids=["token", "login"])
"""The secrets' way (aiohttp) and the login's (hvac) each make their own connections."""


async def refused(stores: VaultStores, auth: dict[str, Any], **config: Any) -> StoreUnavailable:
    """The error of opening a store that must not be opened; never worth another try."""
    with pytest.raises(StoreUnavailable) as raised:
        await stores(1, mount="kv", auth=auth, **config)
    assert not raised.value.retryable
    return raised.value


async def test_trusted(vault_store_factory: VaultStores, https: ConfiguredServer, pki: Pki) -> None:
    """With the right CA, secrets are written and read over HTTPS; serverName is the name to expect."""
    for tls in ({"caFile": pki.ca_file}, {"caFile": pki.ca_file, "serverName": "vault.test"}):
        auth = {"token": {"value": https.root_token}}
        store = await vault_store_factory(1, mount="kv", address=https.address, tls=tls, auth=auth)
        await store.write("k", SecretValue({"a": "1"}))
        assert (await store.read("k")).value.reveal() == {"a": "1"}


@BOTH
async def test_wrong_authority(
    vault_store_factory: VaultStores, https: ConfiguredServer, pki: Pki, auth: dict[str, Any]
) -> None:
    """A certificate by another CA, or by none that the system knows, is refused with a hint at tls.caFile."""
    for tls in ({"caFile": pki.other_ca_file}, {}):
        error = await refused(vault_store_factory, auth, address=https.address, tls=tls)
        assert "not trusted" in str(error)
        assert "tls.caFile" in error.hint


@BOTH
async def test_wrong_name(
    vault_store_factory: VaultStores, https: ConfiguredServer, pki: Pki, auth: dict[str, Any]
) -> None:
    """A certificate for another name is refused with a hint at tls.serverName."""
    error = await refused(
        vault_store_factory, auth, address=https.address, tls={"caFile": pki.ca_file, "serverName": "other.test"}
    )
    assert "another name" in str(error)
    assert "tls.serverName" in error.hint
    async with handshakes(pki.issue("elsewhere", "192.0.2.1")) as address:
        error = await refused(vault_store_factory, auth, address=address, tls={"caFile": pki.ca_file})
        assert "another name" in str(error)


@BOTH
async def test_expired(vault_store_factory: VaultStores, pki: Pki, auth: dict[str, Any]) -> None:
    """An expired certificate is refused as expired."""
    async with handshakes(pki.issue("expired", "127.0.0.1", expired=True)) as address:
        error = await refused(vault_store_factory, auth, address=address, tls={"caFile": pki.ca_file})
        assert "has expired" in str(error)


async def test_server_wants_a_certificate(vault_store_factory: VaultStores, mutual: ConfiguredServer, pki: Pki) -> None:
    """A server that insists on a client certificate and gets none, or one it does not trust, is not asked twice."""
    wrong = pki.issue("wrong-client", "client.test", by=pki.other)
    for extra in ({}, {"certFile": wrong[0], "keyFile": wrong[1]}):
        tls = {"caFile": pki.ca_file, **extra}
        error = await refused(vault_store_factory, {"token": {"value": "t"}}, address=mutual.address, tls=tls)
        assert "refuses our TLS handshake" in str(error)
        assert "tls.certFile" in error.hint
        # A login sends its body at once, and may find the connection closed before it reads why.
        with pytest.raises(StoreUnavailable, match="TLS") as raised:
            await vault_store_factory(1, mount="kv", address=mutual.address, tls=tls, auth=PASSWORD)
        assert "tls.certFile" in raised.value.hint


async def test_mutual(vault_store_factory: VaultStores, mutual: ConfiguredServer, pki: Pki) -> None:
    """A server that insists on a client certificate and gets the right one lets us in."""
    certificate, key = pki.issue("right-client", "client.test")
    tls = {"caFile": pki.ca_file, "certFile": certificate, "keyFile": key}
    auth = {"token": {"value": mutual.root_token}}
    store = await vault_store_factory(1, mount="kv", address=mutual.address, tls=tls, auth=auth)
    await store.write("k", SecretValue({"a": "1"}))
    assert (await store.read("k")).value.reveal() == {"a": "1"}


@BOTH
async def test_not_tls(vault_store_factory: VaultStores, openbao: Any, auth: dict[str, Any]) -> None:
    """An https:// address of a server that speaks plain HTTP says so."""
    error = await refused(vault_store_factory, auth, address=openbao.address.replace("http:", "https:"))
    assert "does not speak TLS" in str(error)


async def test_certificate_login(vault_store_factory: VaultStores, https: ConfiguredServer, pki: Pki) -> None:
    """cert logs in by the client certificate, with a role or whichever fits."""
    certificate, key = pki.issue("client", "client.test")
    api = https.api()
    api.call("POST", "sys/policies/acl/cert", {"policy": 'path "kv/*" { capabilities = ["read", "create", "update"] }'})
    api.call("POST", "sys/auth/cert", {"type": "cert"})
    role = {"certificate": (pki.directory / "ca.pem").read_text(), "token_policies": ["cert"]}
    api.call("POST", "auth/cert/certs/us", role)
    tls = {"caFile": pki.ca_file, "certFile": certificate, "keyFile": key}
    methods: list[dict[str, Any]] = [{}, {"role": "us"}]
    for method in methods:
        auth = {"cert": method}
        store = await vault_store_factory(1, mount="kv", address=https.address, tls=tls, auth=auth)
        await store.write("k", SecretValue({"a": "1"}))
        assert (await store.read("k")).value.reveal() == {"a": "1"}
