"""What a store makes of refusals, failures and nonsense; and that no value or token ever reaches an error."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from support.faulty_http import FaultyHttp
from support.servers import ConfiguredServer

from secretsync_core.errors import (
    AccessDenied,
    InvalidSecret,
    RateLimited,
    SecretFails,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.model.inventory import Gap
from secretsync_core.secret import SecretValue
from secretsync_core.stores import connecting
from secretsync_core.stores.http import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import MakeToken, Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

CANARY = "canary-7f3a"
TOKEN = "s.canary-7f3a-token"


@pytest.fixture(scope="module")
def raft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredServer]:
    """A server with raft storage, which bounds a secret's size; it may be sealed and restarted."""
    server = ConfiguredServer(tmp_path_factory.mktemp("raft"), persistent=True)
    server.api().call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    server.api().call("POST", "sys/mounts/one", {"type": "kv", "options": {"version": "1"}})
    yield server
    server.stop()


async def every_call(store: Any) -> list[BaseException]:
    """The errors of one call of each kind, all of which must fail; a Gap stands as an AccessDenied with its text."""

    async def first(found: Any) -> Any:
        return await anext(found)

    value = SecretValue({"a": CANARY})
    calls = [store.read("k"), store.write("k", value), store.delete("k"), first(store.stat(["k"]))]
    calls += [first(store.list("", recursive=recursive, metadata=True)) for recursive in (True, False)]
    if hasattr(store, "write_if"):
        calls.append(store.write_if("k", value, "3@x"))
    results = await asyncio.gather(*calls, return_exceptions=True)
    errors = [AccessDenied(str(each)) if isinstance(each, Gap) else each for each in results]
    assert all(isinstance(error, BaseException) for error in errors)
    return errors


def shown(error: BaseException) -> str:
    """Everything of an error that could be printed."""
    parts = [*traceback.format_exception(error), repr(error), str(vars(error))]
    return "\n".join(parts)


STATUSES = [302, 307, 400, 401, 402, 404, 405, 409, 412, 413, 418, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("kv_version", [1, 2])
@pytest.mark.parametrize("status", [*STATUSES, 403])
async def test_bodies_never_reach_an_error(vault_store_factory: VaultStores, kv_version: int, status: int) -> None:
    """Whatever a server answers, and whatever it echoes, the error shows neither the value, the token nor the body."""
    async with FaultyHttp() as fake:
        fake.answer("lookup-self", 200, b'{"data":{"id":"x","ttl":0,"renewable":false}}')
        fake.answer("/v1/kv/", status, CANARY.encode(), headers={"Location": f"/{CANARY}"}, echo=True)
        store = await vault_store_factory(
            kv_version, mount="kv", address=fake.address, kvVersion=kv_version, auth={"token": {"value": TOKEN}}
        )
        for error in await every_call(store):
            assert isinstance(error, StoreError)
            assert not isinstance(error, SecretNotFound)
            assert CANARY not in shown(error)
        await store.aclose()


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (403, AccessDenied, False),
        (429, RateLimited, True),
        (500, SecretFails, True),
        (502, StoreUnavailable, True),
        (503, StoreUnavailable, True),
        (412, StoreUnavailable, True),
        (307, StoreUnavailable, True),
        (409, StoreError, False),
    ],
)
async def test_statuses(vault_store_factory: VaultStores, status: int, kind: type[StoreError], retryable: bool) -> None:
    """Each status is the error that fits, and only what can heal is retryable."""
    async with FaultyHttp() as fake:
        fake.answer("/v1/kv/", status, b'{"errors":["x"]}', headers={"Retry-After": "7"})
        fake.answer("lookup-self", 200, b'{"data":{"id":"x","ttl":0,"renewable":false}}')
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        with pytest.raises(StoreError) as raised:
            await store.read("k")
        assert type(raised.value) is kind
        assert raised.value.retryable == retryable
        assert (raised.value.store, raised.value.key) == ("test-vault", "k")
        if isinstance(raised.value, RateLimited):
            assert raised.value.retry_after == 8
        await store.aclose()


def test_retry_after() -> None:
    """Retry-After is understood as seconds and as a date, with a second on top; a date long gone asks for no wait."""
    assert retry_after("3") == 4
    assert retry_after("0") == 1  # which is how a server says 0.9
    assert retry_after(None) is None
    assert retry_after("soon") is None
    moment = datetime.now(UTC) + timedelta(seconds=60)
    assert 56 < (retry_after(format_datetime(moment, usegmt=True)) or 0) <= 61
    assert retry_after(format_datetime(moment - timedelta(days=1), usegmt=True)) == 0


