"""What becomes of a key whose destination shows versions and no values. Pure.

While a secret is at the version that this job has left there, it holds what the ledger names by its HMAC. At another
version it was changed by others, and nobody can tell whether to another value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.schema.job import WritePolicy

if TYPE_CHECKING:
    from secretsync_core.model.inventory import Entry

NOT_COMPARED = "its value cannot be read to compare"
"""What is told of a value that only its store knows."""

NOT_MANAGED = f"it exists, is not managed by this job, and {NOT_COMPARED}"
"""What is told of a secret that is refused for it: it may be the same one."""

UNREAD = "{} shows no values: versions were compared there, and its sources with what the ledger says was written"
"""What is told where values were to be compared."""

AS_WRITTEN = "as this job wrote it, and its version is the same"
"""What is told of a value that was not read, and is right."""

AS_WRITTEN_ONCE = "as this job wrote it last; the store shows no versions, so a change by others cannot be seen"
"""What is told of a value that is right as far as the ledger goes."""


def gone_meanwhile(change: Change, token: str | None) -> Change:
    """A change of what turned out to be absent. ``token`` is the version of a deleted secret that left one."""
    change = change._replace(action=Action.CREATE, dest_version=token, owned=True)
    if change.reason in (Reason.NEW, Reason.FIRST_SIGHT, Reason.CANNOT_SEE):
        return change._replace(reason=Reason.NEW)
    return change._replace(reason=Reason.REMOVED_OUTSIDE, drift=Drift.REMOVED)


def decide_by_version(
    change: Change, entry: Entry | None, *, policy: WritePolicy, marked: bool, as_written: bool, behind: bool
) -> Change:
    """Turn ``compare`` into create, update, unchanged, skip or refuse.

    Args:
        change: as it was decided by the first look.
        entry: what the last look has shown; None where the key is absent.
        policy: the write policy.
        marked: whether it carries this job's mark; asked of what the ledger does not know.
        as_written: whether what is to be written is what the ledger says that this job wrote there last.
        behind: whether ``entry`` is what our own latest write has replaced, shown once more by a store that lags.
    """
    if entry is None or entry.deleted:
        return gone_meanwhile(change, entry.version if entry is not None else None)
    moved = change.drift is Drift.CHANGED
    if entry.version != change.dest_version and not behind:
        moved = True
        change = change._replace(dest_version=entry.version, known=False)
    if policy is WritePolicy.IF_NOT_EXISTS:
        return change._replace(action=Action.SKIP, reason=Reason.EXISTS)
    if not (change.foreign or moved or change.reason is Reason.NOT_COMPARED) and as_written:
        reason = Reason.ADOPTED if change.adopt else Reason.SAME_VALUE
        detail = AS_WRITTEN if change.dest_version is not None else AS_WRITTEN_ONCE
        return change._replace(action=Action.UNCHANGED, reason=reason, detail=detail)
    if change.foreign and not change.adopt and policy is WritePolicy.MANAGED and not marked:
        return change._replace(action=Action.REFUSE, reason=Reason.NOT_MANAGED, drift=Drift.NONE, detail=NOT_MANAGED)
    change = change._replace(action=Action.UPDATE)
    if change.adopt:
        return change._replace(reason=Reason.ADOPTED, detail=NOT_COMPARED)
    if change.foreign:
        reason = Reason.MARKED if policy is WritePolicy.MANAGED else Reason.NOT_COMPARED
        return change._replace(reason=reason, drift=Drift.NONE)
    if moved:
        return change._replace(reason=Reason.DRIFTED, drift=Drift.CHANGED, detail=NOT_COMPARED)
    if change.reason is Reason.NOT_COMPARED:
        return change._replace(detail=NOT_COMPARED)
    if change.reason in (Reason.SOURCE_CHANGED, Reason.DEFINITION_CHANGED):
        return change
    return change._replace(reason=Reason.DIFFERENT_VALUE)
