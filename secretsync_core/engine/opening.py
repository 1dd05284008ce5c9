"""Opening the stores of a job, each behind its own gate, and giving them back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from secretsync_core.engine.gate import Gate
from secretsync_core.errors import SecretSyncError, StoreError
from secretsync_core.stores.base import Lister, Reader, StoreContext, abilities_of
from secretsync_core.stores.registry import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from secretsync_core.engine.gate import RetryPolicy
    from secretsync_core.model.capabilities import Ability, StoreFacts
    from secretsync_core.plan.items import JobPlan
    from secretsync_core.schema.documents import Documents
    from secretsync_core.stores.base import Store


@dataclass(slots=True)
class OpenStores:
    """The stores of one run: those that are open, and the errors of those that would not open."""

    stores: dict[str, Store] = field(default_factory=dict)
    failed: dict[str, SecretSyncError] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)

    def reader(self, name: str) -> Reader:
        """The reading half of an open store."""
        store = self._get(name)
        if not isinstance(store, Reader):
            raise StoreError(f"store {name} may not be read", store=name)
        return store

    def lister(self, name: str) -> Lister:
        """The listing half of an open store."""
        store = self._get(name)
        if not isinstance(store, Lister):
            raise StoreError(f"store {name} may not be listed", store=name)
        return store

    def readable(self, name: str) -> bool:
        """Whether an open store may be read."""
        return isinstance(self.stores[name], Reader)

    @property
    def facts(self) -> dict[str, StoreFacts]:
        """The facts of every open store."""
        return {name: store.facts for name, store in self.stores.items()}

    @property
    def abilities(self) -> dict[str, frozenset[Ability]]:
        """The abilities of every open store, as its permissions leave them."""
        return {name: abilities_of(store) for name, store in self.stores.items()}

    @property
    def requests(self) -> dict[str, dict[str, int]]:
        """Requests so far, by store and kind."""
        return {name: dict(gate.requests) for name, gate in self.gates.items() if gate.requests}

    def _get(self, name: str) -> Store:
        if name in self.failed:
            raise self.failed[name]
        return self.stores[name]


@asynccontextmanager
async def open_stores(
    plan: JobPlan,
    documents: Documents,
    *,
    environ: Mapping[str, str],
    retry: RetryPolicy | None,
    stop: asyncio.Event | None = None,
    sources: bool = True,
) -> AsyncIterator[OpenStores]:
    """Open every store that the plan needs, all at once; ``sources=False`` opens the destinations alone.

    A store that does not open is in ``failed``: what does not need it goes on.
    """
    names = list(dict.fromkeys([*(plan.sources if sources else ()), *plan.spec.dest]))
    limits = plan.spec.limits
    opened = OpenStores()

    async def open_one(name: str) -> None:
        gate = Gate(name, concurrency=limits.concurrency, rate=limits.rate, policy=retry, stop=stop)
        opened.gates[name] = gate
        try:
            opened.stores[name] = await open_store(
                documents.stores[name], StoreContext(name, gate, environ, limits.concurrency)
            )
        except SecretSyncError as error:
            opened.failed[name] = error

    try:
        await asyncio.gather(*(open_one(name) for name in names))
        yield opened
    finally:
        for store in opened.stores.values():
            await store.aclose()
