"""Threads that nobody has to wait for: one for a single call, and giving back those of a store."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PAUSE_SECONDS = 0.005


async def in_thread(work: Callable[[], T]) -> T:
    """Do this in a thread of its own. As ``asyncio.to_thread``, but an event loop that ends does not wait for it: who
    was cancelled because a server does not answer would otherwise wait for that server all the same."""
    threads = ThreadPoolExecutor(1, "secretsync-once")
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, work)
    finally:
        threads.shutdown(wait=False)


async def close_threads(threads: ThreadPoolExecutor) -> None:
    """Wait for what is under way in them. Who waits no longer may be cancelled, and an event loop that ends does not
    wait for them either, as it does for ``asyncio.to_thread``: one of them may hang for minutes."""
    closing = threading.Thread(target=threads.shutdown, daemon=True)
    closing.start()
    while closing.is_alive():  # noqa: ASYNC110  a thread sets no asyncio.Event
        await asyncio.sleep(_PAUSE_SECONDS)
