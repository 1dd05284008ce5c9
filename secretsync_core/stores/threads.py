"""Threads for calls that block: nobody has to wait for one that does not come back.

Who is cancelled while a thread works for them cuts the connection that it reads from (:mod:`~secretsync_core.stores.
cutting`), so that it comes free. Where that does not help either, neither an event loop nor a process that ends waits
for it, as both do for the threads of ``concurrent.futures``.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from secretsync_core.stores.cutting import Call

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PAUSE_SECONDS = 0.005


class _Cuttable(Future[Any]):
    """What a call gives. ``cancel`` cuts a call that is under way already: its thread then has nobody to work for."""

    def __init__(self, call: Call, gone: Callable[[], None]) -> None:
        super().__init__()
        self._call = call
        self._gone = gone

    def cancel(self) -> bool:
        if super().cancel():
            return True
        if not self.done():
            self._call.cut()
            self._gone()
        return False


class Threads(Executor):
    """As many threads as there are calls at once; how many that may be is the gate's business."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: deque[SimpleQueue[Callable[[], None] | None]] = deque()
        self._awaited: set[Call] = set()
        self._changed = threading.Condition()
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call this in a thread. Raises RuntimeError after ``shutdown``."""
        call = Call()
        future = _Cuttable(call, lambda: self._end(call))
        with self._changed:
            if self._closed:
                raise RuntimeError("these threads are closed")
            self._awaited.add(call)
            inbox = self._idle.pop() if self._idle else self._start()
        inbox.put(partial(self._carry_out, call, future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. ``wait``: until those are through that somebody awaits."""
        with self._changed:
            self._closed = True
            while self._idle:
                self._idle.pop().put(None)
            if cancel_futures:
                for call in tuple(self._awaited):
                    call.cut()
            while wait and self._awaited:
                self._changed.wait()

    def _start(self) -> SimpleQueue[Callable[[], None] | None]:
        inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._work, args=(inbox,), name=self._name, daemon=True).start()
        return inbox

    def _work(self, inbox: SimpleQueue[Callable[[], None] | None]) -> None:
        while (carry_out := inbox.get()) is not None:
            carry_out()
            del carry_out  # it holds what was given, while nothing more may come for long
            with self._changed:
                if self._closed:
                    return
                self._idle.append(inbox)

    def _carry_out(self, call: Call, future: Future[Any], work: Callable[[], Any]) -> None:
        try:
            if not future.set_running_or_notify_cancel():
                return
            try:
                with call:
                    given = work()
            except BaseException as error:  # noqa: BLE001  it is whoever waits that it concerns
                future.set_exception(error)
            else:
                future.set_result(given)
        finally:
            self._end(call)

    def _end(self, call: Call) -> None:
        with self._changed:
            self._awaited.discard(call)
            self._changed.notify_all()


class _Sealed(Generic[T]):
    """What a thread gives: without a text form, for asyncio's debug mode writes results of futures into the log."""

    __slots__ = ("given",)

    def __init__(self, given: T) -> None:
        self.given = given


async def done_in(threads: Threads, work: Callable[[], T]) -> T:
    """Do this in one of the threads, and give what it gives, of which no log of asyncio's shows anything."""

    def sealed() -> _Sealed[T]:
        return _Sealed(work())

    return (await asyncio.get_running_loop().run_in_executor(threads, sealed)).given


async def in_thread(work: Callable[[], T]) -> T:
    """Do this in a thread of its own. As ``asyncio.to_thread``, but nobody waits for it who was cancelled."""
    threads = Threads("secretsync-once")
    try:
        return await done_in(threads, work)
    finally:
        threads.shutdown(wait=False)


async def close_threads(threads: Executor) -> None:
    """Wait for what is under way in them. Who waits no longer may be cancelled, and an event loop that ends does not
    wait for them either, as it does for ``asyncio.to_thread``: one of them may hang for minutes."""
    closing = threading.Thread(target=threads.shutdown, daemon=True)
    closing.start()
    while closing.is_alive():  # noqa: ASYNC110  a thread sets no asyncio.Event
        await asyncio.sleep(_PAUSE_SECONDS)
