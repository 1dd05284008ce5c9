"""An OpenBao server as its owner sees it: writes at the source, and looks at the destination without SecretSync."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secretsync_core.demo.openbao import OpenBaoServer
    from soak.model import Edit, Fields

_NOT_FOUND = 404


class Vault:
    """The KV engine at ``secret/`` of one server, over one connection that is kept open."""

    def __init__(self, server: OpenBaoServer) -> None:
        self.server = server
        self.token = server.root_token
        where = urllib.parse.urlsplit(server.address)
        self.host, self.port = str(where.hostname), int(where.port or 0)
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any] | None:
        """One request; gives None where there is nothing. Raises RuntimeError for any other refusal."""
        try:
            status, text = self._once(method, path, body)
        except (OSError, http.client.HTTPException):  # the server closes what was idle for long
            self._connection = None
            status, text = self._once(method, path, body)
        if status == _NOT_FOUND:
            return None
        if status > _NOT_FOUND or status in (400, 403):
            raise RuntimeError(f"{method} {path}: {status} {text[:200]!r}")
        answer: dict[str, Any] = json.loads(text) if text else {}
        return answer

    def _once(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        data = None if body is None else json.dumps(body)
        self._connection.request(method, f"/v1/{urllib.parse.quote(path)}", data, {"X-Vault-Token": self.token})
        response = self._connection.getresponse()
        return response.status, response.read()

    def keep_versions(self, count: int, seconds: float = 30.0) -> None:
        """Let it keep so many versions of each secret. A new engine refuses that until it has upgraded itself."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.ask("POST", "secret/config", {"max_versions": count})
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def put(self, key: str, fields: Fields) -> str:
        """Write a version; gives its token, as the ledger has it."""
        about = (self.ask("POST", f"secret/data/{key}", {"data": fields}) or {})["data"]
        return f"{about['version']}@{about['created_time']}"

    def delete(self, key: str, *, forget: bool = False) -> None:
        """Delete the latest version; with ``forget``, all that there ever was."""
        self.ask("DELETE", f"secret/{'metadata' if forget else 'data'}/{key}")

    def apply(self, edit: Edit) -> None:
        """Carry out a change."""
        if edit.fields is None:
            self.delete(edit.key, forget=edit.forget)
        else:
            self.put(edit.key, edit.fields)

    def get(self, key: str) -> Fields | None:
        """What a secret holds."""
        answer = self.ask("GET", f"secret/data/{key}")
        return None if answer is None else answer["data"]["data"]

    def details(self) -> dict[str, Any]:
        """What is known of every secret, by key."""
        answer = self.ask("SCAN", "secret/detailed-metadata/") or {"data": {}}
        found = answer["data"].get("key_info") or {}
        return {key: info for key, info in found.items() if not key.endswith("/")}
