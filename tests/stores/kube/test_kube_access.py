"""How we show who we are, and whom we trust: tokens that rotate, pods, kubeconfigs with plugins, certificates."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import yaml
from support.faulty_http import FaultyHttp
from support.kube_either import kube_api

from kube.making import VALUE, put
from secretsync_core.errors import AccessDenied, StoreError, StoreUnavailable
from secretsync_core.stores.kubernetes import access
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.kube_api import KubeApi
    from support.serving import Seen

    from kube.conftest import KubeStores


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whom clients and servers of this module trust."""
    return trustme.CA()


@pytest.fixture
def pki(authority: trustme.CA, tmp_path: Path) -> Path:
    """A directory with ca.pem, server.pem, server.key, client.pem and client.key."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name, leaf in (
        ("server", authority.issue_cert("127.0.0.1", "kubernetes.test")),
        ("client", authority.issue_cert("sync@test", common_name="sync-client")),
    ):
        (tmp_path / f"{name}.pem").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
    return tmp_path


@pytest.fixture
def https(pki: Path) -> Iterator[KubeApi]:
    """An API server over HTTPS that takes client certificates, with a Secret to read."""
    with kube_api(certificate=(pki / "server.pem", pki / "server.key"), client_ca=pki / "ca.pem") as api:
        api.cluster.create_namespace("team-a")
        put(api, "a", {"x": b"1"})
        yield api


@contextlib.contextmanager
def freeze(moment: datetime) -> Iterator[None]:
    """Let kubeconfigs believe that it is this late."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", moment.timestamp)
        yield


def b64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


class Kubeconfig:
    """A kubeconfig file with one context, whose parts tests change."""

    def __init__(self, directory: Path, server: str) -> None:
        self.path = directory / "kubeconfig"
        self.cluster: dict[str, Any] = {"server": server}
        self.user: dict[str, Any] = {}
        self.more: dict[str, Any] = {}

    def auth(self, **more: Any) -> dict[str, Any]:
        """Write it, and point to it."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": self.cluster}],
            "users": [{"name": "u", "user": self.user}],
            **self.more,
        }
        self.path.write_text(yaml.safe_dump(config))
        return {"kubeconfig": {"file": str(self.path), **more}}


@pytest.fixture
def kubeconfig(https: KubeApi, tmp_path: Path) -> Kubeconfig:
    """A kubeconfig for ``https`` that trusts it, and has no credential yet."""
    made = Kubeconfig(tmp_path, https.address)
    made.cluster["certificate-authority"] = "ca.pem"
    return made


async def opened(kube_store: KubeStores, auth: dict[str, Any] | None, **more: Any) -> Any:
    config: dict[str, Any] = {**more} if auth is None else {"auth": auth, **more}
    return await kube_store(explicit=False, namespace="team-a", **config)


async def works(store: Any) -> bool:
    return bool((await store.read("a")).value.reveal() == {"x": b"1"})


# -- Tokens -----------------------------------------------------------------------------------------------------------


async def test_a_rotated_token(kube: KubeApi, kube_store: KubeStores, tmp_path: Path) -> None:
    """When the API server no longer knows the token, its file is read again, and the request repeated once."""
    put(kube, "a", {"x": b"1"})
    file = tmp_path / "token"
    file.write_text(kube.admin + "\n")
    gate = CountingGate()
    store = await kube_store(namespace="team-a", auth={"token": {"file": str(file)}}, gate=gate)
    assert await works(store)
    kube.revoke(kube.admin)
    with pytest.raises(AccessDenied, match="does not know our credential") as raised:
        await store.read("a")
    assert str(file) in raised.value.hint
    kube.adopt("another-token")
    file.write_text("another-token")
    gate.counts.clear()
    assert await works(store)
    assert gate.counts["read"] == 2
    assert await works(store)
    assert gate.counts["read"] == 3


async def test_a_token_is_replaced_before_it_is_refused(
    kube: KubeApi, kube_store: KubeStores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is read again after a minute, since Kubernetes replaces tokens well before they expire."""
    put(kube, "a", {"x": b"1"})
    file = tmp_path / "token"
    file.write_text(kube.admin)
    store = await kube_store(namespace="team-a", auth={"token": {"file": str(file)}})
    assert await works(store)
    kube.adopt("another-token")
    file.write_text("another-token")
    assert await works(store)
    assert kube.requests[-1].headers["authorization"] == f"Bearer {kube.admin}"
    monkeypatch.setattr(access, "READ_AGAIN_SECONDS", 0.0)
    assert await works(store)
    assert kube.requests[-1].headers["authorization"] == "Bearer another-token"


