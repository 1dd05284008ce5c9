"""Every login method against a real OpenBao, and what happens when tokens end."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.faulty_http import FaultyHttp
from support.gate import CountingGate
from support.jwt import signed_jwt
from support.slow import one_in
from support.tunnel import Proxy, TlsServer

from secretsync_core.errors import AccessDenied, StoreError, StoreUnavailable
from secretsync_core.secret import SecretValue
from secretsync_core.stores.vault import auth as auth_module

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakeToken, Mount, VaultStores
    from support.http import Api

    from secretsync_core.demo.openbao import OpenBaoServer

FULL = 'path "{0}/*" {{ capabilities = ["create", "read", "update", "delete", "list", "scan"] }}'
_numbers = itertools.count(1)


def enable(api: Api, kind: str) -> str:
    """A login method at a path of its own."""
    path = f"{kind}-{next(_numbers)}"
    api.call("POST", f"sys/auth/{path}", {"type": kind})
    return path


@pytest.fixture
def kv(openbao: OpenBaoServer, api: Api, mount: Mount) -> str:
    """A mount with one secret, and a policy of the same name that allows everything in it."""
    name = mount(openbao)
    api.put(name, "k", {"a": "1"})
    api.call("POST", f"sys/policies/acl/{name}", {"policy": FULL.format(name)})
    return name


def user(api: Api, kv: str, **options: Any) -> dict[str, Any]:
    """A user whose tokens live as ``options`` say, as the ``auth`` section to log in by."""
    path = enable(api, "userpass")
    body = {"password": "correct horse", "token_policies": [kv], **options}
    api.call("POST", f"{path}/users/u" if path.startswith("auth/") else f"auth/{path}/users/u", body)
    return {"userPass": {"username": "u", "password": {"value": "correct horse"}, "mount": path}}


def tokens_alive(api: Api) -> int:
    return len(api.call("LIST", "auth/token/accessors")["data"]["keys"])


async def works(store: Any) -> bool:
    return bool((await store.read("k")).value.reveal() == {"a": "1"})


@pytest.fixture(scope="module")
def signing_key() -> rsa.RSAPrivateKey:
    """A key to sign JSON web tokens with."""
    return rsa.generate_private_key(65537, 2048)


async def test_user_pass(vault_store_factory: VaultStores, api: Api, kv: str) -> None:
    """userPass logs in once, works, and its token is revoked when the store is closed."""
    before = tokens_alive(api)
    gate = CountingGate()
    store = await vault_store_factory(mount=kv, auth=user(api, kv), gate=gate)
    assert await works(store)
    assert gate.counts["login"] == 1
    assert tokens_alive(api) == before + 1
    await store.aclose()
    await store.aclose()
    assert tokens_alive(api) == before


async def test_app_role(vault_store_factory: VaultStores, api: Api, kv: str, tmp_path: Path) -> None:
    """appRole logs in by a role id and a secret id, the latter from a file."""
    path = enable(api, "approle")
    api.call("POST", f"auth/{path}/role/r", {"token_policies": [kv]})
    role_id = api.call("GET", f"auth/{path}/role/r/role-id")["data"]["role_id"]
    secret_id = tmp_path / "secret-id"
    secret_id.write_text(api.call("POST", f"auth/{path}/role/r/secret-id")["data"]["secret_id"] + "\n")
    auth = {"appRole": {"roleId": {"value": role_id}, "secretId": {"file": str(secret_id)}, "mount": path}}
    assert await works(await vault_store_factory(mount=kv, auth=auth))


async def test_jwt(vault_store_factory: VaultStores, api: Api, kv: str, signing_key: rsa.RSAPrivateKey) -> None:
    """jwt logs in by a signed token, by a role or the mount's default role."""
    path = enable(api, "jwt")
    public = signing_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    api.call("POST", f"auth/{path}/config", {"jwt_validation_pubkeys": [public.decode()], "default_role": "r"})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["us"], "token_policies": [kv]}
    api.call("POST", f"auth/{path}/role/r", role)
    now = int(time.time())
    token = signed_jwt(signing_key, {"sub": "x", "aud": "us", "iat": now, "nbf": now - 60, "exp": now + 600})
    for extra in ({"role": "r"}, {}):
        auth = {"jwt": {"token": {"value": token}, "mount": path, **extra}}
        assert await works(await vault_store_factory(mount=kv, auth=auth))


