"""What undoing a run does to each key that it wrote, or why it cannot. Pure: nothing is asked of anybody.

A key goes back only if it is still exactly as the run left it. What the run updated gets the value of the version
before as a new version, what it created is deleted, and what it deleted is brought back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.inventory import display_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from secretsync_core.model.inventory import Entry
    from secretsync_core.run.written import Written

_OPEN = "the outcome of a write is not known yet"
_UNSAID = "the ledger does not say"


class Held(NamedTuple):
    """What is seen of a key at its destination.

    Attributes:
        entry: what stands there; None where it is absent.
        unseen: why it could not be looked at; empty where it could.
        keeps_versions: whether the store has the versions before.
        undeletes: whether it brings back what was deleted.
        deletes: whether it deletes.
        as_left: where the store has no versions, or another one that may be of the same value: whether the value is
            the one that the ledger names.
        unread: whether it can be looked at, and its values not be read.
    """

    entry: Entry | None = None
    unseen: str = ""
    keeps_versions: bool = False
    undeletes: bool = False
    deletes: bool = True
    as_left: bool = False
    unread: bool = False


def decide_undo(written: Written, held: Held, run: str) -> Change:
    """Decide about one key; ``run`` is the run that undoes, of which an earlier attempt may have done it already."""
    facts, dest, key = written.facts, *written.place
    entry = held.entry
    change = Change(
        (facts or written.announced).item, dest, key, Action.REFUSE, Reason.UNDONE,
        source_version=facts.source_version if facts else None,
        dest_version=entry.version if entry else None,
        definition=facts.definition if facts else "",
    )  # fmt: skip
    if run and written.since == run:
        return change._replace(action=Action.UNCHANGED)
    if written.done is None:
        return change._replace(reason=Reason.INTERRUPTED, detail=_OPEN)
    if written.since:
        return change._replace(reason=Reason.CHANGED_SINCE, detail=f"run {written.since} has written it since")
    if held.unseen:
        return change._replace(reason=Reason.CANNOT_SEE, detail=held.unseen, drift=Drift.UNKNOWN)
    if written.action == "delete":
        return _decide_undelete(written, held, change)
    if entry is None or entry.deleted:
        return change._replace(reason=Reason.REMOVED_OUTSIDE, drift=Drift.REMOVED)
    left = written.done.dest_version
    if not held.as_left and (entry.version is None or entry.version != left):
        return change._replace(reason=Reason.CHANGED_OUTSIDE, drift=Drift.CHANGED)
    if not written.managed:
        return change._replace(reason=Reason.CHANGED_SINCE, detail="the ledger holds it for this job no longer")
    if written.action == "create":
        if not written.done.owned:
            return change._replace(reason=Reason.NOT_RECORDED, detail=f"{_UNSAID} whether this job created it")
        if not held.deletes:
            return change._replace(reason=Reason.NO_FORMER_VERSION, detail="the store cannot delete")
        return change._replace(
            item=written.done.item, action=Action.DELETE, owned=True, definition=written.done.definition,
            source_version=None, detail="it was not there",
        )  # fmt: skip
    if written.announced.reason == Reason.METADATA:
        return change._replace(
            reason=Reason.NO_FORMER_VERSION, detail="the run set metadata alone, which has no versions"
        )
    if not held.keeps_versions:
        why = "the store shows no values" if held.unread else "the store keeps no versions"
        return change._replace(reason=Reason.NO_FORMER_VERSION, detail=why)
    if written.before is None:
        return change._replace(reason=Reason.NOT_RECORDED, detail=f"{_UNSAID} which version was there")
    whose = "" if facts is not None else ", which this job did not write"
    return change._replace(
        action=Action.UPDATE,
        owned=facts is not None and facts.owned,
        detail=f"version {display_version(written.before)}{whose}",
    )


def _decide_undelete(written: Written, held: Held, change: Change) -> Change:
    entry = held.entry
    if entry is not None and not entry.deleted:
        if written.announced.fields:
            # With Merge a delete takes our fields out of a secret that stays, and its version is not recorded.
            return change._replace(reason=Reason.NOT_RECORDED, detail=f"{_UNSAID} which version Merge left")
        return change._replace(reason=Reason.CHANGED_OUTSIDE, drift=Drift.CHANGED)
    if not held.undeletes:
        return change._replace(reason=Reason.NO_FORMER_VERSION, detail="the store deletes for good")
    if entry is None:
        return change._replace(reason=Reason.NO_FORMER_VERSION, detail="it is gone for good")
    if written.before is None or written.former is None:
        return change._replace(reason=Reason.NOT_RECORDED, detail=f"{_UNSAID} what was there")
    if entry.version != written.before:
        return change._replace(reason=Reason.CHANGED_OUTSIDE, drift=Drift.CHANGED)
    return change._replace(action=Action.CREATE, owned=written.former.owned, detail="brought back")


def spare_uncertain(changes: Iterable[Change], places: Collection[tuple[str, str]]) -> list[Change]:
    """Refuse what a run has announced to write, of which nobody knows yet whether it did; ``places`` are these."""
    return [
        change
        if change.action is Action.REFUSE or (change.dest, change.key) not in places
        else change._replace(action=Action.REFUSE, owned=False, reason=Reason.INTERRUPTED, detail=_OPEN)
        for change in changes
    ]


def warn_of_next_sync(job: str, changes: Iterable[Change]) -> list[str]:
    """What the next sync would do with what is undone: people must know it before they say yes."""
    done = [change for change in changes if change.action in (Action.CREATE, Action.UPDATE, Action.DELETE)]
    if not done:
        return []
    what = "fix the source or the plan first, pin the source's version, or set suspend: true"
    return [f"the next sync of {job} makes these changes again: {what}"]
