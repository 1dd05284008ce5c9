"""Which destination secrets may be deleted: only what this job created, only on proof, and never too many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.model.change import Action, Change, Drift, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.state import KeyState
    from secretsync_core.plan.diff import Sight
    from secretsync_core.plan.items import JobPlan


class Doubts(NamedTuple):
    """What keeps a run from deleting: items of which something was not seen or cannot be done, and whether any was."""

    items: Collection[str]
    any: bool

    def spare(self, change: Change, names: Collection[str]) -> bool:
        """Whether a delete has to wait; ``names`` are the items of the document.

        An item that was renamed leaves its keys to its successor, which may be any: while anything is in doubt, they
        might be its.
        """
        return change.item in self.items or (self.any and change.item not in names)


def doubts_of(
    incomplete: Collection[str], changes: Iterable[Change], deletes: Iterable[Change], *, failed: bool
) -> Doubts:
    """The doubts of a run that has only looked.

    Args:
        incomplete: items whose sources were not seen whole.
        changes: what is to be copied, and what is refused.
        deletes: what is to be deleted of items that are still in the document.
        failed: whether a store as a whole was not seen.
    """
    # A missing source refuses a copy of its own, unless it is what has that copy deleted.
    going = {(change.dest, change.key) for change in deletes}
    refused = {
        change.item
        for change in changes
        if change.action is Action.REFUSE
        and not (change.reason is Reason.NOT_FOUND and (change.dest, change.key) in going)
    }
    items = {*incomplete, *refused}
    return Doubts(items, failed or bool(items))


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
) -> Change:
    """Decide about one orphan by what its destination holds: delete it, or refuse to and say why."""
    gone = state.item not in plan.names
    change = Change(
        state.item, dest, key, Action.DELETE, Reason.ITEM_GONE if gone else Reason.SOURCE_GONE,
        dest_version=entry.version if entry else None, definition=state.definition, owned=True,
    )  # fmt: skip
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
    if sum(map(takes_away, deletes)) <= allowed:
        return list(deletes)
    return [
        change._replace(action=Action.REFUSE, reason=Reason.MAX_DELETE) if takes_away(change) else change
        for change in deletes
    ]


def takes_away(change: Change) -> bool:
    """Whether a change deletes something that is there."""
    return change.action is Action.DELETE and change.reason is not Reason.REMOVED_OUTSIDE
