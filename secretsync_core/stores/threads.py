"""Giving a store's threads back."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_PAUSE_SECONDS = 0.005


async def close_threads(threads: ThreadPoolExecutor) -> None:
    """Wait for what is under way in them. Who waits no longer may be cancelled, and an event loop that ends does not
    wait for them either, as it does for ``asyncio.to_thread``: one of them may hang for minutes."""
    closing = threading.Thread(target=threads.shutdown, daemon=True)
    closing.start()
    while closing.is_alive():  # noqa: ASYNC110  a thread sets no asyncio.Event
        await asyncio.sleep(_PAUSE_SECONDS)