async def test_credentials_that_are_not_there(kube: KubeApi, kube_store: KubeStores, tmp_path: Path) -> None:
    """A token that is missing, or that no header can hold, fails at opening, and is not shown."""
    with pytest.raises(StoreError, match="variable KUBE_TOKEN is not set"):
        await kube_store(auth={"token": {"env": "KUBE_TOKEN"}})
    for token in ("two lines\nof canary", "can ary", "canäry"):
        with pytest.raises(StoreError, match="characters that no token can have") as raised:
            await kube_store(auth={"token": {"value": token}})
        assert token not in f"{raised.value!r}"
    assert kube.requests == []


async def test_the_environment_without_tls(
    kube: KubeApi, kube_store: KubeStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kubeconfig in the environment changes nothing, nor do proxies without TLS: what the document says counts."""
    put(kube, "a", {"x": b"1"})
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert await works(await kube_store(namespace="team-a"))


# -- In a pod ---------------------------------------------------------------------------------------------------------


async def test_in_a_pod(
    https: KubeApi, kube_store: KubeStores, pki: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without auth, or with inCluster, the pod's service account and CA are used, and its token as it rotates."""
    mounted = tmp_path / "serviceaccount"
    mounted.mkdir()
    (mounted / "ca.crt").write_bytes((pki / "ca.pem").read_bytes())
    (mounted / "token").write_text(https.admin)
    monkeypatch.setattr(access, "SERVICE_ACCOUNT", mounted)
    host, port = https.address.removeprefix("https://").split(":")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # which is on the way out, and not within a cluster
    ways: tuple[dict[str, Any] | None, ...] = (None, {"inCluster": {}})
    for auth in ways:
        store = await opened(kube_store, auth, environ=environ)
        assert await works(store)
    https.revoke(https.admin)
    https.adopt("next-token")
    (mounted / "token").write_text("next-token")
    assert await works(store)


async def test_not_in_a_pod(kube_store: KubeStores) -> None:
    """Outside of a pod that is an error with the other ways in."""
    for environ in ({}, {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}):
        with pytest.raises(StoreError, match="we do not run in a pod") as raised:
            await opened(kube_store, None, environ=environ)
        assert "auth.kubeconfig" in raised.value.hint


# -- TLS --------------------------------------------------------------------------------------------------------------


async def test_whom_we_trust(https: KubeApi, kube_store: KubeStores, pki: Path) -> None:
    """The server's certificate must be by our CA and for its name; serverName is the name to expect."""
    auth = {"token": {"value": https.admin}}
    for tls in ({"caFile": str(pki / "ca.pem")}, {"caFile": str(pki / "ca.pem"), "serverName": "kubernetes.test"}):
        assert await works(await opened(kube_store, auth, server=https.address, tls=tls))
    other = pki / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for bad, words in (
        ({"caFile": str(other)}, "not trusted"),
        ({}, "not trusted"),
        ({"caFile": str(pki / "ca.pem"), "serverName": "other.test"}, "another name"),
    ):
        store = await opened(kube_store, auth, server=https.address, tls=bad)
        with pytest.raises(StoreUnavailable, match=words) as raised:
            await store.read("a")
        assert not raised.value.retryable
        assert https.admin not in f"{raised.value!r}"


async def test_not_tls(kube: KubeApi, kube_store: KubeStores) -> None:
    """An https:// address of a server that speaks plain HTTP says so."""
    store = await kube_store(namespace="team-a", server=kube.address.replace("http:", "https:"))
    with pytest.raises(StoreUnavailable, match="does not speak TLS"):
        await store.read("a")


async def test_a_client_certificate(https: KubeApi, kube_store: KubeStores, pki: Path) -> None:
    """auth.cert shows the certificate in tls, and no token."""
    tls = {name: str(pki / file) for name, file in
           (("caFile", "ca.pem"), ("certFile", "client.pem"), ("keyFile", "client.key"))}  # fmt: skip
    store = await opened(kube_store, {"cert": {}}, server=https.address, tls=tls)
    assert await works(store)
    assert "authorization" not in https.requests[-1].headers


# -- Kubeconfigs ------------------------------------------------------------------------------------------------------


async def test_kubeconfig_with_a_token(kubeconfig: Kubeconfig, kube_store: KubeStores, https: KubeApi) -> None:
    """A token, a token file and a chosen context work, and the file is read again when the token is refused."""
    kubeconfig.user = {"token": https.admin}
    kubeconfig.cluster["tls-server-name"] = "kubernetes.test"
    store = await opened(kube_store, kubeconfig.auth())
    assert await works(store)
    kubeconfig.user = {"tokenFile": "a-token"}
    (kubeconfig.path.parent / "a-token").write_text(https.admin + "\n")
    assert await works(await opened(kube_store, kubeconfig.auth()))
    https.adopt("next-token")
    https.revoke(https.admin)
    with pytest.raises(AccessDenied, match="does not know our credential") as raised:
        await store.read("a")
    assert "works with kubectl" in raised.value.hint
    (kubeconfig.path.parent / "a-token").write_text("next-token")
    assert await works(store)
    kubeconfig.user = {"token": "next-token"}
    kubeconfig.more = {
        "current-context": "other",
        "contexts": [{"name": "chosen", "context": {"cluster": "c", "user": "u"}}],
    }
    assert await works(await opened(kube_store, kubeconfig.auth(context="chosen")))


async def test_kubeconfig_with_certificates(
    kubeconfig: Kubeconfig, kube_store: KubeStores, https: KubeApi, pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Client certificates work from files and from within, and no key is written to any file on the way."""
    kubeconfig.user = {"client-certificate": "client.pem", "client-key": str(pki / "client.key")}
    assert await works(await opened(kube_store, kubeconfig.auth()))
    del kubeconfig.cluster["certificate-authority"]
    kubeconfig.cluster["certificate-authority-data"] = b64(pki / "ca.pem")
    kubeconfig.user = {
        "client-certificate-data": b64(pki / "client.pem"),
        "client-key-data": b64(pki / "client.key"),
    }

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    for name in ("mkstemp", "NamedTemporaryFile", "TemporaryFile", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    assert await works(await opened(kube_store, kubeconfig.auth()))
    assert "authorization" not in https.requests[-1].headers


@pytest.mark.parametrize("server", ["https://admin:1/CANARY@host", "https://CANARY#en@host", "https://host/?k=CANARY"])
async def test_kubeconfig_whose_server_holds_more_than_an_address(
    kubeconfig: Kubeconfig, kube_store: KubeStores, server: str
) -> None:
    """Nobody can tell which part of it is a password, so none of it is told, kept or asked."""
    kubeconfig.cluster["server"] = server
    with pytest.raises(StoreError, match="holds more than an address") as caught:
        await opened(kube_store, kubeconfig.auth())
    assert "CANARY" not in f"{caught.value.message} {caught.value.hint}"


async def test_kubeconfig_with_a_proxy(
    kube: KubeApi, kube_store: KubeStores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """proxy-url is gone through, whatever the environment says of exceptions."""
    put(kube, "a", {"x": b"1"})
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    async with FaultyHttp(kube.address) as proxy:
        made = Kubeconfig(tmp_path, kube.address)
        made.cluster["proxy-url"] = proxy.address
        made.user = {"token": kube.admin}
        assert await works(await opened(kube_store, made.auth()))
        assert proxy.count(f"^GET {kube.address}/api/v1/namespaces/team-a/") == 1


def plugin(directory: Path, source: str) -> dict[str, Any]:
    """An exec section that runs this Python source."""
    script = directory / "plugin.py"
    script.write_text(source)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(script)],
            "env": [{"name": "FROM_THE_FILE", "value": "here"}],
            "interactiveMode": "Never",
        }
    }


def gives(status: dict[str, Any], runs: Path) -> str:
    """The source of a plugin that gives this status, and counts its runs."""
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return (
        f"import os, pathlib\nassert os.environ['FROM_THE_FILE'] == 'here'\n"
        f"with pathlib.Path({str(runs)!r}).open('a') as file: file.write('x')\nprint({json.dumps(credential)!r})\n"
    )


async def test_exec_plugins(kubeconfig: Kubeconfig, kube_store: KubeStores, https: KubeApi, tmp_path: Path) -> None:
    """A plugin's token is used until shortly before it expires, and fetched anew when it is refused."""
    runs = tmp_path / "runs"
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    kubeconfig.user = plugin(tmp_path, gives({"token": https.admin, "expirationTimestamp": later}, runs))
    store = await opened(kube_store, kubeconfig.auth())
    for _ in range(3):
        assert await works(store)
    assert runs.read_text() == "x"
    https.revoke(https.admin)
    https.adopt("next-token")
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    plugin(tmp_path, gives({"token": "next-token", "expirationTimestamp": soon}, runs))
    assert await works(store)
    assert runs.read_text() == "xx"
    await asyncio.sleep(1.1)
    assert await works(store)
    assert runs.read_text() == "xxx"


async def test_a_plugin_that_fails_for_a_while(
    kubeconfig: Kubeconfig, kube_store: KubeStores, https: KubeApi, tmp_path: Path
) -> None:
    """While a credential still lives, a plugin that fails is tried again later; after that its failure is told."""
    end = datetime.now(UTC) + timedelta(seconds=4)
    kubeconfig.user = plugin(
        tmp_path, gives({"token": https.admin, "expirationTimestamp": end.isoformat()}, tmp_path / "r")
    )
    store = await opened(kube_store, kubeconfig.auth())
    plugin(tmp_path, "raise SystemExit(1)")
    with freeze(end - timedelta(seconds=1)):
        assert await works(store)
    with freeze(end + timedelta(seconds=20)), pytest.raises(AccessDenied, match="exec plugin"):
        await store.read("a")


async def test_plugins_that_give_certificates(
    kubeconfig: Kubeconfig, kube_store: KubeStores, https: KubeApi, pki: Path, authority: trustme.CA
) -> None:
    """A plugin's certificate is shown; when it gives another one, connections are made anew with that."""

    def pair(name: str) -> dict[str, str]:
        leaf = authority.issue_cert("x@test", common_name=name)
        certificate = b"".join(part.bytes() for part in leaf.cert_chain_pems).decode()
        return {"clientCertificateData": certificate, "clientKeyData": leaf.private_key_pem.bytes().decode()}

    names: list[str | None] = []
    original = https.handle

    def noted(seen: Seen, common_name: str | None) -> tuple[int, dict[str, str], bytes]:
        names.append(common_name)
        return original(seen, common_name)

    https.handle = noted  # type: ignore[method-assign]
    past = "2020-01-01T00:00:00Z"
    kubeconfig.user = plugin(pki, gives({**pair("first"), "expirationTimestamp": past}, pki / "runs"))
    store = await opened(kube_store, kubeconfig.auth())
    assert await works(store)
    plugin(pki, gives({**pair("second"), "expirationTimestamp": past}, pki / "runs"))
    assert await works(store)
    assert names == ["first", "first", "second"]  # the first one also to ask which cluster it is


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import sys; print('canary', file=sys.stderr); sys.exit(1)", "fails"),
        ("print('canary')", "fails"),
        ("print('{\"canary\": 1}')", "fails"),
        (None, "is not installed here"),
    ],
)
async def test_plugins_that_fail(
    kubeconfig: Kubeconfig,
    kube_store: KubeStores,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    source: str | None,
    words: str,
) -> None:
    """A plugin that fails stops the opening, and what it said is neither logged nor told."""
    kubeconfig.user = plugin(tmp_path, source or "")
    if source is None:
        kubeconfig.user["exec"]["command"] = "/nowhere/plugin"
    with pytest.raises(AccessDenied, match=f"exec plugin of the kubeconfig .* {words}") as raised:
        await opened(kube_store, kubeconfig.auth())
    assert "kubectl" in raised.value.hint
    error: BaseException | None = raised.value
    while error is not None:
        assert "canary" not in f"{error!r}"
        error = error.__context__
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("status", "words"),
    [({}, "neither a token nor"), ({"clientCertificateData": "c"}, "neither a token nor")],
)
async def test_plugins_that_give_nothing(
    kubeconfig: Kubeconfig, kube_store: KubeStores, tmp_path: Path, status: dict[str, Any], words: str
) -> None:
    """A plugin that gives no whole credential is told as such."""
    kubeconfig.user = plugin(tmp_path, gives(status, tmp_path / "runs"))
    with pytest.raises(AccessDenied, match=words):
        await opened(kube_store, kubeconfig.auth())


