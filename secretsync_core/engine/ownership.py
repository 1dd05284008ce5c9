"""Whose a destination's secret is: the mark that says which job of which installation created it.

The ledger alone cannot know of another installation that writes to the same destination. Where stores can carry a
mark (a tag, a label, custom metadata), a delete asks for both: the ledger must say that this job created the secret,
and no mark on it may say that somebody else did.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from secretsync_core.engine.canonical import keys_of
from secretsync_core.engine.gate import unexpected
from secretsync_core.model.change import Action, Change, Reason
from secretsync_core.plan.deletes import takes_away

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsync_core.engine.canonical import FingerprintKey
    from secretsync_core.engine.opening import OpenStores

_LONGEST_JOB = 40


def owner_mark(job: str, key: bytes) -> str:
    """The mark of a job in this installation, which the ledger's ``key`` tells from every other one.

    The job's name (its first 40 characters) for people, and 16 hex digits that no other job or installation has. It
    fits a Kubernetes label and the tags of AWS, and says nothing of the key.
    """
    digest = hmac.new(key, b"owner\0" + job.encode(), hashlib.sha256).hexdigest()[:16]
    return f"{job[:_LONGEST_JOB].rstrip('-')}.{digest}"


def owner_marks(job: str, key: FingerprintKey) -> tuple[str, ...]:
    """The mark of a job, and those that it had when the ledger had other keys."""
    return tuple(owner_mark(job, one) for one in keys_of(key))


async def spare_others(opened: OpenStores, dest: str, deletes: Sequence[Change]) -> list[Change]:
    """Refuse those deletes whose secret carries another owner's mark, and all of them where marks cannot be read."""
    marker = opened.stores[dest].marker
    keys = [change.key for change in deletes if takes_away(change)]
    if marker is None or not keys or not opened.mark:
        return list(deletes)
    try:
        marks = await marker.marks(keys)
    except Exception as error:  # noqa: BLE001  a third party's store may raise anything
        failure = unexpected(error, dest)
        return [
            change._replace(action=Action.REFUSE, reason=Reason.CANNOT_SEE, detail=failure.message)
            if takes_away(change)
            else change
            for change in deletes
        ]
    ours = (opened.mark, *opened.former_marks)
    return [
        change._replace(action=Action.REFUSE, reason=Reason.NOT_OURS)
        if takes_away(change) and marks.get(change.key, opened.mark) not in ours
        else change
        for change in deletes
    ]
