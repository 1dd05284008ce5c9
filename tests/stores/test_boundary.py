"""Whatever a third party's store raises or gives, what comes out of it is a SecretSyncError that holds no value."""

from __future__ import annotations

import asyncio
import gc
import traceback
from contextlib import aclosing, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from secretsync_core.errors import Conflict, SecretSyncError, StoreError
from secretsync_core.model.capabilities import Permissions, Shape, StoreFacts
from secretsync_core.model.inventory import Entry
from secretsync_core.run.gate import Gate
from secretsync_core.schema.documents import StoreDocument, Where
from secretsync_core.secret import SecretValue
from secretsync_core.stores import registry
from secretsync_core.stores.base import StoreContext, abilities_of
from secretsync_core.testing.gates import CountingGate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

VALUE = "hunter2-correct-horse"

OPERATIONS = (
    *("read", "stat", "list", "write", "write_if", "create", "delete", "marks", "mark"),
    *("check_undelete", "undelete", "aclose"),
)
ITERATORS = ("stat", "list")


class Empty(BaseModel):
    """A third party's configuration."""


class Unprintable(Exception):
    """An exception that cannot even be looked at."""

    def __str__(self) -> str:
        raise RuntimeError(VALUE)

    __repr__ = __str__


class OwnGroup(BaseExceptionGroup[Exception]):
    """A group that is no Exception, although all its members are."""


class HalfMade(StoreError):
    """An error of our tree by its class alone."""

    def __init__(self) -> None: ...


def _chained(error: BaseException) -> BaseException:
    error.__cause__ = error.__context__ = ValueError(VALUE)
    return error


FOREIGN: dict[str, Callable[[], BaseException]] = {
    "plain": lambda: ValueError(VALUE),
    "chained": lambda: _chained(ValueError(VALUE)),
    "unprintable": Unprintable,
    "group": lambda: BaseExceptionGroup(VALUE, [ValueError(VALUE)]),
    "own group": lambda: OwnGroup(VALUE, [ValueError(VALUE)]),
    "StopAsyncIteration": lambda: StopAsyncIteration(VALUE),
    "StopIteration": lambda: StopIteration(VALUE),
    "GeneratorExit": lambda: GeneratorExit(VALUE),
    "half made": HalfMade,
    "TimeoutError": lambda: TimeoutError(VALUE),
}

PASSING: dict[str, Callable[[], BaseException]] = {
    "CancelledError": asyncio.CancelledError,
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": lambda: SystemExit(3),
}


class Hostile:
    """Has every ability, and raises what it is told to from one of its methods; iterators do so half way."""

    def __init__(self, where: str = "", error: Callable[[], BaseException] | None = None) -> None:
        self.where = where
        self.error = error
        self.closed: list[str] = []
        self.facts_ = StoreFacts("one", "hostile", Shape.BLOB, versioned=True)

    def _strike(self, where: str) -> None:
        held = VALUE  # what a traceback with locals would show
        if where == self.where and self.error is not None:
            raise self.error()
        del held

    @property
    def facts(self) -> StoreFacts:
        self._strike("facts")
        return self.facts_

    async def aclose(self) -> None:
        self._strike("aclose")

    async def read(self, key: str, version: str | None = None) -> Any:
        self._strike("read")

    async def stat(self, keys: Any) -> AsyncIterator[Any]:
        try:
            yield Entry("a")
            self._strike("stat")
            yield Entry("b")
        finally:
            self.closed.append("stat")
            self._strike("closing")

    async def list(self, prefix: str, *, recursive: bool, metadata: bool) -> AsyncIterator[Any]:
        try:
            yield Entry("a")
            self._strike("list")
            yield Entry("b")
        finally:
            self.closed.append("list")

    async def write(self, key: str, value: Any) -> Any:
        self._strike("write")

    async def write_if(self, key: str, value: Any, expected: Any) -> Any:
        self._strike("write_if")

    async def create(self, key: str, value: Any) -> Any:
        self._strike("create")

    async def delete(self, key: str) -> None:
        self._strike("delete")

    async def marks(self, keys: Any) -> Any:
        self._strike("marks")

    async def mark(self, key: str) -> None:
        self._strike("mark")

    async def check_undelete(self, key: str, version: str) -> None:
        self._strike("check_undelete")

    async def undelete(self, key: str, version: str) -> Any:
        self._strike("undelete")


async def opened(store: object, monkeypatch: pytest.MonkeyPatch, *, strike: str = "") -> Any:
    """The store, opened by the registry as a third party's."""

    async def opening(config: object, context: StoreContext) -> object:
        if strike and isinstance(store, Hostile):
            store._strike(strike)
        return store

    monkeypatch.setattr(registry, "_find", lambda provider, name: SimpleNamespace(open=opening))
    document = StoreDocument("one", Permissions.READ_WRITE, "hostile", Empty(), Where("stores.yaml", 1))
    return await registry.open_store(document, StoreContext("one", CountingGate(), {}, 4))


def operation(store: Any, name: str) -> Callable[[], Awaitable[object]]:
    """One operation, its iterator gone through to its end."""

    async def drain(found: AsyncIterator[object]) -> list[object]:
        return [each async for each in found]

    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "read": lambda: store.read("a"),
        "stat": lambda: drain(store.stat(["a"])),
        "list": lambda: drain(store.list("", recursive=True, metadata=True)),
        "write": lambda: store.write("a", SecretValue(b"x")),
        "write_if": lambda: store.write_if("a", SecretValue(b"x"), None),
        "create": lambda: store.create("a", SecretValue(b"x")),
        "delete": lambda: store.delete("a"),
        "marks": lambda: store.marks(["a"]),
        "mark": lambda: store.mark("a"),
        "check_undelete": lambda: store.check_undelete("a", "1"),
        "undelete": lambda: store.undelete("a", "1"),
        "aclose": lambda: store.aclose(),
    }
    return calls[name]


