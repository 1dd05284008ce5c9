"""Reads that wait at the same time share requests: how many, in which order, and what becomes of each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import StoreError
from secretsync_core.stores.aws.gathered import Gathered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Server:
    """Answers keys in upper case, and keeps what it was asked; requests wait while it is closed."""

    def __init__(self, lanes: int = 2, size: int = 3) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.peak = 0
        self.open = asyncio.Event()
        self.open.set()
        self.without: set[str] = set()
        self._busy = 0
        self.reads: Gathered[str] = Gathered(self._one, self._many, size=size, lanes=lanes)

    async def _one(self, key: str) -> str:
        return str((await self._many([key]))[key])

    async def _many(self, keys: Sequence[str]) -> Mapping[str, str | Exception]:
        self.asked.append(tuple(keys))
        self._busy += 1
        self.peak = max(self.peak, self._busy)
        await asyncio.sleep(0)
        await self.open.wait()
        self._busy -= 1
        if "broken" in keys:
            raise StoreError("broken", store="s", hint="h")
        return {key: key.upper() for key in keys if key not in self.without}


async def test_those_that_come_together_go_together() -> None:
    """Eight reads at once are requests of three, three and two; no more are under way than there are lanes."""
    server = Server()
    found = await asyncio.gather(*(server.reads.get(key) for key in "abcdefgh"))
    assert found == list("ABCDEFGH")
    assert [len(keys) for keys in server.asked] == [3, 3, 2]
    assert server.peak == 2


async def test_those_that_come_meanwhile_gather() -> None:
    """While every lane is busy, reads wait together for the next one."""
    server = Server(lanes=1)
    server.open.clear()
    first = asyncio.create_task(server.reads.get("a"))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(server.reads.get(key)) for key in "bcd"]
    await asyncio.sleep(0.01)
    server.open.set()
    assert [await task for task in (first, *others)] == list("ABCD")
    assert server.asked == [("a",), ("b", "c", "d")]


async def test_an_error_is_each_one_s_own() -> None:
    """Who shares a request that fails gets the error with all that it says, in an object of its own."""
    server = Server()
    found = await asyncio.gather(*(server.reads.get(key) for key in ("a", "broken")), return_exceptions=True)
    assert [(type(each), str(each)) for each in found] == [(StoreError, "broken")] * 2
    assert found[0] is not found[1]
    assert isinstance(found[0], StoreError)
    assert (found[0].store, found[0].hint) == ("s", "h")


async def test_nobody_waits_for_ever() -> None:
    """An answer that forgets a key is an error for who asked for it."""
    server = Server()
    server.without = {"b"}
    found = await asyncio.gather(server.reads.get("a"), server.reads.get("b"), return_exceptions=True)
    assert found[0] == "A"
    assert isinstance(found[1], LookupError)


async def test_who_gives_up_is_left_out() -> None:
    """A key that nobody waits for any more is not asked for."""
    server = Server(lanes=1)
    server.open.clear()
    first = asyncio.create_task(server.reads.get("a"))
    await asyncio.sleep(0.01)
    gone, stays = (asyncio.create_task(server.reads.get(key)) for key in "bc")
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0)
    server.open.set()
    assert (await first, await stays) == ("A", "C")
    assert server.asked == [("a",), ("c",)]


async def test_the_end_cancels_who_waits() -> None:
    """Closing gives up what is under way, and tells those who wait for it."""
    server = Server()
    server.open.clear()
    waiting = [asyncio.create_task(server.reads.get(key)) for key in "ab"]
    await asyncio.sleep(0.01)
    await server.reads.aclose()
    for task in waiting:
        with pytest.raises(asyncio.CancelledError):
            await task