def broken(cluster: str = "", user: str = "{}") -> str:
    """A kubeconfig whose context is whole, and of whose parts one is not."""
    return (
        "current-context: m\ncontexts: [{name: m, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {{server: 'https://x', {cluster}}}}}]\nusers: [{{name: u, user: {user}}}]\n"
    )


BROKEN: list[tuple[str | None, str]] = [
    (None, "cannot be read: No such file"),
    ("a: [canary", r"is not YAML \(line"),
    ("- canary", r"cannot be used \(line 1\): the document is not a mapping"),
    ("a: b", "it has no current context"),
    ("current-context: main", "it has no context 'main'"),
    ("current-context: m\ncontexts: [{name: m, context: {cluster: c}}]", "it has no cluster 'c'"),
    ("current-context: m\ncontexts: [{name: m, context: {user: u}}]", "its context names no cluster"),
    (broken("insecure-skip-tls-verify: true"), "turns the verification of the server off"),
    (broken("server: canary"), "a field is set twice|duplicate field server"),
    (broken("x: y").replace("server: 'https://x'", "server: canary"), "has no server"),
    (broken("certificate-authority-data: canary!"), "certificate-authority-data is not base64"),
    (broken("certificate-authority-data: Y2FuYXJ5"), "its certificate authority is not PEM"),
    (broken("certificate-authority: nowhere.pem"), "certificate-authority nowhere.pem cannot be read"),
    (broken(user="{auth-provider: {name: oidc, config: {id-token: canary}}}"), "auth-provider"),
    (broken(user="{tokenFile: nowhere}"), "tokenFile nowhere cannot be read"),
    (
        broken(user="{client-certificate-data: Y2FuYXJ5, client-key-data: Y2FuYXJ5}"),
        "do not fit together, or are not PEM",
    ),
]


