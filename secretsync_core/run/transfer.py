"""Phase 4: read, render, compare, record the intent, write, record the outcome. One secret never stops another."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from secretsync_core.audit.record import Draft, Event
from secretsync_core.errors import Conflict, LedgerError, SecretNotFound, SecretSyncError, StoreError, StoreLost
from secretsync_core.model.change import Action, Change, Drift, Reason
from secretsync_core.model.place import place_of_name
from secretsync_core.model.report import Outcome, Result
from secretsync_core.run.adopting import way_out
from secretsync_core.run.beside import Beside
from secretsync_core.run.compare import read_together
from secretsync_core.run.deleting import LastLook
from secretsync_core.run.holders import held_by, possible_holdings
from secretsync_core.run.marks import marks_what_it_takes
from secretsync_core.run.origins import name_sources
from secretsync_core.run.ready import Sources, check_reachable, compared_again, failure_of, look_before_creating
from secretsync_core.run.record import LeaseLost
from secretsync_core.run.settling import UNKNOWN, Fate, Found, look_at, outcome, uncertain
from secretsync_core.run.source_returned import unless_back
from secretsync_core.schema.job import WritePolicy
from secretsync_core.stores.echo import EchoedVersion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence

    from secretsync_core.audit.places import Holding
    from secretsync_core.run.compare import Comparer, Verdict, Wanted
    from secretsync_core.run.fingerprint import Fingerprinter
    from secretsync_core.run.items import JobPlan
    from secretsync_core.run.opening import OpenStores
    from secretsync_core.run.pinning import PinCheck
    from secretsync_core.run.record import Recorder
    from secretsync_core.secret import SecretValue

_CONFLICTS = 4
"""How often one secret is decided again because somebody else wrote it between our look and our write."""

_IN_PLACE = (Result.CREATED, Result.UPDATED, Result.UNCHANGED)
"""The results after which a value is as it is wanted."""

_WRITTEN = {Action.CREATE: Result.CREATED, Action.UPDATE: Result.UPDATED}


class Transfer:
    """Carries out changes for one run. ``settle`` is told of each outcome as it falls.

    ``late`` are places, by destination and key, where an earlier write of ours may still be carried out.
    """

    def __init__(
        self,
        plan: JobPlan,
        opened: OpenStores,
        recorder: Recorder,
        fingerprinter: Fingerprinter,
        comparer: Comparer,
        *,
        run: str,
        stop: asyncio.Event,
        settle: Callable[[Outcome], None],
        late: Collection[tuple[str, str]] = (),
    ) -> None:
        self._job = plan.job
        self._dests = len(plan.spec.dest)
        self._asked_for = frozenset(plan.spec.dest)  # what the job had elsewhere goes whatever its source says
        self._items = {item.name: item for item in plan.items}
        self._policies = {item.name: item.write_policy for item in plan.items}
        self._plan = plan
        self._marks_at_a_cost = bool(opened.mark) and plan.spec.ownership.mark is True
        self._combined = {item.name for item in plan.items if item.combined}
        self._opened = opened
        self._recorder = recorder
        self._fingerprinter = fingerprinter
        self._comparer = comparer
        self._last_look = LastLook(opened, recorder, fingerprinter, comparer)
        self._run = run
        self._stop = stop
        self._settle = settle
        self._late = frozenset(late)
        self.pinned: PinCheck | None = None
        """With a saved plan: says whether what is about to be written is what the plan names."""
        self._intents = 0
        self._beside = Beside(plan, opened)
        self._told: dict[tuple[str, str], tuple[str, str]] = {}  # what was just recorded of a value
        # Several steps of one run may each have a transfer of their own.
        self._serial = secrets.token_hex(4)
        # Twice as many secrets under way as requests: while one waits for the ledger, another uses its slot.
        self._workers = 2 * plan.spec.limits.concurrency

    async def copy(self, changes: Sequence[Change]) -> None:
        """Carry out everything but deletes. Raises LedgerError where the ledger fails; then nothing more is written."""
        await self._work(groupby(changes, key=read_together), self._copy_target)

    async def delete(self, changes: Sequence[Change]) -> None:
        """Carry out deletes, once the copies are done; those that are refused are told as refused."""

        async def one(_: object, group: Sequence[Change]) -> None:
            for change in group:
                self._settle(await self._guarded(change, self._delete_one))

        await self._work(groupby(changes, key=lambda change: (change.dest, change.key)), one)

    async def _work(
        self,
        groups: Iterator[tuple[object, Iterator[Change]]],
        do: Callable[[object, Sequence[Change]], Awaitable[None]],
    ) -> None:
        async def worker() -> None:
            for key, group in groups:
                members = list(group)
                if self._stop.is_set():
                    for change in members:
                        self._settle(Outcome(change, Result.NOT_REACHED, Reason.STOPPED, "the sync was stopped first"))
                else:
                    await do(key, members)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(worker())
        except* LedgerError as errors:
            # All workers fail for the same reason: the ledger did.
            raise errors.exceptions[0] from None
        await self._recorder.flush()

    async def _copy_target(self, _: object, changes: Sequence[Change]) -> None:
        """Changes that are made of the same sources, which are read once, and only if somebody asks."""
        sources = Sources(self._comparer, changes)

        async def one(change: Change) -> Outcome:
            if not change.metadata:
                return await self._copy_one(change, sources)
            return await self._copy_with_metadata(change, sources)

        # Decided in another process maybe, or by an older policy: what counts is the one that this process has.
        for change in map(self._opened.flows.judged, changes):
            self._settle(await self._guarded(change, one))

    async def _guarded(self, change: Change, do: Callable[[Change], Awaitable[Outcome]]) -> Outcome:
        """Carry out one change, turning every error but the ledger's into its outcome, and recording it."""
        if change.action is Action.REFUSE:
            return self._not_ours(change, 0) if change.reason is Reason.NOT_MANAGED else _refused(change)
        if change.action is Action.SKIP:
            return Outcome(change, Result.SKIPPED, change.reason)
        try:
            return await do(change)
        except LeaseLost as error:
            self._stop.set()  # what is in flight is finished and told
            return Outcome(change, Result.NOT_REACHED, error.code, error.message, error.hint)
        except LedgerError:
            raise
        except StoreLost as error:
            return Outcome(change, Result.NOT_REACHED, *failure_of(error))
        except EchoedVersion as error:
            failure = failure_of(error)
            change = change._replace(source_version=None, dest_version=None)
        except Exception as error:  # noqa: BLE001  one secret never stops another
            failure = failure_of(error)
        self._recorder.later(self._draft(Event.FAILED, change, "", reason=failure.code))
        return Outcome(change, Result.FAILED, *failure)

    async def _copy_one(self, change: Change, sources: Sources) -> Outcome:
        first, conflicts = change, 0
        check_reachable(self._opened, change.dest)
        for _ in range(_CONFLICTS):
            verdict = await self._decide(change, await sources.wanted())
            change = verdict.change
            if change.action is Action.UNCHANGED:
                return await self._found_right(verdict)
            if change.action is Action.SKIP:
                return self._skipped(change, conflicts)
            if change.action is Action.REFUSE:
                return self._not_ours(change, conflicts)
            try:
                return await self._write(verdict)
            except Conflict:
                conflicts += 1
                if self._opened.looks(change.dest):
                    # Look again: what stands there now may be what we want, or somebody else's last word.
                    change = await self._whose(compared_again(first))
                elif self._policies[change.item] is WritePolicy.IF_NOT_EXISTS:
                    return self._skipped(change._replace(action=Action.SKIP, reason=Reason.EXISTS), conflicts)
                elif self._policies[change.item] is WritePolicy.MANAGED and change.foreign:
                    return self._not_ours(change._replace(action=Action.REFUSE, reason=Reason.NOT_MANAGED), conflicts)
                else:
                    # It exists, and we may not look at it: from here on it is replaced, and never counted as ours.
                    change = change._replace(action=Action.UPDATE, owned=False)
        raise Conflict(
            f"{change.dest}:{change.key} changed {_CONFLICTS} times while it was being written",
            store=change.dest,
            key=change.key,
            hint="something else keeps writing it; sync again once that has stopped",
        )

    async def _whose(self, change: Change) -> Change:
        """The same change, as far as the ledger says now that the key is ours.

        Refused where another job has taken the key over since it was decided; like somebody else's where nobody holds
        it any more.
        """
        if change.adopt:
            return change
        await self._recorder.flush()
        if await self._recorder.knows(change.dest, change.key):
            return change
        if (holding := await self._holder(change)) is not None:
            why = held_by(holding, self._job)
            return change._replace(action=Action.REFUSE, reason=Reason.HELD, detail=why, foreign=True, owned=False)
        return change if change.foreign else change._replace(foreign=True, owned=False)

    async def _holder(self, change: Change) -> Holding | None:
        """Another job that holds a key by now."""
        place = self._opened.get(change.dest).facts.place or place_of_name(change.dest)
        others = await self._recorder.bindings_of_others()
        asked = possible_holdings({change.dest: place}, {change.dest: [change.key]}, others)
        return min(await self._recorder.holders(asked), default=None) if asked else None

    async def _copy_with_metadata(self, change: Change, sources: Sources) -> Outcome:
        """Copy the value, unless versions say that it is right, and then set what is wanted beside it."""
        check_reachable(self._opened, change.dest)
        done = Outcome(change, Result.UNCHANGED, Reason.VERSIONS_MATCH, dest_version=change.dest_version)
        if change.reason is not Reason.METADATA:
            done = await self._copy_one(change, sources)
        result = done.result
        for _ in range(_CONFLICTS):
            if done.result not in _IN_PLACE:
                return done
            try:
                return await self._set_metadata(done._replace(result=result))
            except Conflict as conflict:
                moved = conflict
            # Somebody has written it meanwhile, so its value has to be looked at before it counts as ours once more.
            compared = done.change._replace(
                action=Action.COMPARE, reason=Reason.VERIFY, dest_version=done.dest_version, known=False, adopt=False
            )
            done = await self._copy_one(await self._whose(compared), sources)
            result = done.result if result is Result.UNCHANGED else result
        raise moved

    async def _set_metadata(self, done: Outcome) -> Outcome:
        """Set what is wanted beside a value that is in place and ours; announced and recorded as any write.

        Raises Conflict where it is not the value that was seen, or written, any more.
        """
        change = done.change
        if not change.owned:
            return done
        new = done.result is Result.CREATED and change.dest_version is None
        lacking = await self._beside.lacking(change, new=new, version=done.dest_version)
        if self.pinned is not None:
            lacking = self.pinned.metadata(change, lacking)
        if not lacking:
            return done
        now = await self._whose(change._replace(adopt=False))  # what was taken over is recorded as ours by now
        if now.action is Action.REFUSE:
            return self._not_ours(now, 1)
        if not now.owned:
            return done
        place = change.dest, change.key
        if (told := self._told.pop(place, None)) is None:
            told = (await self._recorder.fingerprints(change.dest, [change.key])).get(change.key, ("", ""))
        setting = change._replace(action=Action.UPDATE, reason=Reason.METADATA, dest_version=done.dest_version)
        fingerprint, fields = told
        intended = self._draft(Event.INTENDED, setting, self._next_intent())
        intended = intended._replace(fingerprint=fingerprint, fields=fields)
        await self._recorder.record(intended)
        writer = self._opened.get(change.dest).metadata_writer
        assert writer is not None  # noqa: S101  nothing is wanted beside values where it cannot be set
        try:
            version = await writer.set_metadata(change.key, lacking, done.dest_version)
        except SecretSyncError as error:
            found = await self._found(intended, error)
            if found.fate in UNKNOWN:
                return uncertain(setting, found.fate, error.message)
            self._recorder.later(outcome(intended, found, error.code))
            if found.fate is not Fate.MADE:
                if isinstance(error, Conflict):
                    raise
                return Outcome(setting, Result.FAILED, error.code, error.message, error.hint)
            version = found.version
        else:
            self._recorder.later(intended._replace(event=Event.DONE, dest_version=version))
        if done.result is Result.UNCHANGED:
            return Outcome(setting, Result.UPDATED, Reason.METADATA, dest_version=version)
        return done._replace(dest_version=version)

    async def _decide(self, change: Change, value: Wanted) -> Verdict:
        """Decide by what is there now; what is taken over is marked first, and a saved plan has the last word."""
        held = ""
        if change.adopt:
            if self.pinned is not None:
                held = await self.pinned.value_at(change)
                before = await self.pinned.judge(await self._comparer.decide(change, value))
                if before.change.reason is Reason.MOVED_SINCE_PLAN:
                    return before
            await self._adopt(change)
        verdict = await self._comparer.decide(change, value)
        if self.pinned is None:
            return verdict
        # Our mark may have made another version of the same value. Of another value it is somebody else's.
        reads = self._opened.readable(change.dest)
        marked = change.adopt and reads and await self.pinned.value_at(change) == held
        return await self.pinned.judge(verdict, marked=marked)

    async def _adopt(self, change: Change) -> None:
        """Record that we take over what was there before us, and put our mark on it.

        Ahead of the look at it: where marks are versions, it sees ours.
        """
        await self._recorder.record(self._draft(Event.SKIPPED, change, "", reason=Reason.ADOPTED))
        halves = self._opened.get(change.dest)
        marker = halves.marker
        # Under a saved plan the version that it names counts: one that our mark made could not be told from others'.
        moves = self.pinned is not None and halves.facts.versions_of_all and halves.reader is None
        if marker is not None and marks_what_it_takes(self._plan, self._opened, change.dest) and not moves:
            with suppress(SecretNotFound):  # it went meanwhile, and what is created is marked anyhow
                await marker.mark(change.key)

    def _skipped(self, change: Change, conflicts: int) -> Outcome:
        """The policy leaves it alone. Where that turned out only as it was to be written, the record says so too."""
        if conflicts:
            self._recorder.later(self._draft(Event.SKIPPED, change, "", reason=change.reason))
        return Outcome(change, Result.SKIPPED, change.reason)

    def _not_ours(self, change: Change, conflicts: int) -> Outcome:
        """It is not ours to write; recorded where that turned out only as it was to be written."""
        if conflicts:
            self._recorder.later(self._draft(Event.SKIPPED, change, "", reason=change.reason))
        if change.reason is Reason.MOVED_SINCE_PLAN:
            return _refused(change)
        hint = way_out(self._job, change, dests=self._dests, halves=self._opened.get(change.dest))
        return _refused(change)._replace(hint=hint)

    async def _found_right(self, verdict: Verdict) -> Outcome:
        """The destination holds what we want already: note its version, unless the ledger has it."""
        change, value = verdict.change, verdict.value
        found = Outcome(change, Result.UNCHANGED, Reason.SAME_VALUE, change.detail, dest_version=change.dest_version)
        if value is not None and (not change.known or self._fingerprinter.has_former_keys):
            fingerprint = self._fingerprinter.value(change.dest, change.key, value, verdict.ours)
            if change.known and await self._is_named(change, fingerprint):
                return found
            told = self._draft(Event.SKIPPED, change, "", reason=Reason.SAME_VALUE)
            await self._tell(change, told._replace(fingerprint=fingerprint, fields=verdict.ours))
        return found

    async def _is_named(self, change: Change, fingerprint: str) -> bool:
        """Whether the ledger has this fingerprint of a key, and not one by a former key."""
        recorded = (await self._recorder.fingerprints(change.dest, [change.key])).get(change.key)
        return recorded is not None and recorded[0] == fingerprint

    async def _write(self, verdict: Verdict) -> Outcome:
        change, value = verdict.change, verdict.value
        assert value is not None  # noqa: S101  creates and updates carry their value
        await look_before_creating(self._opened, change, self._policies[change.item])
        intended = self._draft(Event.INTENDED, change, self._next_intent())._replace(
            fingerprint=self._fingerprinter.value(change.dest, change.key, value, verdict.ours), fields=verdict.ours
        )
        await self._recorder.record(intended)
        try:
            version = await self._put(change, value)
        except SecretSyncError as error:
            found = await self._found(intended, error)
            if found.fate in UNKNOWN:
                return uncertain(change, found.fate, error.message)
            if found.fate is not Fate.MADE:
                self._recorder.later(outcome(intended, found, error.code))
                if isinstance(error, Conflict):
                    raise
                return Outcome(change, _failed(error), error.code, error.message, error.hint)
            version = found.version
            await self._mark_made(change)
        await self._tell(change, intended._replace(event=Event.DONE, dest_version=version))
        return Outcome(change, _WRITTEN[change.action], change.reason, dest_version=version)

    async def _mark_made(self, change: Change) -> None:
        """Mark a secret whose creation got no answer, and was made: a mark that is a request of its own was not put."""
        marker = self._opened.get(change.dest).marker
        if self._marks_at_a_cost and change.action is Action.CREATE and marker is not None:
            await marker.mark(change.key)

    async def _tell(self, change: Change, draft: Draft) -> None:
        """Record that a key is ours as it stands now. What another job held it holds no longer, by the same word."""
        if change.metadata:
            self._told[change.dest, change.key] = draft.fingerprint, draft.fields
        if change.holder is not None:
            await self._recorder.hand_over(draft, change.holder)
        else:
            self._recorder.later(draft)

    async def _found(self, intended: Draft, error: SecretSyncError) -> Found:
        """What became of an announced write that ended with an error.

        An attempt that got no answer may have been carried out, and a later one then met what it had written: the look
        decides, also where the error says Conflict. Where it fails too, nobody knows, and the announcement stays open.
        So it does where the look finds nothing: a server that hangs, or has lost its quorum, answers a read by what was
        before, and may carry the write out once it is well again. (Not so a store whose own code failed.)
        """
        # So it is where an earlier run's write, which a look had not found, was carried out between that and ours.
        was_late = isinstance(error, Conflict) and (intended.dest, intended.key) in self._late
        if not (error.unanswered or was_late):
            return Found(Fate.REFUSED)
        found = await look_at(intended, self._opened, self._fingerprinter)
        is_over = isinstance(error, Conflict) or error.code == StoreError.code
        if is_over and found.fate is Fate.NOT_MADE:
            return Found(Fate.REFUSED)
        # What answered with a Conflict has answered: what stands there is decided about anew.
        return Found(Fate.REFUSED) if isinstance(error, Conflict) and found.fate is Fate.UNTOLD else found

    async def _put(self, change: Change, value: SecretValue) -> str | None:
        """Write, with compare-and-set where the store has it and we know what we compare with."""
        halves = self._opened.get(change.dest)
        blind = halves.looker is None
        known = change.action is Action.CREATE or (change.dest_version is not None and not blind)
        if halves.recreator is not None and change.action is Action.CREATE and change.dest_version and not blind:
            return await halves.recreator.recreate(change.key, value, change.dest_version)
        if halves.conditional is not None and known:
            return await halves.conditional.write_if(change.key, value, None if blind else change.dest_version)
        if halves.creator is not None and change.action is Action.CREATE:
            return await halves.creator.create(change.key, value)
        assert halves.writer is not None  # noqa: S101  the survey refused stores that cannot be written
        return await halves.writer.write(change.key, value)

    async def _delete_one(self, change: Change) -> Outcome:
        if change.reason is Reason.REMOVED_OUTSIDE:
            # Gone already. The record ends what the ledger holds of it; nothing is asked of the store.
            self._recorder.later(self._draft(Event.DONE, change, ""))
            return Outcome(change, Result.SKIPPED, change.reason)
        last = await self._last_look.last_known(change)
        item = self._items.get(change.item) if change.dest in self._asked_for else None
        if (change.reason is Reason.SOURCE_GONE or change.absent) and item is not None:
            change = await unless_back(change, item, last, self._opened, self._comparer)
            if change.action is Action.REFUSE:
                return _refused(change)
        # The destination last: what is lost there may be lost for good.
        change, rest, ours, seen = await self._last_look.judge(change)
        if change.action is Action.REFUSE:
            return _refused(change)
        if change.reason is Reason.REMOVED_OUTSIDE:
            return await self._delete_one(change)
        halves = self._opened.get(change.dest)
        intended = self._draft(Event.INTENDED, change, self._next_intent())._replace(fields=ours)
        if last is not None:
            # With this the ledger knows it again, should it ever be back.
            intended = intended._replace(
                source=last.source, source_key=last.source_key, fingerprint=last.fingerprint if not ours else ""
            )
        await self._recorder.record(intended)
        assert halves.deleter is not None  # noqa: S101  the survey refused stores that cannot delete
        try:
            if rest is not None and halves.conditional is not None and seen is not None:
                await halves.conditional.write_if(change.key, rest, seen)
            elif rest is not None and halves.writer is not None:
                await halves.writer.write(change.key, rest)
            elif halves.conditional_deleter is not None and halves.looker is not None and change.dest_version:
                # Only what was looked at: what somebody has written since then is theirs.
                await halves.conditional_deleter.delete_if(change.key, change.dest_version)
            else:
                await halves.deleter.delete(change.key)
        except SecretSyncError as error:
            found = await self._found(intended, error)
            if found.fate in UNKNOWN:
                return uncertain(change, found.fate, error.message)
            self._recorder.later(outcome(intended, found, error.code))
            if found.fate is not Fate.MADE:
                if isinstance(error, Conflict):
                    return _refused(
                        change._replace(action=Action.REFUSE, reason=Reason.CHANGED_OUTSIDE, drift=Drift.CHANGED)
                    )
                return Outcome(change, _failed(error), error.code, error.message, error.hint)
        else:
            self._recorder.later(intended._replace(event=Event.DONE, dest_version=None))
        return Outcome(change, Result.DELETED, change.reason)

    def _next_intent(self) -> str:
        self._intents += 1
        return f"{self._run}:{self._serial}:{self._intents}"

    def _draft(self, event: Event, change: Change, intent: str, *, reason: str = "") -> Draft:
        return Draft(
            event=event,
            run=self._run,
            intent=intent,
            item=change.item,
            dest=change.dest,
            key=change.key,
            action=_ACTIONS.get(change.action, ""),
            reason=reason or change.reason,
            source=change.sources[0].store if change.sources else "",
            source_key=name_sources(change.sources, combined=change.item in self._combined),
            source_version=change.source_version,
            dest_version=change.dest_version,
            definition=change.definition,
            owned=change.owned,
        )


_ACTIONS = {Action.CREATE: "create", Action.UPDATE: "update", Action.DELETE: "delete"}


def _failed(error: SecretSyncError) -> Result:
    """What it comes to where a write was announced and not made: a store that was given up was not even asked."""
    return Result.NOT_REACHED if isinstance(error, StoreLost) else Result.FAILED


def _refused(change: Change) -> Outcome:
    return Outcome(change, Result.REFUSED, *(change.failure or (change.reason, change.detail)))
