"""Which destination secrets may be deleted: only what this job created, only on proof, and never too many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.model.change import Action, Change, Drift, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.state import KeyState
    from secretsync_core.plan.diff import Sight
    from secretsync_core.plan.items import JobPlan


class Doubts(NamedTuple):
    """What keeps a run from trusting an absence: items whose listing has gaps, and whether anything failed at all."""

    items: Collection[str]
    any: bool


def orphans(plan: JobPlan, wanted: Collection[str], state: Mapping[str, KeyState]) -> list[str]:
    """The keys of one destination that this job created and that its plan no longer asks for.

    A run that leaves items out looks only at the keys of the items that it runs.
    """
    selected = {item.name for item in plan.items}
    return sorted(
        key
        for key, known in state.items()
        if known.owned and key not in wanted and (not plan.partial or known.item in selected)
    )


def decide_delete(
    key: str,
    state: KeyState,
    dest: str,
    *,
    plan: JobPlan,
    entry: Entry | None,
    hidden: bool,
    sight: Sight,
    doubts: Doubts,
) -> Change:
    """Decide about one orphan: delete it, or refuse to and say why."""
    gone = state.item not in plan.names
    change = Change(
        state.item, dest, key, Action.DELETE, Reason.ITEM_GONE if gone else Reason.SOURCE_GONE,
        dest_version=entry.version if entry else None, definition=state.definition, owned=True,
    )  # fmt: skip
    # An item that was renamed leaves its keys to its successor: while anything is in doubt, they might be its.
    if state.item in doubts.items or (gone and doubts.any):
        return change._replace(action=Action.REFUSE, reason=Reason.ITEM_FAILED)
    if not sight.readable:
        return change._replace(dest_version=state.dest_version, drift=Drift.UNKNOWN)
    if hidden:
        return change._replace(action=Action.REFUSE, reason=Reason.CANNOT_SEE, drift=Drift.UNKNOWN)
    if entry is None or entry.deleted:
        return change._replace(reason=Reason.REMOVED_OUTSIDE, drift=Drift.REMOVED)
    if entry.version is not None and entry.version != state.dest_version:
        return change._replace(action=Action.REFUSE, reason=Reason.CHANGED_OUTSIDE, drift=Drift.CHANGED)
    return change


def guard(deletes: Sequence[Change], allowed: int) -> list[Change]:
    """Hold ``maxDelete``: where more than ``allowed`` secrets would be deleted, none is.

    Keys that are gone already count for nothing: forgetting them takes nothing away.
    """
    real = sum(change.action is Action.DELETE and change.reason is not Reason.REMOVED_OUTSIDE for change in deletes)
    if real <= allowed:
        return list(deletes)
    return [
        change._replace(action=Action.REFUSE, reason=Reason.MAX_DELETE)
        if change.action is Action.DELETE and change.reason is not Reason.REMOVED_OUTSIDE
        else change
        for change in deletes
    ]
