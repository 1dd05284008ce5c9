"""HTTP for the fakes, with or without TLS: a thread for each connection, on this machine alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self


class Seen(NamedTuple):
    """One request: ``path`` as sent, with its query, and the names of headers in lower case.

    ``common_name`` is what a client certificate says of who it is.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    common_name: str | None = None


if TYPE_CHECKING:
    Handle: TypeAlias = Callable[[Seen], tuple[int, Mapping[str, str], bytes]]


class Server(ThreadingHTTPServer):
    """Gives each request to ``handle``; serves while it is entered."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handle: Handle, tls: ssl.SSLContext | None) -> None:
        self.handle_one = handle
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        """Where it is."""
        return f"{'https' if self._tls is not None else 'http'}://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        for request in list(self._open):  # so that no thread waits on it
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands here, in the thread of the connection."""
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            request = self._tls.wrap_socket(request, server_side=True)
        self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._open.discard(request)
            with contextlib.suppress(OSError):
                request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or does not trust us, is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, body, self._common_name())
        status, answered, answer = self.server.handle_one(seen)
        head = [f"HTTP/1.1 {status} Answer"]
        head += [] if status == 204 else [f"Content-Length: {len(answer)}"]
        head += [f"{name}: {value}" for name, value in answered.items()]
        self.wfile.write("\r\n".join(head).encode() + b"\r\n\r\n" + answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  http.server's names

    def _common_name(self) -> str | None:
        certificate: Any = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        named = dict(pair for pairs in (certificate or {}).get("subject", ()) for pair in pairs)
        return named.get("commonName")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """Say nothing."""
