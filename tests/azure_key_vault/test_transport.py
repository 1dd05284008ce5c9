"""Where requests go: to the vault and its login service, whatever an answer, a next page or the SDK says."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.rest import HttpRequest
from support.gate import CountingGate

from azure_key_vault.errors import raised
from secretsync_core.errors import StoreError
from secretsync_core.secret import SecretValue
from secretsync_core.stores.azure_key_vault.transport import LoginTransport, VaultTransport, origin_of
from secretsync_core.stores.base import StoreContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.azure.service import KeyVault

    from azure_key_vault.conftest import OpenStore


@pytest.fixture
async def port() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port that somebody listens at, and what came in there."""
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], came
    server.close()


@pytest.mark.parametrize("kind", [VaultTransport, LoginTransport])
@pytest.mark.parametrize(
    "address",
    ["https://127.0.0.1:{port}", "http://localhost:{port}", "http://127.0.0.1:1", "http://vault@127.0.0.2:{port}"],
    ids=["scheme", "host", "port", "user"],
)
async def test_nothing_leaves_for_another_origin(port: tuple[int, list[bytes]], kind: Any, address: str) -> None:
    """Another scheme, host or port than the document's gets no request, and no token with it."""
    number, came = port
    transport = kind(
        address.format(port=number), StoreContext("kv", CountingGate(), {}, 8), ssl.create_default_context()
    )
    request = HttpRequest("GET", f"http://127.0.0.1:{number}/secrets", headers={"Authorization": "Bearer t"})
    async with transport:
        with pytest.raises(StoreError, match="another host than the SecretStore names"):
            await transport.send(request)
    assert came == []


@pytest.mark.parametrize("host", ["192.0.2.1", "login.example", "169.253.0.1", "metadata.example."])
async def test_a_machines_identity_leaves_no_link(host: str) -> None:
    """What stands in for a login service is the machine itself, or on a link of it."""
    transport = LoginTransport(None, StoreContext("kv", CountingGate(), {}, 8), ssl.create_default_context())
    async with transport:
        with pytest.raises(StoreError, match="another host"):
            await transport.send(HttpRequest("GET", f"http://{host}/metadata/identity/oauth2/token"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.vault.azure.net", "HTTPS://A.vault.azure.net.:443/secrets?x", True),
        ("http://a", "http://a:80", True),
        ("https://a", "https://a:80", False),
        ("https://a", "http://a", False),
        ("https://a", "https://a.b", False),
        ("https://a", "https://a@b", False),
        ("https://a", "//a", False),
        ("https://a", "https://a:x", False),
        ("https://a", "https://[a", False),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    """Scheme, host and port, as clients take them; what is none is no origin of anybody's."""
    assert (origin_of(one) == origin_of(other)) is same


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_at_home_either(azure: KeyVault, opened: OpenStore, status: int) -> None:
    """One to another secret of the same vault: it is neither read, nor written, nor deleted."""
    azure.vault.set("b", {"value": "theirs"})
    store = await opened()
    azure.vault.set("a", {"value": "1"})
    await store.read("a")
    azure.answer("/secrets/a", status, b"", headers={"Location": f"{azure.address}/secrets/b?api-version=7.4"})
    azure.requests.clear()
    for call in (store.read("a"), store.write("a", SecretValue(b"v")), store.delete("a")):
        assert "redirect" in (await raised(call)).message
    assert len(azure.requests) == 3
    assert azure.vault.values() == {"a": "1", "b": "theirs"}
