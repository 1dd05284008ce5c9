"""Stores that fail on command: wrap any store, say what goes wrong and when, and see what the caller makes of it.

::

    faults = Faults()
    store = faulty(inner, faults)
    faults.fail("read", StoreUnavailable("down"), key="a/b")         # always, for this key
    faults.fail("write", Conflict("moved"), first=2, times=1)        # the second write only
    faults.fail("write", StoreUnavailable("lost"), after=True)       # written, but the answer is lost
    faults.run("write_if", lambda key: other.write(key, value))      # somebody else writes just before us

Operations are the methods of the protocols in ``stores.base``, and ``aclose``. These faults happen
above the store, where the request gate cannot repeat them; :class:`FaultyGate` puts faults below the gate, by the kind
of request.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from secretsync_core.model.capabilities import Ability
from secretsync_core.model.inventory import Gap
from secretsync_core.stores.base import ConditionalDeleter, Foreseer, abilities_of
from secretsync_core.stores.boundary import GivesUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

    from secretsync_core.errors import SecretSyncError
    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.metadata import Described
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.base import RequestGate, Store

T = TypeVar("T")


@dataclass(slots=True)
class _Rule:
    operation: str
    action: Callable[[str], Awaitable[object]]
    key: str | None
    first: int
    times: int | None
    after: bool
    met: int = 0

    def applies(self, operation: str, key: str, after: bool) -> bool:
        if (operation, after) != (self.operation, self.after) or self.key not in (None, key):
            return False
        self.met += 1
        return self.met >= self.first and (self.times is None or self.met < self.first + self.times)


class Faults:
    """What goes wrong, and when. Rules apply in the order in which they were made.

    Every rule takes ``key`` (only calls for that key; for ``list`` that is the prefix, for ``stat`` each key by
    itself), ``first`` (the first matching call that it hits, counted from 1), ``times`` (how many it hits; ``None``:
    all from then on) and ``after`` (once the operation is done instead of before it; for ``list`` and ``stat``, after
    everything was yielded).

    Attributes:
        calls: how often each operation was called.
        log: operation and key of each call, in order.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self._rules: list[_Rule] = []
        self._gaps: list[tuple[str, Gap]] = []

    def run(
        self,
        operation: str,
        action: Callable[[str], Awaitable[object]],
        *,
        key: str | None = None,
        first: int = 1,
        times: int | None = 1,
        after: bool = False,
    ) -> None:
        """Await ``action(key)`` around an operation; by default once, before the first."""
        self._rules.append(_Rule(operation, action, key, first, times, after))

    def fail(
        self,
        operation: str,
        error: BaseException,
        *,
        key: str | None = None,
        first: int = 1,
        times: int | None = None,
        after: bool = False,
    ) -> None:
        """Raise ``error`` from an operation; by default from each."""

        async def action(_: str) -> None:
            raise error

        self.run(operation, action, key=key, first=first, times=times, after=after)

    def delay(
        self,
        operation: str,
        seconds: float,
        *,
        key: str | None = None,
        first: int = 1,
        times: int | None = None,
        after: bool = False,
    ) -> None:
        """Hold an operation up; by default each."""

        async def action(_: str) -> None:
            await asyncio.sleep(seconds)

        self.run(operation, action, key=key, first=first, times=times, after=after)

    def gap(self, operation: str, gap: Gap) -> None:
        """Let every ``list`` or ``stat`` yield this Gap, and leave out what it hides."""
        self._gaps.append((operation, gap))

    def clear(self) -> None:
        """Let everything go well again. What was counted stays."""
        self._rules.clear()
        self._gaps.clear()

    def gaps(self, operation: str) -> list[Gap]:
        """The gaps of an operation."""
        return [gap for of, gap in self._gaps if of == operation]

    def note(self, operation: str, key: str) -> None:
        """Count a call."""
        self.calls[operation] += 1
        self.log.append((operation, key))

    async def strike(self, operation: str, key: str, *, after: bool = False) -> None:
        """Apply the rules that fit."""
        for rule in tuple(self._rules):
            if rule.applies(operation, key, after):
                await rule.action(key)


