"""A server by TLS before a real one, and an HTTP proxy that leads to it, whatever name it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.listener import Listener

if TYPE_CHECKING:
    from typing import Self

    import trustme


class Relay(Listener):
    """Takes connections, and hands each on to another server, byte by byte."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._to = port

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
