"""Google Cloud Secret Manager in one project, and the logins before it, as far as a sync asks them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

from fuzz.fake_server import Answer
from fuzz.fake_vault import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = re.compile(r"/v1/(projects/[^/]+/secrets)(?:/([^/:]+))?(?:/versions/([^/:]+))?(?::(\w+))?")


@dataclass
class Secret:
    """A secret: its versions, the oldest first, and what stands beside them."""

    texts: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)


class FakeGoogle:
    """A project with nothing in it."""

    def __init__(self) -> None:
        """An empty project."""
        self.secrets: dict[str, Secret] = {}
        self.writes: list[tuple[str, str]] = []
        self.headers = {"Content-Type": "application/json; charset=UTF-8", "Date": "Sat, 28 Nov 2026 02:00:00 GMT"}

    def put_secret(self, name: str, text: str) -> None:
        """Add a version, to a secret that is made where there is none."""
        self.secrets.setdefault(name, Secret()).texts.append(text)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        del headers
        parts = urlsplit(path)
        if parts.path.endswith(":generateAccessToken"):
            return Answer("impersonate", 200, {"accessToken": TOKEN, "expireTime": "2036-01-01T00:00:00Z"})
        found = _PATH.fullmatch(unquote(parts.path))
        if found is None:
            return _refused("unknown", 404, "NOT_FOUND")
        _, name, version, verb = found.groups()
        sent = json.loads(body or b"{}")
        if name is None:
            query = parse_qs(parts.query)
            return self._list(query) if method == "GET" else self._create(query["secretId"][0], sent)
        if name not in self.secrets:
            return _refused(f"none {verb or method}", 404, "NOT_FOUND")
        if verb == "addVersion":
            return self._add(name, sent)
        if version is not None:
            return self._version(name, version, access=verb == "access")
        if method == "DELETE":
            del self.secrets[name]
            self.writes.append(("delete", name))
            return Answer("delete", 200, {})
        if method == "PATCH":
            self.secrets[name].annotations = sent.get("annotations", {})
        return Answer(f"{method} {name}", 200, self._about(name))

    def _about(self, name: str) -> dict[str, object]:
        return {
            "name": f"projects/1/secrets/{name}",
            "createTime": "2026-01-01T00:00:00Z",
            "etag": '"1"',
            "replication": {"automatic": {}},
            "annotations": self.secrets[name].annotations,
        }

    def _list(self, query: Mapping[str, list[str]]) -> Answer:
        names = sorted(self.secrets)
        half = len(names) // 2
        second = "pageToken" in query
        told: dict[str, Any] = {"secrets": [self._about(name) for name in (names[half:] if second else names[:half])]}
        told["totalSize"] = len(names)
        return Answer("list 2", 200, told) if second else Answer("list 1", 200, told | {"nextPageToken": "go-on"})

    def _create(self, name: str, sent: dict[str, Any]) -> Answer:
        if name in self.secrets:
            return _refused("create exists", 409, "ALREADY_EXISTS")
        self.secrets[name] = Secret(annotations=sent.get("annotations", {}))
        return Answer("create", 200, self._about(name))

    def _add(self, name: str, sent: dict[str, Any]) -> Answer:
        self.put_secret(name, base64.b64decode(sent["payload"]["data"]).decode())
        self.writes.append(("write", name))
        return Answer("add", 200, self._told(name, len(self.secrets[name].texts)))

    def _told(self, name: str, number: int) -> dict[str, object]:
        made = f"2026-01-01T00:00:{number % 60:02}.123456Z"
        return {"name": f"projects/1/secrets/{name}/versions/{number}", "createTime": made, "state": 1, "etag": '"2"'}

    def _version(self, name: str, version: str, *, access: bool) -> Answer:
        texts = self.secrets[name].texts
        number = len(texts) if version == "latest" else int(version)
        if not 0 < number <= len(texts):
            return _refused(f"no version {'access' if access else 'get'}", 404, "NOT_FOUND")
        if not access:
            return Answer(f"look {name}", 200, self._told(name, number))
        data = texts[number - 1].encode()
        payload = {"data": base64.b64encode(data).decode(), "dataCrc32c": str(google_crc32c.value(data))}
        return Answer(f"read {name}", 200, {"name": f"projects/1/secrets/{name}/versions/{number}", "payload": payload})


def _refused(label: str, code: int, status: str) -> Answer:
    return Answer(label, code, {"error": {"code": code, "message": "x", "status": status}})
