"""Servers that keep what they are sent: HTTP by the standard library, and a tiny SMTP sink of these tests' own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Posted(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: Any


class Hook:
    """A web server that takes JSON; ``statuses`` are what it answers first, before it answers 200."""

    def __init__(self) -> None:
        self.posts: list[Posted] = []
        self.statuses: list[int] = []
        self.base = ""

    def url(self, path: str = "/hook") -> str:
        return f"{self.base}{path}"


@contextlib.contextmanager
def hook_server() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.posts.append(Posted(self.path, dict(self.headers), json.loads(body)))
            self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
            self.send_header("Location", hook.url("/elsewhere"))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Mailbox:
    """What an SMTP sink took: the commands, and the messages."""

    def __init__(self) -> None:
        self.port = 0
        self.commands: list[str] = []
        self.messages: list[str] = []
        self.refuse_login = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak as much SMTP as a client needs to hand over a message."""

        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 sink")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.commands.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                say("250-sink")
                say("250 AUTH PLAIN LOGIN")
            elif verb == "AUTH":
                say("535 no" if self.refuse_login else "235 welcome")
            elif verb == "DATA":
                say("354 go on")
                await writer.drain()
                self.messages.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                say("250 kept")
            elif verb == "QUIT":
                say("221 bye")
                break
            else:
                say("250 ok")
            await writer.drain()
        writer.close()


@contextlib.contextmanager
def smtp_sink() -> Iterator[Mailbox]:
    box = Mailbox()
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(box.serve, "127.0.0.1", 0))
    box.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