def assert_clean(error: BaseException, kind: str) -> None:
    """It is ours, it names store and type, and nothing of the original hangs on to it."""
    assert isinstance(error, StoreError)
    assert error.message == f"store one failed with an unexpected {kind}"
    assert (error.store, error.unanswered, error.retryable) == ("one", True, False)
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert VALUE not in shown
    assert "_strike" not in shown


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("where", OPERATIONS)
async def test_what_is_not_ours_is_told_by_its_type(where: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From every operation, iterators half way included, anything becomes a StoreError with nothing behind it."""
    store = await opened(Hostile(where, FOREIGN[kind]), monkeypatch)
    with pytest.raises(BaseException) as caught:  # anything but a StoreError is the fault looked for
        await operation(store, where)()
    turned = kind == "StopIteration" or (kind == "StopAsyncIteration" and where in ITERATORS)  # by Python itself
    assert_clean(caught.value, "RuntimeError" if turned else type(FOREIGN[kind]()).__name__)


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("where", ["facts", "opening"])
async def test_opening_is_no_exception(where: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the opening or the facts of a store raise is told in the same way."""
    with pytest.raises(StoreError) as caught:
        await opened(Hostile(where, FOREIGN[kind]), monkeypatch, strike=where)
    assert VALUE not in "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("where", OPERATIONS)
async def test_who_is_stopped_is_stopped(where: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancellation and the end of the process pass, alone and out of a group with other exceptions."""
    make = PASSING[kind]
    for error in (make, lambda: BaseExceptionGroup(VALUE, [ValueError(VALUE), make()])):
        store = await opened(Hostile(where, error), monkeypatch)
        with pytest.raises(type(make())):
            await operation(store, where)()


@pytest.mark.parametrize("where", OPERATIONS)
async def test_an_error_of_ours_comes_as_it_is_without_its_cause(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very object comes out, with what it says and whether it is unanswered, and nothing behind it."""
    error = Conflict("somebody was there", store="one", key="a")
    error.unanswered = True
    _chained(error)
    store = await opened(Hostile(where, lambda: error), monkeypatch)
    with pytest.raises(Conflict) as caught:
        await operation(store, where)()
    assert caught.value is error
    assert error.unanswered
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("where", ["read", "stat", "list", "write", "write_if", "create", "marks"])
async def test_a_result_of_another_type_is_an_error(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not what the protocol gives is told as such, and is not shown."""

    class Wrong(Hostile):
        async def _wrong(self, *args: object) -> object:
            return 17

        async def _wrong_ones(self, *args: object, **options: object) -> AsyncIterator[object]:
            yield (VALUE,)

        read: Any = _wrong
        write: Any = _wrong
        write_if: Any = _wrong
        create: Any = _wrong
        marks: Any = _wrong
        stat: Any = _wrong_ones
        list: Any = _wrong_ones

    store = await opened(Wrong(), monkeypatch)
    with pytest.raises(StoreError, match=f"store one returned from {where} what no {where} returns"):
        await operation(store, where)()


async def test_a_method_that_gives_no_iterator_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that must be awaited, as some would write it, is a StoreError and no crash."""

    class Wrong(Hostile):
        def stat(self, keys: object) -> Any:
            return 17

    store = await opened(Wrong(), monkeypatch)
    with pytest.raises(StoreError, match="unexpected TypeError"):
        await operation(store, "stat")()


async def test_who_leaves_an_iterator_early_closes_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the handle's iterator closes the store's at once, and what goes wrong in that is nobody's loss."""
    hostile = Hostile("closing", lambda: ValueError(VALUE))
    store = await opened(hostile, monkeypatch)
    async with aclosing(store.stat(["a"])) as found:
        async for _ in found:
            break
    assert hostile.closed == ["stat"]


async def test_an_operation_that_is_cancelled_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that waits in a store is cancelled, and its end is no StoreError; one that is closed unrun is closed."""

    class Slow(Hostile):
        async def read(self, key: str, version: str | None = None) -> Any:
            await asyncio.Event().wait()

    store = await opened(Slow(), monkeypatch)
    task = asyncio.create_task(store.read("a"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    waiting = store.read("a")
    waiting.send(None)
    waiting.close()  # raises GeneratorExit in there, which must come out as the end that it is


async def test_no_error_holds_its_own_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is gone with its last user: nothing that it holds refers back to it."""
    store = await opened(Hostile("read", FOREIGN["plain"]), monkeypatch)
    gc.collect()
    gc.disable()
    try:
        with suppress(SecretSyncError):
            await store.read("a")
        assert not [each for each in gc.get_objects() if type(each) is StoreError]
    finally:
        gc.enable()


async def test_an_attempt_at_the_gate_fails_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect within an attempt comes out of the gate, and of the store, as it does beside the gate."""
    gate = Gate("one", concurrency=1)

    class Gated(Hostile):
        async def read(self, key: str, version: str | None = None) -> Any:
            async def attempt() -> None:
                raise ValueError(VALUE)

            await gate("read", attempt)

    store = await opened(Gated(), monkeypatch)
    with pytest.raises(StoreError) as caught:
        await store.read("a")
    assert_clean(caught.value, "ValueError")


async def test_the_abilities_are_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handle is an instance of the protocols of its store, and of no others."""

    class Few:
        facts = StoreFacts("one", "few", Shape.BLOB, versioned=False)

        async def aclose(self) -> None: ...

        async def delete(self, key: str) -> None: ...

    few = Few()
    assert abilities_of(await opened(few, monkeypatch)) == abilities_of(few)
    assert abilities_of(await opened(Hostile(), monkeypatch)) == abilities_of(Hostile())
