"""Phase 4, pure: what is to be done with every destination key, or why it cannot be.

Versions and the ledger decide; no value is seen, and nothing is asked of anybody. (:mod:`~secretsync_core.run.deletes`
has the one rule that releases deletes.)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.counting import plural
from secretsync_core.errors import TransformFailed
from secretsync_core.key_rules import in_the_way, new_key_fault
from secretsync_core.model.change import Action, Change, Drift, Failure, Reason
from secretsync_core.model.plan import SourceRef
from secretsync_core.run.by_version import NOT_MANAGED
from secretsync_core.run.holders import held_by
from secretsync_core.run.origins import unrecordable
from secretsync_core.run.rivals import claimable, unseen_items, waits_for
from secretsync_core.run.seen import cannot_be_seen
from secretsync_core.run.targets import AMBIGUOUS
from secretsync_core.schema.job import WritePolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.plan import Target
    from secretsync_core.model.report import ItemError
    from secretsync_core.model.state import KeyState
    from secretsync_core.policy.flows import Flows
    from secretsync_core.run.holders import Holders
    from secretsync_core.run.items import Item, JobPlan
    from secretsync_core.run.metadata import Wishes
    from secretsync_core.run.orphans import Orphan
    from secretsync_core.run.seen import Destination, SourceSeen, Unversioned
    from secretsync_core.run.targets import Targets


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What is to be done. ``changes`` are in the order of the targets, ``deletes`` come after all of them.

    Changes that are unchanged by their versions are in ``changes`` only if they were asked for; ``unchanged`` counts
    them by item in any case. ``unknown_drift`` counts what stands where we may not read. ``idle`` are warnings of keys
    that were to be taken over and need not be: of use at a run's first look alone. ``orphans`` are copies
    that nothing asks for and that stay. ``unversioned`` are sources that hide versions; found for a plan alone.
    """

    changes: Sequence[Change] = ()
    deletes: Sequence[Change] = ()
    unchanged: Mapping[str, int] = field(default_factory=dict)
    unknown_drift: int = 0
    warnings: Sequence[str] = ()
    errors: Sequence[ItemError] = ()
    idle: Sequence[str] = ()
    orphans: Sequence[Orphan] = ()
    unversioned: Sequence[Unversioned] = ()


class Standing:
    """Finds the targets that stand in every destination: they are counted, and nothing else is kept of them."""

    def __init__(self, plan: JobPlan, dests: Sequence[Destination], wishes: Wishes | None = None) -> None:
        self._wishes, self._destinations = wishes, dests
        self._definitions = {item.name: item.definition for item in plan.items}
        self._dests = [(dest.name, dest.seen, dest.known) for dest in dests]
        self._all = len(dests) == len(plan.spec.dest)
        self._plan, self._named = plan, bool(plan.adopt)  # asked for every key of every run
        self._adopting = {item.name for item in plan.items if item.adopt}

    def holds(self, target: Target) -> bool:
        """Whether source, destinations and definition are all as they were when we last wrote."""
        definition, adopt = self._definitions[target.item], target.item in self._adopting
        return self._all and self._meets(target) and all(
            target.key in seen.as_left
            and stands(
                target, definition, seen.entry(target.key, known.get(target.key)), known.get(target.key),
                adopt=adopt or (self._named and self._plan.adopts(name, target.key)),
            )
            for name, seen, known in self._dests
        )  # fmt: skip

    def _meets(self, target: Target) -> bool:
        """Whether all that is wanted beside it is there."""
        wishes = self._wishes
        return wishes is None or all(wishes.are_met(target, dest) for dest in self._destinations)


_MAY_WRITE = (Action.CREATE, Action.UPDATE, Action.COMPARE)


class Copies(NamedTuple):
    """What is to be copied, or cannot be."""

    changes: list[Change]
    unchanged: Mapping[str, int]
    unknown_drift: int
    warnings: list[str]
    idle: list[str]


