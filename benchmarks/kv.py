"""The shortest way to a KV mount: aiohttp, uvloop, orjson and nothing else. Seeds, edits, checks, and is the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import orjson
import uvloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from typing import Self

T = TypeVar("T")
IN_FLIGHT = 32


class Kv:
    """One KV version 2 mount; a context manager that holds its connections."""

    def __init__(self, address: str, mount: str, token: str) -> None:
        """``token`` is sent with every request."""
        self._base = f"{address}/v1/{mount}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=IN_FLIGHT), headers={"X-Vault-Token": token}, trust_env=False
        )

    async def __aenter__(self) -> Self:
        """Connections open as they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        await self._session.close()

    async def get(self, key: str) -> dict[str, Any]:
        """The fields of a secret."""
        async with self._session.get(f"{self._base}/data/{key}") as answer:
            answer.raise_for_status()
            fields: dict[str, Any] = orjson.loads(await answer.read())["data"]["data"]
            return fields

    async def put(self, key: str, fields: dict[str, Any]) -> None:
        """Write a secret, whatever stands there."""
        async with self._session.post(f"{self._base}/data/{key}", data=orjson.dumps({"data": fields})) as answer:
            answer.raise_for_status()
            await answer.read()

    async def keys(self) -> list[str]:
        """Every key of the mount, by one SCAN."""
        async with self._session.request("SCAN", f"{self._base}/metadata/") as answer:
            if answer.status == 404:
                return []
            answer.raise_for_status()
            keys: list[str] = orjson.loads(await answer.read())["data"].get("keys", [])
            return keys


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
    """Do ``work`` for each item, 32 at a time."""
    waiting = iter(items)

    async def take() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(take())


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
