"""What is looked at before a delete is announced, for the plan and for the transfer alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from secretsync_core.model.change import Action, Drift, Reason
from secretsync_core.model.state import Deleted
from secretsync_core.model.versions import is_same_object
from secretsync_core.run.look import look_at_key

if TYPE_CHECKING:
    from secretsync_core.model.change import Change
    from secretsync_core.run.compare import Comparer
    from secretsync_core.run.fingerprint import Fingerprinter
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.record import Recorder
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.base import Reader


_UNTOLD = (
    "it has no version, and its value cannot be read, so there is no telling whether it has changed since this job"
    " wrote it"
)


class Judged(NamedTuple):
    """A delete that was looked at: released, refused, or of what is gone already (``removed-outside``).

    Where only some fields are ours: ``rest`` is what is to stay (None: nothing), ``ours`` are their names as the ledger
    has them, and ``seen`` is the version that they were seen at.
    """

    change: Change
    rest: SecretValue | None = None
    ours: str = ""
    seen: str | None = None


class LastLook:
    """The last look at what is to be deleted."""

    def __init__(
        self, opened: OpenStores, recorder: Recorder, fingerprinter: Fingerprinter, comparer: Comparer
    ) -> None:
        self._opened = opened
        self._recorder = recorder
        self._fingerprinter = fingerprinter
        self._comparer = comparer

    async def judge(self, change: Change, *, again: bool = True) -> Judged:
        """Whether a secret is still what this job left there. Without ``again`` its version is taken as it was seen."""
        halves = self._opened.get(change.dest)
        blind = change.dest_version is None and halves.reader is not None
        if change.dest_version is None and halves.looker is not None and halves.reader is None:
            return Judged(_refused(change, Reason.CANNOT_SEE)._replace(detail=_UNTOLD))
        if blind and await self._as_left(self._opened.reader(change.dest), change) is None:
            return Judged(_refused(change, Reason.CHANGED_OUTSIDE, Drift.CHANGED))
        if again and change.dest_version is not None and halves.looker is not None:
            # Once more, for the copies may have taken long since that look.
            entry = await look_at_key(self._opened, change.dest, change.key)
            if entry is None or entry.deleted:
                return Judged(change._replace(reason=Reason.REMOVED_OUTSIDE, drift=Drift.REMOVED))
            if entry.version != change.dest_version:
                if halves.reader is None or not halves.facts.leaves_it_to_the_value(entry.version, change.dest_version):
                    return Judged(_refused(change, Reason.CHANGED_OUTSIDE, Drift.CHANGED))
                change = change._replace(dest_version=entry.version, drift=Drift.UNKNOWN)
        if halves.facts.versions_of_all and change.drift is Drift.UNKNOWN and halves.reader is not None:
            # A label may be all that has changed.
            left = await self._as_left(halves.reader, change)
            if left is None or not is_same_object(left.version, change.dest_version, halves.facts.version_order):
                return Judged(_refused(change, Reason.CHANGED_OUTSIDE, Drift.CHANGED))
            change = change._replace(dest_version=left.version, drift=Drift.NONE)
        if not await self._comparer.is_merged(change):
            return Judged(change)
        if halves.reader is None:  # others' fields may be in it, and we cannot leave them there
            return Judged(_refused(change, Reason.CANNOT_SEE))
        rest, ours, seen = await self._comparer.without_ours(change)
        if seen != change.dest_version:
            return Judged(_refused(change, Reason.CHANGED_OUTSIDE))
        return Judged(change, rest, ours, seen)

    async def last_known(self, change: Change) -> Deleted | None:
        """What the ledger has of a key that is to be deleted: what it came of, and the value that we left there."""
        dest, key = change.dest, change.key
        if change.reason is Reason.BACK_AGAIN:
            return (await self._recorder.deleted()).get((dest, key))
        origin = (await self._recorder.origins_of(dest, [key])).get(key)
        if origin is None:
            return None
        fingerprint, _ = (await self._recorder.fingerprints(dest, [key])).get(key, ("", ""))
        return Deleted(
            change.item, change.dest_version, origin.definition, fingerprint, origin.store, origin.source_key, ""
        )

    async def _as_left(self, store: Reader, change: Change) -> Secret | None:
        """The secret, where its value says that it is still as we left it: its version is missing, or says nothing."""
        place = (change.dest, change.key)
        fingerprint, ours = (await self._recorder.fingerprints(change.dest, [change.key])).get(change.key, ("", ""))
        if change.reason is Reason.BACK_AGAIN and (last := await self.last_known(change)) is not None:
            fingerprint = last.fingerprint
        current = await store.read(change.key)
        is_ours = bool(fingerprint) and self._fingerprinter.is_value(fingerprint, *place, current.value, ours)
        return current if is_ours else None


def _refused(change: Change, reason: Reason, drift: Drift | None = None) -> Change:
    return change._replace(action=Action.REFUSE, reason=reason, drift=change.drift if drift is None else drift)