def decide_copies(
    plan: JobPlan,
    seen: Sequence[SourceSeen],
    targets: Targets,
    dests: Sequence[Destination],
    *,
    verify: bool,
    keep_unchanged: bool,
    holders: Holders,
    wishes: Wishes | None = None,
    flows: Flows | None = None,
) -> Copies:
    """Decide about every target in every destination that was seen.

    ``holders`` are the other jobs that hold keys; ``wishes`` is what is wanted beside the values; ``flows`` say
    what may not go where.
    """
    unchanged = Counter({item: count * len(plan.spec.dest) for item, count in targets.standing.items()})
    changes = [
        *_impossible(plan, targets),
        *(change for one in seen for change in (*_missing(plan, one), *_nameless(plan, one))),
    ]
    blurred = {made.item for made in targets.impossible}
    warnings = [
        warning
        for one in seen
        if not (one.errors or one.item.name in blurred or (one.item.combined and one.missing))
        for warning in one.empty_queries
    ]
    unknown = 0
    items = {item.name: item for item in plan.items}
    taken_over: set[str] = set()
    unseen, item_of = unseen_items(plan, seen, targets), cache(plan.item)
    for dest in dests:
        adopted, before = 0, len(changes)
        for key, target in targets.by_key.items():
            held, item, by_name = dest.known.get(key), items[target.item], plan.adopts(dest.name, key)
            change = decide(
                target,
                item.definition,
                dest.name,
                entry=dest.seen.entry(key, held),
                hidden=key in dest.seen.hidden,
                state=held,
                readable=dest.readable,
                versions_only=dest.versions_only,
                marks=dest.marks,
                policy=item.write_policy,
                adopt=item.adopt or by_name,
                verify=verify,
                tells=dest.tells,
            )
            if (gap := dest.fault_at(key)) is not None:
                change = cannot_be_seen(change, gap)
            concerns = change.action in _MAY_WRITE or change.reason is Reason.NOT_MANAGED
            if (holding := holders.get((dest.name, key))) is not None and concerns:
                if item.adopt or by_name:
                    change = change._replace(holder=(holding.job, holding.dest, holding.key))
                else:
                    why = held_by(holding, plan.job)
                    change = change._replace(action=Action.REFUSE, reason=Reason.HELD, detail=why)
            rivals: AbstractSet[str] = frozenset()
            if held is not None and unseen and change.action in _MAY_WRITE and (dest.name, key) not in plan.given:
                # What left the document may be called otherwise now, and go on as any of them.
                rivals = (unseen & {held.item} if held.item in plan.names else unseen) - {item.name}
            if rival := next((name for name in sorted(rivals) if claimable(item_of(name), [key])), ""):
                why = waits_for(plan, rival, has=held is not None and rival == held.item)
                change = change._replace(action=Action.REFUSE, reason=Reason.AMBIGUOUS, detail=why)
            if wishes is not None:
                change = wishes.judged(change, target, dest, dest.seen.entry(key, held))
            if flows:
                change = flows.judged(change)
            if change.adopt and by_name:
                taken_over |= {key, f"{dest.name}:{key}"}
            elif change.adopt:
                adopted += 1
            unknown += change.drift is Drift.UNKNOWN
            if change.action is Action.UNCHANGED:
                unchanged[target.item] += 1
                if keep_unchanged:
                    changes.append(change)
            elif fault := new_key_fault(key, dest.facts.limits) or unrecordable(key):
                changes.append(change._replace(action=Action.REFUSE, reason=Reason.INVALID_KEY, detail=fault))
            else:
                changes.append(change)
        if not dest.facts.limits.folders_are_keys:
            changes[before:] = _apart(changes[before:])
        if adopted:
            warnings.append(f"taking over {plural(adopted, 'secret')} that {dest.name} holds: ownership.adopt is set")
    idle = list(dict.fromkeys(_nothing_to_adopt(plan, key, targets) for key in sorted(plan.adopt - taken_over)))
    # Grouped by target, so that a source is read once for all its destinations.
    if len(dests) > 1:
        changes.sort(key=lambda change: (change.item, change.key))
    return Copies(changes, unchanged, unknown, warnings, idle)


def _apart(changes: Sequence[Change]) -> list[Change]:
    """Refuse what is new and in the way of something else that is new: only one could be written, the quicker one."""
    others = in_the_way([change.key for change in changes if change.action is Action.CREATE])
    return [
        _in_the_way(change, others[change.key]) if change.action is Action.CREATE and change.key in others else change
        for change in changes
    ]


def _in_the_way(change: Change, other: str) -> Change:
    folder, inner = sorted((change.key, other), key=len)
    why = f"a folder cannot be a secret in {change.dest}, and {inner} would be in the folder {folder}"
    failure = Failure(Reason.INVALID_KEY, why, "map one of the two to another key by a keyTransform")
    return change._replace(action=Action.REFUSE, reason=Reason.INVALID_KEY, detail=why, failure=failure)


def _nothing_to_adopt(plan: JobPlan, named: str, targets: Targets) -> str:
    """Why a key that was to be taken over is not."""
    key = next((named.removeprefix(f"{dest}:") for dest in plan.spec.dest if named.startswith(f"{dest}:")), named)
    if {key, named} & targets.claimed:
        return f"nothing to take over at {named}: it is this job's already, does not exist, or is left alone"
    return "nothing to take over at a key that was given: no plan item of this run writes to it"


