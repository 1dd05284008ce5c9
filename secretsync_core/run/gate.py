"""The one way to a store: bounded in flight, paced, counted, and repeated where an error says that it may help."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from secretsync_core.endurance import GOODBYE_SECONDS, RETRY_SECONDS, Endurance, too_slow
from secretsync_core.errors import (
    AnswerTooLarge,
    LockedOut,
    RateLimited,
    SecretFails,
    SecretSyncError,
    StoreLost,
    StoreUnavailable,
)
from secretsync_core.model.requests import LOOKS
from secretsync_core.stores.boundary import unexpected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

T = TypeVar("T")

_READS = frozenset({"read", "read-many"})
"""Kinds of requests for values, which are of single secrets, also where an error names none."""

_LEAST_JITTER = 0.7
"""The least that a backoff is multiplied by: five seconds without a store are waited out, however the dice fall."""

_OF_ITSELF = frozenset({"login", "renew"})
"""Kinds of requests that keep a store open: that they are served says nothing of the secrets that wait."""

_ASK_SECONDS = 10.0
"""How long a store may take to show that it is there."""

_HEARD_SECONDS = 1.0
"""For so long an answer to another request shows it as well."""

_MOST_ALONE = 10
"""So many failures in a row that do not say themselves that they are one secret's, and a store that is there is lost
all the same: it lists, and does nothing else."""

_HINT = "the store answers other requests: look at this secret there, and at what is in between, such as a proxy"

_asking: ContextVar[bool] = ContextVar("asking", default=False)
"""Whether what is requested only asks whether the store is there: once, and whatever comes of it counts for nothing."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a request is repeated. Times are in seconds.

    Attributes:
        attempts: how often a request is made at the most; one that a store asks to wait is made more often.
        first_wait: the wait before the second attempt; it doubles from one attempt to the next, with jitter.
        longest_wait: no backoff is longer than this.
        longest_retry_after: a store that asks us to wait longer than this is given up, be it at once or, while it
            serves nothing of ours, in all.
        longest_try: nothing is repeated once its attempts have taken so long, as those that get no answer do.
        lost_after: so many requests of one kind in a row that fail for good, none of that kind succeeding, and the
            store counts as lost: what follows fails at once instead of waiting its own turns out. Where the store is
            there, and fails at single secrets, the next ones are tried once each instead.
        time_limit: so long after its gate was made a store counts as not answering, whatever it is doing; None for as
            long as it takes.
    """

    attempts: int = 6
    first_wait: float = 0.25
    longest_wait: float = 8.0
    longest_retry_after: float = 90.0
    longest_try: float = RETRY_SECONDS
    lost_after: int = 3
    time_limit: float | None = None


class Gate:
    """The :class:`~secretsync_core.stores.base.RequestGate` of one store in one run.

    ``requests`` counts the requests by kind, repeats included. When ``stop`` is set nothing is repeated any more.
    An attempt is cancelled when it takes longer than ``endurance`` allows. ``before_changes`` is awaited right before
    each attempt that may change something; what it raises is the request's error. ``ask`` makes one request that is
    about no single secret: before one secret's failure counts against the store, that is asked whether it is there.
    """

    def __init__(
        self,
        store: str,
        *,
        concurrency: int,
        rate: float | None = None,
        policy: RetryPolicy | None = None,
        stop: asyncio.Event | None = None,
        endurance: Endurance | None = None,
    ) -> None:
        self.requests: dict[str, int] = {}
        self.before_changes: Callable[[], Awaitable[None]] | None = None
        self.ask: Callable[[], Awaitable[None]] | None = None
        self._store = store
        self._slots = asyncio.Semaphore(concurrency)
        self._interval = 1.0 / rate if rate else 0.0
        self._next_start = 0.0  # on the loop's clock: when the rate lets the next request start
        self._paused_until = 0.0  # the store asked everybody to wait
        self._policy = policy or RetryPolicy()
        self._stop = stop
        self._endurance = endurance or Endurance()
        self._in_flight: set[asyncio.Timeout] = set()
        self._cut_at: float | None = None  # on the loop's clock
        self._refused: SecretSyncError | None = None
        self._failed_in_a_row: Counter[str] = Counter()  # by kind: a store that cannot write may read all the same
        self._broken_in_a_row: Counter[str] = Counter()  # by kind: single secrets that a store fails at
        self._served = 0
        self._heard_at = 0.0  # on the loop's clock: when a request was answered
        self._silent_at = 0.0  # when it was not, although it was asked whether it is there
        self._question = asyncio.Lock()
        self._inside = self._passed = 0
        limit = self._policy.time_limit
        self._until = None if limit is None else asyncio.get_running_loop().time() + limit

    @property
    def lost(self) -> StoreLost | None:
        """Why the store counts as lost; ``None`` while it does not."""
        if self._refused is not None:
            why = self._refused
            return LockedOut(f"store {self._store} is lost: {why.message}", store=self._store, hint=why.hint)
        failed = max(self._failed_in_a_row.values(), default=0)
        if failed < self._policy.lost_after:
            return None
        return StoreLost(
            f"store {self._store} is lost: {failed} requests in a row failed for good",
            store=self._store,
            hint="sync again when it answers; what is done stays done",
        )

    @property
    def activity(self) -> int | None:
        """How many requests have begun or ended so far; None while one waits, or is on its way."""
        return None if self._inside else self._passed

    @property
    def refused(self) -> SecretSyncError | None:
        """How the store refused our credentials; ``None`` where it did not."""
        return self._refused

    def give_up(self, why: SecretSyncError) -> None:
        """Count the store as lost: it refuses our credentials, so that every request would end like the one before."""
        self._refused = self._refused or why

    def cut_off(self, seconds: float) -> None:
        """Cut what is in flight so long from now, and what begins later than that soon after it began."""
        self._cut_at = asyncio.get_running_loop().time() + seconds
        for flight in self._in_flight:
            if (when := flight.when()) is None or when > self._cut_at:
                flight.reschedule(self._cut_at)

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run one request within the limits; again, a bounded number of times, where its error is retryable.

        Raises what the last attempt raised, with ``unanswered`` set where this or an earlier attempt got no answer: the
        store may have carried it out. An error that is not of our tree (a defect in a store) becomes a
        StoreError that names its type only: its text may hold anything. One that is of a single secret, while the
        store is there, becomes a SecretFails.
        """
        self._inside += 1
        try:
            if self._until is None:
                return await self._make(kind, attempt)
            async with self.in_time():
                return await self._make(kind, attempt)
        finally:
            self._inside -= 1
            self._passed += 1

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Raise StoreUnavailable where the block goes on beyond the policy's time limit, requests or not."""
        limit = asyncio.timeout_at(self._until)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
        else:
            return
        raise StoreUnavailable(
            f"store {self._store} did not answer within {self._policy.time_limit:g} s", store=self._store
        )

    async def _make(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        number, waited = 0, 0.0
        unanswered = asked = False
        spent = 0.0
        while True:
            if (lost := self.lost) is not None:
                lost.unanswered = unanswered
                raise lost
            number += 1
            served = self._served
            # A login goes ahead of the line, for everything in it waits for the token. So does the question whether the
            # store is there: what is in the line may be what it does not answer.
            ahead = kind == "login" or _asking.get()
            async with nullcontext() if ahead else self._slots:
                await self._wait_for_turn(ahead=ahead)
                if self.lost is not None:  # by now: many wait here at once
                    continue
                if self.before_changes is not None and kind not in LOOKS:
                    await self._assure(self.before_changes, unanswered=unanswered)
                self.requests[kind] = self.requests.get(kind, 0) + 1
                began = asyncio.get_running_loop().time()
                try:
                    result = await self._within(kind, attempt)
                except Exception as error:  # noqa: BLE001  a third party's store may raise anything
                    failure = unexpected(error, self._store)
                else:
                    self._answered(kind)
                    self._served += kind not in _OF_ITSELF
                    return result
            # What a write was answered with is not known either where the answer was too large.
            untold = isinstance(failure, StoreUnavailable) or (
                isinstance(failure, AnswerTooLarge) and kind not in LOOKS
            )
            unanswered = unanswered or failure.unanswered or untold
            failure.unanswered = unanswered
            # What is not retryable is an answer: the store is there.
            if not failure.retryable:
                self._answered(kind)
                raise failure
            if not isinstance(failure, StoreUnavailable) and self._served > served:
                number, waited = 0, 0.0  # the store is busy with our other requests; this one's turn will come
            if _asking.get():
                raise failure
            spent += asyncio.get_running_loop().time() - began
            wait = self._wait_before_next(number, waited, spent, failure)
            if isinstance(failure, StoreUnavailable) and _may_be_alone(kind, failure):
                many = self._broken_in_a_row[kind] >= self._policy.lost_after
                wait = None if many else wait  # one look at each has to do
                if wait is None and await self._is_there(kind, failure, began):
                    if not (many or asked or failure.is_of_one_secret):
                        asked = True
                        continue  # perhaps it came back just now
                    self._failed_in_a_row[kind] = 0
                    self._broken_in_a_row[kind] += 1
                    raise _alone(failure)
            self._failed_in_a_row[kind] += wait is None
            if wait is None or not await self._sleep(wait):
                raise failure
            waited += wait

    async def _is_there(self, kind: str, failure: StoreUnavailable, since: float) -> bool:
        """Whether the store answers at all, so that other secrets may go well.

        It does where the failure says so, where it has answered another request since then (on the loop's clock), and
        where it answers when it is asked. Many that failed at once ask once.
        """
        if failure.is_of_one_secret:
            return True
        async with self._question:
            there = self._silent_at < since and (self._was_heard(since) or await self._answers())
        # Both may have changed while it was asked.
        return there and self.lost is None and self._broken_in_a_row[kind] < _MOST_ALONE

    def _was_heard(self, since: float) -> bool:
        return self._heard_at > max(since, asyncio.get_running_loop().time() - _HEARD_SECONDS)

    async def _answers(self) -> bool:
        if self.ask is None or (self._stop is not None and self._stop.is_set()):
            return False
        token = _asking.set(True)
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                await self.ask()
        except (StoreUnavailable, TimeoutError):
            self._silent_at = asyncio.get_running_loop().time()
            return False
        except SecretSyncError:
            pass  # a refusal is an answer
        finally:
            _asking.reset(token)
        self._heard_at = asyncio.get_running_loop().time()
        return True

    @staticmethod
    async def _assure(before: Callable[[], Awaitable[None]], *, unanswered: bool) -> None:
        try:
            await before()
        except SecretSyncError as error:
            error.unanswered = unanswered  # by an earlier attempt
            raise

    def _answered(self, kind: str) -> None:
        if kind not in _OF_ITSELF:
            self._heard_at = asyncio.get_running_loop().time()
        self._failed_in_a_row[kind] = self._broken_in_a_row[kind] = 0

    async def _within(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make one attempt within its time. Raises StoreUnavailable beyond it: it may be carried out all the same."""
        now = asyncio.get_running_loop().time()
        seconds = self._endurance.seconds(kind)
        if self._cut_at is not None:
            seconds = min(seconds, max(self._cut_at - now, GOODBYE_SECONDS))
        limit = asyncio.timeout_at(now + seconds)
        try:
            async with limit:
                self._in_flight.add(limit)
                return await attempt()
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._in_flight.discard(limit)
        if self._cut_at is None:
            raise too_slow(self._store, seconds)
        raise StoreUnavailable(
            f"a request to store {self._store} was cut off: the run was asked to stop, and no answer came",
            store=self._store,
        )

    async def _wait_for_turn(self, *, ahead: bool) -> None:
        if not (self._interval or self._paused_until):
            return
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            start = max(now, self._paused_until) if ahead else max(now, self._next_start, self._paused_until)
            self._next_start = max(start, self._next_start) + self._interval
            if start > now and not await self._sleep(start - now):
                return
            # Where a pause began meanwhile all turns are given anew, so that they do not come at once at its end.
            if self._paused_until <= start:
                return

    def _wait_before_next(self, number: int, waited: float, spent: float, failure: SecretSyncError) -> float | None:
        """Seconds to wait before attempt ``number + 1``; None to give up.

        ``waited`` is the seconds of waiting since the first attempt, ``spent`` those that the attempts took.
        """
        policy = self._policy
        backoff = min(policy.longest_wait, policy.first_wait * 2.0 ** (max(number, 1) - 1))
        if isinstance(failure, RateLimited) and policy.attempts > 1:
            # It is there, so its word is taken; but a word of 0, or of a moment that is past, is no reason to press it.
            asked = max(backoff, failure.retry_after or 0.0)
            if asked > policy.longest_retry_after or waited + asked > policy.longest_retry_after:
                return None
            # Everybody waits, or the others would use up what the store grants us next.
            self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + asked)
            return asked + random.uniform(0, self._policy.first_wait)  # noqa: S311  jitter, not cryptography
        if number >= policy.attempts or spent > policy.longest_try:
            return None
        return backoff * random.uniform(_LEAST_JITTER, 1.0)  # noqa: S311

    async def _sleep(self, seconds: float) -> bool:
        """Sleep, or wake up when the run is asked to stop; whether to go on."""
        if self._stop is None:
            await asyncio.sleep(seconds)
            return True
        try:
            # Not wait_for: on Python 3.11 it swallows a cancellation that arrives once the event is set.
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return True
        return False


def _may_be_alone(kind: str, failure: StoreUnavailable) -> bool:
    """Whether a failure may be one secret's: it says so, or does not tell, as silence and a proxy's 502 do not.

    Of looks alone: a store that takes no writes is given up soon, for each of them would be uncertain.
    """
    of_a_key = kind == "stat" and bool(failure.key) and not str(failure.key).endswith("/")
    return failure.is_of_one_secret or kind in _READS or of_a_key


def _alone(failure: StoreUnavailable) -> StoreUnavailable:
    """The error of one secret, where the store is there."""
    if failure.is_of_one_secret:
        return failure
    alone = SecretFails(failure.message, store=failure.store, key=failure.key, hint=failure.hint or _HINT)
    alone.unanswered = failure.unanswered
    return alone
