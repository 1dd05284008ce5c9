"""Undoing a run: look at what it wrote, ask whether it can go back, and carry that out with the transfer's own write.

This file sees values: those of the versions before, which it hands to the write and to nobody else.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from secretsync_core.audit.moving import goodbye
from secretsync_core.audit.record import Draft, Event
from secretsync_core.errors import Conflict, SecretNotFound, SecretSyncError
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.inventory import display_version
from secretsync_core.model.report import Outcome, Result
from secretsync_core.model.versions import is_same_object
from secretsync_core.run.compare import Verdict
from secretsync_core.run.deletes import spare_others
from secretsync_core.run.look import look_at_key, look_at_keys
from secretsync_core.run.marks import look_at_marks
from secretsync_core.run.opening import job_error
from secretsync_core.run.settling import UNKNOWN, Fate, uncertain
from secretsync_core.run.transfer import Transfer
from secretsync_core.run.undo import Held, decide_undo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from secretsync_core.model.report import ItemError
    from secretsync_core.run.fingerprint import Fingerprinter
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.written import Written
    from secretsync_core.secret import Secret, SecretValue
    from secretsync_core.stores.base import Reader

_UNREAD = "it has no version, and its value cannot be read, so there is no telling whether it has changed since the run"

_FEW = 8
"""How many keys are asked about at once; the gate holds the job's limits."""


async def look_and_decide(
    written: Sequence[Written], opened: OpenStores, fingerprinter: Fingerprinter, run: str = ""
) -> tuple[list[Change], list[ItemError]]:
    """What undoing does to each key, in the order of ``written``; and the destinations that could not be seen.

    ``run`` is the run that undoes, where there is one already. Reads the versions before, to be sure that they are
    there, and writes nothing.
    """
    by_dest: dict[str, list[Written]] = defaultdict(list)
    for one in written:
        by_dest[one.announced.dest].append(one)
    changes: list[Change] = []
    errors: list[ItemError] = []
    for dest, some in by_dest.items():
        held, error = await _look(dest, some, opened, fingerprinter)
        errors += [error] if error is not None else []
        changes += [decide_undo(one, seen, run) for one, seen in zip(some, held, strict=True)]
    by_place = {one.place: one for one in written}
    changes = await _each(changes, lambda change: _prove(change, by_place[change.dest, change.key], opened))
    marks = await look_at_marks(opened, [change for change in changes if change.action is Action.DELETE])
    return spare_others(changes, marks, {opened.mark, *opened.former_marks}), errors


async def _look(
    dest: str, written: Sequence[Written], opened: OpenStores, fingerprinter: Fingerprinter
) -> tuple[list[Held], ItemError | None]:
    """What a destination holds of each key."""
    if dest in opened.failed:
        return [Held(unseen=opened.failed[dest].message)] * len(written), job_error(opened.failed[dest])
    if dest not in opened.stores:
        return [Held(unseen=f"the job does not write to {dest} any more")] * len(written), None
    halves = opened.stores[dest]
    if halves.looker is None:
        return [Held(unseen="the destination may only be written")] * len(written), None
    if halves.writer is None:
        return [Held(unseen="the destination may only be read")] * len(written), None
    try:
        seen = await look_at_keys(opened, dest, [one.announced.key for one in written])
    except SecretSyncError as error:
        return [Held(unseen=error.message)] * len(written), job_error(error)
    opened.looked.add(dest)
    reader = halves.reader
    held = Held(
        keeps_versions=halves.facts.limits.pins is not None and reader is not None,
        unread=reader is None,
        undeletes=halves.undeleter is not None,
        deletes=halves.deleter is not None,
    )

    async def hold(one: Written) -> Held:
        key = one.announced.key
        entry = seen.entries.get(key)
        if (gap := seen.hidden.get(key)) is not None:
            return Held(unseen=gap.message if gap.is_fault else "it may not be looked at")
        draft = one.done or one.announced
        if entry is None or entry.deleted:
            return held._replace(entry=entry)
        left, facts = draft.dest_version, halves.facts
        if entry.version is not None and (
            entry.version == left or not facts.leaves_it_to_the_value(entry.version, left)
        ):
            return held._replace(entry=entry)
        if reader is None:
            return held._replace(entry=entry) if entry.version is not None else Held(unseen=_UNREAD)
        # There is no version, or a label may be all that has changed: the value decides.
        try:
            now = await reader.read(key)
        except SecretSyncError as error:
            return Held(unseen=error.message)
        as_left = (entry.version is None or is_same_object(now.version, left, facts.version_order)) and (
            fingerprinter.is_value(draft.fingerprint, dest, key, now.value, draft.fields)
        )
        return held._replace(entry=entry._replace(version=now.version), as_left=as_left)

    return await _each(written, hold), None


async def _prove(change: Change, written: Written, opened: OpenStores) -> Change:
    """Refuse a change whose former version is not there any more, or cannot be seen."""
    halves = opened.stores.get(change.dest)
    try:
        if change.action is Action.UPDATE:
            await read_former(opened.reader(change.dest), written)
        elif change.action is Action.CREATE and halves is not None and halves.undeleter is not None:
            await halves.undeleter.check_undelete(change.key, change.dest_version or "")
    except SecretNotFound as error:
        reason, detail = Reason.NO_FORMER_VERSION, error.message
    except Conflict:
        reason, detail = Reason.CHANGED_OUTSIDE, ""
    except SecretSyncError as error:
        reason, detail = Reason.CANNOT_SEE, f"{error.code}: {error.message}"
    else:
        return change
    return change._replace(action=Action.REFUSE, owned=False, reason=reason, detail=detail)


