"""Each refusal of an API server is the error that fits, in words of our own, with what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.kube_api import Rule
from support.kube_status import policy_denied, quota_exceeded, webhook_denied, webhook_failed

from kube.making import OTHER, VALUE, put
from secretsync_core.errors import (
    AccessDenied,
    Conflict,
    InvalidSecret,
    MalformedAnswer,
    QuotaReached,
    RateLimited,
    SecretFails,
    SecretNotFound,
    StoreError,
    StoreUnavailable,
)
from secretsync_core.secret import SecretValue

if TYPE_CHECKING:
    from support.kube_api import KubeApi

    from kube.conftest import KubeStores

ALL = frozenset({"get", "list", "create", "update", "delete"})


def status(code: int, reason: str = "", kind: str = "secrets", **details: Any) -> tuple[int, bytes]:
    """A refusal as a scripted answer."""
    return code, json.dumps({"kind": "Status", "reason": reason, "details": {"kind": kind, **details}}).encode()


@pytest.mark.parametrize("verb", ["get", "list", "create", "update", "delete"])
async def test_a_verb_that_is_not_granted(kube: KubeApi, kube_store: KubeStores, verb: str) -> None:
    """The hint names the verb, the resource and the namespace to grant."""
    put(kube, "there", {"x": b"1"})
    token = kube.token(Rule(ALL - {verb}, "team-a"))
    store = await kube_store(namespace="team-a", auth={"token": {"value": token}})
    calls: dict[str, Any] = {
        "get": lambda: store.read("there"),
        "list": lambda: anext(store.list("", recursive=True, metadata=False)),
        "create": lambda: store.write("new", VALUE),
        "update": lambda: store.write("there", VALUE),
        "delete": lambda: store.delete("there"),
    }
    with pytest.raises(AccessDenied, match="forbidden") as raised:
        await calls[verb]()
    assert f"the verb {verb} on secrets in the namespace team-a by a Role" in raised.value.hint


async def test_all_namespaces_need_a_cluster_role(kube: KubeApi, kube_store: KubeStores) -> None:
    """Listing the cluster with rights in one namespace only is denied, with both ways out."""
    store = await kube_store(auth={"token": {"value": kube.token(Rule(ALL, "team-a"))}})
    with pytest.raises(AccessDenied, match="in all namespaces") as raised:
        await anext(store.list("", recursive=True, metadata=False))
    assert "ClusterRole" in raised.value.hint
    assert "name one namespace" in raised.value.hint


async def test_an_unknown_token(kube: KubeApi, kube_store: KubeStores) -> None:
    """A 401 says that nobody knows our credential, and where it came from."""
    store = await kube_store(
        namespace="team-a", auth={"token": {"env": "KUBE_TOKEN"}}, environ={"KUBE_TOKEN": "not-known"}
    )
    for look in (store.read("a"), anext(store.stat(["a"])), anext(store.stat([f"a{n}" for n in range(9)]))):
        with pytest.raises(AccessDenied, match="does not know our credential") as raised:
            await look
        assert raised.value.hint == "put a new one in the environment variable KUBE_TOKEN"
        assert "not-known" not in f"{raised.value!r}"


async def test_nobody_at_all(kube: KubeApi, kube_store: KubeStores) -> None:
    """A body that is not the API server's does not pass for its word."""
    store = await kube_store(namespace="team-a")
    kube.answer("", 403, b"<html>Forbidden by the company</html>")
    with pytest.raises(AccessDenied, match="not in the API server's words") as raised:
        await store.read("a")
    assert "proxy" in raised.value.hint


async def test_an_absent_namespace(kube: KubeApi, kube_store: KubeStores) -> None:
    """A namespace that is not there is an error of its own: never an empty store, nor an absent secret."""
    store = await kube_store(namespace="nowhere")
    calls: tuple[Any, ...] = (
        lambda: store.read("a"),
        lambda: anext(store.list("", recursive=True, metadata=False)),
        lambda: anext(store.stat(["a"])),
        lambda: anext(store.stat([f"a{n}" for n in range(50)])),
        lambda: store.write("a", VALUE),
        lambda: store.delete("a"),
    )
    for call in calls:
        with pytest.raises(StoreError, match="k8s has no namespace nowhere") as raised:
            await call()
        assert type(raised.value) is StoreError
        assert not raised.value.retryable
    everywhere = await kube_store()
    with pytest.raises(StoreError, match="has no namespace nowhere"):
        await everywhere.write("nowhere/a", VALUE)
    with pytest.raises(SecretNotFound):
        await everywhere.read("nowhere/a")


async def test_denied_before_absent(kube: KubeApi, kube_store: KubeStores) -> None:
    """Who has no rights in an absent namespace is told of the rights, for so the API server answers."""
    store = await kube_store(namespace="nowhere", auth={"token": {"value": kube.token(Rule(ALL, "team-a"))}})
    with pytest.raises(AccessDenied):
        await store.read("a")


