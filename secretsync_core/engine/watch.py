"""Whether a source moved since the last sync: versions only, no value, and nothing is asked of any destination."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from secretsync_core.engine.inventories import view_sources
from secretsync_core.engine.opening import open_stores
from secretsync_core.engine.recorder import Recorder
from secretsync_core.engine.splitting import recall_fields
from secretsync_core.model.plan import Target
from secretsync_core.plan.items import build_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.audit.ledger import Ledger
    from secretsync_core.engine.gate import RetryPolicy
    from secretsync_core.engine.survey import State
    from secretsync_core.model.report import ItemError
    from secretsync_core.plan.targets import ItemTargets
    from secretsync_core.schema.documents import Documents, JobDocument


async def touched_items(
    job: JobDocument,
    documents: Documents,
    ledger: Ledger,
    *,
    environ: Mapping[str, str],
    retry: RetryPolicy | None = None,
) -> tuple[dict[str, str | None], list[ItemError]]:
    """The plan items whose sources are not what the ledger holds of them; and what could not be seen.

    An item is touched where a secret is new, has another version, or is gone, and where the item's definition is
    another one. Beside its name stands a digest of what was seen, so that the same sight need not be acted on twice;
    None where a source has no versions and only a sync can tell. What was not seen touches nothing.
    """
    plan = build_plan(job)
    recorder = Recorder(ledger, job.name)
    try:
        state = await recorder.state()
        async with open_stores(plan, documents, environ=environ, retry=retry, dests=False) as opened:
            view = await view_sources(plan, opened)
        unread = {
            collected.item.name: await recall_fields(collected, recorder)
            for collected in view.items
            if collected.item.split
        }
    finally:
        await recorder.aclose()
    touched: dict[str, str | None] = {}
    for collected in view.items:
        digest = _digest(collected, plan.spec.dest, state, unread.get(collected.item.name, ()))
        if digest != "":
            touched[collected.item.name] = digest
    return touched, view.errors


def _digest(collected: ItemTargets, dests: Sequence[str], state: State, unread: Sequence[str]) -> str | None:
    """A digest of an item's differences; empty where there are none, None where versions cannot tell.

    ``unread`` are secrets to be split whose fields the ledger does not know as they now are.
    """
    item = collected.item
    seen: set[str] = set()
    versions = dict(collected.sources()) if unread else {}
    if any(versions[key] is None for key in unread):
        return None
    different = [f"{key}={versions[key]}={item.definition}" for key in unread]
    for made in collected.targets():
        if not isinstance(made, Target):
            continue
        if made.version is None:
            return None
        seen.add(made.key)
        for dest in dests:
            held = state.get(dest, {}).get(made.key)
            if held is None or (held.source_version, held.definition, held.item) != (
                made.version,
                item.definition,
                item.name,
            ):
                different.append(f"{made.key}={made.version}={item.definition}")
    if not collected.incomplete and not unread:
        different += [
            f"{key} is gone"
            for keys in state.values()
            for key, held in keys.items()
            if held.owned and held.item == item.name and key not in seen
        ]
    return hashlib.sha256("\n".join(sorted(set(different))).encode()).hexdigest() if different else ""
