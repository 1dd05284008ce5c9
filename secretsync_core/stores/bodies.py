"""Takes in the bodies of aiohttp's answers, none of which is larger than it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.endurance import too_large

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from secretsync_core.stores.answers import Call

_CHUNK = 128 * 1024


async def chunks_of(response: aiohttp.ClientResponse, most: int, call: Call) -> AsyncIterator[bytes]:
    """The body as it comes in, decompressed. Raises StoreError where it is larger than ``most``."""
    given = 0
    while chunk := await response.content.read(_CHUNK):
        given += len(chunk)
        if given > most:
            response.close()  # what is still to come would stand before the next answer
            raise too_large(call.store, call.action, most)
        yield chunk


async def body_of(response: aiohttp.ClientResponse, most: int, call: Call) -> bytes:
    """The whole body. Raises StoreError where it is larger than ``most``."""
    return b"".join([chunk async for chunk in chunks_of(response, most, call)])