async def test_who_may_not_see_namespaces_is_believed(kube: KubeApi, kube_store: KubeStores) -> None:
    """With rights on Secrets alone an empty namespace lists as empty, and is asked for once."""
    store = await kube_store(namespace="team-a", auth={"token": {"value": kube.token(Rule(ALL, "team-a"))}})
    for _ in range(2):
        assert [entry async for entry in store.list("", recursive=True, metadata=False)] == []
    with pytest.raises(SecretNotFound):
        await store.read("a")
    assert kube.count("GET /api/v1/namespaces/team-a$") == 1


async def test_a_namespace_that_is_going_away(kube: KubeApi, kube_store: KubeStores) -> None:
    """A create in a namespace that is being deleted is not told as a lack of rights."""
    kube.cluster.terminate("team-b")
    store = await kube_store(namespace="team-b")
    with pytest.raises(StoreError, match="it is being deleted") as raised:
        await store.write("a", VALUE)
    assert not isinstance(raised.value, AccessDenied)


async def test_missing_keys_of_a_type(kube: KubeApi, kube_store: KubeStores) -> None:
    """A Secret of a type that needs certain fields is refused by their names."""
    for kind, missing in (
        ("kubernetes.io/tls", "tls.crt, tls.key"),
        ("kubernetes.io/dockerconfigjson", ".dockerconfigjson"),
        ("kubernetes.io/ssh-auth", "ssh-privatekey"),
        ("kubernetes.io/basic-auth", "password, username"),
    ):
        store = await kube_store(namespace="team-a", type=kind)
        with pytest.raises(InvalidSecret, match=f"needs the fields {missing}") as raised:
            await store.write("new", SecretValue({"other": b"x"}))
        assert "valueTransform" in raised.value.hint


async def test_one_byte_too_many(kube: KubeApi, kube_store: KubeStores) -> None:
    """The values of one Secret may have 1,048,576 bytes together, before base64; one more is refused unsent."""
    store = await kube_store(namespace="team-a")
    most = {"a": b"x" * 1_000_000, "b": b"x" * 48_576}
    await store.write("a", SecretValue(most))
    assert (await store.read("a")).value.reveal() == most
    kube.requests.clear()
    with pytest.raises(InvalidSecret, match="1,048,577 bytes, and 1,048,576 fit"):
        await store.write("a", SecretValue({**most, "c": b"x"}))
    assert kube.requests == []


SCRIPTED: list[tuple[tuple[int, bytes], type[StoreError], str]] = [
    (status(422, "Invalid", causes=[{"reason": "FieldValueTooLong", "field": "data"}]), InvalidSecret, "too large"),
    (status(422, "Invalid", causes=[{"reason": "FieldValueForbidden", "field": "data"}]), InvalidSecret, "immutable"),
    (status(422, "Invalid", causes=[{"reason": "FieldValueInvalid", "field": "type"}]), InvalidSecret, "the type of"),
    (
        status(422, "Invalid", causes=[{"reason": "FieldValueInvalid", "field": "metadata.name"}]),
        InvalidSecret,
        "cannot be the name of a Secret",
    ),
    (
        status(422, "Invalid", causes=[{"reason": "FieldValueInvalid", "field": "metadata.labels"}]),
        InvalidSecret,
        "labels or annotations",
    ),
    (
        status(422, "Invalid", causes=[{"reason": "FieldValueInvalid", "field": "data[x]"}]),
        InvalidSecret,
        "a field does not fit",
    ),
    (status(422, "Invalid"), InvalidSecret, "finds it invalid"),
    (status(413), InvalidSecret, "too large"),
    (status(409, "Conflict"), Conflict, "changed meanwhile"),
    (status(429), RateLimited, "asks us to slow down"),
    (status(500, "InternalError"), SecretFails, "HTTP 500"),
    (status(503), StoreUnavailable, "HTTP 503"),
    (status(504, "Timeout"), StoreUnavailable, "HTTP 504"),
    (status(400, "BadRequest"), StoreError, "HTTP 400"),
    (status(405), StoreError, "HTTP 405"),
    (status(415), StoreError, "HTTP 415"),
    (status(307), StoreUnavailable, "redirect"),
    ((404, b"404 page not found\n"), MalformedAnswer, "not the Kubernetes API"),
    ((200, b"<html>Log in</html>"), MalformedAnswer, "not the Kubernetes API"),
    ((200, b'{"kind":"Secret","metadata":{"name":"a"}}'), MalformedAnswer, "not the Kubernetes API"),
]


