"""Who else holds a key: another job whose destination has the same place, or one within or around it.

Asked of the ledger for keys that are new to the job, and for no other, so that it costs nothing where nothing is new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.audit.places import Holding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsync_core.audit.places import Binding
    from secretsync_core.model.place import Place
    from secretsync_core.run.seen import Destination
    from secretsync_core.run.targets import Targets

Holders = dict[tuple[str, str], Holding]
"""By destination and key of ours: who holds it, and what they call it."""


def new_keys(dests: Sequence[Destination], targets: Targets) -> dict[str, list[str]]:
    """By destination, the targets that this job does not know yet."""
    found = {dest.name: [key for key in targets.by_key if key not in dest.known] for dest in dests}
    return {name: keys for name, keys in found.items() if keys}


def possible_holdings(
    places: Mapping[str, Place], keys: Mapping[str, Sequence[str]], others: Sequence[Binding]
) -> dict[Holding, tuple[str, str]]:
    """What other jobs would call these keys, if they held them; and by that, our destination and key.

    ``places`` and ``keys`` are by destination.
    """
    found: dict[Holding, tuple[str, str]] = {}
    for dest, place in places.items():
        for other in others if keys.get(dest) else ():
            if other.place.overlaps(place):
                for key in keys[dest]:
                    if (theirs := other.place.key_at(place, key)) is not None:
                        found[Holding(other.job, other.dest, theirs)] = (dest, key)
    return found


def held_by(holding: Holding, job: str) -> str:
    """One sentence for people whose key somebody else holds, with what can be done."""
    return (
        f"job {holding.job} holds it: --adopt takes it over;"
        f" if {holding.job} is what {job} was called, `secretsync rename {holding.job} {job}` takes all its keys along"
    )