_REASONS = {TransformFailed.code: Reason.TRANSFORM_FAILED, AMBIGUOUS: Reason.AMBIGUOUS}


def _impossible(plan: JobPlan, targets: Targets) -> Iterable[Change]:
    for made in targets.impossible:
        reason = _REASONS.get(made.code, Reason.CANNOT_SEE)
        for dest in plan.spec.dest:
            yield Change(made.item, dest, made.sources[0].key, Action.REFUSE, reason, made.sources, detail=made.message)


def _nameless(plan: JobPlan, seen: SourceSeen) -> Iterable[Change]:
    for gap in seen.nameless:
        name = gap.prefix or "/"
        source = SourceRef(seen.item.parts[0].store, name)
        for dest in plan.spec.dest:
            yield Change(seen.item.name, dest, name, Action.REFUSE, Reason.NO_KEY, (source,), detail=gap.message)


def _missing(plan: JobPlan, seen: SourceSeen) -> Iterable[Change]:
    item = seen.item
    for ref in seen.missing:
        for dest in plan.spec.dest:
            yield Change(item.name, dest, _missing_key(item, ref), Action.REFUSE, Reason.NOT_FOUND, (ref,),
                         detail=f"source {ref.store} has no secret {ref.key}")  # fmt: skip


def _missing_key(item: Item, ref: SourceRef) -> str:
    if item.combined:
        return item.key
    try:
        return item.keys.map(ref.key)
    except TransformFailed:
        return ref.key


def stands(
    target: Target, definition: str, entry: Entry | None, state: KeyState | None, *, adopt: bool = False
) -> bool:
    """Whether the source, the destination and the definition are all as they were at our last write.

    Then nothing needs to be read. This is the common case, asked for every key of every run. A key that came to
    another item does not stand: the ledger must learn whose it is, or a run of its old item alone would delete it.
    With ``adopt``, nor does one that is not ours yet.
    """
    return (
        state is not None
        and entry is not None
        and entry.version is not None
        and entry.version == state.dest_version
        and target.version is not None
        and target.version == state.source_version
        and definition == state.definition
        and target.item == state.item
        and not entry.deleted
        and (state.owned or not adopt)
    )


def decide(
    target: Target,
    definition: str,
    dest: str,
    *,
    entry: Entry | None,
    hidden: bool,
    state: KeyState | None,
    readable: bool,
    policy: WritePolicy,
    verify: bool,
    adopt: bool = False,
    tells: bool = True,
    versions_only: bool = False,
    marks: bool = True,
) -> Change:
    """Decide about one destination key.

    Args:
        target: what the plan wants.
        definition: the hash of the item's definition.
        dest: the destination store's name.
        entry: what the destination's inventory says of the key; None where it is absent.
        hidden: the inventory could not see this key (so ``entry`` says nothing).
        state: what the ledger knows of the key.
        readable: whether we may read the destination's values.
        policy: the write policy.
        verify: compare values even where versions match.
        adopt: take over what is there and not ours.
        tells: whether writing what is absent fails where it exists after all.
        versions_only: whether we may look at the destination, and not read it.
        marks: whether a mark might prove that a key is ours which the ledger does not know.
    """
    blind = not (readable or versions_only)
    owned = state is not None and state.owned
    base = Change(target.item, dest, target.key, Action.COMPARE, Reason.FIRST_SIGHT, target.sources, target.version,
                  entry.version if entry else None, definition, owned, foreign=state is None)  # fmt: skip
    if stands(target, definition, entry, state, adopt=adopt) and not (blind or verify):
        return base._replace(action=Action.UNCHANGED, reason=Reason.VERSIONS_MATCH, known=True)
    source_stands = state is not None and target.version is not None and target.version == state.source_version
    definition_stands = state is not None and state.definition == definition and state.item == target.item

    if blind:
        if state is None and policy is WritePolicy.MANAGED and not tells:
            return base._replace(action=Action.REFUSE, reason=Reason.CANNOT_SEE, drift=Drift.UNKNOWN, detail=_UNTOLD)
        return _decide_blind(base, state, policy, source_stands=source_stands, definition_stands=definition_stands)
    may_adopt = adopt and not owned and policy is not WritePolicy.IF_NOT_EXISTS
    if hidden and versions_only:
        return base._replace(action=Action.REFUSE, reason=Reason.CANNOT_SEE, drift=Drift.UNKNOWN, detail=_HIDDEN)
    if hidden:
        return base._replace(reason=Reason.CANNOT_SEE, drift=Drift.UNKNOWN, owned=owned or may_adopt, adopt=may_adopt)
    if entry is None or entry.deleted:
        if state is None:
            return base._replace(action=Action.CREATE, reason=Reason.NEW, owned=True)
        return base._replace(action=Action.CREATE, reason=Reason.REMOVED_OUTSIDE, owned=True, drift=Drift.REMOVED)

    if may_adopt:
        base = base._replace(owned=True, adopt=True)
    if policy is WritePolicy.IF_NOT_EXISTS:
        moved = state is not None and entry.version != state.dest_version
        return base._replace(action=Action.SKIP, reason=Reason.EXISTS, drift=Drift.CHANGED if moved else Drift.NONE)
    if state is None:
        if versions_only and not (marks or base.adopt) and policy is WritePolicy.MANAGED:
            return base._replace(action=Action.REFUSE, reason=Reason.NOT_MANAGED, detail=NOT_MANAGED)
        return base
    if versions_only and entry.version is None:
        if source_stands and definition_stands and not (verify or base.adopt):
            unchanged = base._replace(action=Action.UNCHANGED, reason=Reason.VERSIONS_MATCH, known=True)
            return unchanged._replace(drift=Drift.UNKNOWN)
        return base._replace(reason=Reason.NO_VERSIONS, drift=Drift.UNKNOWN)
    if versions_only and state.dest_version is None:  # ours by its mark alone, so it may have been changed since
        return base._replace(reason=Reason.NOT_COMPARED, drift=Drift.UNKNOWN)
    if entry.version is not None and entry.version != state.dest_version:
        return base._replace(reason=Reason.DRIFTED, drift=Drift.CHANGED)
    if entry.version is None or target.version is None:
        same = definition_stands and target.version == state.source_version and entry.version == state.dest_version
        return base._replace(reason=Reason.NO_VERSIONS, known=same and not base.adopt)
    if not definition_stands:
        return base._replace(reason=Reason.DEFINITION_CHANGED)
    if not source_stands:
        return base._replace(reason=Reason.SOURCE_CHANGED)
    return base._replace(reason=Reason.VERIFY, known=not base.adopt)