@pytest.mark.parametrize(("answer", "error", "words"), SCRIPTED, ids=lambda each: getattr(each, "__name__", None))
async def test_refusals_of_a_write(
    kube: KubeApi, kube_store: KubeStores, answer: tuple[int, bytes], error: type[StoreError], words: str
) -> None:
    """What a write is answered with is told by status, reason and blamed field, and never by its text."""
    store = await kube_store(namespace="team-a")
    await store.write("a", VALUE)
    kube.answer("^PUT ", *answer, headers={"Location": "http://127.0.0.1:9/elsewhere"})
    with pytest.raises(StoreError, match=words) as raised:
        await store.write_if("a", OTHER, (await store.read("a")).version)
    assert type(raised.value) is error
    assert raised.value.retryable == (error in (RateLimited, StoreUnavailable, SecretFails, MalformedAnswer))


async def test_how_long_to_wait(kube: KubeApi, kube_store: KubeStores) -> None:
    """A 429's Retry-After reaches the gate, and the request is not repeated by any library."""
    store = await kube_store(namespace="team-a")
    kube.requests.clear()
    kube.answer("", 429, headers={"Retry-After": "7"})
    with pytest.raises(RateLimited) as raised:
        await store.read("a")
    assert raised.value.retry_after == 8  # the seconds that it says are cut off
    assert len(kube.requests) == 1