async def test_kubernetes(
    vault_store_factory: VaultStores, api: Api, kv: str, signing_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    """kubernetes logs in by a service account's token. The cluster's TokenReview is a fake that always approves."""
    account = {"name": "sync", "uid": "u-1"}
    claims = {
        "iss": "https://kubernetes.default.svc",
        "sub": "system:serviceaccount:default:sync",
        "iat": int(time.time()),
        "nbf": int(time.time()) - 60,
        "exp": int(time.time()) + 600,
        "kubernetes.io": {"namespace": "default", "serviceaccount": account},
    }
    file = tmp_path / "token"
    file.write_text(signed_jwt(signing_key, claims))
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "status": {
            "authenticated": True,
            "user": {"username": claims["sub"], "uid": "u-1", "groups": ["system:serviceaccounts"]},
        },
    }
    async with FaultyHttp() as cluster:
        cluster.answer("tokenreviews", 201, json.dumps(review).encode(), headers={"Content-Type": "application/json"})
        path = enable(api, "kubernetes")
        authority = trustme.CA().cert_pem.bytes().decode()  # asked for, and not used over plain HTTP
        config = {"kubernetes_host": cluster.address, "disable_local_ca_jwt": True, "kubernetes_ca_cert": authority}
        api.call("POST", f"auth/{path}/config", config)
        bound = {"bound_service_account_names": ["sync"], "bound_service_account_namespaces": ["default"]}
        api.call("POST", f"auth/{path}/role/r", {**bound, "token_policies": [kv]})
        auth = {"kubernetes": {"role": "r", "token": {"file": str(file)}, "mount": path}}
        assert await works(await vault_store_factory(mount=kv, auth=auth))
        assert cluster.count("tokenreviews") == 1


async def test_login_refused(vault_store_factory: VaultStores, api: Api, kv: str) -> None:
    """A wrong password and an auth mount that is not there are AccessDenied with a hint, and show no credential."""
    auth = user(api, kv)
    auth["userPass"]["password"] = {"value": "wrong-canary"}
    with pytest.raises(AccessDenied, match="refuses to log us in by userPass") as raised:
        await vault_store_factory(mount=kv, auth=auth)
    assert "credentials" in raised.value.hint
    assert "canary" not in f"{raised.value!r} {raised.value.hint}"
    auth["userPass"]["mount"] = "not-there"
    with pytest.raises(AccessDenied) as raised:
        await vault_store_factory(mount=kv, auth=auth)
    assert "auth/not-there" in raised.value.hint


