"""Vault's KV engine at ``secret/``, of either version, with SCAN or without, and two ways to log in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from fuzz.fake_server import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "TOKCANARY"

_NOTHING: dict[str, list[str]] = {"errors": []}


class FakeVault:
    """``data`` has the versions of each key, oldest first; with version 1 just the one that is there."""

    def __init__(self, version: int, *, scan: bool = True) -> None:
        """An empty engine of this version of KV."""
        self.version, self.scan = version, scan
        self.data: dict[str, list[dict[str, str]]] = {}
        self.metadata: dict[str, object] = {}
        self.writes: list[tuple[str, str]] = []
        self.headers = {"Content-Type": "application/json", "Date": "Sat, 28 Nov 2026 02:00:00 GMT"}

    def put(self, key: str, fields: dict[str, str]) -> None:
        """Write a secret."""
        self.data[key] = [*(self.data.get(key, ()) if self.version == 2 else ()), fields]

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Do what is asked."""
        del headers
        parts = urlsplit(path)
        where, query = unquote(parts.path).removeprefix("/v1/"), parse_qs(parts.query)
        for name in ("list", "scan"):
            if method == "GET" and name in query:
                method = name.upper()
        sent = json.loads(body) if body else {}
        if not where.startswith("secret/"):
            return self._system(where, sent)
        where = where.removeprefix("secret/")
        return self._first(method, where, sent) if self.version == 1 else self._second(method, where, sent)

    def _system(self, where: str, sent: dict[str, Any]) -> Answer:
        login = {"client_token": TOKEN, "accessor": "x", "policies": ["default"], "lease_duration": 3600}
        if where == "sys/internal/ui/mounts/secret":
            mount = {"type": "kv", "path": "secret/", "options": {"version": str(self.version)}}
            return Answer("mounts", 200, _wrapped(mount))
        if where == "auth/approle/login":
            return Answer("login", 200, {**_wrapped(None), "auth": {**login, "renewable": True}})
        if where == "auth/token/lookup-self":
            return Answer("lookup", 200, _wrapped({"id": TOKEN, "ttl": 3600, "renewable": True}))
        if where == "auth/token/renew-self":
            return Answer("renew", 200, {**_wrapped(None), "auth": {**login, "renewable": True}})
        if where == "auth/token/revoke-self":
            return Answer("revoke", 204, None)
        if where == "sys/capabilities-self":
            granted = {path: ["root"] for path in (*sent["paths"], "capabilities")}
            return Answer("capabilities", 200, _wrapped(granted))
        return Answer("other", 404, _NOTHING)

    def _first(self, method: str, key: str, sent: dict[str, str]) -> Answer:
        if method == "SCAN":
            return self._all("SCAN", sorted(k.removeprefix(key) for k in self.data if k.startswith(key)))
        if method == "LIST":
            return self._level(key)
        if method == "GET":
            found = self.data.get(key)
            return Answer(f"read {key}", 200, _wrapped(found[-1])) if found else Answer("read none", 404, _NOTHING)
        if method in ("POST", "PUT"):
            self.put(key, sent)
            self.writes.append(("write", key))
            return Answer(f"write {key}", 204, None)
        return self._delete(key)

    def _second(self, method: str, where: str, sent: dict[str, Any]) -> Answer:
        root, _, key = where.partition("/")
        if root == "detailed-metadata":
            below = {k.removeprefix(key): self._info(k) for k in self.data if k.startswith(key)}
            return self._all(f"{method} details", sorted(below), key_info=below)
        if root == "metadata":
            return self._metadata(method, key, sent)
        if root != "data":
            return Answer("other", 404, _NOTHING)
        versions = self.data.get(key, [])
        if method == "GET":
            if not versions:
                return Answer("read none", 404, _NOTHING)
            found = {"data": versions[-1], "metadata": _about(len(versions))}
            return Answer(f"read {key}", 200, _wrapped(found))
        if method == "DELETE":
            return self._delete(key)
        cas = sent.get("options", {}).get("cas")
        if cas is not None and cas != len(versions):
            self.writes.append(("refused", key))
            refusal = {"errors": ["check-and-set parameter did not match the current version"]}
            return Answer("write refused", 400, refusal)
        self.put(key, sent["data"])
        self.writes.append(("write", key))
        return Answer(f"write {key}", 200, _wrapped(_about(len(self.data[key]))))

    def _metadata(self, method: str, key: str, sent: dict[str, Any]) -> Answer:
        if method == "LIST":
            return self._level(key)
        if method == "SCAN":
            return self._all("SCAN", sorted(k.removeprefix(key) for k in self.data if k.startswith(key)))
        if key not in self.data:
            return Answer("look none", 404, _NOTHING)
        if method == "GET":
            return Answer(f"look {key}", 200, _wrapped(self._info(key)))
        self.metadata[key] = sent.get("custom_metadata")
        return Answer("mark", 204, None)

    def _all(self, label: str, names: list[str], **more: object) -> Answer:
        if not self.scan:
            return Answer(f"{label} unsupported", 405, {"errors": ["unsupported operation"]})
        return Answer(label, 200, _wrapped({"keys": names, **more})) if names else Answer(label, 404, _NOTHING)

    def _level(self, folder: str) -> Answer:
        below = [key.removeprefix(folder).partition("/") for key in self.data if key.startswith(folder)]
        names = sorted({name + slash for name, slash, _ in below})
        label = f"LIST {folder}"
        return Answer(label, 200, _wrapped({"keys": names})) if names else Answer(label, 404, _NOTHING)

    def _delete(self, key: str) -> Answer:
        self.data.pop(key, None)
        self.writes.append(("delete", key))
        return Answer("delete", 204, None)

    def _info(self, key: str) -> dict[str, object]:
        numbers = range(1, len(self.data[key]) + 1)
        versions = {str(n): {name: _about(n)[name] for name in _OF_EACH} for n in numbers}
        return {
            "cas_required": False, "created_time": _time(1), "current_version": len(numbers),
            "custom_metadata": self.metadata.get(key), "delete_version_after": "0s", "max_versions": 0,
            "oldest_version": 0, "updated_time": _time(1), "versions": versions,
        }  # fmt: skip


_OF_EACH = ("created_time", "deletion_time", "destroyed")


def _time(number: int) -> str:
    return f"2026-01-0{number}T00:00:00.1Z"


def _about(number: int) -> dict[str, object]:
    return {
        "created_time": _time(number), "custom_metadata": None, "deletion_time": "", "destroyed": False,
        "version": number,
    }  # fmt: skip


def _wrapped(data: object) -> dict[str, object]:
    return {
        "request_id": "r", "lease_id": "", "renewable": False, "lease_duration": 0, "data": data, "wrap_info": None,
        "warnings": None, "auth": None,
    }  # fmt: skip
