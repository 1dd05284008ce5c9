"""Calls the HTTP API of Vault or OpenBao, with nothing but the standard library, to set up and look at a server."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    import ssl


class Answer(NamedTuple):
    """One answer: its status, its headers by lower-case name, and its JSON (``None`` where the body is empty)."""

    status: int
    headers: dict[str, str]
    json: Any


class ApiError(AssertionError):
    """The server refused a request that the test's set-up needs. Holds the body: test servers hold no real secret."""


class Api:
    """One kept-alive connection to a server. ``path`` arguments stand below ``/v1/`` and are not yet encoded."""

    def __init__(
        self, address: str, token: str = "", *, namespace: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self.address = address
        self.token = token
        self.namespace = namespace
        self.wrap_ttl = ""  # such as "60s": answers come in a wrapping token
        self._tls = tls
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.address)
        assert parts.hostname
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=60, context=self._tls)
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, *, query: str = "") -> Answer:
        """One request, whatever comes of it."""
        headers = {"X-Vault-Request": "true"}
        if self.token:
            headers["X-Vault-Token"] = self.token
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        if self.wrap_ttl:
            headers["X-Vault-Wrap-TTL"] = self.wrap_ttl
        payload = None if body is None else json.dumps(body)
        target = f"/v1/{quote(path, safe='/')}{query}"
        try:
            self._connection.request(method, target, payload, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):  # the kept-alive connection was closed meanwhile
            self._connection = self._connect()
            self._connection.request(method, target, payload, headers)
            answer = self._connection.getresponse()
        text = answer.read()
        return Answer(
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            json.loads(text) if text else None,
        )

    def call(self, method: str, path: str, body: Any = None, *, query: str = "") -> Any:
        """One request that must succeed; gives its JSON."""
        answer = self.ask(method, path, body, query=query)
        if answer.status >= 300:
            raise ApiError(f"{method} {path}: {answer.status} {answer.json}")
        return answer.json

    # KV, the few calls that most tests need. ``version`` is the mount's KV version.

    def put(self, mount: str, key: str, fields: dict[str, Any], *, version: int = 2) -> None:
        """Write a secret."""
        if version == 2:
            self.call("POST", f"{mount}/data/{key}", {"data": fields})
        else:
            self.call("POST", f"{mount}/{key}", fields)

    def get(self, mount: str, key: str, *, version: int = 2) -> dict[str, Any] | None:
        """The fields of a secret, ``None`` where it is absent or deleted."""
        answer = self.ask("GET", f"{mount}/data/{key}" if version == 2 else f"{mount}/{key}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise ApiError(f"GET {mount} {key}: {answer.status} {answer.json}")
        fields: dict[str, Any] = answer.json["data"]["data"] if version == 2 else answer.json["data"]
        return fields

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