@pytest.mark.parametrize(("text", "words"), BROKEN, ids=[words for _, words in BROKEN])
async def test_kubeconfigs_that_are_broken(
    kube_store: KubeStores, tmp_path: Path, text: str | None, words: str
) -> None:
    """Each fault is told by what is missing where, and never by what stands there."""
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    with pytest.raises(StoreError, match=words) as raised:
        await opened(kube_store, {"kubeconfig": {"file": str(file)}})
    assert str(file) in raised.value.message
    error: BaseException | None = raised.value
    while error is not None:
        assert "canary" not in f"{error!r}"
        error = error.__context__


# -- Beginning and end ------------------------------------------------------------------------------------------------

UNUSED = """
import sys
from secretsync_core.schema.export import json_schema
from secretsync_core.stores.registry import installed
assert "KubernetesConfig" in json_schema()["$defs"]
assert not [info.problem for info in installed() if info.provider == "kubernetes" and info.problem]
print([name for name in sys.modules if name.partition(".")[0] in ("kubernetes", "urllib3")])
"""


def test_the_client_is_loaded_only_by_a_store() -> None:
    """Neither the schema nor the list of stores imports the official client."""
    done = subprocess.run([sys.executable, "-c", UNUSED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_closed(kube: KubeApi, kube_store: KubeStores) -> None:
    """A store that is closed gives its threads back and makes no more requests."""
    import threading

    store = await kube_store(namespace="team-a")
    await store.write("a", VALUE)
    assert any("kubernetes-k8s" in thread.name for thread in threading.enumerate())
    await store.aclose()
    for thread in threading.enumerate():
        if "kubernetes-k8s" in thread.name:
            thread.join(5)
    assert not any("kubernetes-k8s" in thread.name for thread in threading.enumerate())
    with pytest.raises(RuntimeError):
        await store.read("a")
