"""Makes the stores in memory tell how far they have got, as servers do that can be behind or restored.

::

    servers = Servers(monkeypatch)
    before = servers.snapshot("src")
    ...
    servers.restore("src", before)  # an older state, and a position that is as old
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from secretsync_core.model.position import Position
from secretsync_core.model.versions import VersionOrder
from secretsync_core.stores import memory
from secretsync_core.stores.memory import MemoryStore

if TYPE_CHECKING:
    import pytest

    from secretsync_core.model.capabilities import StoreFacts


class Servers:
    """The servers behind the stores in memory of this process, by the stores' names.

    Attributes:
        names: what a server calls itself; ``<store>-1`` unless it is set here.
        silent: stores that tell no position.
        unordered: stores whose versions tell nothing of their order, and that lag.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, str] = {}
        self.silent: set[str] = set()
        self.unordered: set[str] = set()
        self._lost: dict[str, int] = {}
        self._ticks = itertools.count(1)
        real = MemoryStore.facts

        def facts(store: MemoryStore) -> StoreFacts:
            whole: StoreFacts = real.fget(store)  # type: ignore[attr-defined]
            if whole.name in self.unordered:
                return replace(whole, lags=True)
            return replace(whole, version_order=VersionOrder.NUMBER_AND_TIME)

        async def position(store: MemoryStore) -> Position | None:
            name = store.facts.name
            return None if name in self.silent else self._position(name)

        patch.setattr(MemoryStore, "facts", property(facts))
        patch.setattr(MemoryStore, "position", position, raising=False)
        patch.setattr("secretsync_core.stores.memory.secrets.token_hex", self._moment)

    def _moment(self, _: int) -> str:
        tick = next(self._ticks)
        return f"2026-01-01T{tick // 3600:02}:{tick // 60 % 60:02}:{tick % 60:02}Z"

    def _position(self, name: str) -> Position:
        count = sum(stored.count for stored in memory._stores[name].secrets.values()) + self._lost.get(name, 0)
        return Position(self.names.get(name, f"{name}-1"), count, count)

    def snapshot(self, store: str) -> Any:
        """What a store holds now."""
        return copy.deepcopy(memory._stores[store].secrets)

    def restore(self, store: str, snapshot: Any, *, higher: bool = False) -> None:
        """Let a store hold what it held; ``higher``: its position goes on all the same, as a raft's does."""
        data = memory._stores[store]
        if higher:
            self._lost[store] = sum(stored.count for stored in data.secrets.values()) + 5
        data.secrets.clear()
        data.secrets.update(copy.deepcopy(snapshot))
