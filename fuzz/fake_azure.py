"""One key vault of Azure, and where one logs in for it, as far as a sync asks them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fuzz.fake_server import Answer
from fuzz.fake_vault import TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

TENANT = "11111111-2222-3333-4444-555555555555"
_PATH = re.compile(r"/(secrets|deletedsecrets)(?:/([^/]+))?(?:/([^/]+))?/?")
_FIRST = 1_790_000_000  # long before the time that answers have


@dataclass
class Version:
    """A version of a secret."""

    text: str
    id: str
    created: int
    tags: dict[str, str] = field(default_factory=dict)


class FakeAzure:
    """A vault with nothing in it."""

    def __init__(self) -> None:
        """An empty vault."""
        self.secrets: dict[str, list[Version]] = {}
        self.gone: dict[str, list[Version]] = {}
        self.writes: list[tuple[str, str]] = []
        self.headers = {"Content-Type": "application/json; charset=utf-8", "Date": "Sat, 28 Nov 2026 02:00:00 GMT"}
        self._made = 0
        self._at = ""

    def put(self, name: str, text: str, tags: dict[str, str] | None = None) -> None:
        """Add a version, a second after the one before."""
        self._made += 1
        made = Version(text, f"{self._made:032x}", _FIRST + self._made, tags or {})
        self.secrets.setdefault(name, []).append(made)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        host = headers["host"]
        self._at = f"https://{host}"
        # On each answer, as one for all: who has a token does not look at it.
        resource = f"https://{host.partition('.')[2]}"
        self.headers["WWW-Authenticate"] = f'Bearer authorization="{self._at}/{TENANT}", resource="{resource}"'
        parts = urlsplit(path)
        if parts.path == f"/{TENANT}/oauth2/v2.0/token":
            told = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": TOKEN}
            return Answer("login", 200, told)
        if "authorization" not in headers:
            return _refused("challenge", 401, "Unauthorized")
        found = _PATH.fullmatch(parts.path)
        if found is None:
            return _refused("unknown", 404, "NotFound")
        folder, name, rest = found.groups()
        if folder == "deletedsecrets":
            return self._of_deleted(method, name, rest)
        if name is None:
            return self._list("skip" in parts.query)
        if method == "PUT":
            return self._set(name, json.loads(body))
        if name not in self.secrets:
            return _refused(f"none {method}", 404, "SecretNotFound")
        versions = self.secrets[name]
        if method == "DELETE":
            self.gone[name] = self.secrets.pop(name)
            self.writes.append(("delete", name))
            return Answer("delete", 200, self._about(name, versions[-1], versioned=True))
        if rest == "versions":
            shown = [self._about(name, each, versioned=True) for each in versions]
            return Answer(f"versions {name}", 200, {"value": shown, "nextLink": None})
        if method == "PATCH":
            versions[-1].tags = json.loads(body).get("tags", versions[-1].tags)
            return Answer("patch", 200, self._about(name, versions[-1], versioned=True))
        wanted = versions[-1] if rest is None else next(each for each in versions if each.id == rest)
        return Answer(f"read {name}", 200, self._about(name, wanted, versioned=True) | {"value": wanted.text})

    def _about(self, name: str, version: Version, *, versioned: bool) -> dict[str, Any]:
        attributes = {"enabled": True, "created": version.created, "updated": version.created, "recoverableDays": 90}
        path = f"/secrets/{name}{f'/{version.id}' if versioned else ''}"
        return {"id": self._at + path, "attributes": attributes, "tags": version.tags}

    def _list(self, second: bool) -> Answer:
        names = sorted(self.secrets)
        half = len(names) // 2
        shown = [self._about(name, self.secrets[name][-1], versioned=False) for name in names]
        if second:
            return Answer("list 2", 200, {"value": shown[half:], "nextLink": None})
        link = f"{self._at}/secrets?api-version=7.4&$skiptoken=skip"
        return Answer("list 1", 200, {"value": shown[:half], "nextLink": link})

    def _set(self, name: str, sent: dict[str, Any]) -> Answer:
        if name in self.gone:
            return _refused("deleted", 409, "Conflict", "ObjectIsDeletedButRecoverable")
        self.put(name, sent["value"], sent.get("tags"))
        self.writes.append(("write", name))
        made = self.secrets[name][-1]
        return Answer(f"set {name}", 200, self._about(name, made, versioned=True) | {"value": made.text})

    def _of_deleted(self, method: str, name: str | None, rest: str | None) -> Answer:
        if name is None:
            shown = [self._about(each, versions[-1], versioned=False) for each, versions in sorted(self.gone.items())]
            return Answer("list deleted", 200, {"value": shown, "nextLink": None})
        if name not in self.gone:
            return _refused(f"not deleted {method}", 404, "SecretNotFound")
        if rest == "recover":
            self.secrets[name] = self.gone.pop(name)
            return Answer("recover", 200, self._about(name, self.secrets[name][-1], versioned=True))
        return Answer("look at deleted", 200, self._about(name, self.gone[name][-1], versioned=True))


def _refused(label: str, status: int, code: str, inner: str = "") -> Answer:
    error = {"code": code, "message": "x", **({"innererror": {"code": inner}} if inner else {})}
    return Answer(label, status, {"error": error})
