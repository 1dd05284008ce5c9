"""What a write goes through before it is announced, for the plan and for the transfer alike.

A plan that does less than the sync promises what will not be done; one that does it otherwise promises something else.
So each step stands here, or in :mod:`~secretsync_core.run.compare`, once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from secretsync_core.errors import Conflict, SecretNotFound, SecretSyncError
from secretsync_core.model.change import Action, Failure, Reason
from secretsync_core.run.look import look_at_key
from secretsync_core.schema.job import WritePolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.run.compare import Comparer, Wanted
    from secretsync_core.run.opening import OpenStores

_SPARING = (WritePolicy.MANAGED, WritePolicy.IF_NOT_EXISTS)
"""The policies that leave alone what others made."""

_REASONS = {reason.value: reason for reason in (Reason.NOT_FOUND, Reason.TRANSFORM_FAILED, Reason.CANNOT_HOLD)}


class Sources:
    """What changes are made of that share their sources: read and rendered once, and only if somebody asks."""

    def __init__(self, comparer: Comparer, changes: Sequence[Change]) -> None:
        self._comparer = comparer
        self._first = changes[0]
        self._reading: asyncio.Task[Wanted] | None = None

    async def wanted(self) -> Wanted:
        """The value that they make. Raises what kept it from being read or rendered, to everybody who asks."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._comparer.want(self._first.item, self._first.sources))
        return await self._reading


def failure_of(error: Exception) -> Failure:
    """What people are told of an error. One that is none of ours is told by its type: its text may hold a value."""
    if isinstance(error, SecretSyncError):
        return Failure(error.code, error.message, error.hint)
    return Failure("internal-error", f"an unexpected {type(error).__name__}")


def refused_by(change: Change, error: Exception) -> Change:
    """A change that the sync could not carry out, with what it would say."""
    failure = failure_of(error)
    other = Reason.CANNOT_COMPARE if change.action is Action.COMPARE else Reason.WOULD_FAIL
    return change._replace(
        action=Action.REFUSE,
        reason=_REASONS.get(failure.code, other),
        detail=f"{failure.code}: {failure.message}",
        failure=failure,
    )


def check_reachable(opened: OpenStores, dest: str) -> None:
    """Raise StoreLost where a destination is lost, before anything is read for nothing."""
    if (lost := opened.gates[dest].lost) is not None:
        raise lost


async def look_before_creating(opened: OpenStores, change: Change, policy: WritePolicy) -> None:
    """Look once more where a store cannot be told to create only, and what others made meanwhile is to stay.

    Raises Conflict where there is something.
    """
    halves = opened.get(change.dest)
    if (
        change.action is not Action.CREATE
        or policy not in _SPARING
        or halves.looker is None
        or halves.conditional is not None
        or halves.creator is not None
    ):
        return
    with suppress(SecretNotFound):
        if halves.reader is not None:
            await halves.reader.read(change.key)
        else:
            entry = await look_at_key(opened, change.dest, change.key)
            if entry is None or entry.deleted:
                return
        raise Conflict(f"{change.key} in {change.dest} is there by now", store=change.dest, key=change.key)


def compared_again(first: Change) -> Change:
    """A change of which the destination turned out to be otherwise than it was seen: now the values decide."""
    return first._replace(action=Action.COMPARE, owned=first.owned and first.action != Action.CREATE)
