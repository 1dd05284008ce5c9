"""Writes: a new version a write, and compare-and-set by the numbers of versions.

The service has no condition on adding a version: etags guard a secret and each version by themselves, and a new version
changes neither. But it counts: "SecretVersion IDs in a Secret start at 1 and are incremented for each subsequent
version". So a write that compares looks at the current version, adds its own, and is the one that followed it if its
number is the next. If it is not, somebody has written in that moment. Their value is then added once more, so that it
is the current one again, our version is destroyed, and the write is a Conflict. Nothing of theirs is lost: each version
stays as it was written.

Within this process the writes of one key go one after another.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from secretsync_core.errors import AccessDenied, Conflict, SecretNotFound, StoreError
from secretsync_core.stores.fit import blob_of
from secretsync_core.stores.gcp_secret_manager.answers import WrongState
from secretsync_core.stores.gcp_secret_manager.metadata import MARK, WRITTEN
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.gcp_secret_manager.beside import Beside
    from secretsync_core.stores.gcp_secret_manager.calls import Calls, Seen
    from secretsync_core.stores.gcp_secret_manager.listing import Listing
    from secretsync_core.stores.gcp_secret_manager.pruning import Pruning

_MOST_RESTORES = 3
"""How often somebody else's value is added again where they go on to write in between."""


