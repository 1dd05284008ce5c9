"""Single keys that went back: versions that are older than those which the ledger knows.

A restored server, or one that is behind without saying so, shows old versions. They decide nothing: such a key is
refused, and an absence at such a source proves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.model.change import Action, Drift, Reason
from secretsync_core.model.inventory import display_version
from secretsync_core.model.versions import is_older
from secretsync_core.run.origins import name_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.model.state import KeyState
    from secretsync_core.run.decide import Copies
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder
    from secretsync_core.run.seen import Destination, DestSeen, SourceSeen

LAG_SECONDS = 900
"""So long after a write of ours the version before it may still be shown, where a store lags."""

_STAYS = (Action.REFUSE, Action.SKIP, Action.UNCHANGED)


class Judged(NamedTuple):
    """Copies of which those that rest on an older version are refused, and the sources that gave one."""

    copies: Copies
    doubted: frozenset[str]


async def refuse_older(
    plan: JobPlan, opened: OpenStores, recorder: Recorder, dests: Sequence[Destination], copies: Copies
) -> Judged:
    """Refuse the copies for which a source or a destination shows a version older than the ledger's."""
    by_name = {dest.name: dest for dest in dests}
    refused: dict[tuple[str, str], str] = {}
    suspects: dict[str, list[Change]] = defaultdict(list)
    for change in copies.changes:
        dest = by_name.get(change.dest)
        held = dest.known.get(change.key) if dest is not None else None
        if dest is None or held is None or change.action in _STAYS:
            continue
        if dest.name not in plan.restored and is_older(
            change.dest_version, held.dest_version, dest.facts.version_order
        ):
            refused[change.dest, change.key] = _told(plan, dest.name, change.dest_version, held.dest_version, "left")
        elif _gives_older(plan, opened, change, held):
            suspects[change.dest].append(change)
    doubted: set[str] = set()
    for name, changes in suspects.items():
        # Of the same source: a key that is made of another one now has another one's versions.
        origins = await recorder.origins_of(name, [change.key for change in changes])
        for change in changes:
            store, origin = change.sources[0].store, origins.get(change.key)
            if origin is None or (origin.store, origin.source_key) != (
                store,
                name_sources(change.sources, combined=False),
            ):
                continue
            known = by_name[name].known[change.key].source_version
            refused[name, change.key] = _told(plan, store, change.source_version, known, "copied")
            doubted.add(store)
    if not refused:
        return Judged(copies, frozenset())
    changes = [
        change._replace(
            action=Action.REFUSE,
            reason=Reason.OLDER_VERSION,
            drift=Drift.NONE,
            detail=refused[change.dest, change.key],
        )
        if (change.dest, change.key) in refused
        else change
        for change in copies.changes
    ]
    return Judged(copies._replace(changes=changes), frozenset(doubted))


def _gives_older(plan: JobPlan, opened: OpenStores, change: Change, held: KeyState) -> bool:
    if len(change.sources) != 1 or (store := change.sources[0].store) in plan.restored or store not in opened.stores:
        return False
    return is_older(change.source_version, held.source_version, opened.stores[store].facts.version_order)


def _told(plan: JobPlan, store: str, now: str | None, known: str | None, done: str) -> str:
    return (
        f"{store} shows version {display_version(now)}, older than {display_version(known)}, which this job has {done};"
        f" if {store} was restored on purpose, `secretsync sync {plan.job} --restored {store}` accepts it"
    )


def of_doubted(sources: Sequence[SourceSeen], doubted: frozenset[str]) -> set[str]:
    """The items of which a source has shown an older version: what it does not show proves nothing."""
    return {one.item.name for one in sources if any(part.store in doubted for part in one.item.parts)}


async def trust_own_writes(
    dest: str, seen: DestSeen, known: Mapping[str, KeyState], recorder: Recorder, *, lags: bool
) -> DestSeen:
    """Take for as we left it what shows just the version that our own latest write has replaced, soon after it.

    ``lags``: whether the store may show that for a while.
    """
    if not lags:
        return seen
    moved = {
        key: entry.version
        for key, entry in seen.entries.items()
        if not entry.deleted
        and entry.version is not None
        and (held := known.get(key)) is not None
        and held.dest_version not in (None, entry.version)
    }
    if not moved:
        return seen
    if not (behind := await behind_our_write(dest, moved, recorder)):
        return seen
    entries = {key: entry for key, entry in seen.entries.items() if key not in behind}
    return replace(seen, entries=entries, as_left={*seen.as_left, *behind})


async def behind_our_write(dest: str, shown: Mapping[str, str | None], recorder: Recorder) -> set[str]:
    """The keys that a store which lags shows at just the version that our own latest write replaced, soon after it."""
    before = await recorder.overwritten(dest, shown, LAG_SECONDS)
    return {key for key, version in shown.items() if version is not None and before.get(key) == version}
