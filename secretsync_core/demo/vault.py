"""What the demo does to its own servers as their administrator: fill, count, change. Not how SecretSync does it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from secretsync_core.errors import SecretSyncError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from secretsync_core.demo.lifelike import Fields
    from secretsync_core.demo.openbao import OpenBaoServer

_AT_ONCE = 16


class Administrator:
    """One server, with its root token. An async context manager."""

    def __init__(self, server: OpenBaoServer) -> None:
        self._address = server.address
        self._token = server.root_token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"X-Vault-Token": self._token}, connector=aiohttp.TCPConnector(limit=_AT_ONCE)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("not entered")
        async with self._session.request(method, f"{self._address}/v1/{path}", json=body) as answer:
            if answer.status >= 300:
                raise SecretSyncError(f"the demo's own server answered {answer.status} to {method} {path}")
            found: dict[str, Any] = await answer.json() if answer.status != 204 else {}
            return found

    async def token(self, name: str, policy: str) -> str:
        """A token that may do what ``policy`` says and no more."""
        await self._ask("POST", f"sys/policies/acl/{name}", {"policy": policy})
        body = {"policies": [name], "no_default_policy": False, "ttl": "24h"}
        answer = await self._ask("POST", "auth/token/create", body)
        return str(answer["auth"]["client_token"])

    async def put(self, key: str, fields: Fields) -> None:
        """Write one secret."""
        await self._ask("POST", f"secret/data/{key}", {"data": fields})

    async def fill(self, secrets: Iterable[tuple[str, Fields]]) -> int:
        """Write many secrets, several at once; gives how many."""
        pending = iter(secrets)
        written = 0

        async def writer() -> None:
            nonlocal written
            for key, fields in pending:
                await self.put(key, fields)
                written += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(writer())
        return written

    async def remove(self, key: str) -> None:
        """Delete the current version of one secret."""
        await self._ask("DELETE", f"secret/data/{key}")

    async def count(self) -> int:
        """How many secrets there are that hold a value."""
        answer = await self._ask("GET", "secret/detailed-metadata/?scan=true")
        found = 0
        for facts in answer["data"].get("key_info", {}).values():
            version = facts.get("versions", {}).get(str(facts.get("current_version")), {})
            found += not version.get("deletion_time") and not version.get("destroyed", True)
        return found