class Writing:
    """The writing half of one store."""

    def __init__(
        self,
        calls: Calls,
        listing: Listing,
        beside: Beside,
        pruning: Pruning,
        context: StoreContext,
        facts: StoreFacts,
    ) -> None:
        self._calls = calls
        self._listing = listing
        self._beside = beside
        self._pruning = pruning
        self._facts = facts
        self._store = context.name
        self._mark = context.mark
        self._mark_filled = bool(context.mark) and context.mark_at_a_cost
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def write(self, key: str, value: SecretValue) -> str:
        """Write a new version, whatever is there; create the secret where that is needed."""
        blob = blob_of(value, self._facts, key)
        async with self._alone(key):
            doubt = Doubt()
            try:
                seen = await doubt.of(self._calls.add(key, blob))
            except SecretNotFound:
                return await doubt.of(self._write_new(key, blob))
            return await self._done(key, seen)

    async def _write_new(self, key: str, blob: bytes) -> str:
        doubt = Doubt()
        created = True
        try:
            await doubt.of(self._create(key))
        except Conflict:  # somebody was quicker, and a write replaces whatever is there
            created = doubt.unanswered
        seen = await doubt.of(self._calls.add(key, blob))
        return await self._done(key, seen, created=created)

    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str:
        """Write a new version if ``expected`` is the current one's token (``None``: if there is none)."""
        blob = blob_of(value, self._facts, key)
        async with self._alone(key):
            if expected is None:
                return await self._create_with(key, blob)
            number = _number(expected)
            seen = None if number is None else await self._calls.version(key)
            # A look by the alias may be behind a write of a moment ago; by its number a version is not.
            if seen is not None and number is not None and seen.number < number:
                seen = await self._calls.version(key, str(number)) or seen
            if number is None or seen is None or seen.token != expected:
                raise self._conflict(key)
            token = await self._add_after(key, blob, seen.number)
            if not seen.live and self._mark:
                await self._beside.mark(key)  # it counts as made by us: nobody could read what was there
            return token

    async def _create_with(self, key: str, blob: bytes) -> str:
        doubt, created = Doubt(), True
        try:
            await doubt.of(self._create(key))
        except Conflict:
            created = doubt.unanswered
            if await doubt.of(self._calls.version(key)) is not None:
                raise doubt.on(self._conflict(key)) from None
        # A secret without a version, as Terraform makes it, or as a run leaves it that was killed right here.
        token = await doubt.of(self._add_after(key, blob, 0))
        if not created and self._mark_filled:
            await doubt.of(self._beside.mark(key))
        return token

    async def _create(self, key: str) -> None:
        # The first version is number 1, so that it is noted as ours before it is there, which costs nothing.
        told = {**({MARK: self._mark} if self._mark else {}), **({WRITTEN: "1"} if self._pruning.wanted else {})}
        await self._calls.create(key, told)

    async def _add_after(self, key: str, blob: bytes, before: int) -> str:
        """Add a version that is to follow the one of this number. Raises Conflict where somebody was in between."""
        doubt = Doubt()
        attempts = 0

        def count() -> None:
            nonlocal attempts
            attempts += 1

        try:
            seen = await doubt.of(self._calls.add(key, blob, attempting=count))
        except SecretNotFound:
            raise doubt.on(self._conflict(key)) from None
        between = range(before + 1, seen.number)
        if seen.number <= before or not between:
            if seen.number == before + 1:
                return await self._done(key, seen, created=before == 0)
            raise self._conflict(key)  # deleted and made anew in between, and what we added is the newest in it
        if len(between) < attempts and await self._are_all(key, between, blob):
            return await self._done(key, seen)  # they are from attempts of ours that got no answer
        await self._give_way(key, seen.number)
        raise self._conflict(key)

    async def _are_all(self, key: str, numbers: range, blob: bytes) -> bool:
        """Whether all these versions have this value."""
        try:
            for number in numbers:
                if (await self._calls.access(key, str(number)))[1] != blob:
                    return False
        except (AccessDenied, WrongState, SecretNotFound):
            raise Doubt(unanswered=True).on(self._conflict(key)) from None
        return True

    async def _give_way(self, key: str, ours: int) -> None:
        """Let the value that somebody wrote right before ours be the current one again, and destroy ours."""
        theirs, added = ours - 1, [ours]
        try:
            for _ in range(_MOST_RESTORES):
                _, value = await self._calls.access(key, str(theirs))
                again = await self._calls.add(key, value)
                added.append(again.number)
                if again.number == added[-2] + 1:
                    break
                theirs = again.number - 1
        except StoreError as error:
            failed = error
        else:
            for number in added[:-1]:
                with suppress(StoreError):  # it is an old version then, which nobody reads
                    await self._calls.retire(key, number, destroy=True)
            return
        raise StoreError(
            f"version {theirs} of {key} was written in {self._store} right before version {ours}, which is ours and"
            f" the current one now: {failed.message}",
            store=self._store,
            key=key,
            hint="add the value of theirs once more, or sync again if ours is right; every version is still there",
        )

    async def _done(self, key: str, seen: Seen, *, created: bool = False) -> str:
        self._listing.note(key, seen)
        await self._pruning.after(key, seen.number, noted=created and seen.number == 1)
        return seen.token

    async def delete(self, key: str) -> None:
        """Delete the secret with all its versions, for good."""
        async with self._alone(key):
            try:
                await self._calls.delete(key)
            except SecretNotFound:
                return

    async def delete_if(self, key: str, expected: str) -> None:
        """Delete the secret if ``expected`` is the current version's token, looked at right before.

        The etag sees to it that it is the same secret, with what stood beside its versions.
        """
        async with self._alone(key):
            about = await self._calls.secret(key)
            if about is None:
                return
            seen = await self._calls.version(key)
            if seen is not None and seen.token != expected:
                raise self._conflict(key)
            doubt = Doubt()
            try:
                await doubt.of(self._calls.delete(key, about.etag))
            except SecretNotFound:
                return
            except WrongState:
                raise doubt.on(self._conflict(key)) from None

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """One write of a key at a time."""
        lock, waiting = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks.pop(key)
            if waiting > 1:
                self._locks[key] = (lock, waiting - 1)

    def _conflict(self, key: str) -> Conflict:
        return Conflict(f"{key} in {self._store} changed meanwhile", store=self._store, key=key)


def _number(token: str) -> int | None:
    number = token.partition("@")[0]
    return int(number) if number.isascii() and number.isdecimal() and len(number) <= 10 else None
