"""An HTTP server that misbehaves on request: a proxy before a real server, or alone.

It reads and writes raw HTTP, because HTTP libraries refuse verbs such as SCAN and do not let a test cut an answer
in the middle::

    async with FaultyHttp(server.address) as proxy:
        proxy.answer("GET .*/data/a$", 429, headers={"Retry-After": "3"}, times=1)
        ... open a store at proxy.address ...
    assert proxy.count("SCAN") == 1
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from support.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self


class Seen(NamedTuple):
    """One request as it came in; ``path`` as sent, with its query; ``head`` is its first line and headers."""

    method: str
    path: str
    head: bytes = b""


@dataclass
class _Fault:
    """What to do to requests whose ``METHOD path`` matches; ``times`` left (``None``: always)."""

    match: re.Pattern[str]
    times: int | None
    status: int = 0
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut_after: int | None = None
    echo: bool = False
    change: Callable[[bytes], bytes] | None = None
    endless: tuple[bytes, bytes, float] | None = None
    make: Callable[[Seen, bytes], bytes] | None = None


class FaultyHttp(Listener):
    """See the module. ``requests`` lists everything that came in, in order."""

    def __init__(self, upstream: str | None = None, *, prefix: str = "") -> None:
        """``upstream``: the ``http://`` address of the real server; without one, what no fault answers gets a 404.

        ``prefix``: a path such as ``/vault`` below which the server is; other paths get a page.
        """
        super().__init__()
        self._prefix = prefix
        self.requests: list[Seen] = []
        self._upstream = urlsplit(upstream) if upstream else None
        self._faults: list[_Fault] = []

    # What to do. Patterns are searched for in "METHOD /path?query", which in requests to AWS is followed by a blank and
    # the operation; the latest fault that matches wins.

    def answer(
        self,
        match: str,
        status: int,
        body: bytes = b'{"errors":[]}',
        *,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
        echo: bool = False,
    ) -> None:
        """Answer instead of the server; with ``echo``, the request's own body follows ``body``."""
        self._faults.append(_Fault(re.compile(match), times, status, body, headers or {}, echo=echo))

    def alter(self, match: str, change: Callable[[bytes], bytes], *, times: int | None = None) -> None:
        """Let the server answer, and put what ``change`` makes of the answer's body in its place."""
        self._faults.append(_Fault(re.compile(match), times, change=change))

    def cut(self, match: str, *, after: int = 0, times: int | None = None) -> None:
        """Let the server answer, and cut the connection after so many bytes of it."""
        self._faults.append(_Fault(re.compile(match), times, cut_after=after))

    def delay(self, match: str, seconds: float, *, times: int | None = None) -> None:
        """Wait before the server is asked."""
        self._faults.append(_Fault(re.compile(match), times, delay=seconds))

    def go_on(self, match: str, begin: bytes, piece: bytes = b"", *, pause: float = 0.0) -> None:
        """Answer with ``begin``, and then with ``piece`` again and again; without a piece with nothing more."""
        self._faults.append(_Fault(re.compile(match), None, endless=(begin, piece, pause)))

    def answer_by(self, match: str, make: Callable[[Seen, bytes], bytes]) -> None:
        """Answer with 200 and what ``make`` gives for each request and its body."""
        self._faults.append(_Fault(re.compile(match), None, make=make))

    def refuse_verbs(self, *verbs: str, status: int = 400) -> None:
        """Be a proxy that does not know these verbs."""
        self.answer(f"^({'|'.join(verbs)}) ", status, b"<html>Bad Request</html>")

    def heal(self) -> None:
        """Forget every fault."""
        self._faults.clear()

    def count(self, match: str = "") -> int:
        """How many requests so far matched."""
        return sum(re.search(match, f"{method} {path}") is not None for method, path, _ in self.requests)

    # How it is done.

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}{self._prefix}"

    async def __aenter__(self) -> Self:
        await self._listen(limit=2**20)
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
                length = _header(head, b"content-length")
                body = await reader.readexactly(int(length)) if length else b""
                self.requests.append(Seen(method, path, head))
                target = _header(head, b"x-amz-target")
                fault = self._fault(f"{method} {path}" + (f" {target}" if target else ""))
                if fault and fault.delay:
                    await asyncio.sleep(fault.delay)
                if fault and fault.endless:
                    await _go_on(writer, *fault.endless)
                    return
                if fault and fault.make:
                    answer = _plain(200, fault.make(self.requests[-1], body), {"Content-Type": "application/json"})
                elif fault and fault.body is not None:
                    answer = _plain(fault.status, fault.body + (body if fault.echo else b""), fault.headers)
                elif self._prefix and not path.startswith(f"{self._prefix}/"):
                    answer = _plain(404, b"<html>no such page</html>", {})
                elif self._upstream is None:
                    answer = _plain(404, b'{"errors":[]}', {})
                else:
                    if upstream is None:
                        upstream = await asyncio.open_connection(
                            self._upstream.hostname, self._upstream.port, limit=2**20
                        )
                    upstream[1].write(head.replace(path.encode(), path.removeprefix(self._prefix).encode(), 1) + body)
                    answer = await _answer(upstream[0])
                    if fault and fault.change:
                        answer = _altered(answer, fault.change)
                if fault and fault.cut_after is not None:
                    writer.write(answer[: fault.cut_after])
                    await writer.drain()
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for stream in (writer, *([upstream[1]] if upstream else [])):
                with contextlib.suppress(OSError):
                    stream.close()

    def _fault(self, line: str) -> _Fault | None:
        for fault in reversed(self._faults):
            if fault.times != 0 and fault.match.search(line):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


async def _go_on(writer: asyncio.StreamWriter, begin: bytes, piece: bytes, pause: float) -> None:
    writer.write(begin)
    while not writer.is_closing():
        await asyncio.sleep(pause if piece else 0.05)
        writer.write(piece)
        await writer.drain()


def _header(head: bytes, name: bytes) -> str | None:
    found = re.search(rb"\r\n" + name + rb": *([^\r]*)\r\n", head, re.IGNORECASE)
    return found.group(1).decode() if found else None


def _plain(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _altered(answer: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An answer with another body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if (_header(head + b"\r\n", b"transfer-encoding") or "").lower() == "chunked":
        rest, body = body, b""
        while (size := int(rest[: rest.index(b"\r\n")], 16)) > 0:
            begin = rest.index(b"\r\n") + 2
            body, rest = body + rest[begin : begin + size], rest[begin + size + 2 :]
    gone = (b"content-length", b"transfer-encoding", b"x-amz-crc32")
    lines = [line for line in head.split(b"\r\n") if line.partition(b":")[0].lower() not in gone]
    body = change(body)
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """One whole answer of the real server, byte by byte as it came."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _header(head, b"content-length")
    if length is not None:
        return head + await reader.readexactly(int(length))
    if (_header(head, b"transfer-encoding") or "").lower() != "chunked":
        return head
    parts = [head]
    while True:
        size = await reader.readuntil(b"\r\n")
        parts += [size, await reader.readexactly(int(size, 16) + 2)]
        if int(size, 16) == 0:
            return b"".join(parts)


@contextlib.contextmanager
def proxy_before(upstream: str) -> Iterator[FaultyHttp]:
    """A proxy before a server, on a loop of its own: the programs under test are others."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = FaultyHttp(upstream)
    asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result(10)
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(made.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
