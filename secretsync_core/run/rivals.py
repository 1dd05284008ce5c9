"""Who else may claim a destination key: items that a run leaves out, and items whose sources it has not seen whole.

Whose a key is only a look at all that may claim it can tell. What another item has, or may claim, is neither
overwritten nor deleted until then. What an item has the ledger says, and what it may claim its definition: neither
costs a request. What it does claim its source tells, which is asked before a delete alone.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING

from secretsync_core.errors import TransformFailed
from secretsync_core.model.plan import Target
from secretsync_core.run.targets import AMBIGUOUS, nameless_claims, targets_of
from secretsync_core.schema.keys import QueryMatcher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from secretsync_core.run.items import Item, JobPlan
    from secretsync_core.run.seen import SourceSeen
    from secretsync_core.run.targets import Targets

_CLAIM_NOTHING = (AMBIGUOUS, TransformFailed.code)  # what shares its key is known, and what has no key claims none


def unseen_items(plan: JobPlan, seen: Sequence[SourceSeen], targets: Targets) -> AbstractSet[str]:
    """The items of the document of which this look does not tell all that they claim; mostly none."""
    return {
        *(plan.names - {item.name for item in plan.items}),
        *(one.item.name for one in seen if one.errors or (one.item.combined and one.missing)),
        *(made.item for made in targets.impossible if made.code not in _CLAIM_NOTHING),
    }


def waits_for(plan: JobPlan, item: str, *, has: bool) -> str:
    """One sentence on an unseen item that ``has`` a key, or may claim it."""
    it = f"item {item} {'has it, and may still claim it' if has else 'may claim it'}"
    if item in plan.rest:
        return f"{it}: it is not in this run, so run the whole job"
    return f"{it}: what it claims was not seen whole"


def claimable(item: Item, keys: Collection[str]) -> list[str]:
    """Those of some destination keys that an item may claim, as far as its definition tells."""
    if item.combined:
        return [key for key in keys if key == item.key]
    (part,) = item.parts
    named = part.secret.key if part.secret is not None else ""
    if named and not item.split:
        with suppress(TransformFailed):
            made = item.keys.map(named)
            return [key for key in keys if key == made]
        return []
    prefix = item.keys.prefix
    if prefix is None:
        return list(keys)
    takes = QueryMatcher(part.query).reaches if part.query is not None else named.__eq__
    below = [(key, key.removeprefix(prefix)) for key in keys if key.startswith(prefix)]
    return [key for key, source in below if any(map(takes, _above(source) if item.split else [source]))]


def tells_its_keys(item: Item) -> bool:
    """Whether a listing of its source tells all that an item claims; fields and parts it does not tell."""
    return not (item.combined or item.split)


def claims(seen: SourceSeen, keys: Collection[str]) -> set[str]:
    """Those of the keys that an item claims, by a look at its source; all that it may where that is not seen whole."""
    if seen.errors:
        return {*claimable(seen.item, keys)}
    made = {target.key for target in targets_of(seen) if isinstance(target, Target)}
    return (made | nameless_claims([seen])).intersection(keys)


def _above(key: str) -> Iterator[str]:
    """What stands before each slash of a key."""
    return accumulate(key.split("/")[:-1], lambda above, name: f"{above}/{name}")