class FaultyGate:
    """A request gate whose attempts fail as ``faults`` say; the operation is the kind of request, the key is empty.

    The faults happen within the attempt, so ``gate`` sees them as if the store had failed, and may repeat them.
    """

    def __init__(self, gate: RequestGate, faults: Faults) -> None:
        self._gate = gate
        self._faults = faults

    async def __call__(self, kind: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run one request through the inner gate; the RequestGate protocol."""

        async def struck() -> T:
            self._faults.note(kind, "")
            await self._faults.strike(kind, "")
            result = await attempt()
            await self._faults.strike(kind, "", after=True)
            return result

        return await self._gate(kind, struck)

    def give_up(self, why: SecretSyncError) -> None:
        """Hand on that the store refuses our credentials."""
        if isinstance(self._gate, GivesUp):
            self._gate.give_up(why)


class _Faulty:
    # Any: which protocols the store implements is settled once, in faulty(), by which mixins are put together.
    def __init__(self, store: Any, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    @property
    def facts(self) -> StoreFacts:
        facts: StoreFacts = self._store.facts
        return facts

    async def aclose(self) -> None:
        await self._around("aclose", "", self._store.aclose)

    async def _around(self, operation: str, key: str, call: Callable[[], Awaitable[T]]) -> T:
        self._faults.note(operation, key)
        await self._faults.strike(operation, key)
        result = await call()
        await self._faults.strike(operation, key, after=True)
        return result

    async def _found(self, operation: str, found: AsyncIterator[Entry | Gap]) -> AsyncIterator[Entry | Gap]:
        gaps = self._faults.gaps(operation)
        for gap in gaps:
            yield gap
        async for each in found:
            if isinstance(each, Gap) or not any(_hides(gap, each.key) for gap in gaps):
                yield each


def _hides(gap: Gap, key: str) -> bool:
    return key == gap.prefix if gap.is_key else key.startswith(gap.prefix)


class _Reads(_Faulty):
    async def read(self, key: str, version: str | None = None) -> Secret:
        return await self._around("read", key, lambda: self._store.read(key, version))


class _Looks(_Faulty):
    async def stat(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        for key in keys:
            self._faults.note("stat", key)
            await self._faults.strike("stat", key)
        async for each in self._found("stat", self._store.stat(keys)):
            yield each
        for key in keys:
            await self._faults.strike("stat", key, after=True)


class _Lists(_Faulty):
    async def list(self, prefix: str, *, recursive: bool, metadata: bool, **kind: str) -> AsyncIterator[Entry | Gap]:
        self._faults.note("list", prefix)
        await self._faults.strike("list", prefix)
        said = self._store.list(prefix, recursive=recursive, metadata=metadata, **kind)
        async for each in self._found("list", said):
            yield each
        await self._faults.strike("list", prefix, after=True)


class _Writes(_Faulty):
    async def write(self, key: str, value: SecretValue) -> str | None:
        return await self._around("write", key, lambda: self._store.write(key, value))


class _ComparesAndSets(_Faulty):
    async def write_if(self, key: str, value: SecretValue, expected: str | None) -> str | None:
        return await self._around("write_if", key, lambda: self._store.write_if(key, value, expected))


class _Creates(_Faulty):
    async def create(self, key: str, value: SecretValue) -> str | None:
        return await self._around("create", key, lambda: self._store.create(key, value))


class _Deletes(_Faulty):
    async def delete(self, key: str) -> None:
        await self._around("delete", key, lambda: self._store.delete(key))


class _DeletesIf(_Faulty):
    async def delete_if(self, key: str, expected: str) -> None:
        await self._around("delete", key, lambda: self._store.delete_if(key, expected))


class _Marks(_Faulty):
    async def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        return await self._around("marks", "", lambda: self._store.marks(keys))

    async def mark(self, key: str) -> None:
        await self._around("mark", key, lambda: self._store.mark(key))


class _Undeletes(_Faulty):
    async def check_undelete(self, key: str, version: str) -> None:
        await self._around("check_undelete", key, lambda: self._store.check_undelete(key, version))

    async def undelete(self, key: str, version: str) -> str | None:
        return await self._around("undelete", key, lambda: self._store.undelete(key, version))


class _Describes(_Faulty):
    async def describe(self, keys: Collection[str]) -> AsyncIterator[Entry | Gap]:
        await self._around("describe", "", _nothing)
        async for each in self._found("describe", self._store.describe(keys)):
            yield each


class _SetsMetadata(_Faulty):
    async def set_metadata(self, key: str, wanted: Described, version: str | None) -> str | None:
        return await self._around("set_metadata", key, lambda: self._store.set_metadata(key, wanted, version))


async def _nothing() -> None:
    pass


class _Foresees(_Faulty):
    async def check_write(self, key: str, value: SecretValue, expected: str | None) -> None:
        await self._around("check_write", key, lambda: self._store.check_write(key, value, expected))


_MIXINS: dict[Ability, type[_Faulty]] = {
    Ability.READ: _Reads,
    Ability.LOOK: _Looks,
    Ability.LIST: _Lists,
    Ability.WRITE: _Writes,
    Ability.COMPARE_AND_SET: _ComparesAndSets,
    Ability.CREATE: _Creates,
    Ability.DELETE: _Deletes,
    Ability.MARK: _Marks,
    Ability.UNDELETE: _Undeletes,
    Ability.DESCRIBE: _Describes,
    Ability.SET_METADATA: _SetsMetadata,
}


@cache
def _faulty_class(abilities: frozenset[Ability], others: tuple[type[_Faulty], ...]) -> type[_Faulty]:
    return type("FaultyStore", (*(_MIXINS[ability] for ability in Ability if ability in abilities), *others), {})


def faulty(store: Store, faults: Faults) -> Store:
    """Wrap a store with faults; the wrapper can do exactly what the store can."""
    others: list[type[_Faulty]] = [_Foresees] if isinstance(store, Foreseer) else []
    others += [_DeletesIf] if isinstance(store, ConditionalDeleter) else []
    return _faulty_class(abilities_of(store), tuple(others))(store, faults)
