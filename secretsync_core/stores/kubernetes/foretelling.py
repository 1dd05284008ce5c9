"""What the API server would refuse of a Secret, told before it is sent.

Its rules are applied here, and what breaks one is made an answer as the server would give it. So there is one place
that puts such answers into words.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson

from secretsync_core.errors import StoreError
from secretsync_core.stores.answers import malformed
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.stores.kubernetes.answers import JSON, Answer, Request, refusal, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsync_core.stores.kubernetes.answers import Received
    from secretsync_core.stores.kubernetes.client import Client

_NEEDS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}
"""The fields that a Secret of a type must have."""

_FILLED = ("ssh-privatekey",)  # of the others it is enough that they are there
_JSON = (".dockerconfigjson", ".dockercfg")  # which hold an object
_EITHER = ("username", "password")  # of kubernetes.io/basic-auth


def check_type(request: Request, kind: str, fields: Mapping[str, bytes]) -> None:
    """Raise what the server would say to these fields in a Secret of this type."""
    needed = _NEEDS.get(kind, ())
    missing = [name for name in needed if name not in fields or (name in _FILLED and not fields[name])]
    if kind == "kubernetes.io/basic-auth" and not fields.keys() & set(_EITHER):
        missing = list(_EITHER)
    causes = [{"reason": "FieldValueRequired", "field": f"data[{name}]"} for name in missing]
    causes += [
        {"reason": "FieldValueInvalid", "field": f"data[{name}]"}
        for name in needed
        if name in _JSON and name in fields and not _is_object(fields[name])
    ]
    if causes:
        raise _answered(request, 422, "Invalid", "secrets", causes)


class Namespaces:
    """Whether Secrets can be created in a namespace: each is looked at once, by whoever asks first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looks: dict[str, asyncio.Task[str]] = {}

    async def check(self, request: Request) -> None:
        """Raise what the server would say to a Secret in the namespace of this request, by the namespace alone.

        Where that cannot be seen, nothing: the write will tell.
        """
        namespace = request.namespace or ""
        if namespace not in self._looks:
            self._looks[namespace] = asyncio.ensure_future(self._look(namespace))
        state = await self._looks[namespace]
        if state == _ABSENT:
            raise _answered(request, 404, "NotFound", "namespaces", [])
        if state == _TERMINATING:
            causes = [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]
            raise _answered(request, 403, "Forbidden", "secrets", causes)

    async def _look(self, namespace: str) -> str:
        path, action = f"/api/v1/namespaces/{quote(namespace)}", f"look at the namespace {namespace}"
        request = Request(self._client.store, "GET", path, "get", action, namespace, resource="namespaces")
        try:
            answer = await self._client.call("stat", request, _state, accept=JSON)
        except CredentialsRefused:
            raise
        except StoreError:
            return _UNKNOWN
        if not isinstance(answer, Answer):
            return answer
        is_absent = answer.status == 404 and status_of(answer).kind == "namespaces"
        return _ABSENT if is_absent else _UNKNOWN


_UNKNOWN, _THERE, _TERMINATING, _ABSENT = "", "there", "terminating", "absent"


def _state(received: Received) -> str:
    found = received.object("Namespace", "PartialObjectMetadata")
    metadata, status = found.part("metadata"), found.part_or_none("status")
    if not received.request.path.endswith(f"/{quote(metadata.text('name'))}"):
        raise malformed(received.request, "it is another namespace")
    ending = metadata.has("deletionTimestamp") or (status is not None and status.fields.get("phase") == "Terminating")
    return _TERMINATING if ending else _THERE


def _answered(request: Request, status: int, reason: str, resource: str, causes: list[dict[str, str]]) -> StoreError:
    """The error for an answer that was not given, and would be."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "details": {"kind": resource, "causes": causes}}
    return refusal(request, Answer(status, orjson.dumps(body), {}))


def _is_object(blob: bytes) -> bool:
    """Whether the server can read this as a JSON object; null is one to it, and what is not UTF-8 it lets pass."""
    try:
        return isinstance(orjson.loads(blob.decode(errors="replace")), (dict, type(None)))
    except ValueError:
        return False
