"""Phases 2 to 4 in their order: look, and decide what is to be done. What has to be asked in between is asked here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from secretsync_core.errors import PlanRefused, SecretSyncError
from secretsync_core.key_rules import key_fault
from secretsync_core.model.place import place_of_name
from secretsync_core.run.abilities import find_impossible
from secretsync_core.run.by_version import UNREAD
from secretsync_core.run.compare import Comparer, find_fields
from secretsync_core.run.copy_returned import beside, decide_returned, find_returned, gone_keys, tell_returned
from secretsync_core.run.decide import ChangeSet, Standing, change_set, decide_copies, without_missing
from secretsync_core.run.deletes import (
    doubts_of,
    find_deletes,
    guard,
    incomplete_items,
    judge_absences,
    spare_claimed,
    spare_others,
    takes_away,
    withhold,
)
from secretsync_core.run.feeding import HINT, find_feeding
from secretsync_core.run.holders import new_keys, possible_holdings
from secretsync_core.run.look import find_whereabouts, look_at_destination, look_at_sources
from secretsync_core.run.marks import look_at_marks
from secretsync_core.run.metadata import Wishes
from secretsync_core.run.older_versions import of_doubted, refuse_older, trust_own_writes
from secretsync_core.run.opening import job_error
from secretsync_core.run.orphans import find_orphans, told_of_orphans
from secretsync_core.run.positions import fault_of
from secretsync_core.run.recreated import disown_remade
from secretsync_core.run.rivals import claimable, claims, tells_its_keys, unseen_items
from secretsync_core.run.seen import Destination, find_unversioned
from secretsync_core.run.targets import make_targets, nameless_claims, shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, KeysView, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from secretsync_core.model.change import Change
    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.plan import Target
    from secretsync_core.model.report import ItemError
    from secretsync_core.run.copy_returned import Gone
    from secretsync_core.run.decide import Copies
    from secretsync_core.run.holders import Holders
    from secretsync_core.run.items import Item, JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder
    from secretsync_core.run.seen import Fields, SourceSeen
    from secretsync_core.run.targets import Targets


async def decide_changes(
    plan: JobPlan,
    opened: OpenStores,
    comparer: Comparer,
    recorder: Recorder | None,
    *,
    verify: bool,
    keep_unchanged: bool = False,
    deleted: Collection[tuple[str, str]] = (),
) -> ChangeSet:
    """Ask the stores and the ledger, and decide about every key. No value is read but to split it.

    ``deleted`` are copies, by destination and key, that this run has deleted already: that their sources are missing is
    no error then.

    Raises PlanRefused where the plan as a whole must not run: a store lacks an ability, or the job would read what it
    writes.
    """
    if impossible := find_impossible(plan, opened.facts, opened.abilities):
        raise PlanRefused(impossible, hint="nothing was read or written")
    state = await recorder.state() if recorder is not None else {}
    gone = gone_keys(plan, await recorder.deleted(), state) if recorder is not None else {}
    near = {dest: beside(state.get(dest, {}).keys(), keys) for dest, keys in gone.items()}
    errors = [job_error(opened.failed[dest]) for dest in plan.spec.dest if dest in opened.failed]
    wishes = Wishes(plan, opened.describing, opened.mark)
    # The ledger knows most of the keys that will matter, so the destinations are asked while the sources answer.
    looks = {
        dest: asyncio.create_task(
            look_at_destination(
                opened,
                dest,
                _with(state.get(dest, {}).keys(), near.get(dest)),
                state.get(dest),
                describe=wishes.concern(dest),
            )
        )
        for dest in plan.spec.dest
        if dest in opened.stores
    }
    dests: list[Destination] = []
    try:
        sources = await _without_distrusted(plan, opened, await look_at_sources(plan, opened))
        errors += [error for one in sources for error in one.errors]
        wishes.learn(sources)
        fields = await find_fields(plan, sources, comparer, recorder)
        for dest, look in looks.items():
            seen = await look
            if isinstance(seen, SecretSyncError):
                errors.append(job_error(seen))
            elif (fault := await fault_of(dest, plan, opened)) is not None:
                errors.append(job_error(fault))
            else:
                halves, known = opened.stores[dest], state.get(dest, {})
                if recorder is not None:
                    seen = await trust_own_writes(dest, seen, known, recorder, lags=halves.facts.lags)
                tells = halves.conditional is not None or halves.creator is not None
                looks_only = halves.looker is not None and halves.reader is None
                marks = halves.marker is not None and bool(opened.mark)
                dests.append(
                    Destination(dest, halves.facts, halves.reader is not None, seen, known, tells, looks_only, marks)
                )
    finally:
        for look in looks.values():
            look.cancel()

    asked = verify or keep_unchanged
    standing = Standing(plan, [] if asked else dests, wishes if wishes.any else None)
    flows = opened.flows

    def stands(target: Target) -> bool:
        return standing.holds(target) and not (flows and flows.concern(target, plan.spec.dest))

    targets = make_targets(sources, fields, stands)
    places = {name: facts.place or place_of_name(name) for name, facts in opened.facts.items()}
    if fed := find_feeding(plan.items, places, plan.spec.dest, targets.claimed):
        raise PlanRefused(shortened(fed), hint=HINT)
    dests, lost = await _look_at_new(opened, dests, targets, wishes)
    errors += lost
    opened.looked.update(dest.name for dest in dests)
    held = await _find_holders(dests, targets, recorder) if recorder is not None else {}
    copies = decide_copies(plan, sources, targets, dests, verify=verify, keep_unchanged=keep_unchanged, holders=held,
                           wishes=wishes if wishes.any else None, flows=flows)  # fmt: skip
    copies.warnings.extend([*wishes.warnings, *opened.notes])
    if verify:
        copies.warnings.extend(UNREAD.format(dest.name) for dest in dests if dest.versions_only)
    older: frozenset[str] = frozenset()
    if recorder is not None:
        copies, older = await refuse_older(plan, opened, recorder, dests, copies)
    copies = copies._replace(changes=await disown_remade(opened, dests, copies.changes))
    if deleted:
        copies = without_missing(copies, deleted)
    unversioned = find_unversioned(sources, opened.facts) if keep_unchanged else []
    if recorder is None:
        return replace(change_set(copies, [], errors), unversioned=unversioned)
    incomplete = incomplete_items(sources, targets)
    # A destination that was not seen may be one that is called otherwise now, so nothing is an orphan for sure.
    doubted = incomplete | of_doubted(sources, older)
    claimed = targets.claimed | nameless_claims(sources)
    orphans = [] if errors else find_orphans(plan, state, claimed, doubted)
    copies.warnings.extend(told_of_orphans(plan.job, orphans))
    returned = await _find_returned(plan, opened, comparer, recorder, sources, targets, dests, gone, near)
    copies.warnings.extend(tell_returned(returned))
    if not (plan.deletes_gone or any(plan.deletes.values())):
        return replace(change_set(copies, returned, errors), orphans=orphans, unversioned=unversioned)
    deletes, told = await _decide_deletes(
        plan,
        opened,
        recorder,
        sources,
        fields,
        targets,
        dests,
        copies,
        deleted,
        returned,
        gone,
        doubted=of_doubted(sources, older),
        failed=bool(errors),
    )
    return replace(change_set(copies, deletes, [*errors, *told]), orphans=orphans, unversioned=unversioned)


async def _find_holders(dests: Sequence[Destination], targets: Targets, recorder: Recorder) -> Holders:
    """What other jobs hold of the keys that are new to this one."""
    return await _held_by_others(dests, new_keys(dests, targets), recorder)


async def _held_by_others(
    dests: Sequence[Destination], keys: Mapping[str, Sequence[str]], recorder: Recorder
) -> Holders:
    """What other jobs hold of these keys, by destination."""
    if not any(keys.values()):
        return {}
    places = {dest.name: place for dest in dests if (place := dest.facts.place) is not None}
    asked = possible_holdings(places, keys, await recorder.bindings_of_others())
    return {asked[holding]: holding for holding in sorted(await recorder.holders(asked))} if asked else {}


def _with(known: KeysView[str], more: AbstractSet[str] | None) -> Collection[str]:
    return known | more if more else known


async def _find_returned(
    plan: JobPlan,
    opened: OpenStores,
    comparer: Comparer,
    recorder: Recorder,
    sources: Sequence[SourceSeen],
    targets: Targets,
    dests: Sequence[Destination],
    gone: Gone,
    near: Mapping[str, Collection[str]],
) -> list[Change]:
    """What is there again of what was deleted, and what to do about it. Of items not seen whole nobody can tell."""
    incomplete = incomplete_items(sources, targets)
    found: list[Change] = []
    for dest in dests:
        if comparer.fingerprinter is None or dest.blind or dest.name not in gone:
            continue
        wanted = {
            key: told
            for key, told in gone[dest.name].items()
            if key not in targets.claimed and told.item not in incomplete
        }
        looked_at = {key: told for key, told in wanted.items() if key in near[dest.name]}
        others = {key: told for key, told in wanted.items() if key not in looked_at}
        returned = await find_returned(
            plan, opened, comparer.fingerprinter, dest.name, looked_at, _those(dest.seen.entries, looked_at)
        )
        if others:
            returned += await find_returned(plan, opened, comparer.fingerprinter, dest.name, others)
        # What another job holds by now is that one's, whatever it looks like.
        held = await _held_by_others([dest], {dest.name: [one.key for one in returned]}, recorder)
        found += decide_returned(plan, dest.name, [one for one in returned if (dest.name, one.key) not in held])
    return found


def _those(entries: Mapping[str, Entry], keys: Iterable[str]) -> dict[str, Entry]:
    return {key: entries[key] for key in keys if key in entries}


async def _without_distrusted(plan: JobPlan, opened: OpenStores, sources: Sequence[SourceSeen]) -> list[SourceSeen]:
    """What the sources said, less what a server says that is older than the ledger knows, or another one."""
    names = [name for name in plan.sources if name in opened.stores]
    faults = {name: fault for name in names if (fault := await fault_of(name, plan, opened)) is not None}
    return [
        one.blind(job_error(faults[store])._replace(item=one.item.name))
        if (store := next((part.store for part in one.item.parts if part.store in faults), None)) is not None
        else one
        for one in sources
    ]


async def _look_at_new(
    opened: OpenStores, dests: Sequence[Destination], targets: Targets, wishes: Wishes
) -> tuple[list[Destination], list[ItemError]]:
    """Look at the keys that the ledger does not know; gives the destinations with all that was seen of them."""
    whole: list[Destination] = []
    errors: list[ItemError] = []
    for dest in dests:
        # A key that it cannot hold is refused by itself: asking for it would fail them all.
        new = [key for key in targets.by_key if key not in dest.known and not key_fault(key, dest.facts.limits)]
        rest = await look_at_destination(opened, dest.name, new, describe=wishes.concern(dest.name))
        if isinstance(rest, SecretSyncError):
            errors.append(job_error(rest))
        else:
            whole.append(replace(dest, seen=dest.seen.and_then(rest)) if new else dest)
    return whole, errors


async def _decide_deletes(
    plan: JobPlan,
    opened: OpenStores,
    recorder: Recorder,
    sources: Sequence[SourceSeen],
    fields: Mapping[str, Fields],
    targets: Targets,
    dests: Sequence[Destination],
    copies: Copies,
    deleted: Collection[tuple[str, str]],
    returned: Sequence[Change],
    gone: Gone,
    *,
    doubted: Collection[str],
    failed: bool,
) -> tuple[list[Change], list[ItemError]]:
    """What is to be deleted, or why it is not, by the rule of :mod:`~secretsync_core.run.deletes`."""
    deletes = [*find_deletes(plan, sources, targets, dests), *returned]
    incomplete = incomplete_items(sources, targets).union(doubted)
    of_items = [change for change in deletes if change.item in plan.names]
    doubts = doubts_of(incomplete, copies.changes, of_items, failed=failed)
    deletes, errors = guard(plan, withhold(deletes, doubts, plan.names), dests, deleted)
    # Asked for what nothing else holds back, so that it costs a look for each delete and no more.
    whereabouts = await find_whereabouts(plan, sources, opened, recorder, fields, deletes, gone)
    deletes, unproven = judge_absences(deletes, whereabouts)
    if unproven:
        doubts = doubts._replace(items={*doubts.items, *(error.item for error in unproven)}, any=True)
        deletes = withhold(deletes, doubts, plan.names)
    claimed = await _find_claimed(plan, opened, deletes, unseen_items(plan, sources, targets))
    deletes = spare_claimed(plan, deletes, claimed)
    marks = await look_at_marks(opened, deletes)
    return spare_others(deletes, marks, {opened.mark, *opened.former_marks}), [*errors, *unproven]


async def _find_claimed(
    plan: JobPlan, opened: OpenStores, deletes: Iterable[Change], unseen: Collection[str]
) -> dict[tuple[str, str], str]:
    """The deletes, by destination and key, of which an ``unseen`` item may claim the key, and which item that is.

    A source is asked only of items whose definition says that they may, and that this run leaves out: of any other the
    look has asked already.
    """
    wanted = {(change.dest, change.key) for change in deletes if takes_away(change)} - plan.given
    keys = {key for _, key in wanted}
    if not (keys and unseen):
        return {}
    found: dict[str, str] = {}
    asked: list[Item] = []
    for item in map(plan.item, sorted(unseen)):
        possible = claimable(item, keys)
        if possible and item.name in plan.rest and tells_its_keys(item) and item.parts[0].store in opened.stores:
            asked.append(item)
        else:
            found |= dict.fromkeys(possible, item.name)
    others = replace(plan, items=tuple(asked))
    for one in await _without_distrusted(others, opened, await look_at_sources(others, opened)):
        found |= dict.fromkeys(claims(one, keys), one.item.name)
    return {(dest, key): found[key] for dest, key in wanted if key in found}
