"""A server on loopback, spoken to over raw sockets, one of whose right answers may be spoiled on its way out."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping


class Answer(NamedTuple):
    """A right answer.

    Attributes:
        label: what was asked for, in words; the same for the same question.
        status: the HTTP status.
        body: what is sent as JSON; bytes as they are, and nothing at all for None.
    """

    label: str
    status: int
    body: object


class Sent(NamedTuple):
    """What is sent in place of a right answer: with ``status`` None the body is all that goes over the connection."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes


class Fake(Protocol):
    """A service, without its wire."""

    headers: dict[str, str]
    """What it sends with every answer."""
    writes: list[tuple[str, str]]
    """What was changed in it: ``write``, ``delete`` or ``refused``, and the key."""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        ...


class FakeServer:
    """Takes requests in threads and has ``fake`` answer them, one at a time.

    Attributes:
        spoil: told of each answer; what it gives is sent instead, and the connection is closed.
        given: the right answers so far.
    """

    def __init__(self, fake: Fake, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a free port of 127.0.0.1; with ``tls`` over HTTPS."""
        self.fake = fake
        self._tls = tls
        self.spoil: Callable[[Answer], Sent | None] | None = None
        self.given: list[Answer] = []
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"http{'s' if tls else ''}://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        # The thread that waits in accept() holds the socket open until it is shut down.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
        with connection, connection.makefile("rb") as stream:
            try:
                while line := stream.readline():
                    method, path, _ = line.decode("latin-1").split(" ", 2)
                    headers = dict(_header(line) for line in iter(lambda: stream.readline().strip(), b""))
                    body = stream.read(int(headers.get("content-length", 0)))
                    if not self._respond(connection, method, path, headers, body):
                        return
            except (OSError, ValueError):
                return

    def _respond(
        self, connection: socket.socket, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Answer one request; gives whether the connection goes on."""
        with self._lock:
            answer = self.fake.answer(method, path, headers, body)
            extra = dict(self.fake.headers)
            self.given.append(answer)
            spoil = self.spoil
        spoiled = spoil(answer) if spoil else None
        if spoiled is None:
            status, payload = answer.status, _payload(answer.body)
        elif spoiled.status is None:
            connection.sendall(spoiled.body)
            return False
        else:
            status, payload = spoiled.status, spoiled.body
            extra |= spoiled.headers
        head = [f"HTTP/1.1 {status} X"]
        if not {"content-length", "transfer-encoding"} & {name.lower() for name in extra} and status != 204:
            head.append(f"Content-Length: {len(payload)}")
        head += [f"{name}: {value}" for name, value in extra.items()]
        data = "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n"
        connection.sendall(data if status == 204 else data + payload)
        return spoiled is None


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.lower(), value.strip()


def _payload(body: object) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else json.dumps(body).encode()
