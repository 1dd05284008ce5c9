"""Serves the fake over TLS on loopback, or by plain HTTP where a metadata server is meant."""

from __future__ import annotations

import json
import ssl
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import trustme

from support.google.discovery import Discovery
from support.google.logins import ACCOUNT, Logins
from support.google.secrets import Secrets
from support.google.statuses import Refused
from support.serving import Seen, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.google.discovery import Asked


class Google:
    """One server for all services. ``before`` is called with each request of Secret Manager, and may raise Refused.

    ``after`` gets what was asked and the answer, and gives the answer to send.
    """

    def __init__(self, folder: Path) -> None:
        self.secrets = Secrets()
        self.logins = Logins()
        self.counts: Counter[str] = Counter()
        self.before: Callable[[Asked], None] = lambda _: None
        self.after: Callable[[Asked, dict[str, Any]], Any] = lambda _, answer: answer
        self._discovery = Discovery("secretmanager.v1")
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(tls)
        self._servers = [Server(self._told, tls), Server(self._told, None)]
        for server in self._servers:
            server.__enter__()

    @property
    def address(self) -> str:
        """The address of all services."""
        return self._servers[0].address

    @property
    def machine(self) -> str:
        """Host and port of the metadata server."""
        return f"127.0.0.1:{self._servers[1].server_port}"

    def section(self, **fields: Any) -> dict[str, Any]:
        """What a document says of it, with a token that is good."""
        return {
            "project": self.secrets.project,
            "endpointUrl": self.address,
            "authEndpointUrl": self.address,
            "tls": {"caFile": str(self.ca_file)},
            "auth": {"accessToken": {"value": self.logins.token_of(ACCOUNT)}},
            **fields,
        }

    def reset(self) -> None:
        """Forget everything but the certificates and the keys."""
        self.secrets = Secrets()
        self.logins.tokens.clear()
        self.logins.asked.clear()
        self.counts.clear()
        self.before = lambda _: None
        self.after = lambda _, answer: answer

    def stop(self) -> None:
        """End it."""
        for server in self._servers:
            server.__exit__()

    def _told(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        headers = {name.title(): text for name, text in seen.headers.items()}
        status, told = self.answer(seen.method, seen.path, seen.body, headers)
        more = {"Metadata-Flavor": "Google"} if seen.path.startswith("/computeMetadata/") else {}
        sent = told if isinstance(told, bytes) else json.dumps(told).encode()
        return status, {"Content-Type": "application/json; charset=UTF-8", **more}, sent

    def answer(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        """The answer to a request: its status and its body."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        if (login := self.logins.answer(method, path, body, headers)) is not None:
            return login
        try:
            asked = self._discovery.ask(method, path, parse_qs(parts.query, keep_blank_values=True), body)
            self.logins.caller(headers)
            self.counts[asked.method.removeprefix("projects.secrets.")] += 1
            self.before(asked)
            told = self._discovery.answer(asked, self.secrets.carry_out(asked))
            return 200, self.after(asked, told)
        except Refused as refused:
            return refused.http, refused.body