async def test_redirects_are_not_followed(vault_store_factory: VaultStores) -> None:
    """A redirect never carries our token to where it points."""
    async with FaultyHttp() as other, FaultyHttp() as fake:
        fake.answer("/v1/kv/", 307, headers={"Location": f"{other.address}/v1/kv/data/k"})
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        for error in await every_call(store):
            assert isinstance(error, StoreUnavailable)
            assert "redirect" in str(error)
        assert other.requests == []
        await store.aclose()


async def test_rate_quota(vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount) -> None:
    """OpenBao's own rate quota is RateLimited, with the wait that it asks for where it is set up to ask for one."""
    name = mount(openbao)
    store = await vault_store_factory(mount=name)
    api.call("POST", f"sys/quotas/rate-limit/{name}", {"path": f"{name}/", "rate": 2, "interval": "10s"})
    try:
        for headers in (False, True):
            api.call("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": headers})
            errors = await asyncio.gather(*(store.read("k") for _ in range(4)), return_exceptions=True)
            limited = [error for error in errors if isinstance(error, RateLimited)]
            assert len(limited) == (4 if headers else 2)
            assert all(error.retryable for error in limited)
            for error in limited:
                assert 0 < (error.retry_after or 0) <= 11 if headers else error.retry_after is None
    finally:
        api.call("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": False})
        api.call("DELETE", f"sys/quotas/rate-limit/{name}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's, beyond what we ever send
async def test_raft_refuses_too_large(
    vault_store_factory: VaultStores, raft: ConfiguredServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret over our bound is refused before it is sent, and so is the server's own refusal understood."""
    auth = {"token": {"value": raft.root_token}}
    for version, mount in ((1, "one"), (2, "kv")):
        store = await vault_store_factory(version, mount=mount, address=raft.address, auth=auth)
        await store.write("k", SecretValue({"a": "x" * 999_900}))
        too_large = SecretValue({"a": "x" * (2**20 + 1000)})
        with pytest.raises(InvalidSecret, match="bytes, and 1,000,000 fit"):
            await store.write("k", too_large)
        limits = dataclasses.replace(store.facts.limits, max_bytes=None)
        monkeypatch.setattr(store, "facts", dataclasses.replace(store.facts, limits=limits))
        with pytest.raises(InvalidSecret, match="too large"):
            await store.write("k", too_large)


async def test_sealed_and_gone_and_back(vault_store_factory: VaultStores, raft: ConfiguredServer) -> None:
    """A sealed server and one that is gone are StoreUnavailable and retryable; after its restart the store works."""
    auth = {"token": {"value": raft.root_token}}
    store = await vault_store_factory(mount="kv", address=raft.address, auth=auth)
    await store.write("k", SecretValue({"a": "1"}))
    raft.seal()
    with pytest.raises(StoreUnavailable, match="is sealed"):
        await store.read("k")
    raft.kill()
    for error in await every_call(store):
        assert isinstance(error, StoreUnavailable)
        assert error.retryable
    await asyncio.to_thread(raft.start)
    assert (await store.read("k")).value.reveal() == {"a": "1"}


async def test_a_proxy_of_an_unknown_name(vault_store_factory: VaultStores, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the proxy's name that nobody knows, and not the server's, which the proxy would look up."""
    monkeypatch.setenv("HTTPS_PROXY", "http://nothing.invalid:3128")
    with pytest.raises(StoreUnavailable, match="the proxy's name is not known") as raised:
        await vault_store_factory(mount="kv", address="https://vault.example.com")
    assert "check HTTPS_PROXY" in raised.value.hint


async def test_no_server(vault_store_factory: VaultStores) -> None:
    """A port where nobody listens, a name that nobody knows and a cut connection say so and are retryable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StoreUnavailable, match="cannot be reached: the connection is refused") as raised:
            await vault_store_factory(mount="kv", address=f"http://127.0.0.1:{port}")
        assert raised.value.retryable
    with pytest.raises(StoreUnavailable, match="name is not known"):
        await vault_store_factory(mount="kv", address="http://nothing.invalid")
    auth = {"userPass": {"username": "u", "password": {"value": CANARY}}}
    with pytest.raises(StoreUnavailable) as raised:
        await vault_store_factory(mount="kv", address="http://127.0.0.1:9", auth=auth)
    assert CANARY not in shown(raised.value)
    async with FaultyHttp() as fake:
        fake.cut(".")
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        for error in await every_call(store):
            assert isinstance(error, StoreUnavailable)
        await store.aclose()


@pytest.mark.slow
async def test_slow_server(vault_store_factory: VaultStores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer in time is StoreUnavailable."""
    monkeypatch.setattr(connecting, "TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.1))
    async with FaultyHttp() as fake:
        fake.delay(".", 5)
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        with pytest.raises(StoreUnavailable, match="in time"):
            await store.read("k")
        await store.aclose()


async def test_missing_mount(vault_store_factory: VaultStores, openbao: OpenBaoServer, make_token: MakeToken) -> None:
    """A mount that is not there, or is no KV, or is a folder in one, is named when the store is opened."""
    with pytest.raises(AccessDenied, match="no mount 'nope'"):
        await vault_store_factory(mount="nope")
    with pytest.raises(StoreError, match="'cubbyhole' mounted"):
        await vault_store_factory(mount="cubbyhole")
    with pytest.raises(StoreError, match="a folder in the mount 'secret'"):
        await vault_store_factory(mount="secret/team")
    limited = make_token(openbao, 'path "other/*" { capabilities = ["read"] }')
    with pytest.raises(AccessDenied, match="or does not let us see it"):
        await vault_store_factory(mount="secret", auth={"token": {"value": limited}})


async def test_pin_costs_no_request_until_in_doubt(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, mount: Mount
) -> None:
    """A pinned version saves the question for it, and a pin that is wrong is never taken for a mount that is empty."""
    async with FaultyHttp(openbao.address) as proxy:
        for actual, pinned in ((1, 2), (2, 1)):
            name = mount(openbao, actual)
            store = await vault_store_factory(mount=name, address=proxy.address, kvVersion=pinned)
            assert proxy.count("internal/ui/mounts") == 0
            for ask in (
                store.read("k"),
                anext(store.stat(["k"])),
                anext(store.list("", recursive=True, metadata=False)),
            ):
                with pytest.raises(StoreError) as raised:
                    await ask
                assert raised.value.code == "store"
            await store.aclose()
            proxy.requests.clear()
        store = await vault_store_factory(mount=mount(openbao), address=proxy.address, kvVersion=2)
        for _ in range(3):
            with pytest.raises(SecretNotFound):
                await store.read("k")
        assert proxy.count("internal/ui/mounts") == 1
        await store.aclose()


async def test_unmounted_is_not_empty(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, mount: Mount
) -> None:
    """After a mount was removed, nothing in it counts as absent or empty."""
    for version in (1, 2):
        name = mount(openbao, version)
        store = await vault_store_factory(version, mount=name)
        api.call("DELETE", f"sys/mounts/{name}")
        for error in await every_call(store):
            assert isinstance(error, StoreError)
            assert not isinstance(error, SecretNotFound)
            assert f"no mount '{name}'" in str(error)


async def test_reads_after_writes_ask_for_fresh_data(vault_store_factory: VaultStores) -> None:
    """The X-Vault-Index of the latest write goes with every later request, so that no standby serves older data."""
    import base64

    def index(number: int) -> str:
        return base64.b64encode(f"v1:cluster:{number}:0:mac".encode()).decode()

    written = b'{"data":{"version":1,"created_time":"2026-01-01T00:00:00Z"}}'
    async with FaultyHttp() as fake:
        fake.answer("ui/mounts/kv", 200, b'{"data":{"type":"kv","path":"kv/","options":{"version":"2"}}}')
        fake.answer("renew-self", 403)
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        for number in (5, 7, 6):
            fake.answer("POST .*/data/", 200, written, headers={"X-Vault-Index": index(number)}, times=1)
            await store.write("k", SecretValue({"a": "1"}))
        headers = store._transport._with(await store._auth.token())
        assert headers["X-Vault-Index"] == index(7)
        assert headers["X-Vault-Inconsistent"] == "forward-active-node"
        await store.aclose()


async def test_plain_http_to_https(vault_store_factory: VaultStores) -> None:
    """An http:// address of a server that speaks HTTPS only gets a hint, and no repeats."""
    async with FaultyHttp() as fake:
        fake.answer(".", 400, b"Client sent an HTTP request to an HTTPS server.\n")
        with pytest.raises(StoreUnavailable, match="speaks HTTPS only") as raised:
            await vault_store_factory(mount="kv", address=fake.address)
        assert not raised.value.retryable


async def test_upgrading_mount_is_retryable(vault_store_factory: VaultStores) -> None:
    """A mount that upgrades itself from version 1 to 2 answers 400 for a moment, and is worth another try."""
    async with FaultyHttp() as fake:
        fake.answer(".", 400, b'{"errors":["Upgrading from non-versioned to versioned data. ..."]}')
        store = await vault_store_factory(mount="kv", address=fake.address, kvVersion=2)
        with pytest.raises(StoreUnavailable) as raised:
            await store.read("k")
        assert raised.value.retryable
        await store.aclose()


async def test_missing_files(vault_store_factory: VaultStores, tmp_path: Path) -> None:
    """TLS files that are missing or are something else are named, with what they should be."""
    other = tmp_path / "other.pem"
    other.write_text("canary")
    for name in ("/nowhere.pem", str(other)):
        with pytest.raises(StoreError, match=name):
            await vault_store_factory(mount="kv", tls={"caFile": name})
        with pytest.raises(StoreError, match=name):
            await vault_store_factory(mount="kv", tls={"certFile": name, "keyFile": name})
