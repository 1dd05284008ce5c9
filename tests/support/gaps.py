"""What a store could not see of single secrets, as an error for tests that expect one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, AnswerTooLarge, MalformedAnswer, SecretFails
from secretsync_core.model.inventory import Gap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from secretsync_core.model.inventory import Entry

_KINDS = (AccessDenied, AnswerTooLarge, MalformedAnswer, SecretFails)


async def without_faults(found: AsyncIterator[Entry | Gap]) -> list[Entry | Gap]:
    """All that is found, names without a key too. Raises the error that any other Gap stands for."""
    told = [each async for each in found]
    for each in told:
        if isinstance(each, Gap) and (kind := next((kind for kind in _KINDS if kind.code == each.code), None)):
            raise kind(each.message)
    return told
