"""Phases 2 and 3 for one run: ask the stores, and make the change set of what they and the ledger say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from secretsync_core.engine.absence import find_whereabouts
from secretsync_core.engine.inventories import DestView, look, view_sources, zero_matches
from secretsync_core.engine.opening import job_error
from secretsync_core.engine.ownership import spare_others
from secretsync_core.engine.splitting import find_fields
from secretsync_core.errors import PlanRefused, SecretSyncError, TransformFailed
from secretsync_core.key_rules import key_fault, new_key_fault
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.plan import Target
from secretsync_core.model.report import ItemError
from secretsync_core.plan.abilities import find_impossible
from secretsync_core.plan.deletes import decide_delete, doubts_of, guard, orphans, takes_away
from secretsync_core.plan.diff import Sight, decide, stands
from secretsync_core.plan.origins import unrecordable
from secretsync_core.plan.targets import Claims
from secretsync_core.schema.job import DeletionPolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from collections.abc import Set as AbstractSet

    from secretsync_core.engine.compare import Comparer
    from secretsync_core.engine.inventories import SourceView
    from secretsync_core.engine.opening import OpenStores
    from secretsync_core.engine.recorder import Recorder
    from secretsync_core.model.plan import SourceRef
    from secretsync_core.model.state import KeyState
    from secretsync_core.plan.items import Item, JobPlan

State = dict[str, dict[str, "KeyState"]]
"""What the ledger knows: by destination, by key."""


@dataclass(slots=True)
class ChangeSet:
    """What is to be done. ``changes`` are in the order of the targets, ``deletes`` come after all of them.

    Changes that are unchanged by their versions are in ``changes`` only if they were asked for; ``unchanged`` counts
    them by item in any case.
    """

    changes: list[Change] = field(default_factory=list)
    deletes: list[Change] = field(default_factory=list)
    unchanged: dict[str, int] = field(default_factory=dict)
    unknown_drift: int = 0
    warnings: list[str] = field(default_factory=list)
    errors: list[ItemError] = field(default_factory=list)


async def survey(
    plan: JobPlan,
    opened: OpenStores,
    state: State,
    comparer: Comparer,
    recorder: Recorder | None,
    *,
    verify: bool,
    keep_unchanged: bool,
) -> ChangeSet:
    """Ask the sources and the destinations, and decide about every key. No value is read but to split it.

    Raises PlanRefused where the plan as a whole must not run: a store lacks an ability, or two sources claim a key.
    """
    impossible = find_impossible(plan, opened.facts, opened.abilities)
    if impossible:
        raise PlanRefused(impossible, hint="nothing was read or written")
    changes = ChangeSet()
    dests = [dest for dest in plan.spec.dest if dest in opened.stores]
    for dest in plan.spec.dest:
        if dest in opened.failed:
            changes.errors.append(job_error(opened.failed[dest]))

    # The ledger knows most of the keys that will matter, so the destinations are asked while the sources answer.
    expected = {
        dest: asyncio.create_task(_look(opened, dest, state.get(dest, {}).keys(), state.get(dest))) for dest in dests
    }
    try:
        view = await view_sources(plan, opened)
        changes.errors += view.errors
        await find_fields(plan, view, comparer, recorder)
        views: dict[str, DestView] = {}
        for dest in dests:
            seen = await expected[dest]
            if isinstance(seen, SecretSyncError):
                changes.errors.append(job_error(seen))
            else:
                views[dest] = seen
        asked = verify or keep_unchanged
        claims = _targets(plan, view, changes, _Standing(plan, {} if asked else views, state))
        by_key = claims.kept
        for dest in list(views):
            known = state.get(dest, {})
            limits = opened.stores[dest].facts.limits
            # A key that it cannot hold is refused below, by itself: asking for it would fail them all.
            new = [key for key in by_key if key not in known and not key_fault(key, limits)]
            rest = await _look(opened, dest, new)
            if isinstance(rest, SecretSyncError):
                changes.errors.append(job_error(rest))
                del views[dest]
            else:
                views[dest].entries.update(rest.entries)
                views[dest].hidden.update(rest.hidden)
    finally:
        for task in expected.values():
            task.cancel()

    for dest, dest_view in views.items():
        _decide_all(plan, opened, by_key, dest, dest_view, state, changes, verify=verify, keep=keep_unchanged)
    # Grouped by target, so that a source is read once for all its destinations.
    if len(dests) > 1:
        changes.changes.sort(key=lambda change: (change.item, change.key))
    if plan.spec.deletion_policy is DeletionPolicy.DELETE:
        await _decide_deletes(plan, opened, claims.keys, view, views, state, changes, recorder)
    return changes


class _Standing:
    """Finds the targets that stand in every destination: they are counted, and nothing else is kept of them."""

    def __init__(self, plan: JobPlan, views: Mapping[str, DestView], state: State) -> None:
        self._definitions = {item.name: item.definition for item in plan.items}
        self._dests = [(views[dest], state.get(dest, {})) for dest in plan.spec.dest if dest in views]
        self._all = len(self._dests) == len(plan.spec.dest)
        self._adopt = plan.spec.ownership.adopt

    def holds(self, target: Target) -> bool:
        """Whether source, destinations and definition are all as they were when we last wrote."""
        definition = self._definitions[target.item]
        return self._all and all(
            target.key in view.as_left
            and stands(
                target,
                definition,
                view.entry(target.key, known.get(target.key)),
                known.get(target.key),
                adopt=self._adopt,
            )
            for view, known in self._dests
        )


async def _look(
    opened: OpenStores, dest: str, keys: Collection[str], known: Mapping[str, KeyState] | None = None
) -> DestView | SecretSyncError:
    """Look at destination keys, giving an error instead of raising it; nothing is seen where we may only write."""
    if not opened.readable(dest):
        return DestView()
    try:
        return await look(opened, dest, keys, known)
    except SecretSyncError as error:
        return error


def _targets(plan: JobPlan, view: SourceView, changes: ChangeSet, standing: _Standing) -> Claims:
    claims = Claims(plan.spec.dest)
    for collected in view.items:
        item = collected.item
        for made in collected.targets():
            if not isinstance(made, Target):
                collected.incomplete = True  # its key is not known, so nobody may take its old copy for an orphan
                failed = made.code == TransformFailed.code
                reason = Reason.TRANSFORM_FAILED if failed else Reason.CANNOT_SEE
                for dest in plan.spec.dest:
                    changes.changes.append(
                        Change(item.name, dest, made.sources[0].key, Action.REFUSE, reason, made.sources,
                               detail=made.message)
                    )  # fmt: skip
            elif standing.holds(made):
                claims.claim(made, keep=False)
                changes.unchanged[item.name] = changes.unchanged.get(item.name, 0) + len(plan.spec.dest)
            else:
                claims.claim(made, keep=True)
        for ref in collected.missing:
            _refuse_missing(plan, collected.item.key if item.combined else _map(item, ref.key), ref, item.name, changes)
            if item.combined:
                collected.incomplete = True
        if not collected.incomplete:
            changes.warnings += zero_matches(item, collected.matched)
    if clashes := claims.clashes:
        shown = clashes[:20] + ([f"and {len(clashes) - 20} more"] if len(clashes) > 20 else [])
        raise PlanRefused(shown, hint="give each destination key one source; nothing was written")
    return claims


def _map(item: Item, key: str) -> str:
    try:
        return item.keys.map(key)
    except TransformFailed:
        return key


def _refuse_missing(plan: JobPlan, key: str, ref: SourceRef, item: str, changes: ChangeSet) -> None:
    for dest in plan.spec.dest:
        changes.changes.append(
            Change(item, dest, key, Action.REFUSE, Reason.NOT_FOUND, (ref,),
                   detail=f"source {ref.store} has no secret {ref.key}")
        )  # fmt: skip


def _decide_all(
    plan: JobPlan,
    opened: OpenStores,
    by_key: Mapping[str, Target],
    dest: str,
    view: DestView,
    state: State,
    changes: ChangeSet,
    *,
    verify: bool,
    keep: bool,
) -> None:
    facts = opened.stores[dest].facts
    sight = Sight(opened.readable(dest), facts.versioned)
    definitions = {item.name: item.definition for item in plan.items}
    known = state.get(dest, {})
    policy = plan.spec.write_policy
    counted = adopted = 0
    for key, target in by_key.items():
        held = known.get(key)
        entry = view.entry(key, held)
        definition = definitions[target.item]
        change = decide(
            target,
            definition,
            dest,
            entry=entry,
            hidden=key in view.hidden,
            state=held,
            sight=sight,
            policy=policy,
            adopt=plan.spec.ownership.adopt,
            verify=verify,
        )
        adopted += change.adopt
        counted += change.drift is Drift.UNKNOWN
        if change.action is Action.UNCHANGED:
            changes.unchanged[target.item] = changes.unchanged.get(target.item, 0) + 1
            if keep:
                changes.changes.append(change)
        elif fault := new_key_fault(key, facts.limits) or unrecordable(key):
            changes.changes.append(change._replace(action=Action.REFUSE, reason=Reason.INVALID_KEY, detail=fault))
        else:
            changes.changes.append(change)
    changes.unknown_drift += counted
    if adopted:
        changes.warnings.append(f"{adopted} secrets that {dest} holds already are taken over: ownership.adopt is set")


async def _decide_deletes(
    plan: JobPlan,
    opened: OpenStores,
    claimed: AbstractSet[str],
    sources: SourceView,
    views: Mapping[str, DestView],
    state: State,
    changes: ChangeSet,
    recorder: Recorder | None,
) -> None:
    failed = bool(changes.errors)
    incomplete = {collected.item.name for collected in sources.items if collected.incomplete}
    # A missing part of a combined secret must not delete the whole of it.
    wanted = claimed | {item.key for item in plan.items if item.combined and item.name in incomplete}
    deletes = {dest: _orphans(plan, opened, wanted, dest, view, state) for dest, view in views.items()}
    unseen = await _prove_absences(plan, opened, sources, deletes, state, changes, recorder)
    of_items = [change for found in deletes.values() for change in found if change.item in plan.names]
    doubts = doubts_of(incomplete | unseen, changes.changes, of_items, failed=failed)
    for dest, found in deletes.items():
        spared = [change for change in found if doubts.spare(change, plan.names)]
        if spared:
            named = ", ".join(change.key for change in spared[:3]) + (", ..." if len(spared) > 3 else "")
            changes.warnings.append(
                f"not deleted from {dest}: {named} ({len(spared)} in all), for what their items should hold was not"
                " seen whole"
            )
        await _release(plan, opened, dest, [change for change in found if change not in spared], state, changes)
    # What a missing source asks to have deleted is no longer an error of its own.
    going = {(change.dest, change.key) for change in changes.deletes}
    changes.changes = [
        change
        for change in changes.changes
        if not (change.reason is Reason.NOT_FOUND and (change.dest, change.key) in going)
    ]


def _orphans(
    plan: JobPlan, opened: OpenStores, wanted: AbstractSet[str], dest: str, view: DestView, state: State
) -> list[Change]:
    """What would be deleted from a destination, as far as what stands there goes."""
    known = state.get(dest, {})
    sight = Sight(opened.readable(dest), opened.stores[dest].facts.versioned)
    return [
        decide_delete(
            key, known[key], dest, plan=plan, entry=view.entry(key, known[key]), hidden=key in view.hidden, sight=sight
        )
        for key in orphans(plan, wanted, known)
    ]


async def _prove_absences(
    plan: JobPlan,
    opened: OpenStores,
    sources: SourceView,
    deletes: dict[str, list[Change]],
    state: State,
    changes: ChangeSet,
    recorder: Recorder | None,
) -> set[str]:
    """Ask the sources for each key whose copy would be deleted; gives the items of which one could not be seen."""
    incomplete = {collected.item.name for collected in sources.items if collected.incomplete}
    asked = {
        dest: {
            change.key: state[dest][change.key]
            for change in found
            if takes_away(change) and change.item not in incomplete
        }
        for dest, found in deletes.items()
    }
    whereabouts = await find_whereabouts(plan, sources, opened, recorder, asked)
    unseen: dict[str, set[str]] = {}
    for dest, found in deletes.items():
        for at, change in enumerate(found):
            seen = whereabouts.get((dest, change.key))
            if seen is None:
                continue
            found[at] = change._replace(reason=seen.reason)
            if seen.error is not None and seen.error.message not in unseen.setdefault(change.item, set()):
                unseen[change.item].add(seen.error.message)
                error = seen.error
                changes.errors.append(
                    ItemError(change.item, error.code, f"{change.key} is kept: {error.message}", error.hint, 1)
                )
    return {item for item, messages in unseen.items() if messages}


async def _release(
    plan: JobPlan, opened: OpenStores, dest: str, deletes: list[Change], state: State, changes: ChangeSet
) -> None:
    owned = sum(held.owned for held in state.get(dest, {}).values())
    allowed = plan.spec.max_delete.allowed(owned)
    guarded = await spare_others(opened, dest, guard(deletes, allowed))
    blocked = sum(change.reason is Reason.MAX_DELETE for change in guarded)
    if blocked:
        changes.errors.append(
            ItemError(
                "",
                "max-delete",
                f"{blocked} secrets would be deleted from {dest}, and maxDelete {plan.spec.max_delete} "
                f"allows {allowed} of the {owned} that this job created there: none is deleted",
                "look at the plan; if it is what you want, raise maxDelete",
                1,
            )
        )
    changes.deletes += guarded