_HIDDEN = "the destination does not let us look at it, and its values cannot be read"

_UNTOLD = (
    "the destination may only be written, and does not say whether somebody else's secret is there;"
    " writePolicy: Replace writes it all the same"
)


def _decide_blind(
    base: Change, state: KeyState | None, policy: WritePolicy, *, source_stands: bool, definition_stands: bool
) -> Change:
    """Decide where we may only write: by the ledger alone."""
    base = base._replace(drift=Drift.UNKNOWN, dest_version=state.dest_version if state else None)
    if state is None:
        return base._replace(action=Action.CREATE, reason=Reason.CANNOT_SEE)
    if source_stands and definition_stands:
        return base._replace(action=Action.UNCHANGED, reason=Reason.VERSIONS_MATCH, known=True)
    if policy is WritePolicy.IF_NOT_EXISTS:
        return base._replace(action=Action.SKIP, reason=Reason.EXISTS)
    if not source_stands:
        reason = Reason.NO_VERSIONS if base.source_version is None else Reason.SOURCE_CHANGED
        return base._replace(action=Action.UPDATE, reason=reason)
    return base._replace(action=Action.UPDATE, reason=Reason.DEFINITION_CHANGED)


def without_missing(copies: Copies, deleted: Collection[tuple[str, str]]) -> Copies:
    """What a missing source asks to have deleted, by destination and key, is no error of its own."""
    changes = [
        change
        for change in copies.changes
        if not (change.reason is Reason.NOT_FOUND and (change.dest, change.key) in deleted)
    ]
    return copies._replace(changes=changes)


def change_set(copies: Copies, deletes: Sequence[Change], errors: Sequence[ItemError]) -> ChangeSet:
    """All of it. Deletes that a doubt spares are told in a warning for each destination, and are not in the set."""
    kept = [change for change in deletes if change.reason is not Reason.ITEM_FAILED]
    spared: dict[str, list[str]] = {}
    for change in deletes:
        if change.reason is Reason.ITEM_FAILED:
            spared.setdefault(change.dest, []).append(change.key)
    told = [
        f"not deleted from {dest}: {', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''} ({len(keys)} in all):"
        " not all sources of their items could be seen"
        for dest, keys in spared.items()
    ]
    if kept:
        asked_for = {
            (change.dest, change.key)
            for change in kept
            if change.action is Action.DELETE or change.reason is not Reason.BACK_AGAIN
        }
        copies = without_missing(copies, asked_for)
    return ChangeSet(
        copies.changes,
        kept,
        copies.unchanged,
        copies.unknown_drift,
        [*copies.warnings, *told],
        errors,
        copies.idle,
    )
