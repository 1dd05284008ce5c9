"""What stores take from the environment, alike: whom to trust, and a proxy for what is encrypted; never a key log."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from matrix.peers import PEERS
from support.tunnel import Proxy, TlsServer

from secretsync_core.errors import StoreError, StoreUnavailable
from secretsync_core.schema.loader import load_files
from secretsync_core.secret import SecretValue
from secretsync_core.stores.base import StoreContext
from secretsync_core.stores.environment import proxy_for
from secretsync_core.stores.registry import open_store
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CANARY = "s3cret-canary"
REMOTE = {
    peer.name: peer
    for peer in PEERS
    if peer.name in ("vault-v2", "kubernetes", "secrets-manager", "github-variables", "gitlab", "http")
}
AUTHORITY = trustme.CA()
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without proxies and certificates."""
    for name in (*PROXIES, *(name.lower() for name in PROXIES), *BUNDLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    """The authority of ``store.test``."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


class Behind:
    """A store whose document says ``https://store.test``, which nothing but the proxy knows."""

    def __init__(self, document: Any, server: TlsServer, proxy: Proxy) -> None:
        self.document = document
        self.server = server
        self.proxy = proxy

    async def works(self) -> bool:
        """Whether a secret can be written and read. Raises what opening, writing and reading raise."""
        store: Any = await open_store(self.document, StoreContext("s", CountingGate(), os.environ, 4))
        try:
            value: Any = {"x": b"1"} if self.document.provider == "kubernetes" else {"x": "1"}
            value = b"1" if self.document.provider.startswith(("aws", "git", "http")) else value
            key = "K" if self.document.provider == "githubSecrets" else "k"
            await store.write(key, SecretValue(value))
            return bool((await store.read(key)).value.reveal() == value)
        finally:
            await store.aclose()


@pytest.fixture(params=REMOTE)
async def behind(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Behind]:
    """Each kind of store over the network."""
    section = REMOTE[request.param].section(request, tmp_path)
    (address,) = set(re.findall(r"http://127\.0\.0\.1:[0-9]+", section))
    section = section.replace(address, "https://store.test")
    text = "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: s}\nspec: {provider: {%s}}\n"
    (tmp_path / "s.yaml").write_text(text % section)
    document = load_files([tmp_path / "s.yaml"]).stores["s"]
    async with TlsServer(AUTHORITY, address) as server, Proxy(server.port) as proxy:
        yield Behind(document, server, proxy)


async def test_what_is_taken(behind: Behind, ca_file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SSL_CERT_FILE and HTTPS_PROXY count; the proxy learns the host's name and its own password; no keys are kept."""
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    monkeypatch.setenv("HTTPS_PROXY", behind.proxy.address.replace("//", "//user:pa%40ss@"))
    assert await behind.works()
    assert not log.exists()
    assert behind.proxy.heads
    for head in behind.proxy.heads:
        assert head.startswith(b"CONNECT store.test:443 ")
        (sent,) = re.findall(rb"(?i)\r\nproxy-authorization: basic ([^\r]*)", head)
        assert base64.b64decode(sent) == b"user:pa@ss"
        assert b"token" not in head.lower()
        assert b"\r\nauthorization" not in head.lower()


async def test_whom_nobody_trusts(behind: Behind, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundles of other libraries do not count; a variable that names no file is told by its name."""
    monkeypatch.setenv("HTTPS_PROXY", behind.proxy.address)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, ca_file)
    with pytest.raises(StoreUnavailable, match="not trusted"):
        await behind.works()
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, f"/nowhere/{CANARY}")
        with pytest.raises(StoreError, match=f"s: what {name} names is not there") as raised:
            await behind.works()
        assert CANARY not in f"{raised.value!r} {raised.value.hint}"
        monkeypatch.delenv(name)


async def test_a_proxy_that_does_not_let_us_through(
    behind: Behind, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that refuses, is not there, or is none is named by its variable, not its address; NO_PROXY goes past it."""
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    behind.proxy.status = 407
    closed = "http://127.0.0.1:9"
    for address in (behind.proxy.address, closed):
        monkeypatch.setenv("https_proxy", address.replace("//", f"//user:{CANARY}@"))
        with pytest.raises(StoreUnavailable, match="the proxy does not let us through") as raised:
            await behind.works()
        assert "HTTPS_PROXY" in raised.value.hint
        assert CANARY not in f"{raised.value!r} {raised.value.hint} {raised.value.__context__!r}"
    for address in (f"socks5://user:{CANARY}@127.0.0.1:1080", f"https://{CANARY}:3128"):
        monkeypatch.setenv("https_proxy", address)
        with pytest.raises(StoreError, match="s: HTTPS_PROXY is not the address of an HTTP proxy") as refused:
            await behind.works()
        assert CANARY not in f"{refused.value!r} {refused.value.hint}"
    asked = len(behind.proxy.heads)
    monkeypatch.setenv("NO_PROXY", "store.test")
    with pytest.raises(StoreUnavailable, match=r"its name is not known|has no address"):
        await behind.works()
    assert len(behind.proxy.heads) == asked


@pytest.mark.parametrize("peer", REMOTE)
async def test_nothing_goes_through_a_proxy_unencrypted(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peer: str
) -> None:
    """What goes to an http:// address goes there directly, whatever variables say: a proxy would read it."""
    section = REMOTE[peer].section(request, tmp_path)
    text = "apiVersion: secretsync.io/v1alpha1\nkind: SecretStore\nmetadata: {name: s}\nspec: {provider: {%s}}\n"
    (tmp_path / "s.yaml").write_text(text % section)
    async with Proxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.address)
            monkeypatch.setenv(name.lower(), proxy.address)
        server: Any = None
        assert await Behind(load_files([tmp_path / "s.yaml"]).stores["s"], server, proxy).works()
        assert proxy.heads == []


@pytest.mark.parametrize(
    ("address", "exceptions", "goes"),
    [
        ("https://vault.example.com", "", True),
        ("HTTPS://vault.example.com/v1", "", True),
        ("http://vault.example.com", "", False),
        ("https://vault.example.com", "*", False),
        ("https://vault.example.com", "example.com", False),
        ("https://vault.example.com", ".example.com, other", False),
        ("https://vault.example.com", "*.example.com", False),
        ("https://Vault.Example.com.", "vault.example.COM", False),
        ("https://vault.example.com", "ample.com", True),
        ("https://vault.example.com", "a.vault.example.com", True),
        ("https://vault.example.com:8200", "vault.example.com:8200", False),
        ("https://vault.example.com:8200", "vault.example.com:443", True),
        ("https://vault.example.com", "vault.example.com:443", False),
        ("https://10.1.2.3:6443", "10.0.0.0/8", False),
        ("https://10.1.2.3:6443", "10.1.2.3", False),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", False),
        ("https://11.1.2.3:6443", "10.0.0.0/8,192.168.0.1", True),
        ("https://[fd00::1]:6443", "fd00::/8", False),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", False),
        ("https://[fd00::1]:6443", "[fd00::2], [fd00::1]:443", True),
        ("https://localhost:8200", "", False),
        ("https://vault.localhost", "", False),
        ("https://127.9.9.9", "", False),
        ("https://[::1]:8200", "", False),
        ("https://notlocalhost", " , ,", True),
    ],
)
def test_which_hosts_a_proxy_is_for(monkeypatch: pytest.MonkeyPatch, address: str, exceptions: str, goes: bool) -> None:
    """NO_PROXY names hosts, subdomains, addresses and ranges, and ports; the machine itself needs none."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert proxy_for(address, "s") == ("http://proxy.example.com:3128" if goes else None)
