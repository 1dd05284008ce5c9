"""The one way to a store: bounded, paced, repeated so often and no more, and silent about what it does not know."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from secretsync_core.errors import (
    AccessDenied,
    MalformedAnswer,
    RateLimited,
    SecretFails,
    StoreError,
    StoreLost,
    StoreUnavailable,
)
from secretsync_core.model.report import may_heal
from secretsync_core.run.gate import Gate, RetryPolicy
from secretsync_core.stores.http import CredentialsRefused
from secretsync_core.testing.canaries import canary, find_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

POLICY = RetryPolicy(attempts=3, first_wait=0.001, longest_wait=0.002, longest_retry_after=1, lost_after=3)


def _gate(**more: Any) -> Gate:
    return Gate("s", **{"concurrency": 4, "policy": POLICY, **more})


def _failing(*errors: Exception) -> tuple[list[float], Callable[[], Awaitable[str]]]:
    """An attempt that raises these one after the other and then works; and when it was called."""
    calls: list[float] = []
    left = list(errors)

    async def attempt() -> str:
        calls.append(time.monotonic())
        await asyncio.sleep(0)  # others begin to wait meanwhile
        if left:
            raise left.pop(0)
        return "ok"

    return calls, attempt


async def test_no_more_in_flight_than_allowed() -> None:
    """However many ask, at most ``concurrency`` are in flight, and that many are."""
    gate, flying, peak = _gate(concurrency=3), 0, 0

    async def attempt() -> None:
        nonlocal flying, peak
        flying += 1
        peak = max(peak, flying)
        await asyncio.sleep(0.001)
        flying -= 1

    await asyncio.gather(*(gate("read", attempt) for _ in range(30)))
    assert peak == 3
    assert gate.requests == {"read": 30}


async def test_the_rate_holds() -> None:
    """N requests take at least (N-1)/rate seconds, repeats and kinds alike."""
    gate = _gate(rate=200, concurrency=32)
    calls, attempt = _failing(StoreUnavailable("x"), StoreUnavailable("x"))
    started = time.monotonic()
    await asyncio.gather(*(gate(f"kind{number % 2}", attempt) for number in range(19)))
    assert len(calls) == 21
    assert calls[-1] - started >= 20 / 200 - 0.002


async def test_the_rate_holds_after_a_pause() -> None:
    """When a store asks everybody to wait, they do not all come at once at the end of the pause."""
    gate = _gate(rate=200, concurrency=32)
    calls, attempt = _failing(RateLimited("slow down", retry_after=0.05))
    await asyncio.gather(*(gate("read", attempt) for _ in range(10)))
    assert calls[-1] - calls[0] >= 0.05 + 8 / 200 - 0.002  # nine of them, and the repeat goes ahead


async def test_retry_after_pauses_everybody() -> None:
    """While a store asks us to wait, no request of anybody goes out."""
    gate = _gate()
    calls, attempt = _failing(RateLimited("slow down", retry_after=0.05))
    first = asyncio.create_task(gate("read", attempt))
    await asyncio.sleep(0.01)
    others, other = _failing()
    await gate("write", other)
    await first
    assert others[0] - calls[0] >= 0.05
    assert calls[1] - calls[0] >= 0.05


async def test_a_wait_that_is_too_long_is_not_waited() -> None:
    """A store that asks for more patience than we have is given up at once."""
    calls, attempt = _failing(RateLimited("slow down", retry_after=5))
    with pytest.raises(RateLimited):
        await _gate()("read", attempt)
    assert len(calls) == 1


async def test_attempts_are_bounded() -> None:
    """A retryable error is retried, so often and no more, and is then raised as it is."""
    error = StoreUnavailable("down")
    calls, attempt = _failing(*[error] * 9)
    with pytest.raises(StoreUnavailable) as caught:
        await _gate()("read", attempt)
    assert caught.value is error
    assert len(calls) == 3


class Clock:
    """The loop's clock, and sleeps that take no time: a wait is over as soon as it has begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.waits = 0.0, list[float]()
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)
        monkeypatch.setattr(Gate, "_sleep", self._sleep)

    async def _sleep(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return True


async def _busy_for(seconds: float, clock: Clock, retry_after: float | None) -> int:
    """How many attempts a request takes at a store that refuses all of them for so long."""
    calls = 0

    async def attempt() -> str:
        nonlocal calls
        calls += 1
        if clock.now < seconds:
            raise RateLimited("slow down", retry_after=retry_after)
        return "ok"

    assert await Gate("s", concurrency=1)("read", attempt) == "ok"
    return calls


@pytest.mark.parametrize("said", [None, 0.0, 1.0, 30.0])
@pytest.mark.parametrize("busy", [0.5, 5, 60])
async def test_a_busy_store_is_waited_for(monkeypatch: pytest.MonkeyPatch, busy: float, said: float | None) -> None:
    """Whatever a store says of how long, it is neither pressed nor given up before it serves again."""
    clock = Clock(monkeypatch)
    assert await _busy_for(busy, clock, said) <= 14
    assert min(clock.waits) >= max(0.25, said or 0.0)


async def test_five_seconds_without_a_store_are_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that restarts, or has no leader for a moment, is there again before it is given up, by any dice."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(random, "uniform", lambda low, _: low)

    async def attempt() -> str:
        if clock.now < 5:
            raise StoreUnavailable("HTTP 503")
        return "ok"

    assert await _gate(policy=RetryPolicy())("read", attempt) == "ok"


async def test_a_store_that_is_busy_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that serves nothing for longer than it may ask us to wait is given up, and not before."""
    clock = Clock(monkeypatch)
    with pytest.raises(RateLimited):
        await _busy_for(1e9, clock, 0.0)
    assert 75 <= clock.now <= 95


@pytest.mark.parametrize("kind", ["login", "renew"])
async def test_a_token_that_is_kept_alive_does_not_make_a_store_one_that_serves(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Logins and renewals come of themselves: while nothing else is served, a busy store is given up as ever."""
    clock, gate, calls = Clock(monkeypatch), _gate(policy=RetryPolicy()), 0

    async def served() -> None:
        pass

    async def attempt() -> None:
        nonlocal calls
        calls += 1
        await gate(kind, served)
        raise RateLimited("slow down") if calls < 1000 else AccessDenied("it waits without end")

    with pytest.raises(RateLimited):
        await gate("write", attempt)
    assert 75 <= clock.now <= 95


async def test_one_attempt_is_one_also_where_the_store_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is to be repeated, as when health is looked at, a busy store is told of at once."""
    clock = Clock(monkeypatch)
    calls, attempt = _failing(RateLimited("slow"))
    with pytest.raises(RateLimited):
        await _gate(policy=RetryPolicy(attempts=1))("read", attempt)
    assert (len(calls), clock.waits) == (1, [])


async def test_broken_secrets_do_not_lose_a_store() -> None:
    """A store that answers, and fails at single secrets, is not lost; after some of them each is tried once."""
    gate, calls = _gate(concurrency=1), list[int]()
    for _ in range(40):
        made, attempt = _failing(*[SecretFails("a is broken")] * 9)
        with pytest.raises(SecretFails):
            await gate("read", attempt)
        calls.append(len(made))
    assert calls == [3] * 3 + [1] * 37
    assert gate.lost is None
    assert await gate("read", _failing()[1]) == "ok"
    made, attempt = _failing(SecretFails("a moment"))
    assert await gate("read", attempt) == "ok"  # and patience is back
    assert len(made) == 2


@pytest.mark.parametrize(("key", "lost"), [("a/b", False), ("a/", True), (None, True)])
async def test_answers_that_make_no_sense(key: str | None, lost: bool) -> None:
    """To a question about one secret they are that secret's; to any other one they are the store's."""
    gate = _gate()
    for _ in range(3):
        with pytest.raises(MalformedAnswer):
            await gate("read", _failing(*[MalformedAnswer("?", key=key)] * 9)[1])
    assert (gate.lost is not None) is lost


async def test_a_repeat_that_works_is_a_success() -> None:
    """Two failures and then an answer: an answer."""
    calls, attempt = _failing(StoreUnavailable("x"), RateLimited("x"))
    gate = _gate()
    assert await gate("read", attempt) == "ok"
    assert gate.requests == {"read": len(calls)} == {"read": 3}


async def test_what_is_not_retryable_is_tried_once() -> None:
    """A refusal is an answer."""
    calls, attempt = _failing(AccessDenied("no"), AccessDenied("no"))
    with pytest.raises(AccessDenied):
        await _gate()("read", attempt)
    assert len(calls) == 1


async def _give_up(gate: Gate, times: int, kind: str = "read") -> None:
    for _ in range(times):
        with pytest.raises(StoreUnavailable):
            await gate(kind, _failing(*[StoreUnavailable("down")] * 9)[1])


async def test_a_store_is_lost_after_some_failures_in_a_row() -> None:
    """After so many requests that failed for good, the next are not even made."""
    gate = _gate()
    await _give_up(gate, 3)
    calls, attempt = _failing()
    with pytest.raises(StoreLost):
        await gate("read", attempt)
    assert calls == []
    assert gate.lost is not None


async def test_a_store_that_refuses_our_credentials_is_lost() -> None:
    """No request of any kind is made from then on; the error says what the first one said, and that no retry helps."""
    gate = _gate()
    gate.give_up(CredentialsRefused("s does not know our token", hint="put a new one in its place"))
    gate.give_up(CredentialsRefused("another word"))
    for kind in ("read", "login"):
        calls, attempt = _failing()
        with pytest.raises(StoreLost, match="store s is lost: s does not know our token") as raised:
            await gate(kind, attempt)
        assert calls == []
        assert raised.value.hint == "put a new one in its place"
        assert not may_heal(raised.value.code)
    assert gate.requests == {}


async def test_a_request_in_the_line_of_a_store_that_is_lost_meanwhile_is_not_made() -> None:
    """Those that wait for their turn when the store is given up are refused when it comes."""
    gate = _gate(concurrency=1)
    calls, attempt = _failing()

    async def last() -> str:
        await asyncio.sleep(0)
        gate.give_up(CredentialsRefused("no"))
        raise AccessDenied("no")

    first, second = await asyncio.gather(gate("read", last), gate("read", attempt), return_exceptions=True)
    assert isinstance(first, AccessDenied)
    assert isinstance(second, StoreLost)
    assert calls == []


def _asked(gate: Gate, *errors: Exception) -> list[float]:
    """Let the gate ask its store whether it is there, which fails with these errors and then goes well."""
    calls, attempt = _failing(*errors)

    async def ask() -> None:
        await gate("list", attempt)

    gate.ask = ask
    return calls


@pytest.mark.parametrize("answer", [[], [AccessDenied("no")] * 9, [RateLimited("slow", retry_after=9)] * 9])
async def test_a_store_that_answers_is_not_lost_over_single_secrets(answer: list[Exception]) -> None:
    """Each read fails as if nobody were there, and the store says something when it is asked: each is that secret's."""
    gate = _gate(concurrency=1)
    asked, calls = _asked(gate, *answer), list[int]()
    for _ in range(6):
        made, attempt = _failing(*[StoreUnavailable("502", key="a")] * 9)
        with pytest.raises(SecretFails, match="502") as raised:
            await gate("read", attempt)
        assert (raised.value.key, raised.value.unanswered) == ("a", True)
        assert "the store answers other requests" in raised.value.hint
        calls.append(len(made))
    assert calls == [4] * 3 + [1] * 3  # once more, for it may have come back just now; and of many one look at each
    assert len(asked) == 9
    assert gate.lost is None


async def test_a_store_that_lists_and_does_nothing_else_is_lost() -> None:
    """After ten reads in a row of which none goes well it makes no difference what it lists."""
    gate = _gate()
    _asked(gate)
    for _ in range(10):
        with pytest.raises(SecretFails):
            await gate("read", _failing(*[StoreUnavailable("503", key="a")] * 9)[1])
    for _ in range(3):
        assert gate.lost is None
        with pytest.raises(StoreUnavailable, match="503"):
            await gate("read", _failing(*[StoreUnavailable("503", key="a")] * 9)[1])
    assert gate.lost is not None


async def test_a_run_that_is_to_stop_asks_nothing_more() -> None:
    """It ends with the failure that there is."""
    stop = asyncio.Event()
    gate = _gate(stop=stop)
    asked = _asked(gate)
    stop.set()
    with pytest.raises(StoreUnavailable, match="503") as raised:
        await gate("read", _failing(StoreUnavailable("503", key="a"))[1])
    assert not isinstance(raised.value, SecretFails)
    assert asked == []


async def test_a_store_that_comes_back_just_then_is_asked_once_more() -> None:
    """The last attempt failed, and the store answers when it is asked: then the request has an answer as well."""
    gate = _gate()
    _asked(gate)
    calls, attempt = _failing(*[StoreUnavailable("down")] * 3)
    assert await gate("read", attempt) == "ok"
    assert len(calls) == 4


async def test_a_store_that_says_nothing_when_it_is_asked_is_lost() -> None:
    """It is asked once for each failure, without a repeat, and the count is that of the requests themselves."""
    gate = _gate()
    asked = _asked(gate, *[StoreUnavailable("down")] * 99)
    await _give_up(gate, 3)
    assert (len(asked), gate.requests) == (3, {"read": 9, "list": 3})
    assert gate.lost is not None


async def test_a_secret_that_fails_alone_shows_that_the_store_is_there() -> None:
    """The count of what counts against the store begins anew."""
    gate = _gate()
    _asked(gate, StoreUnavailable("down"), StoreUnavailable("down"))
    await _give_up(gate, 2)
    with pytest.raises(SecretFails):
        await gate("read", _failing(*[StoreUnavailable("502", key="a")] * 9)[1])
    gate.ask = None
    await _give_up(gate, 2)
    assert gate.lost is None


async def test_a_store_that_hangs_when_it_is_asked_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has so long to answer, and no longer."""
    monkeypatch.setattr("secretsync_core.run.gate._ASK_SECONDS", 0.01)
    gate = _gate()
    gate.ask = asyncio.Event().wait  # type: ignore[assignment]
    await _give_up(gate, 3)
    assert gate.lost is not None


async def test_the_question_whether_a_store_is_there_waits_in_no_line() -> None:
    """The only slot is taken by another secret that gets no answer; the store is asked all the same."""
    gate = _gate(concurrency=1, policy=RetryPolicy(attempts=1))
    asked, hangs = asyncio.Event(), asyncio.Event()

    async def look() -> None:
        asked.set()

    gate.ask = lambda: gate("list", look)
    first = asyncio.create_task(gate("read", _failing(*[StoreUnavailable("502", key="a")] * 9)[1]))
    second = asyncio.create_task(gate("read", hangs.wait))
    async with asyncio.timeout(5):  # and not the ten seconds that it would wait in the line
        await asked.wait()
    assert not second.done()
    hangs.set()
    await second
    with pytest.raises(SecretFails):
        await first


async def test_what_was_answered_meanwhile_is_answer_enough() -> None:
    """Where another request was answered since the attempt began, nobody asks."""
    gate = _gate()
    asked = _asked(gate)

    async def attempt() -> str:
        await gate("stat", _failing()[1])
        raise StoreUnavailable("504", key="a")

    with pytest.raises(SecretFails):
        await gate("read", attempt)
    assert asked == []


OF_ALL = [("login", "a"), ("list", "a/"), ("list", "a"), ("kms", "a"), ("stat", "a/"), ("stat", None), ("write", "a")]


@pytest.mark.parametrize(("kind", "key"), OF_ALL)
async def test_what_is_of_no_single_secret_counts_against_the_store(kind: str, key: str | None) -> None:
    """A listing, a login, a service of keys, a write and what names no secret fail for the store, whatever it lists."""
    gate = _gate()
    asked = _asked(gate)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await gate(kind, _failing(*[StoreUnavailable("503", key=key)] * 9)[1])
    assert asked == []
    assert gate.lost is not None


@pytest.mark.parametrize("answer", [None, AccessDenied("no")])
async def test_any_answer_means_that_the_store_is_there(answer: StoreError | None) -> None:
    """One answer in between, be it a refusal, and the count begins anew."""
    gate = _gate()
    await _give_up(gate, 2)
    _, attempt = _failing(*([answer] if answer else []))
    if answer:
        with pytest.raises(AccessDenied):
            await gate("read", attempt)
    else:
        await gate("read", attempt)
    await _give_up(gate, 2)
    assert gate.lost is None


async def test_stop_wakes_sleepers() -> None:
    """When the run is asked to stop, nobody sleeps out a wait; the error is raised as it is."""
    stop = asyncio.Event()
    gate = _gate(stop=stop, policy=RetryPolicy(first_wait=60, longest_wait=60))
    waiting = asyncio.create_task(gate("read", _failing(*[StoreUnavailable("down")] * 9)[1]))
    await asyncio.sleep(0.01)
    stop.set()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(waiting, 1)


async def test_an_unknown_error_tells_its_type_only() -> None:
    """What a defective store raises may hold anything: only its type is told, and nothing hangs on to the rest."""
    secret = canary()
    with pytest.raises(StoreError) as caught:
        await _gate()("read", _failing(ValueError(secret.text))[1])
    error = caught.value
    assert str(error) == "store s failed with an unexpected ValueError"
    assert error.__cause__ is None
    assert error.__context__ is None
    assert find_in(repr(vars(error)), [secret]) == []


async def test_a_cancelled_request_is_cancelled() -> None:
    """Cancelling is no failure of the store, and gives the slot back."""
    gate = _gate(concurrency=1)
    waiting = asyncio.create_task(gate("read", asyncio.Event().wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await gate("read", _failing()[1]) == "ok"