async def test_no_server(kube_store: KubeStores, unused_tcp_port: int) -> None:
    """Where nobody listens, that is said, once, and may be tried again."""
    store = await kube_store(namespace="team-a", server=f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(StoreUnavailable, match="k8s cannot be reached: Connection refused") as raised:
        await store.read("a")
    assert raised.value.retryable


async def test_no_such_host(kube_store: KubeStores) -> None:
    """A name that nobody knows says so."""
    store = await kube_store(namespace="team-a", server="https://nowhere.invalid")
    with pytest.raises(StoreUnavailable, match="its name is not known"):
        await store.read("a")


async def test_no_answer(kube: KubeApi, kube_store: KubeStores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer in time is given up."""
    import time

    from secretsync_core.stores.kubernetes import client

    monkeypatch.setattr(client, "READ_SECONDS", 0.1)
    store = await kube_store(namespace="team-a")
    kube.before("", lambda: time.sleep(0.5))
    with pytest.raises(StoreUnavailable, match="does not answer in time"):
        await store.read("a")


async def test_names(kube: KubeApi, kube_store: KubeStores) -> None:
    """Keys that no Secret can have are refused unsent, with the rule and the way out."""
    store, everywhere = await kube_store(namespace="team-a"), await kube_store()
    kube.requests.clear()
    for key in ("Upper", "a_b", "a/b", "-a", "a.", "a..b", "x" * 254, ""):
        with pytest.raises(InvalidSecret, match="it is not the name of a Secret") as raised:
            await store.write(key, VALUE)
        assert "keyTransform" in raised.value.hint
    for key in ("a", "Upper/a", "a.b/c", "a/b/c", "/a", "a/", f"{'n' * 64}/a", f"n/{'x' * 254}"):
        with pytest.raises(InvalidSecret, match="not namespace and name") as raised:
            await everywhere.write(key, VALUE)
        assert "keyTransform" in raised.value.hint
    assert kube.requests == []
    with pytest.raises(InvalidSecret, match="the name of a field does not fit") as raised:
        await store.write("a", SecretValue({"a b": b"x"}))
    assert "rename" in raised.value.hint


CANARY = "canary-of-a-value"
WHO = [
    (lambda name: policy_denied(name, "labels.example.com", "labels-team", CANARY), AccessDenied,
     "the ValidatingAdmissionPolicy labels.example.com (binding labels-team) denies it"),
    (lambda name: policy_denied(name, "p", "b", CANARY, reason="Forbidden"), AccessDenied, "Policy p (binding b)"),
    (lambda name: policy_denied(name, "p", "b", CANARY, reason="RequestEntityTooLarge"), AccessDenied, "Policy p "),
    (lambda _: webhook_denied("deny.example.com", CANARY), AccessDenied, "the admission webhook deny.example.com den"),
    (lambda _: webhook_denied("deny.example.com", CANARY, code=400), AccessDenied, "the admission webhook deny."),
    (lambda _: webhook_denied("deny.example.com", CANARY, code=500), AccessDenied, "the admission webhook deny."),
    (lambda _: webhook_denied("deny.example.com", CANARY, code=409), AccessDenied, "the admission webhook deny."),
    (lambda _: webhook_denied("validation.gatekeeper.sh", f"[need-team] {CANARY}\n[{CANARY}] x"), AccessDenied,
     "the Gatekeeper constraint need-team denies it"),
    (lambda name: webhook_denied(
        "validate.kyverno.svc-fail",
        f"\n\nresource Secret/team-a/{name} was blocked due to the following policies \n\nneed-team:\n  a: {CANARY}\n"),
     AccessDenied, "the Kyverno policy need-team denies it"),
    (lambda _: webhook_failed("deny.example.com"), StoreUnavailable,
     "the admission webhook deny.example.com does not answer"),
    (lambda name: quota_exceeded(name, "team-quota", 10, 10), QuotaReached,
     "the quota team-quota is used up (10 of 10 secrets, 10 of 10 count/secrets) in the namespace team-a"),
]  # fmt: skip


@pytest.mark.parametrize(("refused", "error", "words"), WHO)
async def test_who_refuses_is_named(
    kube: KubeApi, kube_store: KubeStores, refused: Any, error: type[StoreError], words: str
) -> None:
    """A policy, a webhook or a quota is told by its name, whatever its status, and never by what it has to say."""

    def refuse(_: str, secret: dict[str, Any]) -> None:
        raise refused(secret["metadata"]["name"])

    put(kube, "there", {"x": b"1"})
    store = await kube_store(namespace="team-a")
    kube.cluster.admission.append(refuse)
    calls: tuple[Any, ...] = (
        lambda: store.write("new", VALUE),
        lambda: store.write("there", VALUE),
        lambda: store.delete("there"),
    )
    for call in calls:
        with pytest.raises(error) as raised:
            await call()
        assert words in raised.value.message
        assert raised.value.hint
        assert CANARY not in f"{raised.value!r} {raised.value.hint} {raised.value.__context__!r}"
    kube.cluster.admission.clear()
    await store.write("new", VALUE)


@pytest.mark.parametrize(
    "text",
    [
        f'admission webhook "{CANARY} x" denied the request: no',
        f'admission webhook "{CANARY.lower()}" denied the request: no',
        f'it was {CANARY}: admission webhook "a.b" denied the request: no',
        f"admission webhook \"a.b\" denied the request: ValidatingAdmissionPolicy '{CANARY}' denied request: no",
        f'secrets "a" is forbidden: exceeded quota: {CANARY}/x, requested: a=1, used: secrets=1, limited: secrets=1',
        f'secrets "a" is forbidden: exceeded quota: q, requested: secrets=1, used: {CANARY}, limited: secrets=1',
        f'secrets "a" is forbidden: {CANARY}',
        f'User "{CANARY}" cannot create',
    ],
)
async def test_a_name_is_taken_only_where_the_api_server_puts_it(
    kube: KubeApi, kube_store: KubeStores, text: str
) -> None:
    """What looks like a name of a policy and stands elsewhere, or has other letters, is never shown."""
    store = await kube_store(namespace="team-a")
    kube.answer("^POST ", 403, json.dumps({"kind": "Status", "reason": "Forbidden", "message": text}).encode())
    with pytest.raises(AccessDenied) as raised:
        await store.write("new", VALUE)
    assert CANARY not in f"{raised.value!r} {raised.value.hint}"


async def test_a_quota_that_is_used_up(kube: KubeApi, kube_store: KubeStores) -> None:
    """A ResourceQuota is no lack of rights: it is told with its name, and what is there can still be updated."""
    put(kube, "there", {"x": b"1"})
    kube.cluster.set_quota("team-a", "team-quota", 1)
    store = await kube_store(namespace="team-a")
    with pytest.raises(QuotaReached, match=r"the quota team-quota is used up \(1 of 1 secrets") as raised:
        await store.write("new", VALUE)
    assert "ResourceQuota" in raised.value.hint
    assert raised.value.exit_code == 1
    await store.write("there", VALUE)


async def test_a_lack_of_rights_and_a_plugin_are_told_apart(kube: KubeApi, kube_store: KubeStores) -> None:
    """Where RBAC refuses, nothing is said of policies; where it does not, no right is asked for."""
    store = await kube_store(namespace="team-a", auth={"token": {"value": kube.token(Rule({"get"}, "team-a"))}})
    with pytest.raises(AccessDenied) as raised:
        await store.write("new", VALUE)
    assert raised.value.hint == "grant us the verb create on secrets in the namespace team-a by a Role"
    text = 'secrets "new" is forbidden: cannot set blockOwnerDeletion in this case'
    kube.answer("^POST ", 403, json.dumps({"kind": "Status", "reason": "Forbidden", "message": text}).encode())
    with pytest.raises(AccessDenied, match="not for a lack of rights") as raised:
        await store.write("new", VALUE)
    assert "grant" not in raised.value.hint


async def test_a_token_for_a_service_account_needs_its_name(kube: KubeApi, kube_store: KubeStores) -> None:
    """The annotation that such a Secret needs is named."""
    store = await kube_store(namespace="team-a", type="kubernetes.io/service-account-token")
    with pytest.raises(InvalidSecret, match=r"annotation kubernetes\.io/service-account\.name") as raised:
        await store.write("new", VALUE)
    assert "annotations in the SecretStore" in raised.value.hint
