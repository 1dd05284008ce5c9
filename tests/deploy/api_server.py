"""The HTTP side of a Kubernetes API server that is made up: JSON in, JSON out. A real one runs no pods."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deploy.manifests import Object


@contextlib.contextmanager
def api_server(kubeconfig: Path, answer: Callable[[str, str, Object], tuple[int, Object]]) -> Iterator[None]:
    """Serve on loopback, and write a kubeconfig for it. ``answer`` gets the method, the path and the body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            status, answered = answer(self.command, self.path, body or {})
            data = json.dumps(answered).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
            "users": [{"name": "me", "user": {"token": "of-no-use"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
            "current-context": "it",
        }
        kubeconfig.write_text(json.dumps(config))
        try:
            yield
        finally:
            server.shutdown()


def failure(reason: str) -> Object:
    """How Kubernetes says no."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason}
