"""One target against one destination: what is to be done, and why. Versions and the ledger decide; no value is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.schema.job import WritePolicy

if TYPE_CHECKING:
    from secretsync_core.model.inventory import Entry
    from secretsync_core.model.plan import Target
    from secretsync_core.model.state import KeyState


@dataclass(frozen=True, slots=True)
class Sight:
    """What we can see of a destination: ``readable`` at all, and whether its entries carry versions."""

    readable: bool
    versioned: bool


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
    sight: Sight,
    policy: WritePolicy,
    verify: bool,
    adopt: bool = False,
) -> Change:
    """Decide about one destination key.

    Args:
        target: what the plan wants.
        definition: the hash of the item's definition.
        dest: the destination store's name.
        entry: what the destination's inventory says of the key; None where it is absent.
        hidden: the inventory could not see this key (so ``entry`` says nothing).
        state: what the ledger knows of the key.
        sight: what we can see of the destination.
        policy: the write policy.
        verify: compare values even where versions match.
        adopt: take over what is there and not ours.
    """
    owned = state is not None and state.owned
    base = Change(target.item, dest, target.key, Action.COMPARE, Reason.FIRST_SIGHT, target.sources, target.version,
                  entry.version if entry else None, definition, owned)  # fmt: skip
    if stands(target, definition, entry, state, adopt=adopt) and sight.readable and not verify:
        return base._replace(action=Action.UNCHANGED, reason=Reason.VERSIONS_MATCH, known=True)
    source_stands = state is not None and target.version is not None and target.version == state.source_version
    definition_stands = state is not None and state.definition == definition and state.item == target.item

    if not sight.readable:
        return _decide_blind(base, state, policy, source_stands=source_stands, definition_stands=definition_stands)
    if hidden:
        return base._replace(reason=Reason.CANNOT_SEE, drift=Drift.UNKNOWN)
    if entry is None or entry.deleted:
        if state is None:
            return base._replace(action=Action.CREATE, reason=Reason.NEW, owned=True)
        return base._replace(action=Action.CREATE, reason=Reason.REMOVED_OUTSIDE, owned=True, drift=Drift.REMOVED)

    if adopt and not owned and policy is not WritePolicy.IF_NOT_EXISTS:
        base = base._replace(owned=True, adopt=True)
    if policy is WritePolicy.IF_NOT_EXISTS:
        moved = state is not None and entry.version != state.dest_version
        return base._replace(action=Action.SKIP, reason=Reason.EXISTS, drift=Drift.CHANGED if moved else Drift.NONE)
    if state is None:
        return base
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