async def test_environment_is_ignored(
    vault_store_factory: VaultStores, api: Api, kv: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vault's own variables change neither the login nor the requests, nor do proxies and CA bundles without TLS."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "VAULT_CACERT"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("VAULT_TOKEN", "other")
    monkeypatch.setenv("VAULT_NAMESPACE", "other")
    assert await works(await vault_store_factory(mount=kv, auth=user(api, kv)))


async def test_a_login_by_a_proxy(
    vault_store_factory: VaultStores,
    openbao: OpenBaoServer,
    api: Api,
    kv: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Logins go the way of the other requests; one that the proxy refuses says so, without the proxy's password."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    known: dict[str, Any] = {"address": "https://store.test", "mount": kv, "tls": {"caFile": str(tmp_path / "ca.pem")}}
    monkeypatch.delenv("https_proxy", raising=False)
    async with TlsServer(authority, openbao.address) as server, Proxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address.replace("//", "//user:canary@"))
        assert await works(await vault_store_factory(**known, auth=user(api, kv)))
        logged_in = len(proxy.heads)
        assert logged_in >= 2  # the login has a connection of its own
        assert all(head.startswith(b"CONNECT store.test:443 ") for head in proxy.heads)
        proxy.status = 407
        with pytest.raises(StoreUnavailable, match="the proxy does not let us through") as raised:
            await vault_store_factory(**known, auth=user(api, kv))
        assert "canary" not in f"{raised.value!r} {raised.value.hint} {raised.value.__context__!r}"


async def test_policy_denial_costs_one_look(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, make_token: MakeToken, kv: str
) -> None:
    """Many denied requests are AccessDenied each, and cost one look at the token between them."""
    token = make_token(openbao, f'path "{kv}/data/other" {{ capabilities = ["read"] }}')
    gate = CountingGate()
    store = await vault_store_factory(mount=kv, auth={"token": {"value": token}}, gate=gate)
    results = await asyncio.gather(*(store.read(f"k{n}") for n in range(20)), return_exceptions=True)
    assert all(type(result) is AccessDenied for result in results)
    assert gate.counts["login"] == 1


async def test_token_file_is_read_again(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, make_token: MakeToken, kv: str, tmp_path: Path
) -> None:
    """When the store no longer knows the token, its file is read again, and that is all."""
    file = tmp_path / "token"
    first, second = (make_token(openbao, FULL.format(kv)) for _ in range(2))
    file.write_text(first + "\n")
    gate = CountingGate()
    store = await vault_store_factory(mount=kv, auth={"token": {"file": str(file)}}, gate=gate)
    assert await works(store)
    api.call("POST", "auth/token/revoke", {"token": first})
    with pytest.raises(AccessDenied, match="expired or was revoked") as raised:
        await store.read("k")
    assert str(file) in raised.value.hint
    file.write_text(second)
    gate.counts.clear()
    assert all(await asyncio.gather(*(works(store) for _ in range(20))))
    assert gate.counts["login"] == 0  # that the first one is dead it knows already


async def test_dead_token_is_no_gap(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, api: Api, make_token: MakeToken, kv: str
) -> None:
    """A token that dies makes a look or a listing fail as a whole, and not key by key."""
    token = make_token(openbao, FULL.format(kv))
    store = await vault_store_factory(mount=kv, auth={"token": {"value": token}})
    api.call("POST", "auth/token/revoke", {"token": token})
    for found in (store.stat(["k", "l"]), store.list("", recursive=True, metadata=False)):
        with pytest.raises(AccessDenied, match="does not know our token"):
            await anext(found)


async def test_revoked_login_is_renewed_by_another(vault_store_factory: VaultStores, api: Api, kv: str) -> None:
    """When a token that we logged in for is revoked, we log in again and the request is repeated."""
    auth = user(api, kv)
    store = await vault_store_factory(mount=kv, auth=auth)
    api.call("POST", f"sys/leases/revoke-prefix/auth/{auth['userPass']['mount']}/login")
    assert all(await asyncio.gather(*(works(store) for _ in range(10))))


@pytest.mark.parametrize("uses", one_in(3, [1, 2, 7]))
async def test_tokens_for_so_many_requests(vault_store_factory: VaultStores, api: Api, kv: str, uses: int) -> None:
    """With ``token_num_uses`` a login is good for so many requests, however many are under way: none is refused."""
    gate, auth = CountingGate(), user(api, kv, token_num_uses=uses)
    store = await vault_store_factory(mount=kv, auth=auth, gate=gate, kvVersion=2)
    assert all(await asyncio.gather(*(works(store) for _ in range(20))))
    assert gate.counts["read"] == 20
    assert gate.counts["login"] == -(-20 // uses)


async def test_a_used_up_token_of_the_document(
    vault_store_factory: VaultStores, api: Api, openbao: OpenBaoServer, make_token: MakeToken, kv: str
) -> None:
    """A token that was given, and is used up, is said to be dead, also right after it was seen alive."""
    gate = CountingGate()
    token = make_token(openbao, f'path "{kv}/data/k" {{ capabilities = ["read"] }}', num_uses=5)
    store = await vault_store_factory(mount=kv, auth={"token": {"value": token}}, gate=gate, kvVersion=2)
    assert await works(store)
    while api.call("POST", "auth/token/lookup", {"token": token})["data"]["num_uses"] != 3:  # noqa: ASYNC110  the server sets no event
        await asyncio.sleep(0.01)  # until it was renewed
    with pytest.raises(AccessDenied, match="refuses to read other: permission denied"):
        await store.read("other")
    assert await works(store)
    for _ in range(3):
        with pytest.raises(AccessDenied, match="does not know our token"):
            await store.read("k")
    assert gate.counts["login"] == 2  # once alive, once dead


async def test_a_denial_in_few_words(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, make_token: MakeToken, kv: str
) -> None:
    """A server that denies by policy in the words that others have for dead tokens is asked once whether ours lives."""
    token, gate = make_token(openbao, FULL.format(kv)), CountingGate()
    async with FaultyHttp(openbao.address) as relay:
        relay.answer("/data/", 403, b'{"errors":["permission denied"]}')
        auth = {"token": {"value": token}}
        store = await vault_store_factory(mount=kv, address=relay.address, auth=auth, gate=gate, kvVersion=2)
        for _ in range(5):
            with pytest.raises(AccessDenied, match="refuses to read k: permission denied"):
                await store.read("k")
        assert gate.counts["login"] == 1


BARE = b'{"errors":["permission denied"]}'


@pytest.mark.parametrize("looks", [0, 1])
async def test_a_standby_that_has_not_heard_of_our_token_yet(
    vault_store_factory: VaultStores,
    openbao: OpenBaoServer,
    api: Api,
    kv: str,
    monkeypatch: pytest.MonkeyPatch,
    looks: int,
) -> None:
    """Behind a load balancer, a 403 right after our login is asked once more before it is believed, without another
    login, also where the question whether the token lives meets such a standby."""
    monkeypatch.setattr(auth_module, "LAG_SECONDS", 0.01)
    gate = CountingGate()
    async with FaultyHttp(openbao.address) as relay:
        relay.answer("internal/ui/mounts", 403, BARE, times=2)
        relay.answer("lookup-self", 403, BARE, times=looks)
        store = await vault_store_factory(mount=kv, address=relay.address, auth=user(api, kv), gate=gate)
        relay.answer("/data/", 403, BARE, times=1)
        assert await works(store)
        assert relay.count("POST .*/login/") == 1
        assert gate.counts["login"] <= 3 + looks
        await store.aclose()


@pytest.mark.slow
async def test_short_tokens_are_kept_alive(vault_store_factory: VaultStores, api: Api, kv: str) -> None:
    """A token of two seconds that may live three at most is renewed, then replaced, and no request notices."""
    gate = CountingGate()
    auth = user(api, kv, token_ttl="2s", token_max_ttl="3s")
    store = await vault_store_factory(mount=kv, auth=auth, gate=gate)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert await works(store)
        await asyncio.sleep(0.1)
    assert 3 <= gate.counts["login"] <= 8


def lives(api: Api, token: str) -> float:
    """For how many seconds a token is good."""
    return float(api.call("POST", "auth/token/lookup", {"token": token})["data"]["ttl"])


async def test_a_periodic_token_lives_by_short_runs(
    vault_store_factory: VaultStores, api: Api, openbao: OpenBaoServer, make_token: MakeToken, kv: str
) -> None:
    """A token of the document's is renewed when a process first uses it, however short that is: one request. Another
    run in that process makes none as long as a third of its life has not passed."""
    token = make_token(openbao, FULL.format(kv), period="1h")
    api.call("POST", "auth/token/renew", {"token": token, "increment": "60s"})
    gate = CountingGate()
    for run in range(3):
        store = await vault_store_factory(mount=kv, auth={"token": {"value": token}}, gate=gate, kvVersion=2)
        for _ in range(20):
            await asyncio.sleep(0)  # what was begun has passed the gate by now
        assert gate.counts["renew"] == min(run, 1)  # nothing is sent to a server that is not seen to take it
        assert await works(store)
        await store.aclose()
    assert (gate.counts["renew"], gate.counts["login"]) == (1, 0)
    assert lives(api, token) > 3500


async def test_a_token_that_is_not_renewed(
    vault_store_factory: VaultStores, openbao: OpenBaoServer, make_token: MakeToken, kv: str
) -> None:
    """One that cannot be renewed is asked about once in a process, and nothing depends on the answer."""
    token = make_token(openbao, FULL.format(kv), renewable=False)
    async with FaultyHttp(openbao.address) as relay:
        for status, asked in ((503, 1), (503, 2), (400, 3), (400, 3)):
            relay.heal()
            relay.answer("renew-self", status, b'{"errors":["no"]}')
            auth, gate = {"token": {"value": token}}, CountingGate()
            store = await vault_store_factory(mount=kv, address=relay.address, auth=auth, gate=gate, kvVersion=2)
            assert await works(store)
            await store.aclose()
            assert sum("renew-self" in request.path for request in relay.requests) == asked


@pytest.mark.slow
async def test_a_token_is_renewed_in_a_long_run(
    vault_store_factory: VaultStores,
    openbao: OpenBaoServer,
    make_token: MakeToken,
    kv: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The document's token outlives its life while a store is open."""
    monkeypatch.setattr(auth_module, "_LEAST_SECONDS", 0.2)
    token, gate = make_token(openbao, FULL.format(kv), ttl="1s", period="1s"), CountingGate()
    store = await vault_store_factory(mount=kv, auth={"token": {"value": token}}, gate=gate)
    await asyncio.sleep(1.6)
    assert await works(store)
    assert gate.counts["renew"] >= 2


async def test_token_that_is_none(vault_store_factory: VaultStores, tmp_path: Path, kv: str) -> None:
    """A token file with something else in it is refused before it is sent, and is not shown."""
    file = tmp_path / "token"
    for content in ("canary\nsecond line", "canary canary", "canäry"):
        file.write_text(content)
        with pytest.raises(StoreError, match="no token can have") as raised:
            await vault_store_factory(mount=kv, auth={"token": {"file": str(file)}})
        assert "can" not in str(raised.value).replace("no token can have", "").replace("cannot", "")


async def test_namespace(vault_store_factory: VaultStores, api: Api, openbao: OpenBaoServer) -> None:
    """Login and secrets stay in the namespace of the document; one that does not exist is named in the error."""
    namespace = f"ns{next(_numbers)}"
    api.call("POST", f"sys/namespaces/{namespace}")
    api.namespace = namespace
    api.call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    api.call("POST", "sys/policies/acl/p", {"policy": FULL.format("kv")})
    api.call("POST", "sys/auth/userpass", {"type": "userpass"})
    api.call("POST", "auth/userpass/users/u", {"password": "pw", "token_policies": ["p"]})
    auth = {"userPass": {"username": "u", "password": {"value": "pw"}}}
    store = await vault_store_factory(mount="kv", namespace=namespace, auth=auth)
    await store.write("k", SecretValue({"a": "1"}))
    assert await works(store)
    assert [entry.key async for entry in store.list("", recursive=True, metadata=False)] == ["k"]
    with pytest.raises(StoreError, match="no namespace 'nope'"):
        await vault_store_factory(mount="kv", namespace="nope")
    with pytest.raises(StoreError, match="no namespace 'nope'"):
        await vault_store_factory(mount="kv", namespace="nope", auth=auth)
