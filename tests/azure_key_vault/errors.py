"""How tests get at errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsync_core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def raised(call: Awaitable[object]) -> StoreError:
    """The error of a call."""
    with pytest.raises(StoreError) as caught:
        await call
    return caught.value
