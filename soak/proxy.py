"""An HTTP/1.1 proxy that hinders requests at given rates, and calls back at a chosen write."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

FAULTS = (
    "reset before", "status 500", "status 502", "status 503", "status 429", "status 403", "truncate", "delay",
    "drop after", "error after",
)  # fmt: skip
PHASES = ("before", "carried", "answered")
"""Of a write: it has come in, the server has done it, its answer is on the way."""

_AFTER = ("drop after", "error after")
_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_LIMIT = 1 << 22
_END = b"\r\n\r\n"


@dataclass(slots=True)
class Write:
    """A write that came in: whether the server did it, and whether the client was told how it went."""

    method: str
    path: str
    carried: bool = False
    told: bool = False


@dataclass(slots=True)
class _Trigger:
    count: int
    phase: str
    action: Callable[[], object]


class Proxy:
    """Stands before one server, in the event loop of a thread that all proxies share.

    Attributes:
        rates: how often each fault of ``FAULTS`` happens, from 0 to 1.
        latency: seconds before each request goes on.
        writes: those that came in.
        faults: how many there were, by name.
    """

    def __init__(self, host: str, port: int, random: Random) -> None:
        self._server = (host, port)
        self._random = random
        self._trigger: _Trigger | None = None
        self._seen = self._under_way = 0
        self.rates: dict[str, float] = {}
        self.latency = 0.0
        self.writes: list[Write] = []
        self.faults: Counter[str] = Counter()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LIMIT)
        port = asyncio.run_coroutine_threadsafe(listening, _loop()).result(10).sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"

    def heal(self) -> None:
        """Let everything through from now on."""
        self.rates, self._trigger, self.latency = {}, None, 0.0

    def at(self, count: int, phase: str, action: Callable[[], object]) -> None:
        """Call ``action`` when the ``count``-th write from now on is in ``phase``."""
        self._seen, self._trigger = 0, _Trigger(count, phase, action)

    def forget(self) -> None:
        """Call nothing any more."""
        self._trigger = None

    def drain(self, seconds: float = 6.0) -> bool:
        """Wait until nothing is under way; gives whether that came about."""
        deadline = time.monotonic() + seconds
        while self._under_way and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self._under_way

    def _reached(self, phase: str) -> None:
        trigger = self._trigger
        if trigger is not None and trigger.phase == phase and self._seen >= trigger.count:
            self._trigger = None
            trigger.action()

    def _pick(self, *, write: bool) -> str:
        for name, rate in list(self.rates.items()):
            # What comes after the server's work is for writes above all: there it matters.
            if self._random.random() < rate and (write or name not in _AFTER or self._random.random() < 0.5):
                self.faults[name] += 1
                return name
        return ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = _Upstream(*self._server)
        gone = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError)
        with contextlib.suppress(*gone):
            while await self._one(reader, writer, upstream):
                pass
        upstream.close()
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: _Upstream) -> bool:
        """Pass one request on; gives whether the connection goes on."""
        head = await reader.readuntil(_END)
        method, path, _ = head.decode("latin-1").split(" ", 2)
        body = await reader.readexactly(int(_headers(head).get("content-length", 0)))
        write = method in _WRITES and "/secret/" in path
        entry = Write(method, urllib.parse.unquote(path))
        self._under_way += 1
        try:
            if write:
                self.writes.append(entry)
                self._seen += 1
                self._reached("before")
            if self.latency:
                await asyncio.sleep(self.latency)
            return await self._pass_on(head + body, entry, writer, upstream, self._pick(write=write), write=write)
        finally:
            self._under_way -= 1

    async def _pass_on(
        self,
        request: bytes,
        entry: Write,
        writer: asyncio.StreamWriter,
        upstream: _Upstream,
        fault: str,
        *,
        write: bool,
    ) -> bool:
        if fault == "reset before":
            writer.transport.abort()
            return False
        if fault == "delay":
            await asyncio.sleep(self._random.uniform(0.05, 0.8))
        if fault.startswith("status"):
            await self._refuse(writer, int(fault.removeprefix("status ")))
            return True
        head, payload = await upstream.ask(request)
        entry.carried = True
        if write:
            self._reached("carried")
        if fault == "drop after":
            writer.transport.abort()
            return False
        if fault == "error after":
            await self._refuse(writer, self._random.choice((500, 502, 503)))
            return True
        if fault == "truncate" and len(payload) > 1:
            writer.write(head + payload[: self._random.randrange(1, len(payload))])
            await writer.drain()
            return False
        writer.write(head + payload)
        await writer.drain()
        entry.told = True
        if write:
            self._reached("answered")
        return True

    async def _refuse(self, writer: asyncio.StreamWriter, status: int) -> None:
        text = b"<html>bad gateway</html>" if status == 502 else b'{"errors":["injected"]}'
        wait = "Retry-After: 1\r\n" if status == 429 and self._random.random() < 0.5 else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n{wait}\r\n"
        writer.write(head.encode() + text)
        await writer.drain()


class _Upstream:
    """The connection to the server, made when it is first needed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Send a request; gives the head and the body of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=_LIMIT)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(_END)
        headers = _headers(head)
        if headers.get("transfer-encoding") != "chunked":
            empty = int(head.split(b" ")[1]) in (204, 304)
            return head, b"" if empty else await reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            body += size + await reader.readexactly(int(size, 16) + 2)
            if not int(size, 16):
                return head, body

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()


def _headers(head: bytes) -> dict[str, str]:
    parts = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:] if line)
    return {name.lower(): value.strip() for name, _, value in parts}


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop
