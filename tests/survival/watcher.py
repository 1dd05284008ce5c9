"""A proxy that also watches: how many requests are under way, when each came, and what to do before one goes on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from support.faulty_http import FaultyHttp

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

WRITES = "^(POST|PUT|PATCH|DELETE) (?!.*/renew-self)"
"""Matches every request that changes something, logins among them."""


@dataclass
class _Hook:
    match: re.Pattern[str]
    do: Callable[[], object]
    times: int


class Watcher(FaultyHttp):
    """Attributes:
    peak: the largest number of requests that were under way at once.
    times: when each request came in, on the monotonic clock.
    """

    def __init__(self, upstream: str | None = None) -> None:
        super().__init__(upstream)
        self.peak = 0
        self.times: list[float] = []
        self._flying = 0
        self._hooks: list[_Hook] = []

    def before(self, match: str, do: Callable[[], object], *, times: int = 1) -> None:
        """Run ``do`` before each of the first ``times`` requests that match goes on."""
        self._hooks.append(_Hook(re.compile(match), do, times))

    def forget(self) -> None:
        """Forget what came in so far."""
        self.requests.clear()
        self.times.clear()
        self.peak = 0

    def _fault(self, line: str) -> Any:
        self.times.append(time.monotonic())
        self._flying += 1
        self.peak = max(self.peak, self._flying)
        for hook in self._hooks:
            if hook.times and hook.match.search(line):
                hook.times -= 1
                hook.do()
        return super()._fault(line)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super()._accept(reader, cast("asyncio.StreamWriter", _Noting(self, writer)))

    def _answered(self) -> None:
        self._flying -= 1


class _Noting:
    """A stream writer to a client that tells the watcher of each answer, which is written in one piece."""

    def __init__(self, watcher: Watcher, writer: asyncio.StreamWriter) -> None:
        self._watcher = watcher
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._watcher._answered()
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()
