"""Secrets that were ours and that somebody made anew: they are ours no more, unless our mark says so.

The key is the job's still, and is written as its policy says. But what somebody else has created must not be deleted
as ours one day, whatever its value is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.errors import SecretSyncError
from secretsync_core.model.change import Action, Drift, Reason
from secretsync_core.model.versions import is_same_object
from secretsync_core.run.marks import carrying_our_mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretsync_core.model.change import Change
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.seen import Destination


async def disown_remade(opened: OpenStores, dests: Iterable[Destination], changes: Sequence[Change]) -> list[Change]:
    """The changes, of which none claims that the job created what somebody else has made anew.

    Asks for marks, and only where a secret was made anew. Where they cannot be had now the change is refused: the next
    run asks again.
    """
    judged = list(changes)
    for dest in dests:
        places = [at for at, change in enumerate(changes) if change.dest == dest.name and _is_remade(change, dest)]
        if not places:
            continue
        try:
            ours = await _made_by_us(opened, dest.name, [changes[at].key for at in places])
        except SecretSyncError as error:
            for at in places:
                judged[at] = changes[at]._replace(
                    action=Action.REFUSE, reason=Reason.CANNOT_SEE, drift=Drift.UNKNOWN, detail=error.message
                )
            continue
        for at in places:
            if changes[at].key not in ours:
                judged[at] = changes[at]._replace(owned=False, metadata=())
    return judged


def _is_remade(change: Change, dest: Destination) -> bool:
    """Whether what is to be compared is another secret than the one that the job created."""
    held = dest.known.get(change.key)
    if change.action is not Action.COMPARE or held is None or not (held.owned and change.owned):
        return False
    if dest.blind or change.key in dest.seen.hidden:
        return False
    return not is_same_object(change.dest_version, held.dest_version, dest.facts.version_order)


async def _made_by_us(opened: OpenStores, dest: str, keys: Sequence[str]) -> set[str]:
    if opened.get(dest).facts.lasting_marks:  # what is there now may have the mark of what was there before
        return set()
    return await carrying_our_mark(opened, dest, keys)
