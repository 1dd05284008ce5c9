"""Phase 4, pure: the one rule that releases deletes.

A key goes only if it is ours and as we left it, its sources are proven to be gone or are selected no more, no more than
``maxDelete`` go with it, nobody else's mark is on it, and nothing puts its item in doubt: before the copies and after
them. What an item that left the document had goes only while nothing at all is in doubt.

Nothing is asked of anybody here. What has to be asked in between the caller asks: where the sources went, and whose
mark a secret carries.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.counting import plural
from secretsync_core.errors import SecretSyncError
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.report import NOT_DONE, ItemError
from secretsync_core.run.rivals import waits_for
from secretsync_core.run.seen import cannot_be_seen
from secretsync_core.run.targets import nameless_claims

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from secretsync_core.model.capabilities import StoreFacts
    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.report import Report
    from secretsync_core.model.state import KeyState
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.seen import Destination, SourceSeen, Whereabouts
    from secretsync_core.run.targets import Targets


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
    going = {(change.dest, change.key) for change in deletes if asks_for_it(change)}
    refused = {
        change.item
        for change in changes
        if change.action is Action.REFUSE
        and change.reason is not Reason.NO_KEY  # nothing was ever made of it, nor will be
        and not (change.reason is Reason.NOT_FOUND and (change.dest, change.key) in going)
    }
    items = {*incomplete, *refused}
    return Doubts(items, failed or bool(items))


def find_deletes(
    plan: JobPlan, seen: Sequence[SourceSeen], targets: Targets, dests: Sequence[Destination]
) -> list[Change]:
    """What would be deleted, as far as what the destinations hold goes."""
    incomplete = incomplete_items(seen, targets)
    # A missing part of a combined secret must not delete the whole of it.
    wanted = targets.claimed | {item.key for item in plan.items if item.combined and item.name in incomplete}
    wanted |= nameless_claims(seen)
    goes = plan.deletes  # of an item that left the document by the job's policy
    return [
        _delete_at(dest, key, plan)
        for dest in dests
        for key in orphans(plan, wanted, dest.known)
        if goes.get(dest.known[key].item, plan.deletes_gone)
    ]


def _delete_at(dest: Destination, key: str, plan: JobPlan) -> Change:
    held = dest.known[key]
    change = decide_delete(
        key, held, dest.name, plan=plan, entry=dest.seen.entry(key, held), hidden=key in dest.seen.hidden,
        looks=not dest.blind, reads=dest.readable, facts=dest.facts,
    )  # fmt: skip
    fault = dest.fault_at(key)
    return change if fault is None else cannot_be_seen(change, fault)


def incomplete_items(seen: Sequence[SourceSeen], targets: Targets) -> set[str]:
    """The items of which not all is known that they want, so that a key which nobody claims may be theirs."""
    return {
        *(one.item.name for one in seen if one.errors or (one.item.combined and one.missing)),
        *(made.item for made in targets.impossible),
    }


def refused_items(changes: Iterable[Change]) -> set[str]:
    """The items of which a plan says that something is not copied; a name that is no key does not count."""
    return {change.item for change in changes if change.action is Action.REFUSE and change.reason is not Reason.NO_KEY}


def withheld_by_rights(before: Iterable[Change], asked: Sequence[Change], names: Collection[str]) -> list[Change]:
    """Changes after stores were asked what they would refuse: where that is a copy, nothing of its item goes either."""
    deletes = {(change.dest, change.key) for change in before if change.action is Action.DELETE}
    copies = [change for change in asked if (change.dest, change.key) not in deletes]
    denied = {change.item for change in copies if change.reason is Reason.NOT_PERMITTED}
    goes = [change for change in asked if (change.dest, change.key) in deletes]
    held = [change for change in goes if change.action is not Action.DELETE]
    goes = [change for change in goes if change.action is Action.DELETE]
    return [*copies, *held, *withhold(goes, Doubts(denied, bool(denied)), names)]


def undone_items(report: Report, changes: Iterable[Change]) -> set[str]:
    """The items of which something that was to be copied is not in place; a name that is no key does not count."""
    nameless = Counter(change.item for change in changes if change.reason is Reason.NO_KEY)
    return {
        item
        for item in report.items_with(*NOT_DONE)
        if sum(report.counts[item].get(result, 0) for result in NOT_DONE) > nameless[item]
    }


def withhold(deletes: Iterable[Change], doubts: Doubts, names: Collection[str]) -> list[Change]:
    """Refuse those deletes that a doubt spares."""
    return [
        change._replace(action=Action.REFUSE, reason=Reason.ITEM_FAILED)
        if change.action is Action.DELETE and doubts.spare(change, names)
        else change
        for change in deletes
    ]


def guard(
    plan: JobPlan,
    deletes: Sequence[Change],
    dests: Sequence[Destination],
    deleted: Collection[tuple[str, str]] = (),
) -> tuple[list[Change], list[ItemError]]:
    """Hold ``maxDelete``, in each destination; and what to say where it holds anything back.

    ``deleted`` are those that this run has deleted already, by destination and key: they count as well.
    """
    guarded: list[Change] = []
    errors: list[ItemError] = []
    for dest in dests:
        before = sum(name == dest.name for name, _ in deleted)
        here = [change for change in deletes if change.dest == dest.name]
        owned = sum(held.owned for held in dest.known.values()) + before
        owned += sum(change.reason is Reason.BACK_AGAIN and takes_away(change) for change in here)
        allowed = max(0, plan.spec.max_delete.allowed(owned) - before)
        mine = hold_to(here, allowed)
        guarded += mine
        blocked = sum(change.reason is Reason.MAX_DELETE for change in mine)
        if blocked:
            errors.append(
                ItemError(
                    "",
                    "max-delete",
                    f"maxDelete {plan.spec.max_delete} holds back {plural(blocked, 'delete')} in {dest.name}: it allows"
                    f" {allowed} of the {owned} secrets that this job created there, so none is deleted",
                    # Another run: what this one has deleted already is not to be deleted again.
                    f"look at the plan; if it is what you want, run `secretsync sync {plan.job} --max-delete {blocked}`"
                    " once, or raise maxDelete",
                    1,
                )
            )
    return guarded, errors


def hold_to(deletes: Sequence[Change], allowed: int) -> list[Change]:
    """Where more than ``allowed`` secrets would be deleted, none is.

    Keys that are gone already count for nothing: forgetting them takes nothing away.
    """
    if sum(map(takes_away, deletes)) <= allowed:
        return list(deletes)
    return [
        change._replace(action=Action.REFUSE, reason=Reason.MAX_DELETE) if takes_away(change) else change
        for change in deletes
    ]


def judge_absences(
    deletes: Sequence[Change], whereabouts: Mapping[tuple[str, str], Whereabouts]
) -> tuple[list[Change], list[ItemError]]:
    """Say of each delete what became of its sources; what nobody could see of them is an error of its item."""
    judged: list[Change] = []
    errors: dict[tuple[str, str], ItemError] = {}
    for change in deletes:
        found = whereabouts.get((change.dest, change.key))
        if found is None or not takes_away(change):
            judged.append(change)
            continue
        if change.reason is Reason.BACK_AGAIN and found.error is None:
            judged.append(change._replace(absent=found.reason is Reason.SOURCE_GONE))
        else:
            judged.append(change._replace(reason=found.reason))
        if (error := found.error) is not None:
            told = ItemError(change.item, error.code, f"{change.key} is kept: {error.message}", error.hint, 1)
            errors.setdefault((change.item, error.message), told)
    return judged, list(errors.values())


def spare_claimed(plan: JobPlan, deletes: Iterable[Change], claimed: Mapping[tuple[str, str], str]) -> list[Change]:
    """Refuse those deletes whose key another item may claim; ``claimed`` says which one, by destination and key."""
    return [
        change._replace(
            action=Action.REFUSE,
            reason=Reason.AMBIGUOUS,
            detail=waits_for(plan, claimed[change.dest, change.key], has=False),
        )
        if (change.dest, change.key) in claimed
        else change
        for change in deletes
    ]


def spare_others(
    deletes: Sequence[Change], marks: Mapping[tuple[str, str], str | SecretSyncError], ours: AbstractSet[str]
) -> list[Change]:
    """Refuse those deletes whose secret carries another owner's mark, or one that could not be read.

    ``marks`` are by destination and key; where there is none, the ledger alone decides.
    """
    spared: list[Change] = []
    for change in deletes:
        mark = marks.get((change.dest, change.key)) if takes_away(change) else None
        if isinstance(mark, SecretSyncError):
            change = change._replace(action=Action.REFUSE, reason=Reason.CANNOT_SEE, detail=mark.message)
        elif mark is not None and mark not in ours:
            change = change._replace(action=Action.REFUSE, reason=Reason.NOT_OURS)
        spared.append(change)
    return spared


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
    looks: bool,
    facts: StoreFacts,
    reads: bool = True,
) -> Change:
    """Decide about one orphan by what its destination holds: delete it, or refuse to and say why.

    ``looks``: whether its destination shows what there is; ``reads``: whether it shows values. Where another version
    may have the same value, drift is unknown until somebody has looked at that.
    """
    gone = state.item not in plan.names
    change = Change(
        state.item, dest, key, Action.DELETE, Reason.ITEM_GONE if gone else Reason.SOURCE_GONE,
        dest_version=entry.version if entry else None, definition=state.definition, owned=True,
    )  # fmt: skip
    if not looks:
        return change._replace(dest_version=state.dest_version, drift=Drift.UNKNOWN)
    if hidden:
        return change._replace(action=Action.REFUSE, reason=Reason.CANNOT_SEE, drift=Drift.UNKNOWN)
    if entry is None or entry.deleted:
        return change._replace(reason=Reason.REMOVED_OUTSIDE, drift=Drift.REMOVED)
    if entry.version is not None and entry.version != state.dest_version:
        if reads and facts.leaves_it_to_the_value(entry.version, state.dest_version):
            return change._replace(drift=Drift.UNKNOWN)
        return change._replace(action=Action.REFUSE, reason=Reason.CHANGED_OUTSIDE, drift=Drift.CHANGED)
    return change


def asks_for_it(change: Change) -> bool:
    """Whether a change, refused or not, is what a missing source asks for. What is merely back is not."""
    return change.action is Action.DELETE or change.reason is not Reason.BACK_AGAIN


def takes_away(change: Change) -> bool:
    """Whether a change deletes something that is there."""
    return change.action is Action.DELETE and change.reason is not Reason.REMOVED_OUTSIDE
