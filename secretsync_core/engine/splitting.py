"""Which fields the secrets of a ``split`` item have: from the ledger where it knows all of them, else by reading."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from secretsync_core.engine.gate import unexpected
from secretsync_core.errors import InvalidSecret
from secretsync_core.model.plan import SourceRef
from secretsync_core.plan.splitting import known_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from secretsync_core.engine.compare import Comparer
    from secretsync_core.engine.inventories import SourceView
    from secretsync_core.engine.recorder import Recorder
    from secretsync_core.model.state import Origin
    from secretsync_core.plan.items import JobPlan
    from secretsync_core.plan.targets import ItemTargets


def recall_fields(collected: ItemTargets, origins: Mapping[str, Sequence[Origin]]) -> list[str]:
    """Note the fields that the ledger knows, and give the source keys of which it does not know all.

    ``origins`` is what the live keys of the item came of, by destination.
    """
    item = collected.item
    sources = collected.sources()
    for found in origins.values():
        collected.fields.update(known_fields(sources, item.parts[0].store, item.definition, found))
    return [key for key, _ in sources if key not in collected.fields]


async def find_fields(plan: JobPlan, view: SourceView, comparer: Comparer, recorder: Recorder | None) -> None:
    """Note the fields of every source secret that is to be split, reading those that changed.

    One that cannot be read, or has no fields of its own, is noted with its error; nothing of its item is deleted then.
    """
    for collected in view.items:
        if collected.item.split:
            origins = await recorder.origins(collected.item.name) if recorder is not None else {}
            unknown = iter(recall_fields(collected, origins))
            async with asyncio.TaskGroup() as group:
                for _ in range(plan.spec.limits.concurrency):
                    group.create_task(_read(collected, unknown, comparer))


async def _read(collected: ItemTargets, keys: Iterator[str], comparer: Comparer) -> None:
    item = collected.item
    store = item.parts[0].store
    for key in keys:
        try:
            wanted = await comparer.want(item.name, (SourceRef(store, key),))
        except Exception as error:  # noqa: BLE001  a third party's store may raise anything
            collected.fields[key] = unexpected(error, store)
            continue
        fields = wanted.value.reveal()
        if isinstance(fields, bytes):
            collected.fields[key] = InvalidSecret(
                f"{key} in {store} is split, and has no fields", store=store, key=key, hint="leave it out of the query"
            )
        else:
            collected.fields[key] = tuple(sorted(fields))
