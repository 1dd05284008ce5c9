"""Copies that a job made and that nothing asks for any more, and that stay. Pure: found by what the ledger knows.

A destination left the document, a plan item did and its copies are retained, or their sources are gone and retained.
Nothing happens to them by itself: ``secretsync orphans`` lists them, and ends them on purpose.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.counting import plural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from secretsync_core.model.state import KeyState
    from secretsync_core.run.items import JobPlan


class Why(StrEnum):
    """Why nothing asks for it."""

    DEST_GONE = "destination-gone"  # the job no longer has this destination
    ITEM_GONE = "item-gone"  # the plan item was removed
    NOT_WANTED = "not-wanted"  # its source is gone, or is selected no more


class Orphan(NamedTuple):
    """One copy; ``dest`` is what the ledger calls its destination."""

    dest: str
    key: str
    item: str
    why: Why


def find_orphans(
    plan: JobPlan, state: Mapping[str, Mapping[str, KeyState]], claimed: Collection[str], doubted: Collection[str]
) -> list[Orphan]:
    """The orphans among what the ledger knows, sorted.

    Args:
        plan: the job as it is now. Of items that this run leaves out nothing is said.
        state: what the ledger knows, by destination and key.
        claimed: every destination key that some item asks for.
        doubted: items of which not all was seen: what nobody seems to ask for may be theirs.
    """
    found: list[Orphan] = []
    dests, goes = frozenset(plan.spec.dest), plan.deletes
    for dest, keys in state.items():
        for key, held in keys.items():
            if not held.owned:
                continue
            if dest not in dests:
                found.append(Orphan(dest, key, held.item, Why.DEST_GONE))
            elif key in claimed or plan.partial:
                continue
            elif held.item not in plan.names:
                if not plan.deletes_gone and not doubted:
                    found.append(Orphan(dest, key, held.item, Why.ITEM_GONE))
            elif not goes.get(held.item, True) and held.item not in doubted:
                found.append(Orphan(dest, key, held.item, Why.NOT_WANTED))
    return sorted(found)


_TOLD = {
    Why.DEST_GONE: "in {dest}, which is no destination of this job any more",
    Why.ITEM_GONE: "in {dest} of item {item}, which was removed",
    Why.NOT_WANTED: "in {dest} of item {item}, whose sources are gone or no longer selected",
}


def told_of_orphans(job: str, orphans: Iterable[Orphan]) -> list[str]:
    """One sentence, where there are any."""
    groups = Counter((one.why, one.dest, "" if one.why is Why.DEST_GONE else one.item) for one in orphans)
    if not groups:
        return []
    count = sum(groups.values())
    parts = [
        f"{number} {_TOLD[why].format(dest=dest, item=item)}" for (why, dest, item), number in sorted(groups.items())
    ]
    more = f", and {len(parts) - 3} more groups" if len(parts) > 3 else ""
    told = f"{plural(count, 'orphan')}, which this job made and nothing asks for: {'; '.join(parts[:3])}{more}"
    return [f"{told}. `secretsync orphans {job}` lists them, and deletes or forgets them"]
