"""How tests get at errors: a gate that asks again, and the error of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def raised(call: Awaitable[object]) -> StoreError:
    """The error of a call."""
    with pytest.raises(StoreError) as caught:
        await call
    return caught.value


class Persistent:
    """A gate that asks again as long as an error is retryable, waits for nothing, and notes what got no answer."""

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[Any]]) -> Any:
        unanswered = False
        for _ in range(20):
            try:
                return await attempt()
            except StoreError as error:
                unanswered = error.unanswered = error.unanswered or unanswered
                if not error.retryable:
                    raise
        raise AssertionError("twenty attempts did not do")
