"""Writes: a new version a write, and compare-and-set by the numbers of versions.

The service has no condition on adding a version: etags guard a secret and each version by themselves, and a new version
changes neither. But it counts: "SecretVersion IDs in a Secret start at 1 and are incremented for each subsequent
version". So a write that compares looks at the current version, adds its own, and is the one that followed it if its
number is the next, and the one before is still there: a secret that is made anew counts from 1 again. If it is not,
somebody has written in that moment. Their value is then added once more, so that it is the current one again, our
version is destroyed, and the write is a Conflict. Nothing of theirs is lost: each version stays as it was written.

Within this process the writes of one key go one after another.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.errors import AccessDenied, Conflict, NotOurs, SecretFails, SecretNotFound, StoreError
from secretsync_core.stores.fit import blob_of
from secretsync_core.stores.gcp_secret_manager.answers import WrongState
from secretsync_core.stores.gcp_secret_manager.calls import holds_nothing, is_same_version
from secretsync_core.stores.gcp_secret_manager.metadata import MARK, WRITTEN
from secretsync_core.stores.unanswered import Doubt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.secret import SecretValue
    from secretsync_core.stores.base import StoreContext
    from secretsync_core.stores.gcp_secret_manager.beside import Beside
    from secretsync_core.stores.gcp_secret_manager.calls import About, Calls, Seen
    from secretsync_core.stores.gcp_secret_manager.listing import Listing
    from secretsync_core.stores.gcp_secret_manager.pruning import Pruning

T = TypeVar("T")

_CLOCKS_DIFFER = 60.0
"""By how many seconds our clock may be ahead of Google's."""

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
            if number is None or not await self._stands(key, number, expected):
                raise self._conflict(key)
            await self.check(key, expected)
            return await self._add_after(key, blob, number, expected)

    async def check(self, key: str, expected: str | None) -> None:
        """Raise NotOurs where nobody can read what is there now, and it does not say itself that it is this job's.

        A secret without a version, or with a disabled one, has its owner: it is filled by whoever made it, or enabled
        again, and its versions are still there. So it is nothing that is absent.
        """
        if expected is None or not holds_nothing(expected) or await self._is_marked(key):
            return
        raise NotOurs(
            f"{key} is in {self._store} and does not say that it is this job's: its latest version is disabled or"
            " destroyed, or it has none",
            store=self._store,
            key=key,
            hint="enable that version or add one, and take it over by adopt; or delete it, if nobody needs it",
        )

    async def _is_marked(self, key: str) -> bool:
        about = await self._calls.secret(key) if self._mark else None
        return about is not None and self._carries_mark(about)

    def _carries_mark(self, about: About) -> bool:
        """Whether a secret says itself that it is this job's."""
        return bool(self._mark) and about.annotations.get(MARK) == self._mark

    async def _stands(self, key: str, number: int, expected: str) -> bool:
        """Whether this is the current version as far as the alias shows; where that is behind, whether it is there."""
        if number == 0:
            about = await self._calls.secret(key)
            return about is not None and about.token == expected and await self._calls.newest(key, there=True) is None
        seen = await self._calls.newest(key)
        # A look by the alias may be behind a write of a moment ago; by its number a version is not.
        if seen is not None and seen.number < number:
            seen = await self._calls.version(key, str(number))
        return seen is not None and seen.token == expected

    async def _create_with(self, key: str, blob: bytes) -> str:
        doubt, started, expected = Doubt(), time.time(), ""
        try:
            await doubt.of(self._create(key))
        except Conflict:
            # Where a run was killed right here, it says that it is ours. Where an answer was lost, it may not.
            about = await doubt.of(self._calls.secret(key))
            late = doubt.unanswered and about is not None and self._is_as_created(about, started)
            if about is None or not (self._carries_mark(about) or late):
                raise doubt.on(self._conflict(key)) from None
            if await doubt.of(self._calls.newest(key, there=True)) is not None:
                raise doubt.on(self._conflict(key)) from None
            expected = about.token
        return await doubt.of(self._add_after(key, blob, 0, expected))

    async def _create(self, key: str) -> None:
        await self._calls.create(key, self._told)

    @property
    def _told(self) -> dict[str, str]:
        """The annotations of our own that a secret is created with."""
        # The first version is number 1, so that it is noted as ours before it is there, which costs nothing.
        return {**({MARK: self._mark} if self._mark else {}), **({WRITTEN: "1"} if self._pruning.wanted else {})}

    def _is_as_created(self, about: About, since: float) -> bool:
        """Whether a secret is what an attempt of ours would have created, and was made no earlier than that."""
        return about.made / 1e9 > since - _CLOCKS_DIFFER and self._calls.is_as_created(about, self._told)

    async def _add(self, key: str, blob: bytes) -> tuple[Seen, int]:
        """Add a version; gives it, and how many attempts before it got no answer: each may have added one as well."""
        attempts = 0

        def count() -> None:
            nonlocal attempts
            attempts += 1

        return await self._calls.add(key, blob, attempting=count), attempts - 1

    async def _add_after(self, key: str, blob: bytes, before: int, expected: str) -> str:
        """Add a version that is to follow the one of this number. Raises Conflict where somebody was in between.

        ``expected`` is the token of that one, or of a secret without any; empty for a secret that was just created.
        """
        doubt = Doubt()
        try:
            seen, lost = await doubt.of(self._add(key, blob))
        except SecretNotFound:
            raise doubt.on(self._conflict(key)) from None
        if not await self._follows(key, before, expected):
            # Deleted and made anew in between, so that ours is in a secret of somebody's.
            await self._give_way(key, blob, 0, seen, lost)
            raise self._conflict(key)
        between = range(before + 1, seen.number)
        # Those between may all be from attempts that got no answer.
        if not between or (len(between) <= lost and await self._are_ours(key, between, blob)):
            return await self._done(key, seen, created=not expected)
        await self._give_way(key, blob, before, seen, lost)
        raise self._conflict(key)

    async def _follows(self, key: str, before: int, expected: str) -> bool:
        """Whether the version that ours was to follow is still there, so that the secret is still the same one."""
        if not expected:
            return True
        if not before:
            about = await self._written(self._calls.secret(key))
            return about is not None and about.token == expected
        found = await self._written(self._calls.version(key, str(before)))
        return found is not None and is_same_version(found.token, expected)

    async def _written(self, look: Awaitable[T]) -> T:
        """Look at something after a write: where that cannot be, what was written is there all the same."""
        return await Doubt(unanswered=True).of(look)

    async def _are_ours(self, key: str, numbers: range, blob: bytes) -> bool:
        """Whether all these versions have this value."""
        try:
            return await self._newest_other(key, numbers, blob, len(numbers)) is None
        except (AccessDenied, WrongState, SecretNotFound):
            raise Doubt(unanswered=True).on(self._conflict(key)) from None

    async def _newest_other(self, key: str, numbers: range, ours: bytes, lost: int) -> tuple[int, bytes] | None:
        """The newest of these versions that is somebody else's, with its value; None where none has another value.

        Of those with our value up to ``lost`` may be ours, and count as ours: that none of these attempts was carried
        out, and somebody has written the same, is the rarer thing. Where there is one more, somebody has.
        """
        for number in reversed(numbers):
            _, value = await self._calls.access(key, str(number))
            if value != ours:
                return number, value
            if not lost:
                return None
            lost -= 1
        return None

    async def _give_way(self, key: str, blob: bytes, before: int, ours: Seen, lost: int) -> None:
        """Let the value that somebody wrote right before ours be the current one again, and destroy ours.

        What was added last need not be theirs: it may be of an attempt of ours that got no answer.
        """
        added, value, theirs = [ours], blob, ours.number - 1
        try:
            for _ in range(_MOST_RESTORES + 1):
                found = await self._newest_other(key, range(before + 1, added[-1].number), value, lost)
                if found is None:
                    break
                theirs, value = found
                if len(added) > _MOST_RESTORES:
                    raise SecretFails("something keeps writing it", store=self._store, key=key)
                before = added[-1].number
                again, lost = await self._add(key, value)
                added.append(again)
        except StoreError as error:
            failed = error
        else:
            # Alone in a secret that was made anew, ours goes as well; else the newest version stays.
            for each in added[:-1] if len(added) > 1 or ours.number > 1 else added:
                with suppress(StoreError):  # it is an old version then, which nobody reads
                    await self._calls.retire(key, each, destroy=True)
            return
        raise StoreError(
            f"version {theirs} of {key} was written in {self._store} right before version {added[-1].number}, which is"
            f" ours and the current one now: {failed.message}",
            store=self._store,
            key=key,
            hint="add the value of theirs once more, or sync again if ours is right; every version is still there",
        )

    async def _done(self, key: str, seen: Seen, *, created: bool = False) -> str:
        self._listing.note(key, seen)
        await self._pruning.after(key, seen, noted=created and seen.number == 1)
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
            if not await self._is_newest(key, expected):
                raise self._conflict(key)
            doubt = Doubt()
            try:
                await doubt.of(self._calls.delete(key, about.etag))
            except SecretNotFound:
                return
            except WrongState:
                raise doubt.on(self._conflict(key)) from None

    async def _is_newest(self, key: str, expected: str) -> bool:
        """Whether this version is there as it was seen, and none follows it: by their numbers, for the alias lags."""
        number = _number(expected)
        seen = await self._calls.version(key, str(number)) if number else None
        if seen is None or not seen.live or seen.token != expected:
            return False
        return await self._calls.version(key, str(seen.number + 1)) is None

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
