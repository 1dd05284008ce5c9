"""Who denies a write is named as a real kube-apiserver tells it: a policy, a webhook, or one that does not answer."""

from __future__ import annotations

import base64
import json
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from support.serving import Server

from kube.making import VALUE, put
from secretsync_core.errors import AccessDenied, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.kube_api import KubeApi
    from support.kube_server import KubeServer
    from support.serving import Seen

    from kube.conftest import KubeStores

    Made = Callable[[dict[str, Any]], None]

CANARY = "canary-of-a-value"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
GROUP = "admissionregistration.k8s.io/v1"
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}
RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE", "DELETE"],
    "resources": ["secrets"],
}
TEAM_A = {"matchLabels": {"kubernetes.io/metadata.name": "team-a"}}


@pytest.fixture
def made(real_kube: KubeServer) -> Iterator[Made]:
    """Makes objects of the group, which are gone after the test. It comes before ``kube``, whose namespaces stay."""
    paths: list[str] = []

    def make(given: dict[str, Any]) -> None:
        path = f"{ADMISSION}/{PLURALS[given['kind']]}"
        real_kube.do("POST", path, {"apiVersion": GROUP, **given})
        paths.append(f"{path}/{given['metadata']['name']}")

    yield make
    for path in reversed(paths):
        real_kube.do("DELETE", path)
    wait(real_kube, 201)


def wait(real_kube: KubeServer, *statuses: int) -> None:
    """Until a write in team-a is answered so, which takes some moments; without statuses until it is denied."""
    body = {"metadata": {"name": "tried"}}
    end = time.monotonic() + 30
    while True:
        status = real_kube.call("POST", "/api/v1/namespaces/team-a/secrets?dryRun=All", body).status
        if status in statuses or (not statuses and status != 201):
            return
        assert time.monotonic() < end, status
        time.sleep(0.05)


async def denied(kube_store: KubeStores, error: type[Exception], words: str) -> None:
    """Whatever is written or deleted is denied in these words, without a word of who denies it."""
    store = await kube_store(namespace="team-a")
    for call in (store.write("new", VALUE), store.write("there", VALUE), store.delete("there")):
        with pytest.raises(error) as raised:
            await call
        told: Any = raised.value
        assert words in told.message
        assert told.hint
        assert CANARY not in f"{told!r} {told.hint} {told.__context__!r}"


@pytest.mark.parametrize("reason", ["Invalid", "Forbidden", "RequestEntityTooLarge"])
async def test_a_policy(made: Made, real_kube: KubeServer, kube: KubeApi, kube_store: KubeStores, reason: str) -> None:
    """A ValidatingAdmissionPolicy and its binding, whatever reason it gives."""
    put(kube, "there", {"x": b"1"})
    spec = {
        "matchConstraints": {"resourceRules": [RULE]},
        "validations": [{"expression": "false", "message": CANARY, "reason": reason}],
    }
    made({"kind": "ValidatingAdmissionPolicy", "metadata": {"name": "labels.example.com"}, "spec": spec})
    binding = {
        "policyName": "labels.example.com",
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": TEAM_A},
    }
    made({"kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "labels-team"}, "spec": binding})
    wait(real_kube)
    words = "the ValidatingAdmissionPolicy labels.example.com (binding labels-team) denies it"
    await denied(kube_store, AccessDenied, words)


@pytest.mark.parametrize("code", [0, 400, 403, 409, 500])
async def test_a_webhook(made: Made, real_kube: KubeServer, kube: KubeApi, kube_store: KubeStores, code: int) -> None:
    """An admission webhook, whatever status it gives."""
    put(kube, "there", {"x": b"1"})
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)

    def answer(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        review = json.loads(seen.body)
        status = {"message": CANARY, **({"code": code} if code else {})}
        response = {"uid": review["request"]["uid"], "allowed": False, "status": status}
        told = {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}
        return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()

    with Server(answer, tls) as server:
        made(_webhook(server.address, authority.cert_pem.bytes()))
        wait(real_kube)
        await denied(kube_store, AccessDenied, "the admission webhook deny.example.com denies it")


async def test_a_webhook_that_does_not_answer(
    made: Made, real_kube: KubeServer, kube: KubeApi, kube_store: KubeStores
) -> None:
    """It may be there again in a moment, so that the request may be repeated."""
    put(kube, "there", {"x": b"1"})
    made(_webhook("https://127.0.0.1:9", trustme.CA().cert_pem.bytes()))
    wait(real_kube)
    await denied(kube_store, StoreUnavailable, "the admission webhook deny.example.com does not answer")


def _webhook(address: str, authority: bytes) -> dict[str, Any]:
    hook = {
        "name": "deny.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
        "clientConfig": {"url": f"{address}/deny", "caBundle": base64.b64encode(authority).decode()},
        "rules": [RULE],
        "namespaceSelector": TEAM_A,
    }
    return {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "deny.example.com"}, "webhooks": [hook]}
