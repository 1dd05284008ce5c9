"""Serves the fake over TLS on loopback, or by plain HTTP where a metadata server is meant."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import trustme

from support.google.discovery import Discovery
from support.google.logins import ACCOUNT, Logins
from support.google.secrets import Secrets
from support.google.statuses import Refused

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
        self._servers = [_Server(("127.0.0.1", 0), self, tls), _Server(("127.0.0.1", 0), self, None)]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self) -> str:
        """The address of all services."""
        return f"https://127.0.0.1:{self._servers[0].server_port}"

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
            server.shutdown()
            server.server_close()

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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, place: tuple[str, int], google: Google, tls: ssl.SSLContext | None) -> None:
        super().__init__(place, _Handler)
        self.google = google
        self.tls = tls

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake is made here, in the connection's own thread.
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone concerns nobody."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        google: Google = self.server.google  # type: ignore[attr-defined]
        status, told = google.answer(
            self.command, self.path, body, {name.title(): text for name, text in self.headers.items()}
        )
        sent = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(sent)))
        if self.path.startswith("/computeMetadata/"):
            self.send_header("Metadata-Flavor", "Google")
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quietly."""
