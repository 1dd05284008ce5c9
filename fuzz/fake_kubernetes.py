"""The Secrets of one namespace of Kubernetes, as far as a sync asks for them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from fuzz.fake_server import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMESPACE = "/api/v1/namespaces/apps"
_META = "meta.k8s.io/v1"


class FakeKubernetes:
    """The namespace ``apps``."""

    def __init__(self) -> None:
        """An empty namespace."""
        self.secrets: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        self.headers = {"Content-Type": "application/json", "Date": "Sat, 28 Nov 2026 02:00:00 GMT"}
        self._version = 100

    def put(self, name: str, fields: dict[str, str]) -> None:
        """Write a Secret."""
        self._put(name, {field: base64.b64encode(value.encode()).decode() for field, value in fields.items()})

    def fields(self, name: str) -> dict[str, str]:
        """What a Secret holds."""
        return {field: base64.b64decode(value).decode() for field, value in self.secrets[name]["data"].items()}

    def _put(self, name: str, data: dict[str, str], metadata: Mapping[str, Any] | None = None) -> None:
        self._version += 1
        old = self.secrets[name]["metadata"] if name in self.secrets else {}
        about = {
            "name": name, "namespace": "apps", "uid": old.get("uid", f"00000000-0000-4000-8000-{self._version:012}"),
            "resourceVersion": str(self._version),
            "labels": (metadata or old).get("labels", {}), "annotations": (metadata or old).get("annotations", {}),
        }  # fmt: skip
        self.secrets[name] = {"apiVersion": "v1", "kind": "Secret", "metadata": about, "type": "Opaque", "data": data}

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        parts = urlsplit(path)
        where = unquote(parts.path)
        sent = json.loads(body) if body else {}
        if where == _NAMESPACE:
            about = {"name": "apps", "uid": "00000000-0000-4000-8000-000000000001", "resourceVersion": "1"}
            return Answer("namespace", 200, {"apiVersion": _META, "kind": "PartialObjectMetadata", "metadata": about})
        if where == f"{_NAMESPACE}/secrets":
            if method == "POST":
                return self._create(sent)
            return self._list(parse_qs(parts.query).get("continue", [""])[0])
        name = where.removeprefix(f"{_NAMESPACE}/secrets/")
        if name not in self.secrets:
            return Answer("none", 404, _failure(404, "NotFound"))
        if method == "GET":
            partial = "PartialObjectMetadata" in headers.get("accept", "")
            found = self.secrets[name]
            return Answer(f"look {name}", 200, _partial(found)) if partial else Answer(f"read {name}", 200, found)
        return self._update(name, sent) if method in ("PUT", "PATCH") else self._delete(name, sent)

    def _list(self, token: str) -> Answer:
        items = [_partial(secret) for _, secret in sorted(self.secrets.items())]
        half = len(items) // 2
        about: dict[str, object] = {"resourceVersion": "1"}
        if not token:
            about |= {"continue": "go-on", "remainingItemCount": len(items) - half}
        page = items[half:] if token else items[:half]
        label = "list 2" if token else "list 1"
        return Answer(
            label, 200, {"apiVersion": _META, "kind": "PartialObjectMetadataList", "metadata": about, "items": page}
        )

    def _create(self, sent: dict[str, Any]) -> Answer:
        name = sent["metadata"]["name"]
        if name in self.secrets:
            return Answer("create exists", 409, _failure(409, "AlreadyExists"))
        self._put(name, sent["data"], sent["metadata"])
        self.writes.append(("write", name))
        return Answer("create", 201, _partial(self.secrets[name]))

    def _update(self, name: str, sent: dict[str, Any]) -> Answer:
        found = self.secrets[name]
        about = sent.get("metadata", {})
        if any(about.get(field) != found["metadata"][field] for field in ("resourceVersion", "uid")):
            self.writes.append(("refused", name))
            return Answer("update conflict", 409, _failure(409, "Conflict"))
        before = found["data"]
        self._put(name, sent.get("data", before), {**found["metadata"], **about})
        if before != self.secrets[name]["data"]:
            self.writes.append(("write", name))
        return Answer("update", 200, _partial(self.secrets[name]))

    def _delete(self, name: str, sent: dict[str, Any]) -> Answer:
        if sent.get("preconditions", {}).get("uid") != self.secrets[name]["metadata"]["uid"]:
            return Answer("delete conflict", 409, _failure(409, "Conflict"))
        del self.secrets[name]
        self.writes.append(("delete", name))
        return Answer("delete", 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})


def _partial(secret: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _META, "kind": "PartialObjectMetadata", "metadata": secret["metadata"]}


def _failure(code: int, reason: str) -> dict[str, object]:
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "x", "reason": reason,
        "details": {"name": "x", "kind": "secrets"}, "code": code,
    }  # fmt: skip