async def read_former(reader: Reader, written: Written) -> Secret:
    """The version that a key had before the run. Raises SecretNotFound where that very version is not there."""
    key, before = written.announced.key, written.before
    former = await reader.read(key, display_version(before))
    if former.version != before:
        raise SecretNotFound(
            f"version {display_version(before)} of {key} is another one than it was",
            store=written.announced.dest,
            key=key,
        )
    return former


async def _each(rows: Sequence[Any], do: Callable[[Any], Any]) -> list[Any]:
    """What ``do`` gives for each row, in their order, a few at a time."""
    found: list[Any] = [None] * len(rows)
    numbered = iter(enumerate(rows))

    async def worker() -> None:
        for number, row in numbered:
            found[number] = await do(row)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(_FEW, len(rows))):
            group.create_task(worker())
    return found


class Undoing(Transfer):
    """Carries out what :func:`look_and_decide` gives, for one run."""

    written: Mapping[tuple[str, str], Written]

    async def undo(self, changes: Sequence[Change], written: Sequence[Written]) -> None:
        """Carry out every change. Raises LedgerError where the ledger fails; then nothing more is written."""
        self.written = {one.place: one for one in written}

        async def one(_: object, group: Sequence[Change]) -> None:
            for change in group:
                self._settle(await self._guarded(change, self._undo_one))

        await self._work(groupby(changes, key=lambda change: (change.dest, change.key)), one)

    async def _undo_one(self, change: Change) -> Outcome:
        written = self.written[change.dest, change.key]
        if change.action is Action.UNCHANGED:
            return Outcome(change, Result.UNCHANGED, change.reason, dest_version=change.dest_version)
        if change.action is Action.DELETE:
            return await self._delete_one(change)
        if change.action is Action.CREATE:
            return await self._bring_back(change, written)
        former = await read_former(self._opened.reader(change.dest), written)
        ours = written.facts.fields if written.facts is not None else ""
        try:
            outcome = await self._write(Verdict(change, former.value, ours))
        except Conflict:
            return _refused(change, Reason.CHANGED_OUTSIDE, Drift.CHANGED)
        if outcome.result is Result.UPDATED and self._is_released(change):
            self._recorder.later(goodbye(self._run, change.item, change.dest, change.key))
        return outcome

    def _is_released(self, change: Change) -> bool:
        """Whether the ledger did not know the key before the run, and is to know it no more."""
        return self.written[change.dest, change.key].facts is None

    async def _bring_back(self, change: Change, written: Written) -> Outcome:
        undeleter, facts = self._opened.get(change.dest).undeleter, written.facts
        assert undeleter is not None  # noqa: S101  decided by what the store can do
        assert facts is not None  # noqa: S101  what the ledger did not know was refused
        # Nothing stands there now, so no version is expected: whatever is found there afterwards is a new one.
        absent = change._replace(dest_version=None)
        intended = self._draft(Event.INTENDED, absent, self._next_intent())._replace(
            fingerprint=facts.fingerprint, fields=facts.fields
        )
        await self._recorder.record(intended)
        try:
            version = await undeleter.undelete(change.key, change.dest_version or "")
        except SecretSyncError as error:
            found = await self._found(intended, error)
            if found.fate in UNKNOWN:
                return uncertain(change, found.fate, error.message)
            if found.fate is not Fate.MADE:
                self._recorder.later(intended._replace(event=Event.FAILED, reason=error.code))
                return Outcome(change, Result.FAILED, error.code, error.message, error.hint)
            version = found.version
        self._recorder.later(intended._replace(event=Event.DONE, dest_version=version))
        return Outcome(change, Result.CREATED, change.reason, dest_version=version)

    async def _put(self, change: Change, value: SecretValue) -> str | None:
        """Write as every write does; where the store cannot compare, look once more just before."""
        if self._opened.get(change.dest).conditional is None:
            entry = await look_at_key(self._opened, change.dest, change.key)
            if entry is None or entry.deleted or entry.version != change.dest_version:
                raise Conflict(f"{change.key} in {change.dest} changed meanwhile", store=change.dest, key=change.key)
        return await super()._put(change, value)

    def _draft(self, event: Event, change: Change, intent: str, *, reason: str = "") -> Draft:
        """A record that names what the key is made of afterwards, as the record of before the run has it."""
        draft = super()._draft(event, change, intent, reason=reason)
        if event is Event.INTENDED and change.action is Action.UPDATE and self._is_released(change):
            draft = draft._replace(reason=Reason.RELEASED)
        written = self.written[change.dest, change.key]
        origin = written.done if change.action is Action.DELETE else written.facts
        if origin is None:
            return draft
        return draft._replace(source=origin.source, source_key=origin.source_key)


def _refused(change: Change, reason: Reason, drift: Drift) -> Outcome:
    refused = change._replace(action=Action.REFUSE, owned=False, reason=reason, drift=drift)
    return Outcome(refused, Result.REFUSED, reason)
