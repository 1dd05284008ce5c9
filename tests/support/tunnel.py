"""A server by TLS before a real one, and an HTTP proxy that leads to it, whatever name it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from typing import Self

    import trustme


class Relay:
    """Takes connections, and hands each on to another server, byte by byte."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens, at 127.0.0.1."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _listen(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.ensure_future(self._serve(reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await self._admit(reader, writer):
                there, back = await asyncio.open_connection("127.0.0.1", self._to)
                await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether a connection is handed on."""
        return True


class TlsServer(Relay):
    """Serves ``store.test`` by TLS, by a certificate of an authority, before the server at an ``http://`` address."""

    def __init__(self, authority: trustme.CA, upstream: str) -> None:
        super().__init__(urlsplit(upstream).port or 80)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("store.test").configure_cert(self._tls)

    async def __aenter__(self) -> Self:
        await self._listen(self._tls)
        return self


class Proxy(Relay):
    """An HTTP proxy. ``heads`` has the first line and the headers of each request; only CONNECT is let through.

    Attributes:
        status: what it answers with.
    """

    def __init__(self, port: int = 0) -> None:
        """``port``: of the server that is behind every name."""
        super().__init__(port)
        self.heads: list[bytes] = []
        self.status = 200

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        status = self.status if head.startswith(b"CONNECT ") else 405
        writer.write(b"HTTP/1.1 %d Scripted\r\n%s\r\n" % (status, b"" if status == 200 else b"Content-Length: 0\r\n"))
        await writer.drain()
        return status == 200


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
