"""What a real API server answers to raw requests the fake answers too: `make test-kube` runs this against the real one.

Where the two differ, the fake is to be mended.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import urllib3

from kube.making import put

if TYPE_CHECKING:
    from support.kube_api import KubeApi

SECRETS = "/api/v1/namespaces/team-a/secrets"
ONE = f"{SECRETS}/there"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE = "application/merge-patch+json"
ACCOUNT = "kubernetes.io/service-account"


class Told(NamedTuple):
    """What an answer says: status, reason, what it is about, and of each cause the reason and the field."""

    status: int
    reason: str = ""
    kind: str = ""
    causes: tuple[tuple[str, str], ...] = ()


def ask(kube: KubeApi, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """One request as the administrator."""
    given = {"Authorization": f"Bearer {kube.admin}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): text for name, text in headers.items()}
    sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    with urllib3.PoolManager() as pool:
        answer = pool.request(method, kube.address + path, body=sent, headers=given, retries=False)
        return answer.status, json.loads(answer.data)


def told(status: int, found: Any) -> Told:
    """An answer, as far as it is compared."""
    if found.get("kind") != "Status":
        return Told(status)
    details = found.get("details") or {}
    causes = tuple((cause.get("reason", ""), cause.get("field", "")) for cause in details.get("causes") or ())
    return Told(status, found.get("reason", ""), details.get("kind", ""), tuple(sorted(causes)))


def secret(name: str = "new", **parts: Any) -> dict[str, Any]:
    """A Secret as it is sent."""
    metadata = {"name": name, **parts.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **parts}


def data(**fields: bytes) -> dict[str, str]:
    """Fields, as they are sent."""
    return {name: base64.b64encode(value).decode() for name, value in fields.items()}


INVALID = "FieldValueInvalid"
REQUIRED = "FieldValueRequired"
LONG = "FieldValueTooLong"
FORBIDDEN = "FieldValueForbidden"

REFUSED: dict[str, tuple[str, str, Any, dict[str, str], Told]] = {
    "annotations over 256 KiB": (
        "POST", SECRETS, secret(metadata={"annotations": {"a": "x" * 262_144}}), {},
        Told(422, "Invalid", "Secret", ((LONG, "metadata.annotations"),)),
    ),
    "a docker configuration that is no JSON": (
        "POST", SECRETS, secret(type="kubernetes.io/dockerconfigjson", data=data(**{".dockerconfigjson": b"x"})), {},
        Told(422, "Invalid", "Secret", ((INVALID, "data[.dockerconfigjson]"),)),
    ),
    "a docker configuration of old that is no JSON": (
        "POST", SECRETS, secret(type="kubernetes.io/dockercfg", data=data(**{".dockercfg": b"x"})), {},
        Told(422, "Invalid", "Secret", ((INVALID, "data[.dockercfg]"),)),
    ),
    "a token of no service account": (
        "POST", SECRETS, secret(type=f"{ACCOUNT}-token"), {},
        Told(422, "Invalid", "Secret", ((REQUIRED, f"metadata.annotations[{ACCOUNT}.name]"),)),
    ),
    "a login without a name and a password": (
        "POST", SECRETS, secret(type="kubernetes.io/basic-auth"), {},
        Told(422, "Invalid", "Secret", ((REQUIRED, "data[password]"), (REQUIRED, "data[username]"))),
    ),
    "a certificate without a key": (
        "POST", SECRETS, secret(type="kubernetes.io/tls", data=data(**{"tls.crt": b"x"})), {},
        Told(422, "Invalid", "Secret", ((REQUIRED, "data[tls.key]"),)),
    ),
    "a manager with a long name": (
        "POST", f"{SECRETS}?fieldManager={'m' * 129}", secret(), {},
        Told(422, "Invalid", "CreateOptions", ((LONG, "fieldManager"),)),
    ),
    "more than 1 MiB": (
        "POST", SECRETS, secret(data=data(x=b"x" * 1_048_577)), {},
        Told(422, "Invalid", "Secret", ((LONG, "data"),)),
    ),
    "a name in capitals": (
        "POST", SECRETS, secret("NEW"), {}, Told(422, "Invalid", "Secret", ((INVALID, "metadata.name"),)),
    ),
    "no name": (
        "POST", SECRETS, {"metadata": {}}, {}, Told(422, "Invalid", "Secret", ((REQUIRED, "metadata.name"),)),
    ),
    "a field with a space": (
        "POST", SECRETS, secret(data=data(**{"a b": b"x"})), {},
        Told(422, "Invalid", "Secret", ((INVALID, "data[a b]"),)),
    ),
    "no base64": ("POST", SECRETS, secret(data={"x": "no base64"}), {}, Told(400, "BadRequest")),
    "no JSON": ("POST", SECRETS, b"{", {}, Told(400, "BadRequest")),
    "a version of what is new": (
        "POST", SECRETS, secret(metadata={"resourceVersion": "1"}), {}, Told(500),
    ),
    "what is there": ("POST", SECRETS, secret("there"), {}, Told(409, "AlreadyExists", "secrets")),
    "in no namespace": (
        "POST", "/api/v1/namespaces/nowhere/secrets", secret(), {}, Told(404, "NotFound", "namespaces"),
    ),
    "another type": (
        "PUT", ONE, secret("there", type="example.com/other"), {},
        Told(422, "Invalid", "Secret", ((INVALID, "type"),)),
    ),
    "an older version": (
        "PUT", ONE, secret("there", metadata={"resourceVersion": "1"}), {}, Told(409, "Conflict", "secrets"),
    ),
    "another one of that name": (
        "PUT", ONE, secret("there", metadata={"uid": "00000000-0000-0000-0000-000000000000"}), {},
        Told(409, "Conflict", "secrets"),
    ),
    "what is fixed": (
        "PUT", f"{SECRETS}/fixed", secret("fixed", data=data(x=b"2"), immutable=True), {},
        Told(422, "Invalid", "Secret", ((FORBIDDEN, "data"),)),
    ),
    "what is not there": ("PUT", f"{SECRETS}/nothing", secret("nothing"), {}, Told(404, "NotFound", "secrets")),
    "a patch of no known form": ("PATCH", ONE, {"data": {}}, {}, Told(415, "UnsupportedMediaType")),
    "a delete of another one": (
        "DELETE", ONE, {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}, {},
        Told(409, "Conflict", "Secret"),
    ),
    "a delete of an older version": (
        "DELETE", ONE, {"preconditions": {"resourceVersion": "1"}}, {}, Told(409, "Conflict", "Secret"),
    ),
    "a delete by something else than DeleteOptions": (
        "DELETE", ONE, secret("there"), {}, Told(500),
    ),
    "a selector that there is not": (
        "GET", f"{SECRETS}?fieldSelector=data.x%3D1", None, {}, Told(400, "BadRequest"),
    ),
    "a page that there is not": ("GET", f"{SECRETS}?continue=x", None, {}, Told(400, "BadRequest")),
    "a form that there is not": ("GET", SECRETS, None, {"Accept": "text/plain"}, Told(406, "NotAcceptable")),
}  # fmt: skip


@pytest.mark.parametrize("step", REFUSED)
def test_what_is_refused(kube: KubeApi, step: str) -> None:
    """By the same status, for the same reason and the same fields."""
    put(kube, "there", {"x": b"1"})
    put(kube, "fixed", {"x": b"1"}, immutable=True)
    method, path, body, headers, wanted = REFUSED[step]
    assert told(*ask(kube, method, path, body, **headers)) == wanted


def test_what_is_taken(kube: KubeApi) -> None:
    """Lines in base64, an empty type, no labels, texts beside data; and of an empty page the items are null."""
    status, made = ask(kube, "POST", SECRETS, secret(type="", data={"x": "Zm9v\nYmFy\n"}, metadata={"labels": {}}))
    assert (status, made["type"], made["data"]) == (201, "Opaque", {"x": "Zm9vYmFy"})
    assert "labels" not in made["metadata"]
    status, made = ask(kube, "POST", SECRETS, secret("texts", stringData={"x": "1"}, data=data(x=b"2", y=b"3")))
    assert (status, made["data"]) == (201, data(x=b"1", y=b"3"))
    empty = "/api/v1/namespaces/team-b/secrets"
    assert ask(kube, "GET", empty)[1]["items"] == []
    assert ask(kube, "GET", empty, Accept=METADATA)[1]["items"] is None
    status, page = ask(kube, "GET", f"{SECRETS}?limit=1", Accept=METADATA)
    assert (status, page["kind"], len(page["items"])) == (200, "PartialObjectMetadataList", 1)
    assert page["metadata"]["remainingItemCount"] == 1


def test_what_changes_nothing(kube: KubeApi) -> None:
    """A PUT and a PATCH that change nothing keep the version; a DELETE tells the uid of what it deleted."""
    made = put(kube, "there", {"x": b"1"})["metadata"]
    same = secret("there", type="Opaque", data=data(x=b"1"))
    for method, body, kind in (("PUT", same, "application/json"), ("PATCH", {"data": data(x=b"1")}, MERGE)):
        status, found = ask(kube, method, ONE, body, Content_Type=kind)
        assert (status, found["metadata"]["resourceVersion"]) == (200, made["resourceVersion"]), method
    status, found = ask(kube, "DELETE", ONE)
    assert (status, found["kind"], found["details"]["uid"]) == (200, "Status", made["uid"])
