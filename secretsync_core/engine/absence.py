"""Before a delete the source is asked for the key itself: a listing that does not show a key proves nothing.

A policy may filter listings, a proxy may cut them, a server may be behind. Only a source that is asked for a secret and
says that there is no such secret proves that it is gone. One look for each secret that would be deleted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.engine.gate import unexpected
from secretsync_core.engine.listings import Listing
from secretsync_core.errors import SecretNotFound, SecretSyncError
from secretsync_core.model.change import Reason
from secretsync_core.model.inventory import Entry
from secretsync_core.plan.keys import QueryMatcher, folder
from secretsync_core.plan.origins import Sources, read_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from secretsync_core.engine.inventories import SourceView
    from secretsync_core.engine.opening import OpenStores
    from secretsync_core.engine.recorder import Recorder
    from secretsync_core.model.state import KeyState
    from secretsync_core.plan.items import Item, JobPlan, Part
    from secretsync_core.plan.targets import ItemTargets


class Whereabouts(NamedTuple):
    """What became of the sources of a key that no target claims.

    Attributes:
        reason: SOURCE_GONE, NOT_SELECTED (there, and the item asks for it no more), or CANNOT_SEE.
        error: with CANNOT_SEE, why.
    """

    reason: Reason
    error: SecretSyncError | None = None


GONE, NOT_SELECTED = Whereabouts(Reason.SOURCE_GONE), Whereabouts(Reason.NOT_SELECTED)


async def find_whereabouts(
    plan: JobPlan,
    view: SourceView,
    opened: OpenStores,
    recorder: Recorder | None,
    orphans: Mapping[str, Mapping[str, KeyState]],
) -> dict[tuple[str, str], Whereabouts]:
    """What became of the sources of these keys, given by destination; of keys whose item is still in the document."""
    if recorder is None:
        return {}
    items = {collected.item.name: collected for collected in view.items}
    seeker = _Seeker(opened)
    found: dict[tuple[str, str], Whereabouts] = {}

    async def worker(rows: Iterable[tuple[str, str, ItemTargets, Sources | None]]) -> None:
        for dest, key, collected, sources in rows:
            found[dest, key] = await seeker.find(collected, sources)

    for dest, keys in orphans.items():
        asked = {key: items[held.item] for key, held in keys.items() if held.item in items}
        origins = await recorder.origins_of(dest, asked.keys())
        rows = iter(
            [
                (dest, key, collected, _sources(collected.item, origins[key].source_key if key in origins else ""))
                for key, collected in asked.items()
            ]
        )
        async with asyncio.TaskGroup() as group:
            for _ in range(min(len(asked), plan.spec.limits.concurrency)):
                group.create_task(worker(rows))
    return found


def _sources(item: Item, text: str) -> Sources | None:
    return read_sources(text, combined=item.combined, split=item.split)


class _Seeker:
    """Looks for source keys, each once."""

    def __init__(self, opened: OpenStores) -> None:
        self._opened = opened
        self._looks: dict[tuple[str, str], asyncio.Task[SecretSyncError | None]] = {}
        self._taken: dict[str, frozenset[str]] = {}

    async def find(self, collected: ItemTargets, sources: Sources | None) -> Whereabouts:
        item = collected.item
        if sources is None:
            return Whereabouts(
                Reason.CANNOT_SEE,
                SecretSyncError(
                    "the ledger does not say what it was made of, so nobody can tell whether that is gone",
                    hint="delete it by hand if it is to go",
                ),
            )
        taken = self._taken.setdefault(item.name, frozenset(key for key, _ in collected.sources()))
        verdict = GONE
        for key in sources.keys:
            if key in taken:
                # It is there, and is called otherwise now, or has lost the field.
                fields = collected.fields.get(key)
                if sources.field is None or (isinstance(fields, tuple) and sources.field in fields):
                    verdict = NOT_SELECTED
                continue
            found = await self._find_key(item, key)
            if found.reason is Reason.CANNOT_SEE:
                return found
            if found.reason is Reason.NOT_SELECTED:
                verdict = found
        return verdict

    async def _find_key(self, item: Item, key: str) -> Whereabouts:
        store = item.parts[0].store  # all parts of an item draw on one store
        error = await self._look(store, key)
        if isinstance(error, SecretNotFound):
            return GONE
        if error is not None:
            return Whereabouts(Reason.CANNOT_SEE, error)
        try:
            selected = [part for part in item.parts if await self._selects(part, key)]
        except Exception as caught:  # noqa: BLE001  a third party's store may raise anything
            return Whereabouts(Reason.CANNOT_SEE, unexpected(caught, store))
        if not selected:
            return NOT_SELECTED
        return Whereabouts(
            Reason.CANNOT_SEE,
            SecretSyncError(
                f"{store} has the secret {key}, and did not list it",
                hint="look at what the token may list there; nothing of this item is deleted meanwhile",
            ),
        )

    async def _look(self, store: str, key: str) -> SecretSyncError | None:
        """None where the store has such a secret, SecretNotFound where it says that it has none."""
        if (store, key) not in self._looks:
            self._looks[store, key] = asyncio.ensure_future(self._read(store, key))
        return await self._looks[store, key]

    async def _read(self, store: str, key: str) -> SecretSyncError | None:
        try:
            # Read, and not only looked at in the metadata: that is where a store says for sure that it has none.
            await self._opened.reader(store).read(key)
        except Exception as error:  # noqa: BLE001  a third party's store may raise anything
            return unexpected(error, store)
        return None

    async def _selects(self, part: Part, key: str) -> bool:
        """Whether a part of an item asks for a secret that is there."""
        if part.query is None:
            return part.secret is not None and part.secret.key == key
        prefix = folder(part.query.path)
        matcher = QueryMatcher(part.query)
        if not Listing(part.store, prefix, part.query.recursive, metadata=False).holds(key):
            return False
        if not part.query.metadata:
            return matcher.takes(Entry(key))
        listing = self._opened.lister(part.store).list(folder(key.rpartition("/")[0]), recursive=False, metadata=True)
        async for entry in listing:
            if isinstance(entry, Entry) and entry.key == key:
                return matcher.takes(entry)
        return True  # not shown there either
