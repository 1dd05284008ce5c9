"""A service with a REST API of its own, as far as a sync asks it, and what a document says of it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fuzz.fake_server import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHOWN = "key: $.name, version: $.etag"
SECTION = (
    "http: {address: '%s', auth: {token: {env: VT}}, "
    "list: {path: /all, query: {at: '{{ cursor }}'}, items: '$.all[*]', total: $.total, next: {cursor: $.next}, "
    f"{_SHOWN}}}, "
    f"look: {{path: '/one/{{{{ key }}}}', absent: [404], {_SHOWN}}}, "
    f"read: {{path: '/one/{{{{ key }}}}/value', value: $.value, absent: [404], {_SHOWN}}}, "
    "create: {path: /all, body: {name: '{{ key }}', value: '{{ value }}'}, exists: [409], version: $.etag}, "
    "update: {path: '/one/{{ key }}', headers: {If-Match: '{{ version }}'}, body: {value: '{{ value }}'}, "
    "absent: [404], version: $.etag}, "
    "delete: {path: '/one/{{ key }}', headers: {If-Match: '{{ version }}'}, absent: [404]}}"
)


class FakeHttp:
    """A service with nothing in it."""

    def __init__(self) -> None:
        """An empty one."""
        self.texts: dict[str, tuple[str, str]] = {}
        self.writes: list[tuple[str, str]] = []
        self.headers = {"Content-Type": "application/json"}
        self._numbers: Iterator[int] = itertools.count(1)

    def put_text(self, name: str, text: str) -> None:
        """Write one."""
        self.texts[name] = (text, f"v{next(self._numbers)}")

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        parts = urlsplit(path)
        sent = json.loads(body) if body else {}
        if parts.path == "/all":
            return self._list(parts.query) if method == "GET" else self._create(sent)
        name, _, more = unquote(parts.path.removeprefix("/one/")).partition("/")
        if name not in self.texts:
            return Answer(f"none {method}", 404, {})
        if headers.get("if-match") not in (None, self.texts[name][1]):
            self.writes.append(("refused", name))
            return Answer("moved", 412, {})
        if method == "DELETE":
            del self.texts[name]
            self.writes.append(("delete", name))
            return Answer("delete", 204, None)
        if method == "PUT":
            self.put_text(name, sent["value"])
            self.writes.append(("write", name))
            return Answer(f"write {name}", 200, self._about(name))
        text = {"value": self.texts[name][0]} if more else {}
        return Answer(f"{'read' if more else 'look'} {name}", 200, self._about(name) | text)

    def _about(self, name: str) -> dict[str, Any]:
        return {"name": name, "etag": self.texts[name][1]}

    def _list(self, query: str) -> Answer:
        names = sorted(self.texts)
        half = len(names) // 2
        shown = names[half:] if query else names[:half]
        told = {"all": [self._about(name) for name in shown], "total": len(names)}
        return Answer("list 2", 200, told) if query else Answer("list 1", 200, told | {"next": "go-on"})

    def _create(self, sent: dict[str, Any]) -> Answer:
        if sent["name"] in self.texts:
            self.writes.append(("refused", sent["name"]))
            return Answer("exists", 409, {})
        self.put_text(sent["name"], sent["value"])
        self.writes.append(("write", sent["name"]))
        return Answer(f"create {sent['name']}", 201, self._about(sent["name"]))
