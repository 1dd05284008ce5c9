"""The secrets and the variables of one repository at GitHub, as far as a sync asks for them."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

from nacl.public import PrivateKey, SealedBox

from fuzz.fake_server import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = re.compile(r"/repos/acme/app/actions/(secrets|variables)(?:/([^/]+))?")


class Held(NamedTuple):
    """A secret or a variable: its text, and when it was written."""

    text: str
    updated: str


class FakeGithub:
    """A repository with nothing in it."""

    def __init__(self) -> None:
        """An empty repository."""
        self.held: dict[str, Held] = {}
        self.writes: list[tuple[str, str]] = []
        self.headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Date": "Sat, 28 Nov 2026 02:00:00 GMT",
            "X-RateLimit-Remaining": "4999",
        }
        self._ticks = 0
        self._key = bytes(range(32))

    def put(self, name: str, text: str) -> None:
        """Write one, a second after the one before."""
        self._ticks += 1
        self.held[name] = Held(text, f"2026-11-28T02:{self._ticks // 60:02}:{self._ticks % 60:02}Z")

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        del headers
        parts = urlsplit(path)
        if parts.path == "/repos/acme/app":
            return Answer("repository", 200, {"id": 7, "full_name": "acme/app"})
        found = _PATH.fullmatch(parts.path)
        if found is None:
            return _absent("unknown")
        what, name = found.groups()
        sent = json.loads(body or b"{}")
        if name == "public-key":
            key = base64.b64encode(bytes(PrivateKey(self._key).public_key)).decode()
            return Answer("public key", 200, {"key_id": "568250167242549743", "key": key})
        if name is None:
            return self._create(sent) if method == "POST" else self._list(what, parse_qs(parts.query))
        key = name.lower()
        if method == "PUT":
            created = name not in self.held
            text = SealedBox(PrivateKey(self._key)).decrypt(base64.b64decode(sent["encrypted_value"])).decode()
            self._write(name, text)
            return Answer(f"seal {key}", 201, {}) if created else Answer(f"seal {key}", 204, None)
        if name not in self.held:
            return _absent(f"none {method} {key}")
        if method == "DELETE":
            del self.held[name]
            self.writes.append(("delete", name))
            return Answer(f"delete {key}", 204, None)
        if method == "PATCH":
            self._write(name, sent["value"])
            return Answer(f"update {key}", 204, None)
        return Answer(f"{'look' if what == 'secrets' else 'read'} {key}", 200, self._shown(what, name))

    def _write(self, name: str, text: str) -> None:
        self.put(name, text)
        self.writes.append(("write", name))

    def _create(self, sent: dict[str, str]) -> Answer:
        if sent["name"] in self.held:
            return Answer("create exists", 409, {"message": "Already exists"})
        self._write(sent["name"], sent["value"])
        return Answer("create", 201, {})

    def _list(self, what: str, query: Mapping[str, list[str]]) -> Answer:
        """A page, of two at the most where there are several."""
        size, page = int(query["per_page"][0]), int(query["page"][0])
        names = sorted(self.held)[(page - 1) * size : page * size]
        shown = [self._shown(what, name) for name in names]
        return Answer(f"list {page} of {size}", 200, {"total_count": len(self.held), what: shown})

    def _shown(self, what: str, name: str) -> dict[str, object]:
        held = self.held[name]
        value = {"value": held.text} if what == "variables" else {}
        return {"name": name, "created_at": "2026-01-01T00:00:00Z", "updated_at": held.updated, **value}


def _absent(label: str) -> Answer:
    return Answer(label, 404, {"message": "Not Found", "documentation_url": "x", "status": "404"})
